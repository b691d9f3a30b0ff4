"""Figures of several runs: their laws in one picture, and their coefficients one run a line."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd

from qdlaws.comparison.coefficients import COEFFICIENTS, Run, coefficient_words
from qdlaws.core.interval import Interval
from qdlaws.core.plot_style import GREY, LAW, MARK, follow, shared_legend, styled
from qdlaws.core.run_names import fitting_names
from qdlaws.core.types import Array

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["Prices", "plot_forest", "plot_laws", "plot_prices", "plot_sizes"]

FEW = 4
"""Up to so many runs their bands are drawn; more would lie on top of each other."""

TWO_SIDED = 1.96
"""Standard errors on either side of a 95 % interval."""


def plot_laws(runs: Sequence[Run], reference: float, ax: Axes | None = None) -> Axes:
    """The readings and the laws of all runs, dotted where a run has no law."""
    with styled() as plt:
        ax = ax or plt.subplots(figsize=(6.4, 4), layout="constrained")[1]
        colours = plt.get_cmap("tab10" if len(runs) <= 10 else "turbo")
        names = fitting_names([run.name for run in runs])
        for i, (run, name) in enumerate(zip(runs, names, strict=True)):
            law, colour = run.law, colours(i if len(runs) <= 10 else i / (len(runs) - 1))
            x = np.linspace(*law.range, 80)
            curve = law.predict(x)
            ax.plot(law.x, law.y, ".", ms=2.5, alpha=0.35, color=colour)
            if len(runs) <= FEW:
                ax.fill_between(x, curve["low"], curve["high"], color=colour, alpha=0.13, lw=0)
            style = "-" if law.supported else ":"
            ax.plot(x, curve["mid"], style, color=colour, label=f"{name}: {law.verdict}")
        ax.axvline(reference, ls=":", c=GREY, lw=0.8)
        laws = [run.law for run in runs]
        x_all, y_all = (np.concatenate([getattr(law, axis) for law in laws]) for axis in "xy")
        follow(ax, x_all, y_all)
        ax.set(xlabel=runs[0].law.x_name, ylabel="quality")
        ax.set_title(f"{len(runs)} runs, compared at the dotted upright")
        ax.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0), fontsize=7)
    return ax


def plot_forest(
    runs: Sequence[Run], common: Mapping[str, Interval] | None = None, axes: Any = None
) -> Any:
    """The coefficients of every run with their 95 % intervals, one run a line.

    ``common`` are the coefficients that the runs share: the bands behind.
    """
    names = fitting_names([run.name for run in runs])
    places = np.arange(len(runs), dtype=float)[::-1]
    with styled() as plt:
        if axes is None:
            size = (8.4, 1.3 + 0.24 * max(len(runs), 3))
            axes = plt.subplots(1, 3, figsize=size, sharey=True, layout="constrained")[1]
        words = coefficient_words(runs[0].law.x_name)
        for j, (k, ax) in enumerate(zip(COEFFICIENTS, axes, strict=True)):
            mean, sd = (np.array([getattr(run, w)[j] for run in runs]) for w in ("mean", "sd"))
            reach = TWO_SIDED * sd
            if common is not None:
                ax.axvspan(common[k].low, common[k].high, color=LAW, alpha=0.15, lw=0)
                ax.axvline(common[k].mid, color=LAW, lw=1)
            law = np.array([run.law.supported for run in runs])
            for rows, fill, label in ((law, MARK, "law"), (~law, "none", "no law")):
                look: dict[str, Any] = {"fmt": "o", "ms": 4, "color": MARK, "mfc": fill, "lw": 1}
                if rows.any():
                    ax.errorbar(mean[rows], places[rows], xerr=reach[rows], label=label, **look)
            sides = [mean - np.minimum(reach, np.ptp(mean) + np.median(reach))]
            sides.append(mean + np.minimum(reach, np.ptp(mean) + np.median(reach)))
            follow(ax, np.concatenate(sides), places)
            ax.set_ylim(-0.7, len(runs) - 0.3)
            ax.set_title(words[k].capitalize().replace(" there", "\nthere"), fontsize=8)
        axes[0].set_yticks(places, names)
    return axes


def plot_sizes(
    runs: Sequence[Run], sizes: Array, grid: Array, bands: Mapping[str, Array], axes: Any = None
) -> Any:
    """Each coefficient against the model size; ``bands`` hold low, mid, high over the grid."""
    with styled() as plt:
        if axes is None:
            axes = plt.subplots(1, 3, figsize=(10, 3.4), layout="constrained")[1]
        words = coefficient_words(runs[0].law.x_name)
        for j, (k, ax) in enumerate(zip(COEFFICIENTS, axes, strict=True)):
            mean, sd = (np.array([getattr(run, w)[j] for run in runs]) for w in ("mean", "sd"))
            low, mid, high = bands[k]
            ax.fill_between(grid, low, high, alpha=0.15, color=LAW, lw=0)
            ax.plot(grid, mid, color=LAW)
            ax.errorbar(sizes, mean, TWO_SIDED * sd, fmt="o", ms=4, lw=1, color=MARK)
            ax.set_xscale("log")
            ax.set(xlabel="model size", title=words[k].capitalize())
    return axes


class Prices(NamedTuple):
    """The prices of public runs (columns source, price, price_low, price_high) and of this run."""

    title: str
    x_name: str
    public: pd.DataFrame
    here: Interval


def plot_prices(panels: Sequence[Prices]) -> Figure:
    """The prices of public runs source by source, and that of this run as a band behind them."""
    with styled() as plt:
        n = max(len(panels), 1)
        size = (4.4 * n, 3.4)
        figure, axes = plt.subplots(1, n, figsize=size, layout="constrained", squeeze=False)
        for panel, ax in zip(panels, axes[0], strict=False):
            names = sorted(set(panel.public["source"]))
            mid, low, high = (
                panel.public[c].to_numpy(float) for c in ("price", "price_low", "price_high")
            )
            if panel.here.known:
                ax.axvspan(
                    panel.here.low, panel.here.high, color=LAW, alpha=0.2, lw=0, label="this run"
                )
                ax.axvline(panel.here.mid, color=LAW, lw=1.4)
            shift = 0.25 * np.sin(7.0 * np.arange(len(mid)))
            places = shift + [names.index(name) for name in panel.public["source"]]
            sides = [mid - np.maximum(low, mid / 100), high - mid]  # the axis is logarithmic
            look: dict[str, Any] = {"fmt": "o", "ms": 3.5, "lw": 0.6, "color": MARK, "alpha": 0.75}
            ax.errorbar(mid, places, xerr=sides, label="public run, 95% interval", **look)
            ax.set_yticks(range(len(names)), names)
            ax.set_ylim(-0.6, max(len(names), 1) - 0.4)
            ax.set_xscale("log")
            ax.set_xlabel(f"price of a unit of {panel.x_name}\n(share of the scale of quality)")
            ax.set_title(panel.title)
        shared_legend(figure, axes[0])
    done: Figure = figure
    return done
