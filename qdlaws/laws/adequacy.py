"""Does a fitted law describe its run? Checks of model adequacy, as pure functions of arrays.

A posterior says how sure the law is, given that the law and its error model are right. These checks
(Box 1980: model criticism) ask whether the law looks like the run at all. They change the words of
a verdict, never an interval.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from qdlaws.core.types import Array, Rows

__all__ = [
    "BLOCKS",
    "BlockMeans",
    "block_means",
    "calibration_slope",
    "explained",
    "least_squares",
    "most_influential_row",
    "share_inside",
]

BLOCKS = 50
"""Block means that a run is looked at by: readings average out, a slow drift does not."""


KAPPAS = np.r_[-(2.0 ** np.arange(5, -3, -0.25)), 0.0, 2.0 ** np.arange(-2.75, 5.25, 0.25)]
"""Curvatures over the range at which least squares is tried: R² is flat between them."""


class BlockMeans(NamedTuple):
    """Means of a run over at most fifty blocks of successive rows. Each (blocks,)"""

    step: Array
    x: Array
    y: Array
    curve: Array  # the fitted law


def block_means(
    step: Array, x: Array, y: Array, curve: Array, weight: Array | None = None
) -> BlockMeans:
    """The block means of a run, each row weighed by its precision 1/``weight``."""
    n = len(y)
    precision = np.ones(n) if weight is None else 1 / weight
    starts: Rows = np.arange(min(n, BLOCKS)) * n // min(n, BLOCKS)
    total = np.add.reduceat(precision, starts)
    means = (np.add.reduceat(precision * values, starts) / total for values in (step, x, y, curve))
    return BlockMeans(*means)


def explained(y: Array, curve: Array) -> float:
    """R² = 1 − var(y − curve)/var(y): below 0 where a constant does better."""
    variance = float(np.var(y))
    return float(1 - np.var(y - curve) / variance) if variance > 0 else 0.0


def least_squares(x: Array, y: Array) -> tuple[float, float]:
    """R² and κ of the formula of the law, b − a·exp(c·x), by least squares."""
    width, total = float(np.ptp(x)), float(np.var(y))
    if width <= 0 or total <= 0:
        return 0.0, 0.0
    u, centred = (x - x.mean()) / width, y - y.mean()
    curves = np.array([np.expm1(kappa * u) / kappa if kappa else u for kappa in KAPPAS])
    curves -= curves.mean(1, keepdims=True)
    r2 = (curves @ centred) ** 2 / (curves**2).sum(1) / (len(y) * total)
    best = int(np.argmax(r2))
    return float(r2[best]), float(KAPPAS[best])


def calibration_slope(y: Array, curve: Array) -> float:
    """The least-squares slope of y on the fitted law (Cox 1958).

    1 where the law changes by as much as the readings do, 0.5 where it overstates the change
    twofold, below 0 where the readings go the other way.
    """
    centred = curve - curve.mean()
    spread = float(centred @ centred)
    return float(centred @ (y - y.mean()) / spread) if spread > 0 else 0.0


def most_influential_row(y: Array, curve: Array, weight: Array | None = None) -> tuple[int, float]:
    """The row that the fall rests on most, and the signed squared correlation without that row.

    The correlation is that of the readings with the fitted law, negative where they go against it;
    leaving out one row is done in closed form.
    """
    precision = np.ones(len(y)) if weight is None else 1 / weight
    share = precision / precision.sum()
    dy, dc = y - share @ y, curve - share @ curve
    gone = share / (1 - share)
    cross = share @ (dy * dc) - gone * dy * dc
    in_y = np.maximum(share @ dy**2 - gone * dy**2, 0.0)
    in_curve = np.maximum(share @ dc**2 - gone * dc**2, 0.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        correlation = np.nan_to_num(cross / (np.sqrt(in_y) * np.sqrt(in_curve)), nan=0.0)
    squared = np.sign(correlation) * correlation**2
    row = int(np.argmin(squared))
    return row, float(squared[row])


def share_inside(y: Array, curve: Array, error: Array, width: float = 1.96) -> float:
    """The share of readings within ``width`` standard deviations of the fitted law."""
    return float(np.mean(np.abs(y - curve) <= width * error))
