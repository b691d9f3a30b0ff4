"""ForecastPrior: how runs usually move, learnt from earlier runs (:mod:`.learn_prior`)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from qdlaws.core.serialize import plain
from qdlaws.core.summary import Result, Summary
from qdlaws.core.types import Array
from qdlaws.errors import BadData
from qdlaws.forecasting.trend_bank import TrendBank, trend_bank

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["DEFAULT_PRIOR", "SETTINGS", "ForecastPrior"]

SETTINGS = {
    "slope": "typical trend (noise units per e-fold of the step)",
    "roam": "random movement (noise units)",
    "memory": "e-folds until a trend is forgotten",
    "power": "time: 0 log step, 1 step, −1 a run that comes to rest",
}
"""The settings of a trend of the bank, and what they are."""


@dataclass(frozen=True, repr=False)
class ForecastPrior(Result):
    """A prior over the trends of the bank (:mod:`qdlaws.forecasting.trend_bank`), and how far the
    record of a run itself may change it.

    Attributes
    ----------
    slope, roam, memory, power : setting -> how often runs are like that; the prior of a trend is
        the product
    drift : mean trend of quality over runs, in units of the typical one; diversity and entropy have
        none, because their direction is the first thing that a run has to show
    trust : for each rolling horizon, the power of its predictive densities in the stacking
    recency : weight of a rolling origin relative to the next one, 0.8 times earlier
    width : the factor on half-widths
    runs : number of runs that it was learnt from
    source : description of these runs

    Examples
    --------
    >>> import qdlaws as qd
    >>> prior = qd.learn_prior([qd.example_log()])
    >>> isinstance(prior, ForecastPrior)
    True
    """

    slope: Mapping[float, float]
    roam: Mapping[float, float]
    memory: Mapping[float, float]
    power: Mapping[float, float]
    drift: float
    trust: tuple[float, ...]
    recency: float
    width: float = 1.0
    runs: int = 0
    source: str = ""

    def __post_init__(self) -> None:
        for name in SETTINGS:
            weights = getattr(self, name)
            if not weights or min(weights.values()) <= 0:
                raise BadData(f"the prior of {name} needs positive weights, got {dict(weights)}")

    @cached_property
    def bank(self) -> TrendBank:
        """The bank that this is a prior over, without drift."""
        return self.bank_of("")

    def bank_of(self, column: str) -> TrendBank:
        """The bank for one column."""
        drift = self.drift if column == "quality" else 0.0
        slope, roam, memory, power = (tuple(getattr(self, name)) for name in SETTINGS)
        return trend_bank(slope, roam, memory, power, (drift,))

    @cached_property
    def log_weight(self) -> Array:
        """log π of the trends; their weights sum to one."""
        total = np.zeros(len(self.bank))
        for name in SETTINGS:
            table = getattr(self, name)
            weights = np.array([table[float(v)] for v in getattr(self.bank, name)])
            total += np.log(weights / sum(table.values()))
        return np.asarray(total - np.log(np.exp(total).sum()))

    def summary(self) -> Summary:
        """The prior in words and numbers."""
        rows = [(text, _shares(getattr(self, name))) for name, text in SETTINGS.items()]
        rows.append(("mean trend of quality", f"{self.drift:.2g} of the typical one"))
        rows.append(("factor on the width of intervals", f"{self.width:.3g}"))
        heading = f"Forecast prior learnt from {self.runs} runs"
        return Summary(heading + (f": {self.source}" if self.source else ""), "", tuple(rows))

    def to_dict(self) -> dict[str, Any]:
        """Plain values, by field."""
        result: dict[str, Any] = plain({f.name: getattr(self, f.name) for f in fields(self)})
        return result

    def to_frame(self) -> pd.DataFrame:
        """One row a setting and value: setting, value, share of the runs."""
        tables = []
        for name in SETTINGS:
            weights = pd.Series(dict(getattr(self, name)), dtype=float)
            share = weights / weights.sum()
            tables.append(pd.DataFrame({"setting": name, "value": share.index, "share": share}))
        return pd.concat(tables, ignore_index=True)

    def plot(self, figure: Figure | None = None) -> Figure:
        """One panel a setting: the share of runs that are like that."""
        import matplotlib.pyplot as plt

        figure = figure or plt.figure(figsize=(8, 2.4), layout="constrained")
        panels = figure.subplots(1, len(SETTINGS), sharey=True)
        for ax, (name, table) in zip(
            panels, self.to_frame().groupby("setting", sort=False), strict=True
        ):
            ax.bar([f"{value:g}" for value in table["value"]], table["share"], color="C0")
            ax.set_xlabel(name)
        panels[0].set_ylabel("share of runs")
        return figure


def _shares(weights: Mapping[float, float]) -> str:
    total = sum(weights.values())
    return ", ".join(f"{value:g}: {weight / total:.0%}" for value, weight in weights.items())


DEFAULT_PRIOR = ForecastPrior(
    slope={0.0: 0.145, 0.5: 0.197, 2.0: 0.359, 8.0: 0.206, 40.0: 0.059, 200.0: 0.034},
    roam={0.0: 0.189, 0.3: 0.711, 1.5: 0.100},
    memory={0.25: 0.105, 0.7: 0.714, 3.0: 0.181},
    power={-1.0: 0.381, 0.0: 0.143, 1.0: 0.476},
    # These four were chosen on 71 real runs of eleven sources; `--learn` of
    # benchmarks/forecast_real.py scores such a choice with the source of each run left out.
    drift=0.75,
    trust=(0.33, 0.135, 0.036),
    recency=0.35,
    width=0.8,
    runs=1200,
    source="simulated runs of two populations; width, drift and trust by 71 real runs",
)
