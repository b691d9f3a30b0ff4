"""backtest(log) -> Backtest: would the forecasts of this run have been right so far?

Rolling origin: the run is cut at several steps, every cut is forecast with what was known then, and
compared with what came, beside what people use instead (:mod:`qdlaws.forecasting.baselines`).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from qdlaws.core.runlog import RunLog
from qdlaws.core.serialize import plain
from qdlaws.core.summary import Summary
from qdlaws.core.types import Array
from qdlaws.errors import NotEnoughData, QdlawsError
from qdlaws.forecasting.baselines import BASELINES, LAWS
from qdlaws.forecasting.column import NOMINAL
from qdlaws.forecasting.forecast import Forecast, forecast
from qdlaws.forecasting.prior import ForecastPrior
from qdlaws.laws.fit import LawFits, fit

__all__ = ["Backtest", "backtest"]


OURS = "qdlaws"
ORIGINS = (0.15, 0.2, 0.25, 0.33, 0.42, 0.5, 0.6, 0.7, 0.8)
LEAST_ORIGINS = 4
ROUGH = 0.75
"""Typical error, in standard deviations of the run, that the run's mean would have as well."""

TOLERANCE = 0.03
"""Standard deviations by which a forecast may be worse than the last value and still be trusted."""


@dataclass(frozen=True, eq=False)
class Backtest:
    """What was foretold at earlier steps of one run, and what came.

    Attributes
    ----------
    table : one row an origin and target: origin, target, observed, low, mid, high, and one column a
        baseline; NaN where a baseline fails or has no entropy
    sd : standard deviation of the column over the run, the unit of the errors
    """

    column: str
    table: pd.DataFrame
    sd: float
    level: float

    @property
    def errors(self) -> pd.DataFrame:
        """|forecast − observed| / sd of every method."""
        methods = [c for c in self.table.columns if c not in _FIXED]
        found = pd.DataFrame({OURS: self.table["mid"]} | {m: self.table[m] for m in methods})
        return found.sub(self.table["observed"], axis=0).abs() / self.sd

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
        """Can the forecasts of this run be trusted? None where it is too short to tell."""
        if self.table["origin"].nunique() < LEAST_ORIGINS:
            return None
        ours, last = self.median_errors[OURS], self.median_errors["last value"]
        good = ours <= min(last + TOLERANCE, ROUGH)
        return bool(good and self.coverage >= self.level - 0.25)

    @property
    def verdict(self) -> str:
        """One line: can they be trusted, and why."""
        n = len(self.table)
        if self.trusted is None:
            return f"cannot tell: {n} earlier forecasts are too few"
        ours, last = self.median_errors[OURS], self.median_errors["last value"]
        inside = round(self.coverage * n)
        numbers = (
            f"typical error {ours:.2g} standard deviations ({last:.2g} by the last value), "
            f"{inside} of {n} inside the {self.level:.0%} interval"
        )
        if self.trusted:
            return f"trust the forecasts of this run: {numbers}"
        if ours > last + TOLERANCE:
            return f"do not trust the forecasts of this run, the last value did better: {numbers}"
        if ours > ROUGH:
            return f"do not trust the forecasts of this run, they err by what it varies: {numbers}"
        return f"do not trust the intervals of this run's forecasts, only their middle: {numbers}"

    def summary(self) -> Summary:
        """The verdict, and the errors of every method."""
        rows = tuple((str(name), f"{error:.3g}") for name, error in self.median_errors.items())
        failed = self.errors.isna().sum()
        remarks = tuple(
            f"{name}: no forecast at {count} of {len(self.table)} targets"
            for name, count in failed.items()
            if count
        )
        heading = f"Backtest of {self.column}: median error in standard deviations of the run"
        return Summary(heading, self.verdict, rows, remarks)

    def to_dict(self) -> dict[str, Any]:
        """Plain values; what is not known is None."""
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

    def __repr__(self) -> str:
        return str(self.summary())

    def _repr_html_(self) -> str:
        return self.summary()._repr_html_()


_FIXED = ("origin", "target", "observed", "low", "mid", "high")


def backtest(
    log: RunLog,
    column: str = "quality",
    *,
    level: float = NOMINAL,
    prior: ForecastPrior | None = None,
    laws: bool = True,
    origins: tuple[float, ...] = ORIGINS,
) -> Backtest:
    """The forecasts that this run would have had at earlier steps, judged by what came.

    From every origin two targets are foretold: twice the step, and the end of the run; what is
    compared is the mean of the last tenth of the readings up to there.

    Parameters
    ----------
    log : RunLog
    column : the column foretold
    level : level of the intervals
    prior : what earlier runs teach
    laws : fit the laws at every origin too, so that they can enter the pool
    origins : where the run is cut, as shares of its readings
    """
    known = log.take(np.isfinite(log.column(column)))
    y = known.column(column)
    n = len(known)
    if n < 10:
        raise NotEnoughData(f"{n} readings of {column}; a backtest needs 10 or more")
    if not np.ptp(y) > 0:
        raise NotEnoughData(f"{column} never moves from {y[0]:.4g}: there is nothing to foretell")
    rows = []
    for cut in sorted({int(n * share) for share in origins}):
        if cut < 5 or n - cut < max(n // 10, 1):
            continue
        rows += list(_from_origin(known, column, cut, level, prior, laws))
    if not rows:
        raise NotEnoughData(f"no origin with 5 readings behind and a tenth ahead in {n} readings")
    return Backtest(column, pd.DataFrame(rows), float(y.std()), level)


def _from_origin(
    log: RunLog, column: str, cut: int, level: float, prior: ForecastPrior | None, laws: bool
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
            **foretell(prefix, column, log.step[tail], level, prior, laws),
        }


def foretell(
    prefix: RunLog,
    column: str,
    steps: Array,
    level: float = NOMINAL,
    prior: ForecastPrior | None = None,
    laws: bool = True,
) -> dict[str, float]:
    """The mean reading at some later steps, by our forecast and by every baseline."""
    target = float(steps.mean())
    fc = _forecast(prefix, column, target, level, prior, laws)
    c = fc.clocks[column]
    row = c.at([max(target, c.step)], level, readings=len(steps)).iloc[0]
    y = prefix.column(column)
    seen = np.isfinite(y)
    s = prefix.step - prefix.step[seen][0]
    out = {name: float(row[name]) for name in ("low", "mid", "high")}
    later_s = target - prefix.step[seen][0]
    out |= {name: f(s[seen], y[seen], later_s) for name, f in BASELINES.items()}
    if column == "quality" and "entropy" in fc.clocks:
        x = fc.clocks["entropy"]
        later = float(x.at([max(target, x.step)])["mid"].iloc[0])
        entropy = prefix.column("entropy")
        out |= {name: f(entropy, y, later) for name, f in LAWS.items()}
    return out


def _forecast(
    prefix: RunLog,
    column: str,
    target: float,
    level: float,
    prior: ForecastPrior | None,
    laws: bool,
) -> Forecast:
    horizon = max(target - float(prefix.step[-1]), 1e-9)
    fits: LawFits | RunLog = prefix
    if laws and column == "quality" and len(prefix.columns) > 1:
        try:
            fits = fit(prefix)
        except QdlawsError:  # too short for a law: forecast without one
            fits = prefix
    return forecast(fits, horizon, level=level, prior=prior)
