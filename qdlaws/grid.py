"""The grid of a posterior over (κ, ℓ, ν), refined where its weight is.

A first look goes over the whole range; then a box that holds the weight is looked at closely, until
the weight lies on several nodes. Many runs of the same steps are looked at together.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from qdlaws.persistence import Box, ErrorModels, all_error_models, error_models, full_range
from qdlaws.regression import Cells, Design, cells, curvature_norm, design

__all__ = ["KAPPA_REACH", "Grid", "Stack", "refined"]

Array = npt.NDArray[np.float64]

KAPPA_REACH = (12.0, 48.0)


@dataclass(frozen=True, eq=False)
class Grid:
    """The weights of one run."""

    cells: Cells
    errors: ErrorModels
    weight: Array  # (M, K) density in κ, mass over error models; largest 1
    prior: Array  # (K,) log J

    def marginal(self) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
        mass = self.weight.sum(1)
        e = self.errors
        slow = e.row >= 0
        rows = np.bincount(e.row[slow], mass[slow], len(e.logl))
        mixed = e.col >= 0
        cols = np.bincount(e.col[mixed], mass[mixed], len(e.v))
        return rows, cols

    def box(self) -> Box:
        """The rectangle of (log ℓ, v) that holds the weight, with a margin of one node."""
        rows, cols = self.marginal()
        l_lo, l_hi = _box(self.errors.logl, rows, 2e-3)
        half = (self.errors.v[1] - self.errors.v[0]) / 2
        v_lo, v_hi = _box(self.errors.v, cols, 2e-3)
        return l_lo, l_hi, max(v_lo - half, 0.0), min(v_hi + half, 1.0)

    def resolved(self) -> bool:
        """Is the weight spread over several nodes, of ℓ for the slow part and of κ?"""
        rows, _ = self.marginal()
        line = len(self.prior) == 1
        return bool(
            (rows.sum() < 0.05 * self.weight.sum() or rows.max() < 0.8 * rows.sum())
            and (line or self.nodes_of_kappa(1e-4) > 10)
        )

    def ends_are_empty(self) -> bool:
        """Does next to no weight lie at the ends of the nodes of κ?"""
        mass = self.weight.sum(0) * _widths(self.cells.kappa)
        return bool(max(mass[0], mass[-1]) < 1e-3 * mass.sum())

    def window(self) -> tuple[float, float]:
        """The range of κ that holds the weight."""
        return _box(self.cells.kappa, self.weight.sum(0), 1e-4)

    def nodes_of_kappa(self, least: float) -> int:
        """How many nodes of κ hold at least this share of the largest weight."""
        along = self.weight.sum(0)
        return int((along > least * along.max()).sum())


@dataclass(frozen=True, eq=False)
class Stack:
    """Runs of the same steps: u and z (B, n), columns (B, n, k) of prior precision (k,)."""

    t: Array  # (n,) the steps, in units of the spacing
    length: float
    u: Array
    z: Array
    weight: Array | None  # (n,) relative sampling variances
    columns: Array | None
    precision: Array | None
    straight: bool
    effort: float

    def grids(
        self, rows: list[int], kappa: Array, errors: ErrorModels, accuracy: float
    ) -> dict[int, Grid]:
        """The grids of some of the runs at these nodes."""
        columns = None if self.columns is None else self.columns[rows]
        d = design(self.u[rows], self.z[rows], kappa, accuracy, columns, self.precision)
        found = _weigh(d, self.t, errors, self.weight)
        return dict(zip(rows, found, strict=True))


def refined(of: Stack) -> list[Grid]:
    """The refined grid of every run."""
    n, length, effort = len(of.t), of.length, of.effort
    every = list(range(len(of.z)))
    found: dict[int, Grid] = {}
    rows = every
    for reach in (0.0,) if of.straight else KAPPA_REACH:
        kappa = np.sinh(np.linspace(-1, 1, 31) * np.arcsinh(reach)) if reach else np.zeros(1)
        found |= of.grids(rows, kappa, all_error_models(n, length, 0.8 * effort), 1e-5)
        rows = [i for i in rows if not (of.straight or found[i].ends_are_empty())]
        if not rows:
            break
    rows = every
    for _ in range(4):
        # What too coarse a κ cannot follow looks like slow errors: no box from such a grid.
        sure = {i: of.straight or found[i].nodes_of_kappa(0.05) >= 3 for i in rows}
        boxes = [found[i].box() if sure[i] else full_range(n, length) for i in rows]
        low, high = np.array([found[i].window() for i in rows]).T
        kappas = np.linspace(low, high, 1 if of.straight else max(int(41 * effort), 15), axis=1)
        found |= of.grids(rows, kappas, error_models(n, length, boxes, effort), 1e-9)
        rows = [i for i in rows if not (sure[i] and found[i].resolved())]
        if not rows:
            break
    return [found[i] for i in every]


def _weigh(d: Design, t: Array, errors: ErrorModels, weight: Array | None) -> list[Grid]:
    """The grids of a stack of runs."""
    n = len(t)
    c = cells(d, t, errors.memory, errors.white, weight)
    line = d.kappa.shape[-1] == 1
    prior = np.zeros(d.kappa.shape) if line else np.log(curvature_norm(d))
    free = int((d.precision == 0).sum())
    with np.errstate(divide="ignore", invalid="ignore"):
        logw = (
            -0.5 * c.logdet[..., None]
            - 0.5 * np.log(c.det)
            - (n - 2 - free) / 2 * np.log(c.rss)
            + prior[..., None, :]
            + errors.logprior[..., None]
        )
    logw = np.where(np.isfinite(logw), logw, -np.inf)
    weights = np.exp(logw - logw.max((-2, -1), keepdims=True))
    return [Grid(c.of(i), errors.of(i), w, prior[i]) for i, w in enumerate(weights)]


def _box(nodes: Array, weight: Array, least: float) -> tuple[float, float]:
    keep = np.flatnonzero(weight > least * weight.max()) if weight.max() > 0 else np.arange(1)
    return float(nodes[max(keep[0] - 1, 0)]), float(nodes[min(keep[-1] + 1, len(nodes) - 1)])


def _widths(nodes: Array) -> Array:
    return np.gradient(nodes) if len(nodes) > 1 else np.ones(1)
