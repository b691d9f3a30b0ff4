"""Generalised least squares (GLS) of the law R = p + q·g_κ(u) at every (κ, error model) at once.

Given κ and the error model the law is a linear regression. All the shapes g_κ of a run lie in the
span of a few Chebyshev polynomials of u, so the whitening of a run costs one pass with some fifteen
columns per error model, and every κ after that is algebra in fifteen dimensions. Priors and draws
are not part of this module. Everything works on one run or on many of the same steps, stacked on
the first axes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from functools import lru_cache

import numpy as np

from qdlaws.core.law import shape, shape_bend
from qdlaws.core.types import Array, Flags, Rows
from qdlaws.inference.error_model import Grams, grams

__all__ = [
    "SCALE_TOLERANCE",
    "ChebyshevBasis",
    "Design",
    "GLSFits",
    "chebyshev_basis",
    "curvature_norm",
    "curvature_range",
    "design",
    "gls_fits",
]

CACHE_SIZE = 300_000
"""Numbers that the Gram matrices of the runs worked on at once may take, to stay in the cache."""

MAX_TERMS = 160
"""Largest degree of a Chebyshev basis; beyond it the shapes themselves are the columns."""

MAX_LOG_GROWTH = 30.0
"""Outside of the range of x a law may grow by exp(30); steeper ones depend on the far rows only."""

SCALE_TOLERANCE = 0.002
"""Change of log σ² at which the iteration of the scale ends; the next would be a tenth of it."""


@dataclass(frozen=True, eq=False)
class ChebyshevBasis:
    """Chebyshev polynomials on the range of u, enough for every |κ| up to a reach."""

    columns: Array  # (..., n, degree) of one run or of many
    nodes: Array  # (degree,) values of u at the Chebyshev nodes

    @property
    def degree(self) -> int:
        return int(self.nodes.shape[-1])

    def coefficients(self, values: Array) -> Array:
        """Coefficients (..., degree) of functions given by their values at the nodes."""
        return np.asarray(values @ _transform(self.degree).T)


@dataclass(frozen=True, eq=False)
class Design:
    """The regression columns of a run: nuisance columns, a basis of its shapes, and quality.

    Nuisance columns have coefficients of prior precision ``precision``: 0 for a free covariate, 1
    for the unit directions in which the path of x may be off (times their effect on quality).
    """

    columns: Array  # (..., n, k + s + 1): nuisance, basis (a constant first), y
    kappa: Array  # (..., K)
    shapes: Array  # (..., K, s) or (K, s) for all, the coefficients of g_κ in the basis
    bends: Array  # (..., K, s) those of ∂g_κ/∂κ
    precision: Array  # (k,)

    @property
    def size(self) -> int:
        return int(self.shapes.shape[-1])

    @property
    def basis(self) -> Array:
        """(..., n, s)"""
        return self.columns[..., -self.size - 1 : -1]

    def take(self, rows: Rows) -> Design:
        """The columns of some runs of a stack."""
        shapes, bends = (v[rows] if v.ndim > 2 else v for v in (self.shapes, self.bends))
        return Design(self.columns[rows], self.kappa[rows], shapes, bends, self.precision)


@dataclass(frozen=True, eq=False)
class GLSFits:
    """The GLS fits of R = p + q·g_κ(u) under M error models and K curvatures."""

    kappa: Array  # (..., K)
    logdet: Array  # (..., M)   log|Σ|
    one: Array  # (..., M, 1)   XᵀΣ⁻¹X = [[one, g1], [g1, gg]]
    g1: Array  # (..., M, K)
    gg: Array
    det: Array  # its determinant
    p: Array
    q: Array
    rss: Array  # S

    @property
    def pp(self) -> Array:
        """Variance of p in units of σ²."""
        return self.gg / self.det

    @property
    def pq(self) -> Array:
        """Covariance of p and q in units of σ²."""
        return -self.g1 / self.det

    @property
    def qq(self) -> Array:
        """Variance of q in units of σ²."""
        return self.one / self.det

    def take(self, rows: Rows) -> GLSFits:
        """The fits of some runs of a stack."""
        return GLSFits(*(getattr(self, f.name)[rows] for f in fields(self)))

    @classmethod
    def joined(cls, parts: Sequence[GLSFits]) -> GLSFits:
        """The fits of the runs of several stacks, one after another."""
        each = (np.concatenate([getattr(p, f.name) for p in parts]) for f in fields(cls))
        return cls(*each)


@lru_cache(maxsize=64)
def _degree(half: int, accuracy: float) -> int:
    """Terms of the Chebyshev series of exp(half·z) on [−1, 1] up to convergence; 0: too many."""
    from scipy.special import ive

    order = np.arange(1, MAX_TERMS)
    small = ive(order, half) < accuracy * ive(0, half)
    return 1 + int(order[int(np.argmax(small))]) if small.any() else 0


@lru_cache(maxsize=64)
def _angles(degree: int) -> Array:
    return np.pi * (np.arange(degree) + 0.5) / degree


@lru_cache(maxsize=64)
def _transform(degree: int) -> Array:
    """Matrix from values at the Chebyshev nodes to Chebyshev coefficients."""
    matrix = 2 / degree * np.cos(np.outer(np.arange(degree), _angles(degree)))
    matrix[0] /= 2
    return np.asarray(matrix)


def curvature_range(u: Array, reach: float) -> tuple[float, float]:
    """The curvatures up to ``reach`` that do not let the rows far outside of the range dominate."""
    under, over = max(-float(u.min()), 1e-9), max(float(u.max()) - 1, 1e-9)
    return -min(reach, MAX_LOG_GROWTH / under), min(reach, MAX_LOG_GROWTH / over)


def chebyshev_basis(u: Array, reach: float, accuracy: float = 1e-9) -> ChebyshevBasis | None:
    """Chebyshev polynomials that span every g_κ with |κ| ≤ ``reach`` on the data, to ``accuracy``.

    Many runs (..., n) share the range that holds them all. None where it needs too many terms.
    """
    low, high = float(u.min()), float(u.max())
    middle, half = (low + high) / 2, (high - low) / 2
    degree = _degree(int(np.ceil(max(reach, 0.5) * half)), accuracy)
    if not degree:
        return None
    z = np.clip((u - middle) / half, -1.0, 1.0)
    columns = np.asarray(np.polynomial.chebyshev.chebvander(z, degree - 1), float)
    return ChebyshevBasis(columns, middle + half * np.cos(_angles(degree)))


def design(
    u: Array,
    y: Array,
    kappa: Array,
    accuracy: float = 1e-9,
    nuisance: Array | None = None,
    precision: Array | None = None,
) -> Design:
    """Columns that span the shapes of these curvatures, and their derivatives, to ``accuracy``.

    ``u`` and ``y`` (..., n), ``kappa`` (..., K) or (K,) for all, ``nuisance`` (..., n, k),
    ``precision`` (k,).
    """
    basis = chebyshev_basis(u, float(np.abs(kappa).max()), accuracy)
    if basis is None:  # the shapes at the data, without their means
        values = (curve(kappa[..., None], u[..., None, :]) for curve in (shape, shape_bend))
        means = ((v, v.mean(-1, keepdims=True)) for v in values)
        shapes, bends = (np.concatenate([mean, v - mean], axis=-1) for v, mean in means)
        every = 1
    else:
        nodes = kappa[..., None], basis.nodes
        shapes, bends = (basis.coefficients(curve(*nodes)) for curve in (shape, shape_bend))
        every = max(1, (kappa.shape[-1] - 1) // basis.degree)
    # Neighbouring curvatures have similar shapes: their principal directions are fewer than the
    # polynomials. As many curvatures as polynomials, each of unit length, suffice to find them.
    samples = np.concatenate([v[..., ::every, 1:] for v in (shapes, bends)], axis=-2)
    samples /= np.sqrt((samples**2).sum(-1, keepdims=True)) + 1e-300
    _, size, directions = np.linalg.svd(samples, full_matrices=False)
    count = int((size > accuracy * size[..., :1]).sum(-1).max())
    directions = directions[..., :count, :].mT
    spanned = directions.mT if basis is None else directions.mT @ basis.columns[..., 1:].mT
    rows = [np.ones((*u.shape[:-1], 1, u.shape[-1])), spanned, y[..., None, :]]
    if nuisance is not None:
        rows.insert(0, nuisance.mT)
    return Design(
        columns=np.concatenate(rows, axis=-2).mT,  # each column contiguous
        kappa=np.broadcast_to(kappa, (*u.shape[:-1], kappa.shape[-1])),
        shapes=np.concatenate([shapes[..., :1], shapes[..., 1:] @ directions], axis=-1),
        bends=np.concatenate([bends[..., :1], bends[..., 1:] @ directions], axis=-1),
        precision=np.zeros(0) if precision is None else precision,
    )


def gls_fits(
    d: Design, step: Array, memory: Array, white: Array, weight: Array | None = None
) -> GLSFits:
    """The generalised least-squares fit of every curvature under every error model."""
    size = d.columns.shape[-1] * (d.columns.shape[-1] * memory.shape[-1] + 2 * len(step))
    block = max(1, CACHE_SIZE // size)
    if d.columns.ndim > 2 and len(d.columns) > block:
        runs = np.arange(len(d.columns))
        parts = []
        for rows in np.array_split(runs, -(-len(runs) // block)):
            ell, nu = (v[rows] if v.ndim > 1 else v for v in (memory, white))
            parts.append(gls_fits(d.take(rows), step, ell, nu, weight))
        return GLSFits.joined(parts)
    g = grams(d.columns, step, memory, white, weight)
    if len(d.precision):
        g = _without_nuisance(g, d, len(step))
    return _solve(g, d.shapes, d.kappa)


def curvature_norm(d: Design) -> Array:
    """‖∂g_κ/∂κ‖ after projecting [1, g_κ] out of it: the root Fisher information of κ."""
    gram = d.basis.mT @ d.basis
    c, dc, first = d.shapes, d.bends, gram[..., 0][..., None]
    a11, a12, a22 = gram[..., :1, 0], (c @ first)[..., 0], _inner(c, gram, c)
    d1, d2, dd = (dc @ first)[..., 0], _inner(dc, gram, c), _inner(dc, gram, dc)
    projected = (a22 * d1**2 - 2 * a12 * d1 * d2 + a11 * d2**2) / (a11 * a22 - a12**2)
    return np.asarray(np.sqrt(np.maximum(dd - projected, 1e-300)))


def _inner(left: Array, gram: Array, right: Array) -> Array:
    """The inner products of rows of coefficients."""
    return np.asarray(((left @ gram) * right).sum(-1))


def _solve(g: Grams, c: Array, kappa: Array) -> GLSFits:
    """The fits from the Gram matrices and the coefficients c (..., K, r) of the shapes."""
    r = c.shape[-1]
    one, yy, y1 = g.gram[..., :1, 0], g.gram[..., r, r][..., None], g.gram[..., :1, r]
    gy = g.gram[..., :r, r] @ c.mT
    g1 = g.gram[..., 0, :r] @ c.mT
    squares = (c[..., :, None] * c[..., None, :]).reshape(*c.shape[:-1], r * r)
    gg = g.gram[..., :r, :r].reshape(*g.gram.shape[:-2], r * r) @ squares.mT
    det = one * gg
    det -= g1**2
    with np.errstate(divide="ignore", invalid="ignore"):
        q = one * gy
        q -= g1 * y1
        q /= det
        p = (y1 - q * g1) / one
        rss = yy - p * y1
        rss -= q * gy
    np.maximum(rss, 1e-14 * yy, out=rss)
    return GLSFits(kappa, g.logdet, one, g1, gg, det, p, q, rss)


def _without_nuisance(g: Grams, d: Design, n: int) -> Grams:
    """Gram matrices with the nuisance columns integrated out: Σ + N·diag(1/precision)·Nᵀ/σ².

    The scale σ² is that of the best curvature under each error model, from a short iteration.
    """
    free = np.append(d.precision == 0, np.zeros(d.size + 1, bool))
    if free.any():  # covariates go first, for good
        g = _project(g, free)
    # [inner + σ², cross; crossᵀ, base] = LLᵀ holds base − crossᵀ(inner + σ²)⁻¹cross in its corner;
    # base counts twice on the diagonal, and σ² has a floor, so that the root exists.
    whole, k = g.gram, int((d.precision > 0).sum())
    if not k:
        return g
    reduced, dof = whole[..., k:, k:].copy(), max(n - 2 - int(free.sum()), 1)
    nuisance, rest = np.arange(k), np.arange(whole.shape[-1] - k)
    floor = 1e-14 * whole[..., nuisance, nuisance].max(-1)
    sizes = whole[..., k + rest, k + rest]
    whole[..., k + rest, k + rest] += sizes
    shapes = d.shapes[..., :: max(1, d.shapes.shape[-2] // 12), :]
    logdet, scale = g.logdet.copy(), np.full(g.logdet.shape, np.nan)
    for _ in range(4):
        rss = _solve(Grams(reduced, g.logdet), shapes, shapes[..., 0]).rss
        sigma2 = np.maximum(rss.min(-1) / dof, floor)
        moving = ~(np.abs(np.log(sigma2 / scale)) < SCALE_TOLERANCE)
        if not moving.any():
            break
        scale[moving] = sigma2[moving]
        moving_grams = whole[moving]
        moving_grams[:, nuisance, nuisance] += scale[moving][:, None]
        root = np.linalg.cholesky(moving_grams)
        corner = root[:, k:, k:]
        left = corner @ corner.mT
        left[:, rest, rest] -= sizes[moving]
        reduced[moving] = left
        pivots = np.log(root[:, nuisance, nuisance]).sum(-1)
        logdet[moving] = g.logdet[moving] + 2 * pivots - k * np.log(scale[moving])
    return Grams(reduced, logdet)


def _project(g: Grams, free: Flags) -> Grams:
    """Gram matrices with the free columns F projected out; log|Σ| with log|FᵀΣ⁻¹F| added."""
    rows = g.gram[..., free, :]
    ff, cross = rows[..., free], rows[..., ~free]
    size = np.trace(ff, axis1=-2, axis2=-1)[..., None, None] / ff.shape[-1]
    ff = ff + 1e-12 * size * np.eye(ff.shape[-1])
    left = g.gram[..., ~free, :][..., ~free] - cross.mT @ np.linalg.solve(ff, cross)
    return Grams(left, g.logdet + np.linalg.slogdet(ff)[1])
