"""The look that all figures share: sizes, colours, the direction of time, limits that follow data.

matplotlib is imported when a figure is drawn.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from qdlaws.core.types import Array

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.colors import Colormap
    from matplotlib.figure import Figure

__all__ = [
    "GREY",
    "INK",
    "LAW",
    "MARK",
    "PATH",
    "follow",
    "head",
    "shared_legend",
    "styled",
    "time_colours",
]

INK, LAW, MARK, PATH, GREY = "#222222", "#b5403a", "#1f4e79", "#6a4c93", "#8a8f96"
"""Text and readings without a time; a law; a marked value; a smoothed path; what is left out."""

EARLY, LATE = "#9cc4ea", "#0b2e59"
"""The first and the last readings: time goes from pale to dark, here as in the report."""

MARK_WIDTH = 2.1
"""Inches that a mark of a legend takes with its words."""

STYLE: Any = {
    "font.size": 9,
    "axes.labelsize": 9,
    "axes.titlesize": 9,
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.8,
    "axes.formatter.useoffset": False,
    "legend.frameon": False,
    "legend.fontsize": 8,
    "xtick.labelsize": 8,
    "ytick.labelsize": 8,
    "figure.dpi": 120,
    "savefig.dpi": 200,
    "svg.fonttype": "none",
}


@contextmanager
def styled() -> Iterator[Any]:
    """pyplot with the shared style in force."""
    import matplotlib.pyplot as plt

    # Loads the backend: what it switches on must outlive the style.
    plt.draw_if_interactive()  # type: ignore[no-untyped-call]
    with plt.rc_context(STYLE):
        yield plt


def time_colours() -> Colormap:
    """The colours of readings from early to late."""
    from matplotlib.colors import LinearSegmentedColormap

    return LinearSegmentedColormap.from_list("time", [EARLY, LATE])


def follow(ax: Axes, x: Array, y: Array, beside: Iterable[Array] = (), reach: float = 0.35) -> None:
    """Limits that hold all readings; what is drawn ``beside`` them widens y by ``reach`` at most.

    ``reach`` is a share of the range of the readings.
    """
    ax.set_xlim(*_limits(x))
    low, high = _limits(y)
    extra = reach * (high - low)
    rest = np.concatenate([np.zeros(0), *beside])
    rest = rest[np.isfinite(rest)]
    if len(rest):
        low = max(min(low, float(rest.min())), low - extra)
        high = min(max(high, float(rest.max())), high + extra)
    ax.set_ylim(low, high)


def _limits(values: Array) -> tuple[float, float]:
    finite = values[np.isfinite(values)]
    if not len(finite):
        return 0.0, 1.0
    low, high = float(finite.min()), float(finite.max())
    margin = 0.05 * (high - low) or 0.05 * abs(low) or 1.0
    return low - margin, high + margin


def head(figure: Figure, name: str) -> None:
    """The name of the run above its figure; nothing where the run has none."""
    if name:
        figure.suptitle(name, x=0.01, ha="left", fontsize=11, fontweight="bold")


def shared_legend(figure: Figure, axes: Iterable[Axes]) -> None:
    """One legend below the panels, each mark once, in as many columns as there is room for."""
    marks: dict[str, Any] = {}
    for ax in axes:
        for handle, label in zip(*ax.get_legend_handles_labels(), strict=True):
            marks.setdefault(label, handle)
    if marks:
        columns = max(1, min(len(marks), int(figure.get_figwidth() / MARK_WIDTH)))
        handles, labels = list(marks.values()), list(marks)
        figure.legend(handles, labels, loc="outside lower center", ncols=columns)
