"""The law as a linear regression: for every (κ, error model) the pieces of its posterior, at once.

All the shapes g_κ of a run lie in the span of a few Chebyshev polynomials of u, so the whitening
of a run costs one pass with some fifteen columns per error model, and every κ after that is
algebra in fifteen dimensions. Nothing here knows about priors or draws.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from qdlaws.law import shape
from qdlaws.noise import Grams, grams

__all__ = ["Cells", "Design", "cells", "design"]

Array = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Design:
    """The columns of a run: a basis of the shapes, quality, and the columns that are no law.

    ``nuisance`` columns enter with coefficients of prior precision ``precision``: 0 for a free
    covariate, 1 for the unit directions in which the path of x may be off (times their effect on
    quality).
    """

    columns: Array  # (n, r + 1 + k): basis, y, nuisance
    nodes: Array  # (r,) values of u at the Chebyshev nodes
    precision: Array  # (k,)

    @property
    def degree(self) -> int:
        return len(self.nodes)

    def coefficients(self, values: Array) -> Array:
        """Chebyshev coefficients (K, r) of functions given by their values (K, r) at the nodes."""
        return np.asarray(values @ _transform(self.degree).T)


@dataclass(frozen=True, eq=False)
class Cells:
    """The fit of R = p + q·g_κ(u) by generalised least squares: M error models, K curvatures."""

    kappa: Array  # (K,)
    logdet: Array  # (M,)   log|Σ|
    det: Array  # (M, K) |XᵀΣ⁻¹X|
    p: Array  # (M, K)
    q: Array  # (M, K)
    rss: Array  # (M, K) S
    cov: Array  # (M, K, 3) of (p, q) in units of σ²: pp, pq, qq


@lru_cache(maxsize=64)
def _degree(half: int, accuracy: float) -> int:
    """Terms after which the Chebyshev series of exp(half·z) on [−1, 1] has converged."""
    from scipy.special import ive

    order = np.arange(1, 200)
    return int(order[np.argmax(ive(order, half) < accuracy * ive(0, half))]) + 1


@lru_cache(maxsize=64)
def _angles(degree: int) -> Array:
    return np.pi * (np.arange(degree) + 0.5) / degree


@lru_cache(maxsize=64)
def _transform(degree: int) -> Array:
    """Matrix from values at the Chebyshev nodes to Chebyshev coefficients."""
    matrix = 2 / degree * np.cos(np.outer(np.arange(degree), _angles(degree)))
    matrix[0] /= 2
    return np.asarray(matrix)


def design(
    u: Array,
    y: Array,
    kappa_most: float,
    accuracy: float = 1e-9,
    nuisance: Array | None = None,
    precision: Array | None = None,
) -> Design:
    """Columns that span every g_κ with |κ| ≤ ``kappa_most`` on the data, to ``accuracy``."""
    n = len(y)
    low, high = float(u.min()), float(u.max())
    middle, half = (low + high) / 2, (high - low) / 2
    degree = _degree(int(np.ceil(kappa_most * half)), accuracy)
    k = 0 if nuisance is None else nuisance.shape[1]
    columns = np.empty((n, degree + 1 + k))
    z = np.clip((u - middle) / half, -1.0, 1.0)
    columns[:, 0], columns[:, 1] = 1.0, z
    for j in range(2, degree):
        columns[:, j] = 2 * z * columns[:, j - 1] - columns[:, j - 2]
    columns[:, degree] = y
    if nuisance is not None:
        columns[:, degree + 1 :] = nuisance
    weights = np.zeros(0) if precision is None else precision
    return Design(columns, middle + half * np.cos(_angles(degree)), weights)


def cells(
    d: Design,
    step: Array,
    kappa: Array,
    memory: Array,
    white: Array,
    weight: Array | None = None,
) -> Cells:
    """The generalised least-squares fit of every curvature under every error model."""
    coefficients = d.coefficients(shape(kappa[:, None], d.nodes))
    g = grams(d.columns, step, memory, white, weight)
    if len(d.precision):
        g = _without_nuisance(g, d, coefficients, len(step))
    return _solve(g, coefficients, kappa, d.degree)


def curvature_norm(d: Design, kappa: Array) -> Array:
    """‖∂g_κ/∂κ‖ after projecting [1, g_κ] out of it: how much the data could tell about κ. (K,)"""
    h = 1e-3
    r = d.degree
    basis = d.columns[:, :r]
    gram = basis.T @ basis
    c = d.coefficients(shape(kappa[:, None], d.nodes))
    dc = d.coefficients(
        (shape(kappa[:, None] + h, d.nodes) - shape(kappa[:, None] - h, d.nodes)) / (2 * h)
    )
    a11, a12, a22 = gram[0, 0], c @ gram[0], _inner(c, gram, c)
    d1, d2, dd = dc @ gram[0], _inner(dc, gram, c), _inner(dc, gram, dc)
    projected = (a22 * d1**2 - 2 * a12 * d1 * d2 + a11 * d2**2) / (a11 * a22 - a12**2)
    return np.asarray(np.sqrt(np.maximum(dd - projected, 1e-300)))


def _inner(left: Array, gram: Array, right: Array) -> Array:
    return np.asarray(((left @ gram) * right).sum(-1))


def _solve(g: Grams, c: Array, kappa: Array, r: int) -> Cells:
    block = g.gram[:, :r, :r]
    xy, yy = g.gram[:, :r, r], g.gram[:, r, r][:, None]
    one = block[:, 0, 0][:, None]
    bent = block @ c.T  # (M, r, K)
    g1 = bent[:, 0, :]
    gg = (bent * c.T).sum(1)
    y1, gy = xy[:, :1], xy @ c.T
    det = one * gg - g1**2
    with np.errstate(divide="ignore", invalid="ignore"):
        q = (one * gy - g1 * y1) / det
        p = (gg * y1 - g1 * gy) / det
        cov = np.stack([gg / det, -g1 / det, one / det], -1)
    rss = np.maximum(yy - p * y1 - q * gy, 1e-14 * yy)
    return Cells(kappa, g.logdet, det, p, q, rss, cov)


def _without_nuisance(g: Grams, d: Design, c: Array, n: int) -> Grams:
    """Inner products with the nuisance columns integrated out: Σ + N·diag(1/precision)·Nᵀ/σ².

    The scale σ² is that of the best curvature under each error model, found by a short iteration.
    """
    r = d.degree + 1
    full = g.gram
    inner, cross, base = full[:, r:, r:], full[:, r:, :r], full[:, :r, :r]
    k = len(d.precision)
    prior = np.diag(d.precision)
    free = int((d.precision == 0).sum())
    reduced = base
    for _ in range(4):
        rss = _solve(Grams(reduced, g.logdet), c, c, d.degree).rss.min(1)
        sigma2 = rss / max(n - 2 - free, 1)
        middle = (
            inner
            + sigma2[:, None, None] * prior
            + 1e-12 * np.trace(inner, axis1=1, axis2=2)[:, None, None] / k * np.eye(k)
        )
        reduced = base - cross.transpose(0, 2, 1) @ np.linalg.solve(middle, cross)
    logdet = g.logdet + np.linalg.slogdet(middle)[1] - (k - free) * np.log(sigma2)
    return Grams(reduced, logdet)
