"""Pictures of forecasts: readings, the present, and the fan of intervals to come."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from qdlaws.core.plot_style import GREY, LAW, follow, head, shared_legend, styled, time_colours
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
    clock: str = "step"
    """What a step is called."""


def plot_fans(fans: Sequence[Fan], figure: Figure | None = None, name: str = "") -> Figure:
    """One panel a column, one above the other, under the name of the run, with one legend."""
    with styled() as plt:
        if figure is None:
            figure = plt.figure(figsize=(7, 2.1 * len(fans) + 0.9), layout="constrained")
        panels = figure.subplots(len(fans), 1, sharex=True, squeeze=False)[:, 0]
        for ax, fan in zip(panels, fans, strict=True):
            _draw(fan, ax)
        panels[-1].set_xlabel(fans[0].clock)
        head(figure, name)
        shared_legend(figure, panels)
    return figure


def plot_fan(fan: Fan, ax: Axes | None = None) -> Axes:
    """Readings of one column, the present step, and the intervals of its forecast."""
    with styled() as plt:
        ax = ax or plt.subplots(figsize=(7, 3), layout="constrained")[1]
        _draw(fan, ax)
        ax.set_xlabel(fan.clock)
        ax.legend(ncols=3, loc="lower center", bbox_to_anchor=(0.5, 1.0))
    return ax


def _draw(fan: Fan, ax: Axes) -> None:
    look: dict[str, Any] = {"s": 10, "linewidths": 0, "cmap": time_colours()}
    label = "reading, pale to dark with time"
    ax.scatter(fan.step, fan.readings, c=fan.step, label=label, **look)
    ends = []
    for level, band in fan.forecast.groupby("level", sort=False):
        if band["low"].notna().any():
            label = f"{level:.0%} interval"
            ax.fill_between(
                band["step"], band["low"], band["high"], alpha=0.17, color=LAW, lw=0, label=label
            )
            ends += [band["low"].to_numpy(float), band["high"].to_numpy(float)]
    middle = fan.forecast.drop_duplicates("step")
    ax.plot(middle["step"], middle["mid"], "--", color=LAW, lw=1.6, label="forecast")
    ax.axvline(fan.now, color=GREY, lw=0.8, label="now")
    steps = np.append(fan.step, middle["step"].to_numpy(float))
    follow(ax, steps, fan.readings, [*ends, middle["mid"].to_numpy(float)], reach=0.6)
    ax.set_ylabel(fan.column)
