"""The grid of a posterior over (κ, ℓ, ν), refined where its weight is.

A first look goes over the whole range; then a box that holds the weight is looked at closely, until
the weight lies on several nodes. Many runs of the same steps are looked at together.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from qdlaws.core.types import Array, Flags, Rows
from qdlaws.inference.error_prior import ErrorModels, all_error_models, error_models, full_range
from qdlaws.inference.gls import Cells, Design, cells, curvature_norm, curvature_range, design

__all__ = ["KAPPA_REACH", "Look", "Stack", "refined"]


KAPPA_REACH = (12.0, 48.0)

ALIKE = (6.0, 16.0)
"""Windows of κ below the same of these are looked at together: they need as many columns."""


@dataclass(frozen=True, eq=False)
class Look:
    """The weights of B runs at M error models and K curvatures each."""

    design: Design
    cells: Cells
    errors: ErrorModels
    weight: Array  # (B, M, K) density in κ, mass over error models; largest 1
    prior: Array  # (B, K) log J

    @property
    def kappa(self) -> Array:
        """(B, K)"""
        return self.cells.kappa

    @property
    def line(self) -> bool:
        return bool(self.kappa.shape[-1] == 1)

    def along(self) -> Array:
        """The weight of each node of κ. (B, K)"""
        return np.asarray(self.weight.sum(1))

    def marginals(self) -> tuple[Array, Array]:
        """The weight of each node of ℓ (B, L) and of v (B, V); white errors are in neither."""
        mass, e = self.weight.sum(2), self.errors
        lattice = mass[:, :-1].reshape(len(mass), e.logl.shape[-1], -1)
        return lattice.sum(2), lattice[:, :, 1:].sum(1)

    def boxes(self) -> Array:
        """The rectangles of (log ℓ, v) that hold the weight, with a margin of one node. (B, 4)"""
        rows, cols = self.marginals()
        e = self.errors
        half = (e.v[..., 1] - e.v[..., 0])[..., None] / 2
        v = np.clip(_ends(e.v, cols, 2e-3) + half * [-1, 1], 0.0, 1.0)
        return np.concatenate([_ends(e.logl, rows, 2e-3), v], axis=1)

    def windows(self) -> Array:
        """The ranges of κ that hold the weight. (B, 2)"""
        return _ends(self.kappa, self.along(), 1e-4)

    def resolved(self) -> Flags:
        """Is the weight spread over several nodes, of ℓ for the slow part and of κ?"""
        rows, _ = self.marginals()
        slow, whole = rows.sum(1), self.weight.sum((1, 2))
        spread = (slow < 0.05 * whole) | (rows.max(1) < 0.8 * slow)
        return np.asarray(spread if self.line else spread & (self.nodes_of_kappa(1e-4) > 10))

    def ends_are_empty(self) -> Flags:
        """Does next to no weight lie at the ends of the nodes of κ?"""
        mass = self.along() * np.gradient(self.kappa[0])
        return np.asarray(np.maximum(mass[:, 0], mass[:, -1]) < 1e-3 * mass.sum(1))

    def nodes_of_kappa(self, least: float) -> Rows:
        """How many nodes of κ hold at least this share of the largest weight. (B,)"""
        along = self.along()
        return np.asarray((along > least * along.max(1, keepdims=True)).sum(1))

    def of(self, rows: Rows) -> Look:
        """Those of some of the runs."""
        if len(rows) == len(self.weight):
            return self
        d, c, e = self.design.of(rows), self.cells.of(rows), self.errors.of(rows)
        return Look(d, c, e, self.weight[rows], self.prior[rows])


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

    def look(self, rows: Rows, kappa: Array, errors: ErrorModels, accuracy: float) -> Look:
        """Some of the runs at these nodes."""
        columns = None if self.columns is None else self.columns[rows]
        d = design(self.u[rows], self.z[rows], kappa, accuracy, columns, self.precision)
        return _weigh(d, self.t, errors, self.weight)


def refined(of: Stack) -> Iterator[tuple[Rows, Look]]:
    """The last look at each of the runs, as they come."""
    n, length, effort, every = len(of.t), of.length, of.effort, np.arange(len(of.z))
    box, window, sure = np.empty((len(every), 4)), np.empty((len(every), 2)), every >= 0

    def keep(rows: Rows, look: Look) -> None:
        # What too coarse a κ cannot follow looks like slow errors: no box from such a look.
        sure[rows] = of.straight | (look.nodes_of_kappa(0.05) >= 3)
        box[rows], window[rows] = look.boxes(), look.windows()
        box[rows[~sure[rows]]] = full_range(n, length)

    rows = every
    for reach in (0.0,) if of.straight else KAPPA_REACH:
        first, final = np.arcsinh(curvature_range(of.u, reach)).tolist()
        kappa = np.sinh(np.linspace(first, final, 31)) if reach else np.zeros(1)
        look = of.look(rows, kappa, all_error_models(n, length, 0.8 * effort), 1e-5)
        keep(rows, look)
        rows = rows[:0] if of.straight else rows[~look.ends_are_empty()]
        if not len(rows):
            break
    rows, nodes = every, 1 if of.straight else max(int(41 * effort), 15)
    for last in (False, False, False, True):
        again = []
        size = np.searchsorted(ALIKE, np.abs(window[rows]).max(1))
        for some in (rows[size == i] for i in np.unique(size)):
            low, high = window[some].T
            kappa = np.linspace(low, high, nodes, axis=1)
            look = of.look(some, kappa, error_models(n, length, box[some], effort), 1e-9)
            done = (sure[some] & look.resolved()) | last
            if done.any():
                yield some[done], look.of(np.flatnonzero(done))
            keep(some, look)
            again.append(some[~done])
        rows = np.concatenate(again)
        if not len(rows):
            break


def _weigh(d: Design, t: Array, errors: ErrorModels, weight: Array | None) -> Look:
    """The weights of a stack of runs."""
    n = len(t)
    c = cells(d, t, errors.memory, errors.white, weight)
    line = d.kappa.shape[-1] == 1
    prior = np.zeros(d.kappa.shape) if line else np.log(curvature_norm(d))
    free = int((d.precision == 0).sum())
    fixed = errors.logprior - 0.5 * c.logdet
    with np.errstate(divide="ignore", invalid="ignore"):
        logw = -0.5 * np.log(c.det)
        logw -= (n - 2 - free) / 2 * np.log(c.rss)
    logw += fixed[..., None]
    logw += prior[..., None, :]
    np.copyto(logw, -np.inf, where=~np.isfinite(logw))
    logw -= logw.max((-2, -1), keepdims=True)
    return Look(d, c, errors, np.exp(logw, out=logw), prior)


def _ends(nodes: Array, weight: Array, least: float) -> Array:
    """The nodes just outside of those that hold this share of the largest weight. (B, 2)"""
    nodes = np.broadcast_to(nodes, weight.shape)
    last = nodes.shape[1] - 1
    most = weight.max(1, keepdims=True)
    held = (weight > least * most) | ((most <= 0) & (np.arange(last + 1) == 0))
    first = np.maximum(held.argmax(1) - 1, 0)
    final = np.minimum(last + 1 - held[:, ::-1].argmax(1), last)
    return np.take_along_axis(nodes, np.stack([first, final], axis=1), axis=1)
