"""forecast(fits, horizon) -> Forecast: quality, diversity and entropy at steps to come.

Forecast = filtered present level + shrunken trend × log(step/now), the shrinkage learnt over runs,
the members of the pool weighed by what they foretold within this run
(:mod:`qdlaws.forecasting.stacking`). The
law through the clock is one member; widths are corrected by the rolling errors.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from qdlaws.core.law import Interval
from qdlaws.core.runlog import COLUMNS, RunLog
from qdlaws.core.serialize import plain
from qdlaws.core.summary import Summary
from qdlaws.errors import BadData, MissingColumn, NotEnoughData
from qdlaws.forecasting.column import NOMINAL, Clock, Crossing, clock
from qdlaws.forecasting.law_member import QualityClock, with_law
from qdlaws.forecasting.prior import DEFAULT_PRIOR, ForecastPrior
from qdlaws.laws.fit import LawFits

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["Forecast", "forecast"]


@dataclass(frozen=True, eq=False)
class Forecast:
    """What the columns of a run may do within ``horizon`` more steps.

    ``clocks`` holds the clock of every column; ``missing`` says which columns have none, and why.
    """

    fits: LawFits
    clocks: Mapping[str, Clock]
    horizon: float
    level: float
    missing: tuple[str, ...] = ()

    @cached_property
    def reasons(self) -> tuple[str, ...]:
        """What the forecast rests on, in words."""
        said = [r for c in self.clocks.values() for r in _reasons(c, self.horizon)]
        return (*self.missing, *said)

    @property
    def step(self) -> float:
        """The present step: the last one that any column was read at."""
        return max(c.step for c in self.clocks.values())

    @property
    def columns(self) -> tuple[str, ...]:
        return tuple(self.clocks)

    @cached_property
    def now(self) -> dict[str, Interval]:
        """The filtered present level of every column."""
        return self._at(self.step)

    @cached_property
    def final(self) -> dict[str, Interval]:
        """The level of every column at the end of the horizon."""
        return self._at(self.step + self.horizon)

    def at(self, step: npt.ArrayLike, level: float | None = None) -> pd.DataFrame:
        """The level of every column at the steps: columns column, step, low, mid, high."""
        level = self.level if level is None else level
        tables = [c.at(step, level) for c in self.clocks.values()]
        return pd.concat(tables, ignore_index=True)

    def step_when(
        self,
        *,
        quality: float | None = None,
        diversity: float | None = None,
        entropy: float | None = None,
        level: float | None = None,
    ) -> Crossing:
        """The step at which one column first reaches a value, from wherever it is now.

        NaN where it may never be, within the horizon; ``.probability`` is that of reaching it.
        """
        asked = {"quality": quality, "diversity": diversity, "entropy": entropy}
        given = [(name, value) for name, value in asked.items() if value is not None]
        if len(given) != 1:
            raise BadData("step_when asks for one of quality, diversity and entropy")
        name, value = given[0]
        if name not in self.clocks:
            raise MissingColumn(f"no forecast of {name}; there is one of {', '.join(self.clocks)}")
        c = self.clocks[name]
        return c.reached(value, self.step + self.horizon - c.step, level or self.level)

    def _at(self, step: float) -> dict[str, Interval]:
        out = {}
        for name, c in self.clocks.items():
            row = c.at([step], self.level).iloc[0]
            out[name] = Interval(
                float(row["low"]), float(row["mid"]), float(row["high"]), self.level
            )
        return out

    def summary(self) -> Summary:
        """The forecast in words and numbers."""
        last = self.step + self.horizon
        rows = [
            (name, f"{self.now[name]} now, {self.final[name]} at step {last:g}")
            for name in self.clocks
        ]
        heading = f"Forecast from step {self.step:g} to {last:g}, {self.level:.0%} intervals"
        return Summary(heading, "", tuple(rows), self.reasons)

    def to_dict(self) -> dict[str, Any]:
        """Plain values; what is not known is None."""
        result: dict[str, Any] = plain(
            {
                "step": self.step,
                "horizon": self.horizon,
                "level": self.level,
                "now": self.now,
                "final": self.final,
                "reasons": self.reasons,
            }
        )
        return result

    def plot(self, **options: Any) -> Figure:
        """One panel a column: what was measured, the filtered level, and the fan to come."""
        from qdlaws.forecasting.plots import plot_forecast

        return plot_forecast(self, **options)

    def __repr__(self) -> str:
        return str(self.summary())

    def _repr_html_(self) -> str:
        return self.summary()._repr_html_()


def forecast(
    fits: LawFits | RunLog,
    horizon: float = 500,
    *,
    level: float = NOMINAL,
    prior: ForecastPrior | None = None,
) -> Forecast:
    """The forecast of every column of a run.

    Parameters
    ----------
    fits : the fitted laws of the run; a bare RunLog is forecast without laws
    horizon : how many steps ahead ``.final`` and ``.step_when`` look
    level : level of the intervals
    prior : what earlier runs teach; :func:`qdlaws.learn_prior` makes one
    """
    log = fits if isinstance(fits, RunLog) else fits.log
    if not horizon > 0:
        raise BadData(f"the horizon is a positive number of steps, got {horizon!r}")
    if isinstance(fits, RunLog):
        fits = LawFits(log, None, None, None)
    prior = DEFAULT_PRIOR if prior is None else prior
    clocks: dict[str, Clock] = {}
    missing: list[str] = []
    for name in COLUMNS:
        if name not in log.columns:
            continue
        try:
            clocks[name] = clock(log, name, level=level, prior=prior)
        except NotEnoughData as error:
            missing.append(f"no forecast of {name}: {error}")
    if not clocks:
        raise NotEnoughData("; ".join(missing))
    if "quality" in clocks:
        clocks["quality"] = with_law(fits, clocks)
    return Forecast(fits, clocks, float(horizon), level, tuple(missing))


def _reasons(c: Clock, horizon: float) -> list[str]:
    """What the forecast of a column rests on, in words."""
    if not c.moves:
        return [f"{c.column} has not moved from {c.data.y[0]:.4g}: how it might is not known"]
    now = c.now
    ahead = float(np.log1p(horizon / (c.step - c.data.origin)))
    noise = float(np.sqrt(c.weight[: c.filtered.sigma2.shape[1]] @ c.filtered.sigma2[-1]))
    later = float(c.quantiles(np.array([c.step + horizon]), np.array([0.5]))[0, 0])
    change = later - now.mid
    way = (
        "stays near" if abs(change) < 0.1 * noise else "rises from" if change > 0 else "falls from"
    )
    said = [f"{c.column} {way} {now.mid:.4g}: present trend {c.trend:.2g} per e-fold of the step, "]
    said[0] += f"shrunk to {change:+.2g} over the {ahead:.2g} e-folds to come"
    if ahead > 1.5:
        said.append(
            f"{c.column} is foretold over {np.exp(ahead):.1f} times the steps run so far: "
            "wide for good reason"
        )
    if isinstance(c, QualityClock):
        said.append(
            f"the law through the clock carries {c.law_weight:.0%} of the forecast of quality"
        )
    if c.width > 1.15 * c.prior.width:
        said.append(
            f"intervals of {c.column} widened by {c.width / c.prior.width - 1:.0%}: "
            "earlier forecasts within this run missed too often"
        )
    return said
