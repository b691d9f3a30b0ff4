"""Where a column settles if no knob is turned, and what a unit of the ratio costs of it.

A run answers a turned knob with a lag. With u = log(reward scale/KL) in force, the level x follows
a settled level a, which a turn of u moves at once and which wanders by itself:

    a ← a − g·Δu + w,    x ← x + (1 − e^{−gap/τ})·(a − x),    y = x + e

For a given lag τ and size of w this is linear in (x, a, g): a Kalman filter (Kalman 1960). A bank
of them over τ, w and the prior of g is weighted by how well each predicted the last readings
(multiple models; Magill 1965), older predictions being forgotten. So a missing reading only costs
precision, and the gain g is identified from the turns of the run, starting from a prior. Where the
KL itself was turned, half of the bank takes the run to be slowed by it (τ ∝ 1/KL, as plain gradient
flow is): a run that is slowed looks as if it had settled, and must not be loosened for that.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from qdlaws.core.types import Array

__all__ = ["PlantState", "filled_forward", "plant_state", "scatter_of"]

LAGS = np.array([0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0])
"""Candidates for τ, in evaluations."""
USUAL_LAG, LAG_DOUBT = 4.0, 1.0
"""Prior of τ: centre, and standard deviation of its logarithm. A short run cannot tell a slow fall
from a long one; without it the first half of 24 evaluations is spent waiting."""
WANDERS = np.array([0.05, 0.5, 2.0])
"""Candidates for the size of w per evaluation, in units of the scatter of a reading."""
MEMORY = 0.95
"""Weight of the last reading's score at the next one: older predictions are forgotten."""
GAINS = np.array([1.0, 4.0])
"""Candidates for the mean of the prior of g, in units of the gain that is given: small models
answer several times as strongly as the molecular ones that it was measured with."""
LARGER_GAIN = 1.0
"""Standard deviation of the logarithm of such a unit in the prior of the candidates."""
GAIN_DOUBT = 0.7
"""Standard deviation of a candidate's g over its mean; the estimate stays within ¼ … 4 of it."""
CURVATURE = 0.35
"""How far the gain changes over a unit of u, over the prior gain."""
STATED = 3
"""Second differences that a stated error is worth."""
MIN_SCATTER = 1e-5
"""Least scatter of a reading over the prior gain: a collapsed run reads 0 every time, and a filter
without noise loses its covariance to rounding."""
ROWS = 200
"""Evaluations looked back on."""


@dataclass(frozen=True)
class PlantState:
    """The level now, the level it settles at, the gain g = −dy/du and the lag in evaluations."""

    level: float
    level_se: float
    settled: float
    settled_se: float
    gain: float
    gain_se: float
    lag: float
    scatter: float

    def settled_after(self, du: float) -> float:
        """The level it settles at once u is turned by ``du``."""
        return self.settled - self.gain * du


def plant_state(
    step: Array,
    y: Array,
    u: Array,
    gain: float,
    se: Array | None = None,
    strength: Array | None = None,
) -> PlantState:
    """The state after the last row, u as it stands there.

    ``u`` is the log ratio and ``strength`` the KL in force over the steps before each row (NaN: as
    before it), ``gain`` the prior of g. ``y`` may have gaps.
    """
    step, y = np.asarray(step, float)[-ROWS:], np.asarray(y, float)[-ROWS:]
    u = filled_forward(np.asarray(u, float)[-ROWS:])
    se = None if se is None else np.asarray(se, float)[-ROWS:]
    scatter = scatter_of(y, se)
    if not np.isfinite(y).any() or not scatter > 0:
        return PlantState(*([np.nan] * 8))
    scatter = max(scatter, MIN_SCATTER * gain)
    gap = float(np.median(np.diff(step))) if len(step) > 1 else 1.0
    speed = np.ones(len(y)) if strength is None else _speed(strength[-ROWS:])
    powers = [0.0] if np.ptp(speed) == 0 else [0.0, 1.0]
    grid = np.meshgrid(LAGS, WANDERS * scatter, powers, GAINS * gain, indexing="ij")
    lag, wander, power, start = (v.ravel() for v in grid)
    first = float(y[np.isfinite(y)][0])
    mean = np.column_stack([np.full_like(lag, first), np.full_like(lag, first), start])
    cov = np.zeros((len(lag), 3, 3))
    cov[:, 0, 0], cov[:, 1, 1] = scatter**2, (4 * start) ** 2
    cov[:, 2, 2] = (GAIN_DOUBT * start) ** 2
    score = np.zeros(len(lag))
    for k in range(len(y)):
        if k:
            passed, du = (step[k] - step[k - 1]) / gap, u[k] - u[k - 1]
            share = -np.expm1(-passed * speed[k] ** power / lag)
            mean, cov = _predicted(mean, cov, share, du)
            cov[:, 1, 1] += wander**2 * passed
            drift = (CURVATURE * du) ** 2 + 0.02**2 * passed
            cov[:, 2, 2] += start**2 * drift
        if np.isfinite(y[k]):
            variance, miss = cov[:, 0, 0] + scatter**2, y[k] - mean[:, 0]
            score = MEMORY * score - 0.5 * (np.log(variance) + miss**2 / variance)
            pull = cov[:, :, 0] / variance[:, None]
            mean = mean + pull * miss[:, None]
            cov = cov - pull[:, :, None] * cov[:, None, 0, :]
        mean[:, 2] = np.clip(mean[:, 2], start / 4, 4 * start)
    score = score - 0.5 * (np.log(lag / USUAL_LAG) / LAG_DOUBT) ** 2
    score = score - 0.5 * (np.log(start / gain) / LARGER_GAIN) ** 2
    weight = np.exp(score - score.max())
    weight /= weight.sum()
    centre = weight @ mean
    variances = weight @ (np.einsum("mii->mi", cov) + (mean - centre) ** 2)
    error = np.sqrt(np.maximum(variances, 0.0))
    return PlantState(
        level=float(centre[0]),
        level_se=float(error[0]),
        settled=float(centre[1]),
        settled_se=float(error[1]),
        gain=float(centre[2]),
        gain_se=float(error[2]),
        lag=float(np.exp(weight @ np.log(lag / speed[-1] ** power))),
        scatter=scatter,
    )


def scatter_of(y: Array, se: Array | None = None, last: int = 20) -> float:
    """Standard deviation of a reading about its local line.

    From second differences, whose mean square is 6σ² for white errors on a line. Few of them can be
    small by luck, so a stated error that is larger counts as ``STATED`` of them; not for more,
    because what all readings share (the same prompts, say) is in it and is no scatter.
    """
    measured = np.isfinite(y)
    bends = np.diff(y[measured][-last:], 2)
    local = float(np.mean(bends**2) / 6) if len(bends) else np.nan
    stated = np.nan
    if se is not None and np.isfinite(se[measured]).any():
        stated = float(np.nanmean(se[measured][-last:] ** 2))
    if not np.isfinite([local, stated]).any():
        return np.nan
    if not local >= stated:  # also where one of the two is unknown
        parts = [(local, len(bends)), (stated, STATED)]
        parts = [(v, n) for v, n in parts if np.isfinite(v)]
        local = sum(v * n for v, n in parts) / sum(n for _, n in parts)
    return max(float(np.sqrt(local)), 1e-9)


def _predicted(mean: Array, cov: Array, share: Array, du: float) -> tuple[Array, Array]:
    """The state at the next evaluation: a turn moves the settled level, the level follows it."""
    step = np.zeros_like(cov)
    step[:, 0, 0], step[:, 0, 1], step[:, 0, 2] = 1 - share, share, -share * du
    step[:, 1, 1], step[:, 1, 2], step[:, 2, 2] = 1.0, -du, 1.0
    moved: Array = np.einsum("mij,mj->mi", step, mean)
    return moved, step @ cov @ step.transpose(0, 2, 1)


def _speed(strength: Array) -> Array:
    """The speed of the run at each row, proportional to the KL in force, in units of its first."""
    kl = filled_forward(np.asarray(strength, float))
    return kl / kl[0] if (kl > 0).all() else np.ones(len(kl))


def filled_forward(u: Array) -> Array:
    """The ratios, a missing one taken from the row before; leading ones from the first."""
    finite = np.isfinite(u)
    if not finite.any():
        return np.zeros_like(u)
    last = np.maximum.accumulate(np.where(finite, np.arange(len(u)), -1))
    return np.asarray(u[np.where(last < 0, np.argmax(finite), last)])
