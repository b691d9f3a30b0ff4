"""backtest(log) -> Backtest: would the forecasts of this run have been right so far?

Rolling origin: the run is cut at several steps, each part is forecast from its own readings alone,
and the forecasts are compared with the readings that followed, beside simple forecasts
(:mod:`qdlaws.forecasting.baselines`).
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from qdlaws.core.plot_style import LAW, MARK, styled
from qdlaws.core.runlog import RunLog
from qdlaws.core.serialize import plain
from qdlaws.core.summary import Result, Summary, sentence
from qdlaws.core.types import Array
from qdlaws.errors import NotEnoughData
from qdlaws.forecasting.baselines import BASELINES, EXPLAINED, LAWS
from qdlaws.forecasting.column import NOMINAL
from qdlaws.forecasting.forecast import forecast
from qdlaws.forecasting.prior import ForecastPrior
from qdlaws.readers.reading import Where, as_log

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["Backtest", "backtest", "forecast_by_every_method"]

OURS = "qdlaws"

ORIGINS = (0.15, 0.2, 0.25, 0.33, 0.42, 0.5, 0.6, 0.7, 0.8)
"""Where the run is cut, as shares of its readings."""

MIN_ORIGINS = 4
"""Cuts from which a verdict is given."""

ROUGH = 0.75
"""Typical error, in standard deviations of the run, from which a forecast is as poor as the mean of
the run."""

SHORTFALL = 0.25
"""How far the share inside the intervals may fall below their level."""


@dataclass(frozen=True, eq=False, repr=False)
class Backtest(Result):
    """Forecasts made from earlier steps of one run, and the readings that followed.

    Attributes
    ----------
    table : one row an origin and target: origin, target, observed, low, mid, high, and one column a
        baseline; NaN where a baseline fails or has no entropy
    sd : standard deviation of the column over the run, the unit of the errors
    clock : what a step of the log is called, "step" or "epoch"

    Examples
    --------
    >>> import qdlaws as qd
    >>> backtest = qd.backtest(qd.example_log(), origins=(0.5,))
    >>> backtest.column, backtest.level
    ('quality', 0.8)
    """

    column: str
    table: pd.DataFrame
    sd: float
    level: float
    clock: str = "step"

    @property
    def errors(self) -> pd.DataFrame:
        """``abs(forecast − observed)`` / sd of every method."""
        methods = [c for c in self.table.columns if c not in _FIXED]
        values = pd.DataFrame({OURS: self.table["mid"]} | {m: self.table[m] for m in methods})
        return values.sub(self.table["observed"], axis=0).abs() / self.sd

    @property
    def median_errors(self) -> pd.Series[float]:
        """Median error of every method, in standard deviations of the run, best first."""
        return self.errors.median().sort_values()

    @property
    def coverage(self) -> float:
        """Share of the targets inside their interval."""
        t = self.table
        return float(((t["low"] <= t["observed"]) & (t["observed"] <= t["high"])).mean())

    @property
    def trusted(self) -> bool | None:
        """Are the forecasts of this run better than every baseline? None where it is too short."""
        if self.table["origin"].nunique() < MIN_ORIGINS:
            return None
        good = self.median_errors[OURS] <= min(self._best_baseline[1], ROUGH)
        return bool(good and self.coverage >= self.level - SHORTFALL)

    @property
    def _best_baseline(self) -> tuple[str, float]:
        """The baseline with the least median error, and that error."""
        others = self.median_errors.drop(OURS).dropna()
        return str(others.idxmin()), float(others.min())

    @property
    def conclusion(self) -> str:
        """Can the forecasts be trusted, in words without numbers."""
        if self.trusted is None:
            return f"no verdict: {len(self.table)} earlier forecasts are too few"
        if self.trusted:
            return "trust the forecasts of this run"
        ours, (name, best) = self.median_errors[OURS], self._best_baseline
        if ours > best:
            better = EXPLAINED.get(name, name)
            return f"do not trust the forecasts of this run, a simpler one does better: {better}"
        if ours > ROUGH:
            return "do not trust the forecasts of this run, its mean does as well"
        return "do not trust the intervals of these forecasts, only their middle"

    @property
    def verdict(self) -> str:
        """One line: the conclusion and its numbers."""
        if self.trusted is None:
            return self.conclusion
        ours, (name, best) = self.median_errors[OURS], self._best_baseline
        return (
            f"{self.conclusion}: typical error {ours:.2g} standard deviations of the run "
            f"(at best {best:.2g} by a simpler one, {EXPLAINED.get(name, name)}), {self._inside}"
        )

    @property
    def _inside(self) -> str:
        n = len(self.table)
        inside = round(self.coverage * n)
        return f"{inside} of {n} later readings inside the {self.level:.0%} interval"

    def summary(self) -> Summary:
        """The errors of every method in one table, and whether to trust the forecasts."""
        names = {OURS: "this forecast", **EXPLAINED}
        failed = {str(name): int(n) for name, n in self.errors.isna().sum().items()}
        table = [
            (
                names.get(str(method), str(method)),
                f"{error:.3g}" if np.isfinite(error) else "–",
                f"{len(self.table) - failed[str(method)]} of {len(self.table)}",
            )
            for method, error in self.median_errors.items()
        ]
        first, last = self.table["origin"].min(), self.table["origin"].max()
        return Summary(
            f"Backtest of {self.column}",
            rows=(
                ("forecasts made", f"{len(self.table)}, at {self.clock}s {first:g} to {last:g}"),
                ("intervals", self._inside),
                ("unit of errors", f"{self.sd:.3g}, the standard deviation over the run"),
            ),
            table=(("forecast by", "typical error\n(median)", "could be\nmade"), *table),
            conclusion=sentence(self.conclusion),
        )

    def to_dict(self) -> dict[str, Any]:
        """Plain values; an unknown one is None."""
        result: dict[str, Any] = plain(
            {
                "column": self.column,
                "trusted": self.trusted,
                "verdict": self.verdict,
                "level": self.level,
                "coverage": self.coverage,
                "sd": self.sd,
                "errors": self.median_errors.to_dict(),
                "table": self.table.to_dict("records"),
            }
        )
        return result

    def to_frame(self) -> pd.DataFrame:
        """One row an origin and target, as in ``table``."""
        return self.table.copy()

    def plot(self, ax: Axes | None = None) -> Axes:
        """Every forecast with its interval, and the later reading, over the step it is made at."""
        with styled() as plt:
            ax = ax or plt.subplots(figsize=(6, 3.8), layout="constrained")[1]
            last = self.table["target"] == self.table["target"].max()
            shift = 0.005 * float(np.ptp(self.table["origin"]))  # the two targets of an origin
            groups = (
                (f"twice the {self.clock}", ~last, -shift, MARK),
                ("the end of the run", last, shift, LAW),
            )
            for name, rows, offset, color in groups:
                t = self.table[rows]
                origin, sides = t["origin"] + offset, (t["mid"] - t["low"], t["high"] - t["mid"])
                label = f"forecast of {name}, {self.level:.0%} interval"
                ax.errorbar(origin, t["mid"], sides, fmt="o", ms=4, lw=1, color=color, label=label)
                ax.plot(origin, t["observed"], "x", color=color, label=f"reading at {name}")
            ax.set(xlabel=f"{self.clock} at which the forecast is made", ylabel=self.column)
            ax.set_title(textwrap.fill(sentence(self.conclusion), 70))
            ax.legend(fontsize=7, ncols=2, loc="upper center", bbox_to_anchor=(0.5, -0.16))
        return ax


_FIXED = ("origin", "target", "observed", "low", "mid", "high")


def backtest(
    log: RunLog | Where,
    column: str = "quality",
    *,
    level: float = NOMINAL,
    prior: ForecastPrior | None = None,
    origins: tuple[float, ...] = ORIGINS,
) -> Backtest:
    """The forecasts that this run would have had at earlier steps, scored by the later readings.

    From every origin two targets are forecast: twice the step, and the end of the run; the mean of
    the last tenth of the readings up to there is compared.

    Parameters
    ----------
    log : the run, or the path of its log
    column : the column to forecast
    level : level of the intervals
    prior : learnt from earlier runs by :func:`qdlaws.learn_prior`
    origins : where the run is cut, as shares of its readings

    Examples
    --------
    >>> import qdlaws as qd
    >>> len(qd.backtest(qd.example_log(), "entropy", origins=(0.5,)).table) > 0
    True
    """
    log = as_log(log)
    read = log.take(np.isfinite(log.column(column)))
    y = read.column(column)
    n = len(read)
    if n < 10:
        raise NotEnoughData(f"{n} readings of {column}; a backtest needs 10 or more")
    if not np.ptp(y) > 0:
        raise NotEnoughData(f"{column} never moves from {y[0]:.4g}: there is nothing to forecast")
    rows = []
    for cut in sorted({int(n * share) for share in origins}):
        if cut < 5 or n - cut < max(n // 10, 1):
            continue
        rows += list(_from_origin(read, column, cut, level, prior))
    if not rows:
        raise NotEnoughData(f"no origin with 5 readings behind and a tenth ahead in {n} readings")
    return Backtest(column, pd.DataFrame(rows), float(y.std()), level, log.clock)


def _from_origin(
    log: RunLog, column: str, cut: int, level: float, prior: ForecastPrior | None
) -> Iterator[dict[str, float]]:
    n, y = len(log), log.column(column)
    prefix = log.take(slice(0, cut))
    for end in sorted({min(2 * cut, n), n}):
        tail = slice(min(end - max(end // 10, 1), end - 1), end)
        if tail.start < cut:
            continue
        yield {
            "origin": float(prefix.step[-1]),
            "target": float(log.step[tail].mean()),
            "observed": float(y[tail].mean()),
            **forecast_by_every_method(prefix, column, log.step[tail], level, prior),
        }


def forecast_by_every_method(
    prefix: RunLog,
    column: str,
    steps: Array,
    level: float = NOMINAL,
    prior: ForecastPrior | None = None,
) -> dict[str, float]:
    """The mean reading at some later steps: our forecast (low, mid, high) and every baseline's."""
    target = float(steps.mean())
    fc = forecast(prefix, max(target - float(prefix.step[-1]), 1e-9), level=level, prior=prior)
    c = fc.by_column[column]
    row = c.at([max(target, c.step)], level, readings=len(steps)).iloc[0]
    y = prefix.column(column)
    finite = np.isfinite(y)
    s = prefix.step - prefix.step[finite][0]
    values = {name: float(row[name]) for name in ("low", "mid", "high")}
    target_s = target - prefix.step[finite][0]
    values |= {name: f(s[finite], y[finite], target_s) for name, f in BASELINES.items()}
    if column == "quality" and "entropy" in fc.by_column:
        x = fc.by_column["entropy"]
        later = float(x.at([max(target, x.step)])["mid"].iloc[0])
        entropy = prefix.column("entropy")
        values |= {name: f(entropy, y, later) for name, f in LAWS.items()}
    return values
