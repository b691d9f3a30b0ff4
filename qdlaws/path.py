"""The latent path of a noisy x (diversity, entropy) in step.

    x_i = s(t_i) + ε_i,  s = integrated Wiener process + Wiener process + line,   ε_i ~ N(0, τ²·w_i)

(local linear trend; the smoothing spline is the special case without the Wiener part.) The second
divided differences d = Qᵀx are free of the line and have a banded covariance

    V = θ₂·R + θ₁·L + θ₀·QᵀWQ

so likelihood and path cost O(n) at any spacing, and are the same whichever way time runs. The
variances are integrated over a grid: the path is the average over it, never one choice.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from qdlaws.even import KEPT, even_path, evenly_spaced, sines

__all__ = ["LatentPath", "latent_path"]

Array = npt.NDArray[np.float64]

DIRECTIONS = 12
"""Smooth directions in which the path may be off: more than the usual path has freedoms."""


@dataclass(frozen=True, eq=False)
class LatentPath:
    """The posterior of the path at the steps, and the noise of the measurements around it."""

    mean: Array  # (n,)
    noise: Array  # (n,) standard deviation of the measurement noise
    wobble: Array  # (n, J) columns whose sum of squares is the posterior variance of the path
    known: bool = False  # is the noise that of known standard errors?

    def spread(self, rows: npt.NDArray[np.bool_]) -> LatentPath:
        """The same path on a longer series, NaN on the rows where there is none."""
        mean, noise = np.full(len(rows), np.nan), np.full(len(rows), np.nan)
        wobble = np.zeros((len(rows), self.wobble.shape[1]))
        mean[rows], noise[rows], wobble[rows] = self.mean, self.noise, self.wobble
        return LatentPath(mean, noise, wobble, self.known)

    def take(self, rows: npt.NDArray[np.bool_]) -> LatentPath:
        return LatentPath(self.mean[rows], self.noise[rows], self.wobble[rows], self.known)


@dataclass(frozen=True, eq=False)
class _Bands:
    """The covariance of the second divided differences, lower banded, by source."""

    a: Array  # the columns of Q are (a, −a − b, b)
    b: Array
    trend: Array
    level: Array
    white: Array

    def differences(self, columns: Array) -> Array:
        """Qᵀ·columns."""
        a, b = (v.reshape(-1, *[1] * (columns.ndim - 1)) for v in (self.a, self.b))
        return np.asarray(a * columns[:-2] - (a + b) * columns[1:-1] + b * columns[2:])

    def spread(self, values: Array) -> Array:
        """Q·values."""
        out = np.zeros(len(values) + 2)
        out[:-2] += self.a * values
        out[1:-1] -= (self.a + self.b) * values
        out[2:] += self.b * values
        return out


def exact_path(x: Array) -> LatentPath:
    """The path of an x that is measured without noise."""
    return LatentPath(x, np.zeros(len(x)), np.zeros((len(x), 0)))


def latent_path(
    step: Array,
    x: Array,
    se: Array | None = None,
    weight: Array | None = None,
    regime: npt.NDArray[np.intp] | None = None,
) -> LatentPath:
    """The path of x in step; each ``regime`` (a number a row) has a path of its own.

    With known standard errors ``se`` the noise is theirs; otherwise its size is told from the
    roughness of x, and ``weight`` may give its relative variances.
    """
    n = len(x)
    if regime is not None and len(np.unique(regime)) > 1:
        pieces = []
        for r in np.unique(regime):
            rows = regime == r
            cut = [None if v is None else v[rows] for v in (se, weight)]
            pieces.append((rows, latent_path(step[rows], x[rows], *cut)))
        return _joined(n, pieces)
    if n < 5 or not np.ptp(x) > 0:
        return exact_path(x)
    scale = float(np.ptp(x))
    t = (step - step[0]) / float(np.median(np.diff(step)))
    if se is not None:
        w = np.maximum(se / scale, 1e-9) ** 2
    else:
        w = np.ones(n) if weight is None else weight
    bands = _bands(np.diff(t), w)
    d = bands.differences(x / scale)
    if not np.any(np.abs(d) > 1e-13):  # a straight line
        return exact_path(x)
    grid = _grid(n, d, w, known=se is not None)
    even = np.ptp(w) == 0 and evenly_spaced(t)
    if even:
        square, logdet, solved, back = _evaluate_even(d, grid, float(w[0]))
    else:
        square, logdet, solved, back = _evaluate(bands, d, grid)
    with np.errstate(invalid="ignore"):
        loglik = -0.5 * ((square if se is not None else len(d) * np.log(square)) + logdet)
    loglik = np.where(np.isfinite(loglik), loglik, -np.inf)
    weight = np.exp(loglik - loglik.max())
    weight /= weight.sum()
    tau2 = 1.0 if se is not None else float(weight @ np.nan_to_num(square)) / len(d)
    mean = x - scale * w * bands.spread(back(weight @ solved))
    best = grid[int(np.argmax(weight))]
    if even and n <= KEPT and w[0] == 1:
        wobble = _even_wobble(n, best)
    else:
        wobble = _wobble(t, w, bands, best)
    size = scale * np.sqrt(tau2)
    return LatentPath(mean, size * np.sqrt(w), size * wobble, se is not None)


def _joined(n: int, pieces: list[tuple[npt.NDArray[np.bool_], LatentPath]]) -> LatentPath:
    mean, noise, blocks = np.zeros(n), np.zeros(n), []
    for rows, path in pieces:
        mean[rows], noise[rows] = path.mean, path.noise
        block = np.zeros((n, path.wobble.shape[1]))
        block[rows] = path.wobble
        blocks.append(block)
    return LatentPath(mean, noise, np.hstack(blocks), all(path.known for _, path in pieces))


def _bands(h: Array, w: Array) -> _Bands:
    m = len(h) - 1
    a, b = 1 / h[:-1], 1 / h[1:]
    trend, level, white = (np.zeros((3, m)) for _ in range(3))
    trend[0], trend[1, :-1] = (h[:-1] + h[1:]) / 3, h[1:-1] / 6
    level[0], level[1, :-1] = a + b, -b[:-1]
    white[0] = a**2 * w[:-2] + (a + b) ** 2 * w[1:-1] + b**2 * w[2:]
    white[1, :-1] = -b[:-1] * ((a + b)[:-1] * w[1:-2] + (a + b)[1:] * w[2:-1])
    white[2, :-2] = b[:-2] * w[2:-2] * a[2:]
    return _Bands(a, b, trend, level, white)


def _grid(n: int, d: Array, w: Array, known: bool) -> list[tuple[float, float]]:
    """Pairs (θ₁, θ₂) per noise variance: windows from below one row to the whole run."""
    if known:  # up to a process that explains all the roughness by itself
        most = max(10 * float(np.var(d)), float(w.mean()))
        levels, trends = np.geomspace(1e-6 * most, most, 7), np.geomspace(1e-10 * most, most, 10)
    else:
        return _unknown_grid(n)
    return _pairs(levels, trends)


@lru_cache(maxsize=64)
def _unknown_grid(n: int) -> list[tuple[float, float]]:
    return _pairs(np.geomspace(0.1, n, 6) ** -2.0, np.geomspace(0.1, n / 2, 10) ** -4.0)


def _pairs(levels: Array, trends: Array) -> list[tuple[float, float]]:
    return [(float(one), float(two)) for one in (0.0, *levels) for two in trends]


_Evaluated = tuple[Array, Array, Array, Callable[[Array], Array]]


def _evaluate(bands: _Bands, d: Array, grid: list[tuple[float, float]]) -> _Evaluated:
    """dᵀV⁻¹d, log|V| and V⁻¹d (G, m) for every pair of the grid; the last may be transformed."""
    from scipy.linalg.lapack import dpbsv

    square, logdet = np.full(len(grid), np.nan), np.full(len(grid), np.nan)
    solved = np.zeros((len(grid), len(d)))
    for i, (one, two) in enumerate(grid):
        factor, solution, bad = dpbsv(
            bands.white + one * bands.level + two * bands.trend, d, lower=1
        )
        if not bad:
            square[i], logdet[i] = d @ solution, 2 * np.log(factor[0]).sum()
            solved[i] = solution
    return square, logdet, solved, lambda average: average


def _evaluate_even(d: Array, grid: list[tuple[float, float]], noise: float) -> _Evaluated:
    """The same with evenly spaced rows, by sine transform."""
    level, trend = np.array(grid).T
    return *even_path(d, level, trend, noise), sines


@lru_cache(maxsize=256)
def _even_wobble(n: int, best: tuple[float, float]) -> Array:
    """What evenly spaced rows of equal weight make of the next pair of variances is kept."""
    t, w = np.arange(float(n)), np.ones(n)
    return _wobble(t, w, _bands(np.ones(n - 1), w), best)


def _wobble(t: Array, w: Array, bands: _Bands, best: tuple[float, float]) -> Array:
    """Square root of the posterior covariance W − W Q V⁻¹ QᵀW of the path, on smooth directions."""
    from scipy.linalg.lapack import dpbsv

    n = len(t)
    z = 2 * (t - t[0]) / (t[-1] - t[0]) - 1
    basis, _ = np.linalg.qr(np.polynomial.legendre.legvander(z, min(DIRECTIONS, n // 3) - 1))
    scaled = w[:, None] * basis
    differences = bands.differences(scaled)
    band = bands.white + best[0] * bands.level + best[1] * bands.trend
    _, solved, bad = dpbsv(band, differences, lower=1)
    if bad:
        return np.zeros((n, 0))
    covariance = basis.T @ scaled - differences.T @ solved
    values, vectors = np.linalg.eigh((covariance + covariance.T) / 2)
    return np.asarray(basis @ (vectors * np.sqrt(np.maximum(values, 0.0))))
