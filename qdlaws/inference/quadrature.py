"""Adaptive quadrature of the posterior over curvature and error model (κ, ℓ, ν).

A first grid covers the whole range; then a box that holds the posterior mass gets a finer grid,
until the mass lies on several nodes. Runs of the same steps are evaluated together.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from qdlaws.core.types import Array, Flags, Rows
from qdlaws.inference.error_prior import ErrorModels, all_error_models, error_models, full_range
from qdlaws.inference.gls import Design, GLSFits, curvature_norm, curvature_range, design, gls_fits

__all__ = ["KAPPA_REACH", "GridPosterior", "RunStack", "refined_grids"]

KAPPA_REACH = (12.0, 48.0)
"""|κ| is searched up to the first; where mass is left at that end, up to the second."""

WINDOW_GROUPS = (6.0, 16.0)
"""Runs whose window of κ ends below the same of these share a grid: they need as many columns."""

CURVATURE_NODES = 41
"""Nodes of κ in a fine grid."""


@dataclass(frozen=True, eq=False)
class GridPosterior:
    """The posterior weights of B runs on a grid of M error models and K curvatures."""

    design: Design
    fits: GLSFits
    errors: ErrorModels
    weight: Array  # (B, M, K) density in κ, mass over error models; largest 1
    prior: Array  # (B, K) log J

    @property
    def kappa(self) -> Array:
        """(B, K)"""
        return self.fits.kappa

    @property
    def straight(self) -> bool:
        """Is κ = 0 the only curvature?"""
        return bool(self.kappa.shape[-1] == 1)

    def curvature_weight(self) -> Array:
        """The weight of each node of κ, summed over error models. (B, K)"""
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
        return _ends(self.kappa, self.curvature_weight(), 1e-4)

    def resolved(self) -> Flags:
        """Is the weight spread over several nodes, of ℓ for the slow part and of κ?"""
        rows, _ = self.marginals()
        slow, whole = rows.sum(1), self.weight.sum((1, 2))
        spread = (slow < 0.05 * whole) | (rows.max(1) < 0.8 * slow)
        return np.asarray(spread if self.straight else spread & (self.count_curvatures(1e-4) > 10))

    def ends_are_empty(self) -> Flags:
        """Is the mass at the ends of the nodes of κ negligible?"""
        mass = self.curvature_weight() * np.gradient(self.kappa[0])
        return np.asarray(np.maximum(mass[:, 0], mass[:, -1]) < 1e-3 * mass.sum(1))

    def count_curvatures(self, share: float) -> Rows:
        """The number of nodes of κ with at least this share of the largest weight. (B,)"""
        weight = self.curvature_weight()
        return np.asarray((weight > share * weight.max(1, keepdims=True)).sum(1))

    def take(self, rows: Rows) -> GridPosterior:
        """The posteriors of some of the runs."""
        if len(rows) == len(self.weight):
            return self
        d, fits, e = self.design.take(rows), self.fits.take(rows), self.errors.take(rows)
        return GridPosterior(d, fits, e, self.weight[rows], self.prior[rows])


@dataclass(frozen=True, eq=False)
class RunStack:
    """Runs of the same steps: u and z (B, n), nuisance columns (B, n, k) of precision (k,)."""

    t: Array  # (n,) the steps, in units of the spacing
    length: float
    u: Array
    z: Array
    weight: Array | None  # (n,) relative sampling variances
    columns: Array | None
    precision: Array | None
    straight: bool
    effort: float

    def posterior(
        self, rows: Rows, kappa: Array, errors: ErrorModels, accuracy: float
    ) -> GridPosterior:
        """The posterior of some of the runs on a grid."""
        columns = None if self.columns is None else self.columns[rows]
        d = design(self.u[rows], self.z[rows], kappa, accuracy, columns, self.precision)
        return _posterior(d, self.t, errors, self.weight)


def refined_grids(stack: RunStack) -> Iterator[tuple[Rows, GridPosterior]]:
    """The last grid of each of the runs, as they are done: row numbers and posteriors."""
    n, length, effort, every = len(stack.t), stack.length, stack.effort, np.arange(len(stack.z))
    box, window = np.empty((len(every), 4)), np.empty((len(every), 2))
    curvature_resolved = every >= 0

    def narrow(rows: Rows, grid: GridPosterior) -> None:
        # A curve that a coarse grid of κ misses looks like slow errors: no box from such a grid.
        curvature_resolved[rows] = stack.straight | (grid.count_curvatures(0.05) >= 3)
        box[rows], window[rows] = grid.boxes(), grid.windows()
        box[rows[~curvature_resolved[rows]]] = full_range(n, length)

    rows = every
    for reach in (0.0,) if stack.straight else KAPPA_REACH:
        first, final = np.arcsinh(curvature_range(stack.u, reach)).tolist()
        kappa = np.sinh(np.linspace(first, final, 31)) if reach else np.zeros(1)
        grid = stack.posterior(rows, kappa, all_error_models(n, length, 0.8 * effort), 1e-5)
        narrow(rows, grid)
        rows = rows[:0] if stack.straight else rows[~grid.ends_are_empty()]
        if not len(rows):
            break
    rows, nodes = every, 1 if stack.straight else max(int(CURVATURE_NODES * effort), 15)
    for last in (False, False, False, True):
        unresolved = []
        size = np.searchsorted(WINDOW_GROUPS, np.abs(window[rows]).max(1))
        for group in (rows[size == i] for i in np.unique(size)):
            low, high = window[group].T
            kappa = np.linspace(low, high, nodes, axis=1)
            grid = stack.posterior(group, kappa, error_models(n, length, box[group], effort), 1e-9)
            done = (curvature_resolved[group] & grid.resolved()) | last
            if done.any():
                yield group[done], grid.take(np.flatnonzero(done))
            narrow(group, grid)
            unresolved.append(group[~done])
        rows = np.concatenate(unresolved)
        if not len(rows):
            break


def _posterior(d: Design, t: Array, errors: ErrorModels, weight: Array | None) -> GridPosterior:
    """The posterior weights of a stack of runs on the grid of a design."""
    n = len(t)
    fits = gls_fits(d, t, errors.memory, errors.white, weight)
    straight = d.kappa.shape[-1] == 1
    prior = np.zeros(d.kappa.shape) if straight else np.log(curvature_norm(d))
    free = int((d.precision == 0).sum())
    constant = errors.logprior - 0.5 * fits.logdet
    with np.errstate(divide="ignore", invalid="ignore"):
        logw = -0.5 * np.log(fits.det)
        logw -= (n - 2 - free) / 2 * np.log(fits.rss)
    logw += constant[..., None]
    logw += prior[..., None, :]
    np.copyto(logw, -np.inf, where=~np.isfinite(logw))
    logw -= logw.max((-2, -1), keepdims=True)
    return GridPosterior(d, fits, errors, np.exp(logw, out=logw), prior)


def _ends(nodes: Array, weight: Array, share: float) -> Array:
    """The nodes just outside of those with this share of the largest weight. (B, 2)"""
    nodes = np.broadcast_to(nodes, weight.shape)
    last = nodes.shape[1] - 1
    top = weight.max(1, keepdims=True)
    inside = (weight > share * top) | ((top <= 0) & (np.arange(last + 1) == 0))
    first = np.maximum(inside.argmax(1) - 1, 0)
    final = np.minimum(last + 1 - inside[:, ::-1].argmax(1), last)
    return np.take_along_axis(nodes, np.stack([first, final], axis=1), axis=1)
