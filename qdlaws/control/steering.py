"""How far to turn the ratio reward scale / KL so that diversity or entropy comes to its target.

With u = log(reward_scale/KL) and the gain g = −dD/du of the plant:

    c, v      level and slope of a line through the last 5 readings, v shrunk to 0 by one error;
              the slope of the last 15 where it agrees within an error
    target    D* = floor + 2·SE(c)
    error     e = (c + h·v − D*)/g, h evaluations ahead;  dead band SE(c)/g,
              but none where the target is missed ahead with probability .8
    step      Δu = clip(K·e, −0.7, +0.1),  K = .2 to loosen, .4 to tighten
    barrier   never loosen when the target is nearer than 2h evaluations at the present slope

Where the log has the ratio in force beside its readings, :func:`steer_by_plant` does better: the
lag and the gain are identified from the turns of the run (:mod:`qdlaws.control.plant_filter`), and
the error is the level at which the column *settles* if nothing is turned, less the target. The line
keeps the last word: it tightens at any time where it leads below the floor beyond doubt, counting
what has been turned since its readings, and so does a last drop that is steep; a last rise that is
steep holds the next turn back (:mod:`qdlaws.control.collapse_guard`). After a run has fallen
through its floor the ratio stays below the one it fell at, and one that swings back and forth is
turned in ever smaller steps.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import erf, sqrt

import numpy as np

from qdlaws.control.collapse_guard import (
    collapse_share,
    ratio_ceiling,
    reversals,
    steep_drop_end,
    steep_rise_end,
)
from qdlaws.control.knobs import InForce
from qdlaws.control.plant_filter import PlantState, filled_forward, plant_state, scatter_of
from qdlaws.core.types import Array

__all__ = ["PRIOR_GAIN", "Limits", "Steering", "steer", "steer_by_plant"]

WINDOW = 5
"""Readings that the line is drawn through."""
LONG_WINDOW = 15
"""Readings of the longer line, whose slope counts where the two agree."""
P_MISSED = 0.8
"""Probability of missing the target from which the dead band no longer holds a turn back."""
AHEAD = 5.0
"""Evaluations that the line looks ahead."""
PRIOR_GAIN = {"diversity": 0.065, "entropy": 0.16}
"""−dD/du and −dH/du per unit of u where the run tells nothing: measured with a molecular prior
(.055 … .08 for internal diversity, .15 … .17 nats per token for entropy)."""


@dataclass(frozen=True)
class Steering:
    """The level and trend of a column, its target, and the step of the log ratio that follows.

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
    plant: PlantState | None = None  # where the log has the ratio in force
    ceiling: float = np.inf  # the highest ratio, after the run has fallen through the floor


@dataclass(frozen=True)
class Limits:
    """How boldly :func:`steer_by_plant` turns the ratio; each doubt counts in one direction."""

    loosen: float = 0.3
    """Share of the way to the target that one decision takes, upwards."""
    tighten: float = 0.5
    up: float = 0.2
    """The most that u rises at one decision."""
    home: float = 0.4
    """The same on the way back to where the run has been before it fell."""
    down: float = 0.7
    doubt: float = 0.5
    """Standard errors of the settled level that are left before loosening."""
    margin: float = 2 / np.sqrt(WINDOW)
    """Distance of the target from the floor, in units of the scatter of a reading."""
    guard: float = 5.0
    """Evaluations that the line looks ahead to guard the floor."""
    calmest: float = 1 / 8
    """Least factor of the three limits of a step, after many swings."""

    def calmed(self, reversals: int, below: bool) -> Limits:
        """The limits of a run whose ratio swings: halved with every reversal after the first.

        A run that answers more strongly than it is thought to overshoots, and overshoots again on
        the way back. Once it is below the floor there is no time for small steps down.
        """
        factor = max(0.5 ** max(reversals - 1, 0), self.calmest)
        down = self.down if below else max(self.down * factor, self.up)
        return replace(self, up=self.up * factor, home=self.home * factor, down=down)


def steer(step: Array, y: Array, floor: float, gain: float, se: Array | None = None) -> Steering:
    """The step of the log ratio for a floor on y, from its last readings."""
    measured = np.isfinite(y)
    errors = None if se is None else se[measured]
    long_step, long_y = step[measured][-LONG_WINDOW:], y[measured][-LONG_WINDOW:]
    step, y = long_step[-WINDOW:], long_y[-WINDOW:]
    if not len(y):
        return Steering(np.nan, np.nan, np.nan, np.nan, np.nan, np.nan, np.nan)
    if len(y) < 3:
        return _steer_by_two(y, floor, gain, errors)
    level, slope, level_se, slope_se, scatter = _line(step, y, errors)
    _, trend, _, trend_se, _ = _line(long_step, long_y, errors)
    if abs(trend - slope) < slope_se:  # the longer line says the same, more exactly
        slope, slope_se = trend, trend_se
    shrunk = float(np.sign(slope) * max(abs(slope) - slope_se, 0.0))
    # the target is the floor and two errors of a mean of the window
    target = floor + 2 * scatter / np.sqrt(len(y))
    error = (level + AHEAD * shrunk - target) / gain
    error_ahead = float(np.hypot(level_se, AHEAD * slope_se))
    p_below = _normal_cdf((target - level - AHEAD * slope) / max(error_ahead, 1e-300))
    if p_below < P_MISSED or error > 0:  # the dead band is for doubt
        error = float(np.sign(error) * max(abs(error) - level_se / gain, 0.0))
    du = float(np.clip((0.2 if error > 0 else 0.4) * error, -0.7, 0.1))
    if shrunk < 0 and level - target < 2 * AHEAD * -shrunk:
        du = min(du, 0.0)
    falling = shrunk < 0 or trend < -2 * trend_se
    return Steering(level, level_se, slope, slope_se, target, du, p_below, falling)


def _steer_by_two(y: Array, floor: float, gain: float, se: Array | None) -> Steering:
    """One or two readings are too few to loosen by; a level surely below the floor tightens."""
    error = np.nan if se is None else float(np.mean(se[-WINDOW:]) / np.sqrt(len(y)))
    level = float(y.mean())
    low = np.isfinite(error) and level + error < floor
    du = float(np.clip(0.4 * (level - floor) / gain, -0.7, 0.0)) if low else np.nan
    return Steering(level, error, np.nan, np.nan, floor, du, np.nan)


def steer_by_plant(
    step: Array,
    y: Array,
    knobs: InForce,
    floor: float,
    gain: float,
    se: Array | None = None,
) -> Steering:
    """The step of the log ratio for a floor on y, from its readings and the knobs in force.

    ``gain`` is the prior of −dy/du. With less than 3 readings, or without any known ratio, the
    answer is that of :func:`steer`; a last reading that is missing never loosens.
    """
    limits = Limits()
    line = steer(step, y, floor, gain, se)
    measured, u = np.isfinite(y), knobs.ratio
    if measured.sum() < 3 or not np.isfinite(u).any():
        held = not measured[-1] and line.du > 0
        return replace(line, du=0.0) if held else line
    plant = plant_state(step, y, u, gain, se, knobs.strength)
    settled = plant.settled_after(knobs.now - u[np.isfinite(u)][-1])
    target = floor + limits.margin * plant.scatter
    error = settled - target
    if error > 0:
        du = limits.loosen * max(error - limits.doubt * plant.settled_se, 0.0) / plant.gain
    else:
        du = limits.tighten * min(error + 0.5 * plant.settled_se, 0.0) / plant.gain
    ahead = line.level + limits.guard * line.slope
    ahead_se = float(np.hypot(line.level_se, limits.guard * line.slope_se))
    before = filled_forward(u)[measured][-WINDOW:]
    ahead += plant.gain * float(np.mean(before) - knobs.now)
    scatter = scatter_of(y[:-1], None if se is None else se[:-1])
    dropped = steep_drop_end(y, scatter, limits.guard)
    below = dropped < floor or y[measured][-1] < floor
    limits = limits.calmed(reversals(np.append(filled_forward(u), knobs.now)), bool(below))
    if ahead + ahead_se < floor:
        du = min(du, 0.4 * (ahead + ahead_se - floor) / max(gain, plant.gain))
    if dropped < floor:  # how much a turn brings is not known there, how much time is left is
        du = min(du, -limits.down * collapse_share(float(y[-1]), dropped, floor))
    if steep_rise_end(y, scatter, limits.guard) > target:
        du = max(du, 0.0)  # what has been turned already brings it back
    ceiling = ratio_ceiling(y, filled_forward(u), floor)
    up = limits.up if ceiling == np.inf else limits.home
    du = min(du, max(ceiling - knobs.now, -limits.up)) if measured[-1] else min(du, 0.0)
    return replace(
        line,
        target=target,
        du=float(np.clip(du, -limits.down, up)),
        p_below=_normal_cdf((target - settled) / max(plant.settled_se, 1e-300)),
        falling=False if du > 0 else line.falling,
        plant=plant,
        ceiling=ceiling,
    )


def _line(step: Array, y: Array, se: Array | None) -> tuple[float, float, float, float, float]:
    """Level at the last step and slope per evaluation of a line, their errors, and the scatter."""
    gap = float(np.mean(np.diff(step)))
    t = (step - step[-1]) / gap
    slope, level = (float(v) for v in np.polyfit(t, y, 1))
    residuals = y - level - slope * t
    scatter = float(np.sqrt((residuals**2).sum() / (len(y) - 2)))
    stated = np.array([]) if se is None else se[-len(y) :]
    if np.isfinite(stated).any():
        # three or five readings can lie on a line by luck; errors are never smaller
        scatter = max(scatter, float(np.sqrt(np.nanmean(stated**2))))
    around = t - t.mean()
    slope_se = scatter / float(np.sqrt((around**2).sum()))
    level_se = scatter * float(np.sqrt(1 / len(y) + t.mean() ** 2 / (around**2).sum()))
    return level, slope, level_se, slope_se, scatter


def _normal_cdf(z: float) -> float:
    return 0.5 * (1 + erf(z / sqrt(2)))
