"""clock(log, column) -> Clock: one measured column against step, now and later.

Without it a law says how far, never when. Natural time is log step; the shape of the path is not
assumed but stacked from a bank of damped trends (:mod:`qdlaws.forecasting.trend_bank`,
:mod:`qdlaws.forecasting.stacking`).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from qdlaws.core.law import Interval
from qdlaws.core.runlog import RunLog
from qdlaws.core.types import Array
from qdlaws.errors import BadData, NotEnoughData
from qdlaws.forecasting.prior import DEFAULT_PRIOR, ForecastPrior
from qdlaws.forecasting.stacking import (
    HORIZONS,
    Slots,
    mixture_cdf,
    mixture_quantiles,
    scores,
    slots,
    stack,
    width_factor,
)
from qdlaws.forecasting.trend_bank import Filtered, filtered
from qdlaws.inference.error_model import spike_weights

__all__ = ["Clock", "Crossing", "clock", "series"]


LEAST = 5
"""Readings that a clock needs."""

MOST = 96
"""Rows that are filtered; longer series are averaged in blocks of equal numbers of rows."""

NOMINAL = 0.8
"""The level at which widths are corrected by the rolling errors."""


class Crossing(NamedTuple):
    """The step at which a value is reached: quantiles (NaN where it may never be) and P(reached).

    ``probability`` is that of reaching it within the horizon.
    """

    low: float
    mid: float
    high: float
    level: float
    probability: float

    @property
    def known(self) -> bool:
        return bool(np.isfinite(self.mid))

    def __str__(self) -> str:
        chance = f"reached within the horizon with probability {self.probability:.2g}"
        if not self.known:
            return chance
        return f"step {self.mid:.0f} [{self.low:.0f}, {self.high:.0f}], {chance}"


@dataclass(frozen=True, eq=False)
class Series:
    """A column as the filter wants it: rows averaged in blocks, s counted from the start."""

    s: Array  # (n,)
    y: Array
    noise: Array  # relative variances of the rows
    block: int  # readings in one row
    origin: float  # step = origin + s
    last: float  # the last step read


def series(log: RunLog, column: str, most: int = MOST) -> Series:
    """The finite readings of a column; the errors of a log's own samples weigh them."""
    values = log.column(column)
    known = np.isfinite(values)
    if known.sum() < LEAST:
        raise NotEnoughData(
            f"{int(known.sum())} readings of {column}; a forecast needs {LEAST} or more"
        )
    step, y = log.step[known], values[known]
    origin = float(step[0] - np.median(np.diff(step)))
    noise, _ = spike_weights(y)
    se = getattr(log, f"{column}_se")
    if se is not None and np.isfinite(se[known]).any():
        size = np.where(np.isfinite(se[known]), se[known], np.nanmedian(se[known])) ** 2
        typical = float(np.median(size))
        if typical > 0:
            noise = noise * np.clip(size / typical, 0.1, 10.0)
    block = -(-len(y) // most)
    if block == 1:
        return Series(step - origin, y, noise, 1, origin, float(step[-1]))
    first = np.arange(len(y) % block, len(y), block)  # the odd rows go to the earliest block
    first = np.append(0, first) if first[0] else first
    precision = np.add.reduceat(1 / noise, first)
    mean_s = np.add.reduceat((step - origin) / noise, first) / precision
    mean_y = np.add.reduceat(y / noise, first) / precision
    return Series(mean_s, mean_y, block / precision, block, origin, float(step[-1]))


@dataclass(frozen=True, eq=False)
class Clock:
    """One column against step: its present level and what it may do next."""

    column: str
    data: Series
    filtered: Filtered
    rolling: Array  # (H, J, K) log predictive densities at the rolling origins
    weight: Array  # (K,) of the members, by stacking
    width: float  # factor on half-widths, from the rolling errors
    floor: float  # the column cannot fall below
    level: float
    prior: ForecastPrior

    @property
    def moves(self) -> bool:
        """Has the column taken more than one value?"""
        return bool(np.ptp(self.data.y) > 0)

    @property
    def step(self) -> float:
        """The present step."""
        return self.data.last

    @cached_property
    def now(self) -> Interval:
        """The present level, filtered."""
        row = self.at([self.step]).iloc[0]
        return Interval(float(row["low"]), float(row["mid"]), float(row["high"]), self.level)

    @cached_property
    def trend(self) -> float:
        """Present trend: change per e-fold of the step, averaged over the members."""
        return float(self.weight @ self.filtered.trend[-1])

    def at(
        self, step: npt.ArrayLike, level: float | None = None, readings: float = np.inf
    ) -> pd.DataFrame:
        """The level at future steps: columns column, step, low, mid, high.

        ``readings`` adds the noise of a mean of so many readings (1: of a single new one).
        """
        at = _future(step, self.step)
        level = self.level if level is None else level
        low, mid, high = self.quantiles(at, _tails(level), readings).T
        return pd.DataFrame(
            {"column": self.column, "step": at, "low": low, "mid": mid, "high": high}
        )

    def members(self, step: Array, readings: float = np.inf) -> tuple[Array, Array]:
        """Mean and variance (T, K) of every member at future steps."""
        s = np.maximum(step - self.data.origin, self.data.s[-1])
        last = np.full(len(s), len(self.data.s) - 1)
        mean, variance = self.filtered.ahead(last, s)
        return mean, variance + self.filtered.sigma2[-1] * self.data.block / readings

    def quantiles(self, step: Array, p: Array, readings: float = np.inf) -> Array:
        """Quantiles (T, P); p must hold the median where widths are to be corrected."""
        if not self.moves:  # what has never moved says nothing of how it might
            flat = np.where(np.isclose(p, 0.5), self.data.y[0], np.nan)
            return np.tile(flat, (len(step), 1))
        mean, variance = self.members(step, readings)
        q = mixture_quantiles(mean, variance, self.weight, np.append(p, 0.5))
        mid = q[:, -1:]
        return np.maximum(mid + self.width * (q[:, :-1] - mid), self.floor)

    def reached(self, value: float, horizon: float, level: float | None = None) -> Crossing:
        """The step at which the level first reaches ``value``, and P(within the horizon)."""
        level = self.level if level is None else level
        if not self.moves:
            same = value == self.data.y[0]
            step = self.step if same else np.nan
            return Crossing(step, step, step, level, 1.0 if same else np.nan)
        steps = self.data.origin + np.geomspace(
            self.data.s[-1], self.step + horizon - self.data.origin, 65
        )
        # On paths that keep to their own quantile, the share that has got there by a step is the
        # largest probability so far of being there.
        mean, variance = self.members(steps)
        mid = mixture_quantiles(mean, variance, self.weight, np.array([0.5]))[:, 0]
        corrected = mid + (max(value, self.floor) - mid) / self.width
        below = mixture_cdf(mean, variance, self.weight, corrected)
        reached = np.maximum.accumulate(below if value < mid[0] else 1 - below)

        def first(share: float) -> float:
            return float(steps[np.argmax(reached >= share)]) if reached[-1] >= share else np.nan

        low, middle, high = (first(float(p)) for p in _tails(level))
        return Crossing(low, middle, high, level, float(reached[-1]))


def clock(
    log: RunLog,
    column: str = "entropy",
    *,
    level: float = NOMINAL,
    prior: ForecastPrior | None = None,
) -> Clock:
    """The clock of one column: its level now and at future steps, with intervals.

    Parameters
    ----------
    log : RunLog
    column : "quality", "diversity" or "entropy"
    level : level of the intervals
    prior : what earlier runs teach; :func:`qdlaws.learn_prior` makes one
    """
    if not 0 < level < 1:
        raise BadData(f"a level lies between 0 and 1, e.g. 0.8; got {level!r}")
    prior = DEFAULT_PRIOR if prior is None else prior
    data = series(log, column)
    f = filtered(prior.bank_of(column), data.s, data.y, data.noise)
    at = slots(data.s, data.y)
    rolling = scores(f, at, resolution(data.y))
    weight = stack(prior.log_weight, rolling, np.asarray(prior.trust), prior.recency)
    floor = 0.0 if column in ("entropy", "diversity") and data.y.min() >= 0 else -np.inf
    width = rolling_width(f, at, weight, prior)
    return Clock(column, data, f, rolling, weight, width, floor, level, prior)


def resolution(y: Array) -> float:
    """A variance too small to tell anything by."""
    return max(1e-6 * float(np.var(y)), 1e-300)


def rolling_width(f: Filtered, at: Slots, weight: Array, prior: ForecastPrior) -> float:
    """The factor on half-widths by adaptive conformal correction, oldest rolling origin first."""
    h = len(HORIZONS) - 1
    order = [j for j in range(at.row.shape[1])[::-1] if at.known[h, j]]
    if not order:
        return prior.width
    row = at.row[h, order]
    mean, variance = f.ahead(row, at.s[h, order])
    variance = variance + f.sigma2[row] / at.count[h, order][:, None]
    q = mixture_quantiles(mean, variance, weight, _tails(NOMINAL))
    return width_factor(at.observed[h, order], q, prior.width, prior.pace, 1 - NOMINAL)


def _tails(level: float) -> Array:
    return np.array([(1 - level) / 2, 0.5, (1 + level) / 2])


def _future(step: npt.ArrayLike, now: float) -> Array:
    at = np.atleast_1d(np.asarray(step, float)).ravel()
    if not np.all(np.isfinite(at)) or np.any(at < now):
        raise BadData(f"a forecast is for steps from {now:g} on, got {at[:5].tolist()}")
    return at
