"""A bank of damped trends in log step, each a forecaster of one noisy series. Pure functions.

Each trend of the bank is a state-space model of a series y along a time τ

    y_i = level(τ_i) + ε_i,     ε_i ~ N(0, σ²·r_i)
    d level = v dτ + roam·σ dB
    d v     = −(v − m·σ) dτ/memory + √(2/memory)·slope·σ dB',     m = drift·min(slope, 2)

τ = log s with s the steps since the start, or (s/s_now)^power/power: at the present step all of
these pass at the same rate, one unit is one e-fold; with a negative power τ is bounded, so that the
series comes to rest. ``slope`` is the typical trend in units of the noise per e-fold, ``drift`` its
mean over runs in units of ``slope`` (up to STEADY: a trend that may turn anywhere is expected to go
on no more for it), and after ``memory`` e-folds a trend is forgotten (the damped trend of Gardner &
McKenzie 1985, in continuous time). The scale σ is integrated out, so forecasts do not depend on
units. One forward pass of a Kalman filter (every trend at once) gives the forecasts from the last
row and, for the stacking, from every row before it.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

import numpy as np

from qdlaws.core.types import Array, Rows

__all__ = ["FilteredTrends", "TrendBank", "filter_trends", "trend_bank"]


STEADY = 2.0
"""The slope up to which the mean trend grows with the typical one."""

FORGET = 2.0
"""Power of the discount on old errors in the noise variance: an error at step s' counts (s'/s)² at
step s, so the noise is that of late, not of the first, noisier steps."""


@dataclass(frozen=True, eq=False)
class TrendBank:
    """The settings of the K trends, an array (K,) each."""

    slope: Array
    roam: Array
    memory: Array
    power: Array
    drift: Array

    def __len__(self) -> int:
        return len(self.slope)

    @property
    def mean(self) -> Array:
        """m, the mean trend in units of the noise per e-fold."""
        return np.asarray(self.drift * np.minimum(self.slope, STEADY))


def trend_bank(
    slope: tuple[float, ...],
    roam: tuple[float, ...],
    memory: tuple[float, ...],
    power: tuple[float, ...],
    drift: tuple[float, ...],
) -> TrendBank:
    """Every combination of the settings, the last running fastest."""
    grid = np.array(list(product(slope, roam, memory, power, drift)), float)
    return TrendBank(*grid.T)


@dataclass(frozen=True, eq=False)
class FilteredTrends:
    """Level and trend as filtered by every trend of the bank from the rows up to each row."""

    bank: TrendBank
    s: Array  # (n,) steps since the start
    level: Array  # (n, K)
    trend: Array  # (n, K)
    cov: Array  # (n, K, 3) of level and trend in units of σ²: ll, lv, vv
    sigma2: Array  # (n, K) the noise variance, from the rows so far
    dof: Array  # (n,)

    def ahead(self, rows: Rows, s: Array) -> tuple[Array, Array]:
        """Mean and variance (T, K) of the level at s[t], as forecast from row rows[t]."""
        b = self.bank
        d = _elapsed(self.s[rows, None], s[:, None], b.power, float(self.s[-1]))
        _, move, (noise, _, _) = _transition(b, d)
        sigma2 = self.sigma2[rows]
        mean = b.mean * np.sqrt(sigma2)
        out = self.level[rows] + mean * d + (self.trend[rows] - mean) * move
        ll, lv, vv = np.moveaxis(self.cov[rows], -1, 0)
        return out, (ll + 2 * move * lv + move**2 * vv + noise) * sigma2


def _elapsed(start: Array | float, stop: Array, power: Array, now: float) -> Array:
    """τ(stop) − τ(start)."""
    log = np.broadcast_to(np.log(stop / start), np.broadcast_shapes(np.shape(stop), power.shape))
    safe = np.where(power != 0, power, 1.0)
    with np.errstate(over="ignore"):
        powered = ((stop / now) ** safe - (start / now) ** safe) / safe
    return np.asarray(np.where(power != 0, powered, log))


def _transition(b: TrendBank, d: Array) -> tuple[Array, Array, tuple[Array, Array, Array]]:
    """Decay of the trend, the change of level by a unit of it, and the noise of the move / σ²."""
    x = d / b.memory
    decay, lost = np.exp(-x), -np.expm1(-x)
    move = b.memory * lost
    s2 = b.slope**2
    # Integrated Ornstein–Uhlenbeck process with stationary variance s2; series for short steps.
    small = x < 1e-3
    ll = np.where(
        small,
        2 / 3 * s2 * d**3 / b.memory,
        s2 * b.memory**2 * (2 * x - 3 + 4 * decay - decay**2),
    )
    lv = s2 * b.memory * lost**2
    vv = s2 * -np.expm1(-2 * x)
    return decay, move, (np.maximum(ll, 0) + b.roam**2 * d, lv, vv)


def filter_trends(bank: TrendBank, s: Array, y: Array, noise: Array) -> FilteredTrends:
    """One pass of the Kalman filter over y at s (increasing, positive), every trend at once.

    ``noise`` (n,) are the relative variances r of the readings.
    """
    n, k = len(y), len(bank)
    shape = (n, k)
    level, trend, sigma2 = (np.empty(shape) for _ in range(3))
    cov = np.empty((*shape, 3))
    steps = _elapsed(s[:-1, None], s[1:, None], bank.power, s[-1]) if n > 1 else np.empty((0, k))
    decay, move, (q_ll, q_lv, q_vv) = _transition(bank, steps)
    mean = bank.mean
    l, v = np.full(k, y[0]), np.zeros(k)  # v: the trend's distance from its mean
    ll, lv, vv = np.full(k, noise[0]), np.zeros(k), bank.slope**2
    total = np.zeros(k)
    keep = (s[:-1] / s[1:]) ** FORGET
    dof = np.zeros(n)
    prior = 1e-12 * max(float(np.var(y)), 1e-300)
    for i in range(n):
        if i:
            m, e = move[i - 1], decay[i - 1]
            scale = np.sqrt(sigma2[i - 1])
            l = l + mean * scale * steps[i - 1] + m * v
            v = e * v
            ll = ll + 2 * m * lv + m * m * vv + q_ll[i - 1]
            lv = e * (lv + m * vv) + q_lv[i - 1]
            vv = e * e * vv + q_vv[i - 1]
            f = ll + noise[i]
            error = y[i] - l
            total = total * keep[i - 1] + error * error / f
            dof[i] = dof[i - 1] * keep[i - 1] + 1
            gain_l, gain_v = ll / f, lv / f
            l, v = l + gain_l * error, v + gain_v * error
            vv = vv - gain_v * lv
            lv = lv - gain_l * lv
            ll = ll - gain_l * ll
        level[i], trend[i] = l, v
        cov[i, :, 0], cov[i, :, 1], cov[i, :, 2] = ll, lv, vv
        sigma2[i] = total / max(dof[i], 1) + prior
    trend += mean * np.sqrt(sigma2)
    return FilteredTrends(bank, s, level, trend, cov, sigma2, dof)
