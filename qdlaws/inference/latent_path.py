"""The latent path of a noisy x (diversity, entropy) in step, as a Gaussian process.

    x_i = s(t_i) + ε_i,  s = integrated Wiener process + Wiener process + line,   ε_i ~ N(0, τ²·w_i)

This is the local linear trend model (Harvey 1989); the cubic smoothing spline is the special case
without the Wiener process (Wahba 1978). The second divided differences d = Qᵀx do not depend on the
line and have a banded covariance (Reinsch's form of the spline; Green & Silverman 1994)

    V = θ₂·R + θ₁·L + θ₀·QᵀWQ

so likelihood and path cost O(n) at any spacing, and do not depend on the direction of time. The
path is averaged over a grid of the variances θ, weighted by their likelihood.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from qdlaws.core.interval import median
from qdlaws.core.types import Array, Flags, Rows

__all__ = [
    "LatentPath",
    "covariance_factor",
    "difference_bands",
    "exact_path",
    "latent_path",
    "variance_grid",
]

DIRECTIONS = 12
"""Smooth directions in which the path may be off: more than most paths have degrees of freedom."""


@dataclass(frozen=True, eq=False)
class LatentPath:
    """The posterior of the path at the steps, and the noise of the measurements around it."""

    mean: Array  # (n,)
    noise: Array  # (n,) standard deviation of the measurement noise
    cov_factor: Array  # (n, J) columns whose sum of squares is the posterior variance of the path
    noise_known: bool = False  # from known standard errors?

    def spread(self, rows: Flags) -> LatentPath:
        """The same path on a longer series, NaN on the rows without a reading."""
        mean, noise = np.full(len(rows), np.nan), np.full(len(rows), np.nan)
        cov_factor = np.zeros((len(rows), self.cov_factor.shape[1]))
        mean[rows], noise[rows], cov_factor[rows] = self.mean, self.noise, self.cov_factor
        return LatentPath(mean, noise, cov_factor, self.noise_known)

    def take(self, rows: Flags) -> LatentPath:
        """The path on some of the rows."""
        mean, noise, cov_factor = (v[rows] for v in (self.mean, self.noise, self.cov_factor))
        return LatentPath(mean, noise, cov_factor, self.noise_known)


def exact_path(x: Array) -> LatentPath:
    """The path of an x that is measured without noise."""
    return LatentPath(x, np.zeros(len(x)), np.zeros((len(x), 0)))


def latent_path(
    step: Array,
    x: Array,
    se: Array | None = None,
    weight: Array | None = None,
    regime: Rows | None = None,
) -> LatentPath:
    """The path of x in step; the rows of every ``regime`` (a number a row) have a separate path.

    With standard errors ``se`` the noise is theirs; otherwise its variance is estimated from the
    roughness of x, and ``weight`` may give its relative variances.
    """
    n = len(x)
    if regime is not None and len(np.unique(regime)) > 1:
        pieces = []
        for r in np.unique(regime):
            rows = regime == r
            errors = [None if v is None else v[rows] for v in (se, weight)]
            pieces.append((rows, latent_path(step[rows], x[rows], *errors)))
        return _joined(n, pieces)
    if n < 5 or not np.ptp(x) > 0:
        return exact_path(x)
    scale = float(np.ptp(x))
    gaps = np.diff(step)
    gap = median(gaps)
    t, h = (step - step[0]) / gap, gaps / gap
    if se is not None:
        w = np.maximum(se / scale, 1e-9) ** 2
    else:
        w = np.ones(n) if weight is None else weight
    differences = SecondDifferences(1 / h[:-1], 1 / h[1:])
    d = differences.apply(x / scale)
    if not np.any(np.abs(d) > 1e-13):  # a straight line
        return exact_path(x)
    from qdlaws.inference.path_kernel import average_path, path_evidence

    grid = variance_grid(n, d, w, noise_known=se is not None)
    bands = difference_bands(h, w)
    square, logdet = path_evidence(bands, d, *grid)
    with np.errstate(invalid="ignore"):
        loglik = -0.5 * ((square if se is not None else len(d) * np.log(square)) + logdet)
    loglik = np.where(np.isfinite(loglik), loglik, -np.inf)
    likelihood = np.exp(loglik - loglik.max())
    likelihood /= likelihood.sum()
    tau2 = 1.0 if se is not None else float(likelihood @ np.nan_to_num(square)) / len(d)
    mean = x - scale * w * differences.apply_transposed(average_path(bands, d, *grid, likelihood))
    level, trend = (float(v[np.argmax(likelihood)]) for v in grid)
    cov_factor = covariance_factor(t, w, bands, level, trend)
    size = scale * np.sqrt(tau2)
    return LatentPath(mean, size * np.sqrt(w), size * cov_factor, se is not None)


def _joined(n: int, pieces: list[tuple[Flags, LatentPath]]) -> LatentPath:
    """The paths of the regimes on all rows; their errors are independent."""
    mean, noise, blocks = np.zeros(n), np.zeros(n), []
    for rows, path in pieces:
        mean[rows], noise[rows] = path.mean, path.noise
        block = np.zeros((n, path.cov_factor.shape[1]))
        block[rows] = path.cov_factor
        blocks.append(block)
    return LatentPath(mean, noise, np.hstack(blocks), all(path.noise_known for _, path in pieces))


@dataclass(frozen=True, eq=False)
class SecondDifferences:
    """The matrix Qᵀ of second divided differences: the columns of Q are (a, −a − b, b)."""

    a: Array
    b: Array

    def apply(self, columns: Array) -> Array:
        """Qᵀ·columns."""
        a, b = (v.reshape(-1, *[1] * (columns.ndim - 1)) for v in (self.a, self.b))
        return np.asarray(a * columns[:-2] - (a + b) * columns[1:-1] + b * columns[2:])

    def apply_transposed(self, values: Array) -> Array:
        """Q·values."""
        out = np.zeros(len(values) + 2)
        out[:-2] += self.a * values
        out[1:-1] -= (self.a + self.b) * values
        out[2:] += self.b * values
        return out


def difference_bands(h: Array, w: Array) -> Array:
    """L, R and QᵀWQ, the parts of V, from the gaps h and the relative variances w. (3, 3, m)

    Each is lower banded with two off-diagonals.
    """
    m = len(h) - 1
    a, b = 1 / h[:-1], 1 / h[1:]
    level, trend, white = (np.zeros((3, m)) for _ in range(3))
    level[0], level[1, :-1] = a + b, -b[:-1]
    trend[0], trend[1, :-1] = (h[:-1] + h[1:]) / 3, h[1:-1] / 6
    white[0] = a**2 * w[:-2] + (a + b) ** 2 * w[1:-1] + b**2 * w[2:]
    white[1, :-1] = -b[:-1] * ((a + b)[:-1] * w[1:-2] + (a + b)[1:] * w[2:-1])
    white[2, :-2] = b[:-2] * w[2:-2] * a[2:]
    return np.array([level, trend, white])


def variance_grid(n: int, d: Array, w: Array, noise_known: bool) -> tuple[Array, Array]:
    """Pairs (θ₁, θ₂) per noise variance: smoothing windows from below one row to the whole run."""
    if noise_known:  # up to a process that explains all the roughness by itself
        top = max(10 * float(np.var(d)), float(w.mean()))
        return _pairs(np.geomspace(1e-6 * top, top, 7), np.geomspace(1e-10 * top, top, 10))
    return _grid_by_length(n)


@lru_cache(maxsize=64)
def _grid_by_length(n: int) -> tuple[Array, Array]:
    return _pairs(np.geomspace(0.1, n, 6) ** -2.0, np.geomspace(0.1, n / 2, 10) ** -4.0)


def _pairs(levels: Array, trends: Array) -> tuple[Array, Array]:
    level, trend = np.meshgrid(np.append(0.0, levels), trends, indexing="ij")
    return level.ravel(), trend.ravel()


def covariance_factor(t: Array, w: Array, bands: Array, level: float, trend: float) -> Array:
    """Square root of the posterior covariance W − W Q V⁻¹ QᵀW of the path, on smooth directions.

    At one pair (θ₁, θ₂) = (``level``, ``trend``), per noise variance; the directions are Legendre
    polynomials in step.
    """
    from scipy.linalg.lapack import dpbsv

    n, h = len(w), np.diff(t)
    basis = _smooth_directions(t.tobytes())
    weighted = w[:, None] * basis
    differences = SecondDifferences(1 / h[:-1], 1 / h[1:]).apply(weighted)
    v = level * bands[0] + trend * bands[1] + bands[2]
    _, solved, failed = dpbsv(v, differences, lower=1)
    if failed:
        return np.zeros((n, 0))
    covariance = basis.T @ weighted - differences.T @ solved
    values, vectors = np.linalg.eigh((covariance + covariance.T) / 2)
    return np.asarray(basis @ (vectors * np.sqrt(np.maximum(values, 0.0))))


@lru_cache(maxsize=8)
def _smooth_directions(t: bytes) -> Array:
    """Orthonormal polynomials on these times; the columns of a log share them. (n, J)"""
    times = np.frombuffer(t)
    degree = min(DIRECTIONS, len(times) // 3) - 1
    basis, _ = np.linalg.qr(np.polynomial.legendre.legvander(2 * times / times[-1] - 1, degree))
    return np.asarray(basis)
