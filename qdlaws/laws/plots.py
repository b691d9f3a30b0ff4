"""Figures of laws. matplotlib is imported when one is drawn."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import pandas as pd

from qdlaws.core.interval import Interval, show
from qdlaws.core.plot_style import (
    GREY,
    INK,
    LAW,
    MARK,
    PATH,
    follow,
    head,
    shared_legend,
    styled,
    time_colours,
)
from qdlaws.core.types import Array
from qdlaws.laws.fitted import FittedLaw

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["plot_fits", "plot_law", "plot_model"]

NEAR = 0.1
"""Lengths of the observed range beyond the readings that a marked value may widen the x axis."""

WANDERED = 0.05
"""Share of checkpoints at which the bands of path and law lie apart, from which both are drawn."""


def plot_law(
    law: FittedLaw,
    ax: Axes | None = None,
    price: float | None = None,
    legend: bool = True,
    colorbar: bool = True,
    span: tuple[float, float] | None = None,
) -> Axes:
    """One law: readings from early to late, the law with its bands, its ceiling and best point.

    The dark band holds this run's law, the light one its readings. Beyond the smoothed readings the
    law is dashed; where the run has wandered off its law, its smoothed path is drawn too. A stretch
    that the law is not fitted to is grey. Values outside the picture are written below it. ``span``
    holds the first and the last step of the scale of colours.
    """
    with styled() as plt:
        if ax is None:
            _, ax = plt.subplots(figsize=(5, 4), layout="constrained")
        _readings(law, ax, colorbar, span or steps_of([law]))
        all_x, all_y = _left_out(law, ax)
        bands: list[Array] = []
        notes: list[str] = []
        if law.posterior is not None:
            bands = _curve(law, ax)
            if law.supported:
                _wandering(law, ax)
            if law.supported and law.kind != "hd":
                notes += _ceiling(law, ax)
                if price is not None:
                    notes += _best_point(law, ax, price)
        follow(ax, np.append(all_x, _marked(ax)), all_y, bands)
        ax.set_xlabel("\n".join([law.x_name, *notes]))
        ax.set_ylabel(law.y_name)
        rival = f",\nor {law.rival}" if law.rival else ""
        ax.set_title(f"{law.title}\n{law.verdict_words}{rival}")
        if legend and ax.figure is not None:
            _legend_of(ax)
    return ax


def _legend_of(ax: Axes) -> None:
    """The legend below a panel that stands alone; in the panel where the figure is the user's."""
    figure = ax.get_figure(root=True)
    if figure is not None and figure.get_layout_engine() is not None and len(figure.axes) <= 2:
        shared_legend(figure, [ax])
    else:
        ax.legend(loc="best")


def steps_of(laws: Sequence[object]) -> tuple[float, float]:
    """The first and the last step of all readings of the laws, those left out included."""
    fitted = [law for law in laws if isinstance(law, FittedLaw)]
    out = [law.left_out.step for law in fitted if law.left_out is not None]
    steps = np.concatenate([*(law.step for law in fitted), *out, np.zeros(0)])
    return (float(steps.min()), float(steps.max())) if len(steps) else (0.0, 1.0)


def _readings(law: FittedLaw, ax: Axes, colorbar: bool, span: tuple[float, float]) -> None:
    look: dict[str, Any] = {"s": 14, "cmap": time_colours(), "linewidths": 0, "alpha": 0.85}
    look |= {"vmin": span[0], "vmax": span[1]}
    label = "reading, pale to dark with time"
    points = ax.scatter(law.x, law.y, c=law.step, rasterized=law.n > 5000, label=label, **look)
    if colorbar and ax.figure is not None:
        bar = ax.figure.colorbar(points, ax=ax, pad=0.02, aspect=30)
        bar.set_label("step")
        bar.outline.set_visible(False)


def _left_out(law: FittedLaw, ax: Axes) -> tuple[Array, Array]:
    """The readings of a stretch that the law is not fitted to, in grey; all readings."""
    out = law.left_out
    if out is None:
        return law.x, law.y
    label = "reading left out: the run stands still"
    ax.scatter(out.x, out.y, s=9, color=GREY, alpha=0.45, linewidths=0, zorder=0.9, label=label)
    return np.append(law.x, out.x), np.append(law.y, out.y)


def _curve(law: FittedLaw, ax: Axes) -> list[Array]:
    """The law with its bands over its range, dashed on to the outermost readings."""
    grid = np.linspace(*law.range, 160)
    band = law.predict(grid)
    colour = LAW if law.supported else GREY
    if law.supported:
        low, high = _reading_band(law, grid)
        label = f"{law.level:.0%} of readings"
        ax.fill_between(grid, low, high, color=colour, alpha=0.09, lw=0, label=label)
    label = f"{law.level:.0%} band of this run's law" if law.supported else "band of the curve"
    alpha, style = (0.3, "-") if law.supported else (0.12, ":")
    ax.fill_between(grid, band["low"], band["high"], color=colour, alpha=alpha, lw=0, label=label)
    name = "law" if law.supported else "curve that is no law"
    ax.plot(grid, band["mid"], style, color=colour, lw=1.6, label=name)
    if law.supported:
        _beyond(law, ax)
    return [band[edge].to_numpy(float) for edge in ("low", "high")]


def _reading_band(law: FittedLaw, x: Array) -> tuple[Array, Array]:
    """Where the readings of this run lie: its law, with the scatter of the readings about it."""
    draws = law.draws.value(x)
    noise = np.random.default_rng(1).standard_normal(len(draws)) * np.std(law.residuals)
    tail = (1 - law.level) / 2
    low, high = np.quantile(draws + noise[:, None], [tail, 1 - tail], axis=0)
    return low, high


def _beyond(law: FittedLaw, ax: Axes) -> None:
    """The law from its range on to the outermost readings, whose noise goes farther than x did."""
    low, high = law.range
    for start, end in ((float(np.min(law.x)), low), (high, float(np.max(law.x)))):
        if end - start > 0.01 * (high - low):
            grid = np.linspace(start, end, 40)
            mid = law.predict(grid)["mid"]
            ax.plot(grid, mid, "--", color=LAW, lw=1, label="law beyond its range")


def _wandering(law: FittedLaw, ax: Axes) -> None:
    """The run without the noise of its readings, where it is off its law."""
    path = law.run_path(n=400)
    band = law.predict(path["x"])
    off = (path["high"] < band["low"]) | (path["low"] > band["high"])
    if off.mean() > WANDERED:
        label = "path of the run, smoothed"
        ax.plot(path["x"], path["mid"], color=PATH, lw=0.9, alpha=0.8, label=label)


def _ceiling(law: FittedLaw, ax: Axes) -> list[str]:
    """The ceiling at x = 0: drawn if that is next to the readings, else in words, if anywhere."""
    ceiling = law.ceiling()
    if not ceiling.known or law.range[0] < 0:
        return []
    if law.extrapolation(0.0) > NEAR:
        return [f"ceiling at {law.x_name} 0: {show(ceiling)}"]
    _mark(ax, (0.0, ceiling.mid), y=ceiling, label="ceiling")
    return []


def _best_point(law: FittedLaw, ax: Axes, price: float) -> list[str]:
    """The best point at a price: drawn if it is among the readings, else in words."""
    best = law.operating_point(price)
    if not best.known:
        return [f"no best point at price {price:g}: only a concave law has one"]
    if law.extrapolation(best.mid) > NEAR:
        return [f"best {law.x_name} at price {price:g}: {show(best)}, outside the readings"]
    height = float(law.predict(best.mid)["mid"].iloc[0])
    _mark(ax, (best.mid, height), x=best, label=f"best point at price {price:g}")
    return []


def _mark(
    ax: Axes,
    place: tuple[float, float],
    label: str,
    x: Interval | None = None,
    y: Interval | None = None,
) -> None:
    """A marked value with its interval; the axes are set afterwards, and may cut the interval."""

    def sides(value: Interval | None) -> Any:
        if value is None:
            return None
        return [[value.mid - value.low], [value.high - value.mid]]

    look: dict[str, Any] = {"fmt": "D", "ms": 4, "color": MARK, "capsize": 3, "zorder": 4}
    ax.errorbar([place[0]], [place[1]], xerr=sides(x), yerr=sides(y), label=label, **look)


def _marked(ax: Axes) -> Array:
    """The x of the marked values, which the axis shall hold."""
    middles = [bars[0].get_xdata()[0] for bars in ax.containers if bars[0] is not None]
    return np.asarray(middles, float)


class Drawable(Protocol):
    """A fit that draws itself, such as a user's model."""

    def plot(self, ax: Axes | None = None) -> Axes: ...


def plot_fits(
    laws: Sequence[FittedLaw | Drawable], price: float | None = None, name: str = ""
) -> Figure:
    """All laws of a run side by side under its name, with one legend and one scale of steps."""
    with styled() as plt:
        figure: Figure
        size = (max(3.5 * len(laws) + 0.6, 5.0), 3.9)
        figure, axes = plt.subplots(1, len(laws), figsize=size, layout="constrained", squeeze=False)
        span = steps_of(laws)
        for i, (law, ax) in enumerate(zip(laws, axes[0], strict=True)):
            if isinstance(law, FittedLaw):
                last = i == len(laws) - 1
                plot_law(law, ax=ax, price=price, legend=False, colorbar=last, span=span)
            else:
                law.plot(ax=ax)
        head(figure, name)
        shared_legend(figure, axes[0])
    return figure


def plot_model(
    x: Array, y: Array, band: pd.DataFrame, names: tuple[str, str], title: str, ax: Axes | None
) -> Axes:
    """A model through its readings; ``band`` has the columns x, low, mid, high."""
    with styled() as plt:
        if ax is None:
            _, ax = plt.subplots(figsize=(4.2, 3.2), layout="constrained")
        ax.scatter(x, y, s=14, color=INK, alpha=0.6, linewidths=0)
        ax.fill_between(band["x"], band["low"], band["high"], color=LAW, alpha=0.2, lw=0)
        ax.plot(band["x"], band["mid"], color=LAW, lw=1.6)
        follow(ax, x, y, [band["low"].to_numpy(float), band["high"].to_numpy(float)])
        ax.set_xlabel(names[0])
        ax.set_ylabel(names[1])
        ax.set_title(title)
    return ax
