"""Pictures of forecasts: readings, the present, and the fan of intervals to come. Numbers only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pandas as pd

from qdlaws.core.types import Array

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["FAN_LEVELS", "Fan", "plot_fan", "plot_fans"]

FAN_LEVELS = (0.95, 0.8, 0.5)
"""Levels of the intervals in a fan, the widest first."""


@dataclass(frozen=True, eq=False)
class Fan:
    """One column's readings so far and its forecast at several levels."""

    column: str
    step: Array  # (n,) of the readings
    readings: Array  # (n,)
    now: float
    """The present step."""
    forecast: pd.DataFrame
    """Columns step, level, low, mid, high; a level without bounds is not drawn."""


def plot_fans(fans: Sequence[Fan], figure: Figure | None = None) -> Figure:
    """One panel a column, one above the other."""
    import matplotlib.pyplot as plt

    if figure is None:
        figure = plt.figure(figsize=(7, 2.6 * len(fans)), layout="constrained")
    panels = figure.subplots(len(fans), 1, sharex=True, squeeze=False)[:, 0]
    for ax, fan in zip(panels, fans, strict=True):
        plot_fan(fan, ax)
    panels[-1].set_xlabel("step")
    return figure


def plot_fan(fan: Fan, ax: Axes | None = None) -> Axes:
    """Readings of one column, the present step, and the intervals of its forecast."""
    import matplotlib.pyplot as plt

    ax = ax or plt.subplots(layout="constrained")[1]
    ax.plot(fan.step, fan.readings, ".", ms=3, color="0.55", label="measured")
    for level, band in fan.forecast.groupby("level", sort=False):
        if band["low"].notna().any():
            label = f"{level:.0%} interval"
            ax.fill_between(
                band["step"], band["low"], band["high"], alpha=0.18, color="C0", lw=0, label=label
            )
    middle = fan.forecast.drop_duplicates("step")
    ax.plot(middle["step"], middle["mid"], color="C0", label="forecast (median)")
    ax.axvline(fan.now, color="0.7", lw=0.8)
    ax.set_ylabel(fan.column)
    ax.legend(fontsize=7, frameon=False, ncols=5)
    return ax
