"""Figures of laws. matplotlib is imported when one is drawn."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import pandas as pd

from qdlaws.core.types import Array
from qdlaws.laws.fitted import EQUATIONS, FittedLaw

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["STYLE", "plot_fits", "plot_law", "plot_model"]

INK, LAW, BAND, MARK = "#222222", "#b5403a", "#b5403a", "#1f4e79"
STYLE: Any = {
    "font.size": 9,
    "axes.labelsize": 9,
    "axes.titlesize": 9,
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.8,
    "legend.frameon": False,
    "legend.fontsize": 8,
    "xtick.labelsize": 8,
    "ytick.labelsize": 8,
    "figure.dpi": 120,
    "savefig.dpi": 200,
    "svg.fonttype": "none",
}


@contextmanager
def _style() -> Iterator[Any]:
    """pyplot with our style in force."""
    import matplotlib.pyplot as plt

    # Loads the backend: what it switches on must outlive the style.
    plt.draw_if_interactive()  # type: ignore[no-untyped-call]
    with plt.rc_context(STYLE):
        yield plt


def plot_law(
    law: FittedLaw,
    ax: Axes | None = None,
    price: float | None = None,
    legend: bool = True,
    colorbar: bool = True,
) -> Axes:
    """One law: readings coloured by step, the law with its band, its ceiling and operating point.

    The band is that of the law itself (confidence); new readings scatter around it. The ceiling is
    drawn where x = 0 is within reach of the data, the operating point where a ``price`` is given.
    """
    with _style() as plt:
        if ax is None:
            _, ax = plt.subplots(figsize=(4.2, 3.2), layout="constrained")
        _readings(law, ax, colorbar)
        if law.posterior is not None:
            _curve(law, ax)
            if law.supported and law.kind != "hd":
                _ceiling(law, ax)
                if price is not None:
                    _operating_point(law, ax, price)
        ax.set_xlabel(law.x_name)
        ax.set_ylabel(law.y_name)
        ax.set_title(f"{EQUATIONS[law.kind]}   {law.headline}")
        if legend and ax.get_legend_handles_labels()[0]:
            ax.legend(loc="best")
    return ax


def _readings(law: FittedLaw, ax: Axes, colorbar: bool) -> None:
    look: dict[str, Any] = {"s": 14, "cmap": "viridis", "linewidths": 0, "alpha": 0.8}
    points = ax.scatter(law.x, law.y, c=law.step, rasterized=law.n > 5000, **look)
    if colorbar and ax.figure is not None:
        bar = ax.figure.colorbar(points, ax=ax, pad=0.02, aspect=30)
        bar.set_label("step")
        bar.outline.set_visible(False)


def _curve(law: FittedLaw, ax: Axes) -> None:
    grid = np.linspace(law.path.mean.min(), law.path.mean.max(), 160)
    band = law.predict(grid)
    alpha, style = (0.2, "-") if law.supported else (0.1, ":")
    ax.fill_between(
        grid,
        band["low"],
        band["high"],
        color=BAND,
        alpha=alpha,
        lw=0,
        label=f"{law.level:.0%} confidence",
    )
    ax.plot(grid, band["mid"], style, color=LAW, lw=1.6, label="law" if law.supported else "no law")


def _ceiling(law: FittedLaw, ax: Axes) -> None:
    """The ceiling as a bracket at x = 0, if that is at most one range away."""
    if law.extrapolation(0.0) > 1 or law.range[0] < 0:
        return
    ceiling = law.ceiling()
    if not ceiling.known:
        return
    grid = np.linspace(0, law.range[0], 40)
    band = law.predict(grid)
    ax.plot(grid, band["mid"], "--", color=LAW, lw=1)
    ax.fill_between(grid, band["low"], band["high"], color=BAND, alpha=0.08, lw=0)
    error = [[ceiling.mid - ceiling.low], [ceiling.high - ceiling.mid]]
    ax.errorbar([0], [ceiling.mid], yerr=error, fmt="_", color=MARK, capsize=3, label="ceiling")


def _operating_point(law: FittedLaw, ax: Axes, price: float) -> None:
    point = law.operating_point(price)
    if not point.known:
        return
    height = float(law.predict(point.mid)["mid"].iloc[0])
    error = [[point.mid - point.low], [point.high - point.mid]]
    ax.errorbar(
        [point.mid],
        [height],
        xerr=error,
        fmt="D",
        ms=5,
        color=MARK,
        capsize=3,
        label=f"operating point at price {price:g}",
    )


class Drawable(Protocol):
    """A fit that draws itself, such as a user's model."""

    def plot(self, ax: Axes | None = None) -> Axes: ...


def plot_fits(laws: Sequence[FittedLaw | Drawable], price: float | None = None) -> Figure:
    """All laws of a run side by side, steps in one colour scale."""
    with _style() as plt:
        figure: Figure
        figure, axes = plt.subplots(
            1, len(laws), figsize=(3.6 * len(laws) + 0.4, 3.2), layout="constrained", squeeze=False
        )
        for i, (law, ax) in enumerate(zip(laws, axes[0], strict=True)):
            last = i == len(laws) - 1
            if isinstance(law, FittedLaw):
                plot_law(law, ax=ax, price=price, legend=i == 0 or price is not None, colorbar=last)
            else:
                law.plot(ax=ax)
    return figure


def plot_model(
    x: Array, y: Array, band: pd.DataFrame, names: tuple[str, str], title: str, ax: Axes | None
) -> Axes:
    """A model through its readings; ``band`` has the columns x, low, mid, high."""
    with _style() as plt:
        if ax is None:
            _, ax = plt.subplots(figsize=(4.2, 3.2), layout="constrained")
        ax.scatter(x, y, s=14, color=INK, alpha=0.6, linewidths=0)
        ax.fill_between(band["x"], band["low"], band["high"], color=BAND, alpha=0.2, lw=0)
        ax.plot(band["x"], band["mid"], color=LAW, lw=1.6)
        ax.set_xlabel(names[0])
        ax.set_ylabel(names[1])
        ax.set_title(title)
    return ax
