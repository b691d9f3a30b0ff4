"""forecast(fits, horizon) -> Forecast: quality, diversity and entropy at steps to come.

Forecast = filtered present level + shrunken trend × log(step/now). The shrinkage is learnt over
runs, and the trends of the bank are weighted by their forecasts of earlier steps of the same run
(:mod:`qdlaws.forecasting.stacking`). The fitted laws have no part in it: a law along the forecast
of its x gained nothing on 71 real runs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from qdlaws.core.interval import Interval, show
from qdlaws.core.run_names import run_name
from qdlaws.core.runlog import COLUMNS, NUMBERED, RunLog
from qdlaws.core.serialize import plain
from qdlaws.core.summary import Result, Summary
from qdlaws.core.types import Array
from qdlaws.errors import BadData, MissingColumn, NotEnoughData
from qdlaws.forecasting.column import NOMINAL, ColumnForecast, Crossing, clock
from qdlaws.forecasting.plots import plot_fans
from qdlaws.forecasting.prior import ForecastPrior
from qdlaws.laws.result import LawFits
from qdlaws.readers.reading import Where, as_log

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["Forecast", "forecast"]


@dataclass(frozen=True, eq=False, repr=False)
class Forecast(Result):
    """The columns of a run within ``horizon`` more steps.

    ``by_column`` holds the forecast of every column; ``missing`` says which columns have none, and
    why.

    >>> import qdlaws as qd
    >>> forecast = qd.forecast(qd.example_log(), horizon=100)
    >>> forecast.horizon, sorted(forecast.final)
    (100.0, ['diversity', 'entropy', 'quality'])
    """

    log: RunLog
    by_column: Mapping[str, ColumnForecast]
    horizon: float
    level: float
    missing: tuple[str, ...] = ()

    @cached_property
    def reasons(self) -> tuple[str, ...]:
        """What the forecast rests on, in words."""
        last = self.step + self.horizon
        words = [r for c in self.by_column.values() for r in c.reasons(last - c.step)]
        return (*self.missing, *dict.fromkeys(words))  # each once

    @property
    def step(self) -> float:
        """The present step: the last one that any column was read at."""
        return max(c.step for c in self.by_column.values())

    @property
    def columns(self) -> tuple[str, ...]:
        return tuple(self.by_column)

    @cached_property
    def now(self) -> dict[str, Interval]:
        """The filtered present level of every column."""
        return self._intervals(self.step)

    @cached_property
    def final(self) -> dict[str, Interval]:
        """The level of every column at the end of the horizon."""
        return self._intervals(self.step + self.horizon)

    def _intervals(self, step: float) -> dict[str, Interval]:
        return {name: c.interval(step, self.level) for name, c in self.by_column.items()}

    def at(self, step: npt.ArrayLike, level: float | None = None) -> pd.DataFrame:
        """The level of every column at the steps: columns column, step, low, mid, high."""
        level = self.level if level is None else level
        tables = [c.at(step, level) for c in self.by_column.values()]
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
        values = {"quality": quality, "diversity": diversity, "entropy": entropy}
        given = [(name, value) for name, value in values.items() if value is not None]
        if len(given) != 1:
            raise BadData("step_when asks for one of quality, diversity and entropy")
        name, value = given[0]
        if name not in self.by_column:
            there = ", ".join(self.by_column)
            raise MissingColumn(f"no forecast of {name}; there is one of {there}")
        c = self.by_column[name]
        return c.reached(value, self.step + self.horizon - c.step, level or self.level)

    def summary(self) -> Summary:
        """The forecast in one table and one line of plain words."""
        last = self.step + self.horizon
        clock = self.log.clock
        now, then = f"now, {clock} {self.step:g}", f"at {clock} {last:g}"
        head = (f"{self.level:.0%} intervals", now, then)
        table = [
            (name, *(show(there[name]).replace(" [", "\n[") for there in (self.now, self.final)))
            for name in self.by_column
        ]
        columns = [(c, last - c.step) for c in self.by_column.values()]
        cautions = [line for c, ahead in columns for line in c.cautions(ahead)]
        courses = ", ".join(c.course(ahead) for c, ahead in columns if c.moves)
        log = self.log
        source = f"{log.tool} {log.source}".strip() if log.source else "a run"
        numbered = f" ({NUMBERED})" * log.is_numbered
        return Summary(
            f"Forecast of {source}{numbered}",
            remarks=(
                *self.missing,
                *dict.fromkeys(cautions),
                *(f"the log: {n}" for n in log.notes),
            ),
            table=(head, *table),
            conclusion=f"Until {clock} {last:g}: {courses}." if courses else "",
        )

    def to_dict(self) -> dict[str, Any]:
        """Plain values; an unknown one is None."""
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

    def to_frame(self, steps: int = 11) -> pd.DataFrame:
        """The level of every column at equally spaced steps up to the horizon."""
        return self.at(self.step + np.linspace(0, self.horizon, steps))

    def plot(self, figure: Figure | None = None) -> Figure:
        """One panel a column: readings, present, and the fan of 50, 80 and 95 % intervals."""
        last = self.step + self.horizon
        source = self.log.source
        fans = [c.fan(last - c.step) for c in self.by_column.values()]
        return plot_fans(fans, figure, f"{run_name(source)}: forecast" if source else "")


def forecast(
    fits: LawFits | RunLog | Where,
    horizon: float | None = None,
    *,
    level: float = NOMINAL,
    prior: ForecastPrior | None = None,
) -> Forecast:
    """The forecast of every column of a run.

    Parameters
    ----------
    fits : the fitted laws of the run, or its log (a path is read with :func:`qdlaws.read`), which
        is forecast without laws
    horizon : how many steps (or epochs, where the log counts in them) ahead ``.final`` and
        ``.step_when`` look; by default half of those run so far
    level : level of the intervals
    prior : learnt from earlier runs by :func:`qdlaws.learn_prior`

    Examples
    --------
    >>> import qdlaws as qd
    >>> qd.forecast(qd.example_log(), horizon=100).final["quality"].mid > 0.9
    True
    """
    log = fits.log if isinstance(fits, LawFits) else as_log(fits)
    if not isinstance(log, RunLog):
        raise BadData(f"forecast needs LawFits, a RunLog or a path, got {type(log).__name__}")
    horizon = half_of(log.step) if horizon is None else horizon
    if not horizon > 0:
        raise BadData(f"the horizon is a positive number of steps, got {horizon!r}")
    by_column: dict[str, ColumnForecast] = {}
    missing: list[str] = []
    for name in COLUMNS:
        if name not in log.columns:
            continue
        try:
            by_column[name] = clock(log, name, level=level, prior=prior)
        except NotEnoughData as error:
            missing.append(f"no forecast of {name}: {error}")
    if not by_column:
        raise NotEnoughData("; ".join(missing))
    return Forecast(log, by_column, float(horizon), level, tuple(missing))


def half_of(step: Array) -> float:
    """Half of the steps that a run has taken, a whole number of them where it counts whole ones."""
    half = float(step[-1] - step[0]) / 2 or 1.0
    return float(np.ceil(half)) if (step % 1 == 0).all() else half
