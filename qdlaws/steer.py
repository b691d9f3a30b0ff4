"""How far to turn the ratio reward scale / KL so that diversity or entropy comes to its target.

With u = log(reward_scale/KL) and the gain g = −dD/du of the plant:

    c, v      level and slope of a line through the last 5 readings, v shrunk to 0 by one error;
              the slope of the last 15 where it agrees within an error
    target    D* = floor + 2·SE(c)
    error     e = (c + h·v − D*)/g, h evaluations ahead;  dead band SE(c)/g,
              but none where the target is missed ahead with probability .8
    step      Δu = clip(K·e, −0.7, +0.1),  K = .2 to loosen, .4 to tighten
    barrier   never loosen when the target is nearer than 2h evaluations at the present slope

Holding the floor this way costs 3–5 % of the quality to be had at the floor.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

__all__ = ["PRIOR_GAIN", "Steering", "steer"]

Array = npt.NDArray[np.float64]

WINDOW = 5
LONG = 15
SURE = 0.8
AHEAD = 5.0
PRIOR_GAIN = {"diversity": 0.065, "entropy": 0.16}
"""−dD/du and −dH/du per unit of u where the run has not shown its own: from a molecular prior
(.055 … .08 for internal diversity, .15 … .17 nats per token for entropy)."""


@dataclass(frozen=True)
class Steering:
    """Where a column stands, where it goes, and the step of the log ratio that follows.

    ``level`` and ``slope`` (per evaluation) come with their standard errors; ``du`` is 0 inside the
    dead band and NaN where nothing can be said.
    """

    level: float
    level_se: float
    slope: float
    slope_se: float
    target: float
    du: float
    p_below: float  # P(the target is missed ``AHEAD`` evaluations from now, knobs unchanged)
    falling: bool = False  # by its last 15 readings


def steer(
    step: Array, y: Array, floor: float, gain: float, se: Array | None = None, ahead: float = AHEAD
) -> Steering:
    """The step of the log ratio for a floor on y, from its last readings."""
    known = np.isfinite(y)
    long, wide = step[known][-LONG:], y[known][-LONG:]
    step, y = long[-WINDOW:], wide[-WINDOW:]
    if not len(y):
        return Steering(np.nan, np.nan, np.nan, np.nan, np.nan, np.nan, np.nan)
    if len(y) < 3:
        error = np.nan if se is None else float(np.mean(se[known][-WINDOW:]) / np.sqrt(len(y)))
        level = float(y.mean())
        # too little to loosen by; a level surely below the floor may be tightened at any time
        low = np.isfinite(error) and level + error < floor
        du = float(np.clip(0.4 * (level - floor) / gain, -0.7, 0.0)) if low else np.nan
        return Steering(level, error, np.nan, np.nan, floor, du, np.nan)
    level, slope, level_se, slope_se, spread = _line(step, y, None if se is None else se[known])
    _, trend, _, trend_se, _ = _line(long, wide, None if se is None else se[known])
    if abs(trend - slope) < slope_se:  # the longer line says the same, more exactly
        slope, slope_se = trend, trend_se
    shrunk = float(np.sign(slope) * max(abs(slope) - slope_se, 0.0))
    # the target is the floor and two errors of a mean of the window
    target = floor + 2 * spread / np.sqrt(len(y))
    error = (level + ahead * shrunk - target) / gain
    spread_ahead = float(np.hypot(level_se, ahead * slope_se))
    p_below = _normal_cdf((target - level - ahead * slope) / max(spread_ahead, 1e-300))
    if p_below < SURE or error > 0:  # the dead band is for doubt
        error = float(np.sign(error) * max(abs(error) - level_se / gain, 0.0))
    du = float(np.clip((0.2 if error > 0 else 0.4) * error, -0.7, 0.1))
    if shrunk < 0 and (level - target) / -shrunk < 2 * ahead:
        du = min(du, 0.0)
    return Steering(
        level,
        level_se,
        slope,
        slope_se,
        target,
        du,
        p_below,
        shrunk < 0 or trend < -2 * trend_se,
    )


def _line(step: Array, y: Array, se: Array | None) -> tuple[float, float, float, float, float]:
    """Level at the last step and slope per evaluation of a line, their errors, and the scatter."""
    gap = float(np.mean(np.diff(step)))
    t = (step - step[-1]) / gap
    slope, level = (float(v) for v in np.polyfit(t, y, 1))
    rest = y - level - slope * t
    scatter = float(np.sqrt((rest**2).sum() / (len(y) - 2)))
    if se is not None:  # three or five readings can lie on a line by luck; errors are never smaller
        scatter = max(scatter, float(np.sqrt(np.nanmean(se[-len(y) :] ** 2))))
    around = t - t.mean()
    slope_se = scatter / float(np.sqrt((around**2).sum()))
    level_se = scatter * float(np.sqrt(1 / len(y) + t.mean() ** 2 / (around**2).sum()))
    return level, slope, level_se, slope_se, scatter


def _normal_cdf(z: float) -> float:
    from math import erf, sqrt

    return 0.5 * (1 + erf(z / sqrt(2)))
