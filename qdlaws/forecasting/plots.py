"""The picture of a forecast."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from qdlaws.forecasting.column import Clock
    from qdlaws.forecasting.forecast import Forecast

__all__ = ["plot_clock", "plot_forecast"]

LEVELS = (0.95, 0.8, 0.5)


def plot_forecast(fc: Forecast, figure: Figure | None = None) -> Figure:
    """One panel a column: readings, present, and the fan of 50, 80 and 95 % intervals."""
    import matplotlib.pyplot as plt

    n = len(fc.clocks)
    if figure is None:
        figure = plt.figure(figsize=(7, 2.6 * n), layout="constrained")
    axes = figure.subplots(n, 1, sharex=True, squeeze=False)[:, 0]
    for ax, c in zip(axes, fc.clocks.values(), strict=True):
        plot_clock(c, fc.step + fc.horizon - c.step, ax)
    axes[-1].set_xlabel("step")
    return figure


def plot_clock(c: Clock, horizon: float, ax: Axes, **options: Any) -> Axes:
    """Readings of one column and the fan of its forecast."""
    steps = c.step + np.linspace(0, horizon, 60)
    ax.plot(c.data.origin + c.data.s, c.data.y, ".", ms=3, color="0.55", label="measured")
    for level in LEVELS if c.moves else ():
        band = c.at(steps, level)
        ax.fill_between(
            steps, band["low"], band["high"], alpha=0.18, color="C0", lw=0, label=f"{level:.0%}"
        )
    ax.plot(steps, c.at(steps)["mid"], color="C0", label="forecast", **options)
    ax.axvline(c.step, color="0.7", lw=0.8)
    ax.set_ylabel(c.column)
    ax.legend(fontsize=7, frameon=False, ncols=5)
    return ax
