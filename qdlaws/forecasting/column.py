"""clock(log, column) -> ColumnForecast: one measured column against the step, now and later.

A law says how far a run can go, never when. Time runs in log step; the shape of the path is not
assumed: it is stacked from a bank of damped trends (:mod:`qdlaws.forecasting.trend_bank`,
:mod:`qdlaws.forecasting.stacking`).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from qdlaws.core.interval import Interval, show
from qdlaws.core.runlog import RunLog
from qdlaws.core.serialize import plain
from qdlaws.core.summary import Result, Summary, sentence
from qdlaws.core.types import Array
from qdlaws.errors import BadData
from qdlaws.forecasting.plots import FAN_LEVELS, Fan, plot_fan
from qdlaws.forecasting.prior import DEFAULT_PRIOR, ForecastPrior
from qdlaws.forecasting.series import Series, series
from qdlaws.forecasting.stacking import (
    log_scores,
    mixture_cdf,
    mixture_quantiles,
    rolling_origins,
    stacking_weights,
)
from qdlaws.forecasting.trend_bank import FilteredTrends, filter_trends

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["NOMINAL", "ColumnForecast", "Crossing", "clock"]

NOMINAL = 0.8
"""The level of forecast intervals where none is asked for."""

FAR = 1.5
"""E-folds of the step beyond which a forecast is far beyond the data: 4.5 times the run so far."""

STEADY = 0.1
"""A change below this share of the noise of a reading is called staying."""

SCALES = ((0.0, 1.0), (-1.0, 1.0), (0.0, np.inf))
"""Ranges that a column is taken to stay in when all its readings do, the narrowest first."""


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
        steps = (self.mid, self.low, self.high)  # a clock in epochs has fractions
        mid, low, high = (f"{s:.0f}" if s >= 10 else f"{s:.3g}" for s in steps)
        return f"step {mid} [{low}, {high}], {chance}"


@dataclass(frozen=True, eq=False, repr=False)
class ColumnForecast(Result):
    """The forecast of one column: its present level and what it may do next."""

    column: str
    data: Series
    filtered: FilteredTrends
    rolling: Array  # (H, J, K) log predictive densities at the rolling origins
    weight: Array  # (K,) of the trends in the bank, by stacking
    bounds: tuple[float, float]  # the column cannot leave this range
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

    @property
    def horizon(self) -> float:
        """Half as many steps as the run has taken: how far tables and pictures look ahead."""
        return (self.step - self.data.first) / 2 or 1.0

    @cached_property
    def now(self) -> Interval:
        """The present level, filtered."""
        return self.interval(self.step)

    @cached_property
    def trend(self) -> float:
        """Present trend: change per e-fold of the step, averaged over the bank."""
        return float(self.weight @ self.filtered.trend[-1])

    def interval(self, step: float, level: float | None = None) -> Interval:
        """The level of the column at one step."""
        level = self.level if level is None else level
        row = self.at([step], level).iloc[0]
        return Interval(float(row["low"]), float(row["mid"]), float(row["high"]), level)

    def at(
        self, step: npt.ArrayLike, level: float | None = None, readings: float = np.inf
    ) -> pd.DataFrame:
        """The level at future steps: columns column, step, low, mid, high.

        ``readings`` adds the noise of a mean of so many readings (1: of a single new one).
        """
        steps = _future(step, self.step)
        level = self.level if level is None else level
        low, mid, high = self.quantiles(steps, _tails(level), readings).T
        return pd.DataFrame(
            {"column": self.column, "step": steps, "low": low, "mid": mid, "high": high}
        )

    def member_forecasts(self, step: Array, readings: float = np.inf) -> tuple[Array, Array]:
        """Mean and variance (T, K) of every trend of the bank at future steps."""
        s = np.maximum(step - self.data.origin, self.data.s[-1])
        last = np.full(len(s), len(self.data.s) - 1)
        mean, variance = self.filtered.ahead(last, s)
        return mean, variance + self.filtered.sigma2[-1] * self.data.block / readings

    def quantiles(self, step: Array, p: Array, readings: float = np.inf) -> Array:
        """Quantiles (T, P); p must hold the median where widths are to be corrected."""
        if not self.moves:  # a column that has never moved does not show how it might
            flat = np.where(np.isclose(p, 0.5), self.data.y[0], np.nan)
            return np.tile(flat, (len(step), 1))
        mean, variance = self.member_forecasts(step, readings)
        q = mixture_quantiles(mean, variance, self.weight, np.append(p, 0.5))
        mid = q[:, -1:]
        return np.clip(mid + self.prior.width * (q[:, :-1] - mid), *self.bounds)

    def probability_below(self, value: float, steps: Array) -> Array:
        """P(level < value) at future steps, (T,)."""
        mean, variance = self.member_forecasts(steps)
        mid = mixture_quantiles(mean, variance, self.weight, np.array([0.5]))[:, 0]
        return mixture_cdf(mean, variance, self.weight, mid + (value - mid) / self.prior.width)

    def reached(self, value: float, horizon: float, level: float | None = None) -> Crossing:
        """The step at which the level first reaches ``value``, and P(within the horizon)."""
        level = self.level if level is None else level
        if not self.moves:
            same = value == self.data.y[0]
            step = self.step if same else np.nan
            return Crossing(step, step, step, level, 1.0 if same else np.nan)
        if not self.bounds[0] <= value <= self.bounds[1]:
            return Crossing(np.nan, np.nan, np.nan, level, 0.0)
        steps = self.data.origin + np.geomspace(
            self.data.s[-1], self.step + horizon - self.data.origin, 65
        )
        # On paths that keep to one quantile, the share that has got there by a step is the
        # largest probability so far of being there.
        below = self.probability_below(value, steps)
        reached = np.maximum.accumulate(below if value < self.now.mid else 1 - below)

        def first(share: float) -> float:
            return float(steps[np.argmax(reached >= share)]) if reached[-1] >= share else np.nan

        low, middle, high = (first(float(p)) for p in _tails(level))
        return Crossing(low, middle, high, level, float(reached[-1]))

    def course(self, horizon: float) -> str:
        """Where the column goes within the horizon: "quality rises from 0.7 to 0.8"."""
        if not self.moves:
            return f"{self.column} has always been {self.data.y[0]:.4g}"
        noise = float(np.sqrt(self.weight @ self.filtered.sigma2[-1]))
        change = self._change(horizon)
        if abs(change) < STEADY * noise:
            return f"{self.column} stays near {self.now.mid:.3g}"
        way = "rises" if change > 0 else "falls"
        return f"{self.column} {way} from {self.now.mid:.3g} to {self.now.mid + change:.3g}"

    def _change(self, horizon: float) -> float:
        """The expected change within the horizon."""
        last = np.array([self.step + horizon])
        return float(self.quantiles(last, np.array([0.5]))[0, 0]) - self.now.mid

    def reasons(self, horizon: float) -> list[str]:
        """What the forecast rests on, in words: the expected change, and the cautions."""
        cautions = self.cautions(horizon)
        if not self.moves:
            return cautions
        start, _, _ = self.course(horizon).partition(" to ")
        words = f"expected change until {self.data.clock} {self.step + horizon:g}"
        return [f"{start}: {words}: {self._change(horizon):+.2g}", *cautions]

    def cautions(self, horizon: float) -> list[str]:
        """How far to trust the forecast, and the limits that it keeps to."""
        if not self.moves:
            return [f"{self.course(horizon)}: how it may change cannot be predicted"]
        last, words = self.step + horizon, []
        ahead = float(np.log1p(horizon / (self.step - self.data.origin)))
        if ahead > FAR:
            words.append(
                f"{self.data.clock} {last:g} is {np.exp(ahead):.1f} times the {self.data.clock}s "
                "run so far: far beyond the data, do not rely on it"
            )
        low, high = self.bounds
        if self.column == "quality" and np.isfinite(high):
            words.append(f"{self.column} is taken to stay between {low:g} and {high:g}, as so far")
        return words

    def fan(self, horizon: float | None = None) -> Fan:
        """The readings and the forecast at several levels, as :func:`plot_fan` draws them."""
        steps = self.step + np.linspace(0, self.horizon if horizon is None else horizon, 60)
        bands = [self.at(steps, level).assign(level=level) for level in FAN_LEVELS]
        data = self.data
        return Fan(self.column, data.step, data.y, self.step, pd.concat(bands), data.clock)

    def summary(self) -> Summary:
        """The present level, the forecast half a run ahead, and its reasons."""
        last, clock = self.step + self.horizon, self.data.clock
        rows = (("now", show(self.now)), (f"{clock} {last:g}", show(self.interval(last))))
        span = f"{clock} {self.step:g} to {last:g}"
        heading = f"{self.column} from {span}, {self.level:.0%} intervals"
        remarks = tuple(self.cautions(self.horizon))
        return Summary(heading, "", rows, remarks, conclusion=sentence(self.course(self.horizon)))

    def to_dict(self) -> dict[str, Any]:
        """Plain values; an unknown one is None."""
        result: dict[str, Any] = plain(
            {
                "column": self.column,
                "step": self.step,
                "level": self.level,
                "now": self.now,
                "forecast": self.to_frame().drop(columns="column").to_dict("records"),
                "reasons": self.reasons(self.horizon),
            }
        )
        return result

    def to_frame(self, horizon: float | None = None, steps: int = 11) -> pd.DataFrame:
        """The level at equally spaced steps from now on: columns column, step, low, mid, high."""
        horizon = self.horizon if horizon is None else horizon
        return self.at(self.step + np.linspace(0, horizon, steps))

    def plot(self, ax: Axes | None = None, horizon: float | None = None) -> Axes:
        """Readings, present, and the fan of 50, 80 and 95 % intervals."""
        return plot_fan(self.fan(horizon), ax)


def clock(
    log: RunLog,
    column: str = "entropy",
    *,
    level: float = NOMINAL,
    prior: ForecastPrior | None = None,
) -> ColumnForecast:
    """The forecast of one column: its level now and at future steps, with intervals.

    Parameters
    ----------
    log : RunLog
    column : "quality", "diversity" or "entropy"
    level : level of the intervals
    prior : learnt from earlier runs by :func:`qdlaws.learn_prior`

    Examples
    --------
    >>> import qdlaws as qd
    >>> entropy = qd.clock(qd.example_log(), "entropy")
    >>> entropy.level
    0.8
    """
    if not 0 < level < 1:
        raise BadData(f"a level lies between 0 and 1, e.g. 0.8; got {level!r}")
    prior = DEFAULT_PRIOR if prior is None else prior
    data = series(log, column)
    f = filter_trends(prior.bank_of(column), data.s, data.y, data.noise)
    origins = rolling_origins(data.s, data.y)
    rolling = log_scores(f, origins, resolution(data.y))
    weight = stacking_weights(prior.log_weight, rolling, np.asarray(prior.trust), prior.recency)
    limits = bounds(column, log.column(column))
    return ColumnForecast(column, data, f, rolling, weight, limits, level, prior)


def bounds(column: str, values: Array) -> tuple[float, float]:
    """The range that a column cannot leave: its kind's, as far as the readings keep to it.

    Entropy has no upper bound; quality is one-sided only where its scale is plain.
    """
    low, high = float(np.nanmin(values)), float(np.nanmax(values))
    scales = {"entropy": SCALES[2:], "diversity": SCALES[::2], "quality": SCALES[:2]}[column]
    for least, most in scales:
        if least <= low and high <= most:
            return least, most
    return -np.inf, np.inf


def resolution(y: Array) -> float:
    """A variance too small to distinguish forecasts by."""
    return max(1e-6 * float(np.var(y)), 1e-300)


def _tails(level: float) -> Array:
    return np.array([(1 - level) / 2, 0.5, (1 + level) / 2])


def _future(step: npt.ArrayLike, now: float) -> Array:
    steps = np.atleast_1d(np.asarray(step, float)).ravel()
    if not np.all(np.isfinite(steps)) or np.any(steps < now):
        raise BadData(f"a forecast is for steps from {now:g} on, got {steps[:5].tolist()}")
    return steps
