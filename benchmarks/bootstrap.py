"""Least-squares refits of one law by the ten thousand: the parametric bootstrap.

All shapes g_κ of a run lie in the span of a few Chebyshev polynomials of u, so after one QR a
series of n points is r numbers and a sum of squares. What is left of a fit is one number, κ:

    RSS(κ) = |z|² − F(κ)² + rest,   F(κ) = ĝ(κ)·z,   ĝ(κ): g_κ without its mean, of unit length

F of all series at all nodes of κ is one matrix product, and F is so smooth in asinh κ that the
polynomial through the nodes about the best one gives the optimum to rounding; the coefficients of
all series that share their best node are one more product. Under white
noise a bootstrap series costs r normals and a χ²(n − r), whatever n is. With a memory everything
is whitened first, and the same holds for generalised least squares.

This is the classical answer: it takes the errors for what it is told they are. The laws' own
intervals come from :mod:`qdlaws.inference.law_posterior`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache, lru_cache

import numpy as np
import numpy.typing as npt

from qdlaws import BadData, Law
from qdlaws.core.law import shape

__all__ = ["Refits", "bootstrap_refits", "refit"]

Array = npt.NDArray[np.float64]
Rows = npt.NDArray[np.intp]

REACH = (5.0, 12.0, 48.0)
"""|κ| is searched up to the first; a series whose fit runs to that end, up to the next."""

SPACING = 0.07  # of the nodes in asinh κ
SIDE = 6  # nodes on either side of the best one
BLOCK = 3400  # series taken at once: few enough for the cache, many for a call


@dataclass(frozen=True, eq=False)
class Refits:
    """The least-squares laws of many series over the same x, and their residual sums of squares.

    A fit whose |κ| ends at 48 is a step: least squares has no optimum there.
    """

    law: Law
    rss: Array


@dataclass(frozen=True, eq=False)
class ChebyshevBasis:
    """Chebyshev polynomials on the range of u, enough for every |κ| up to a reach."""

    columns: Array  # (n, degree)
    nodes: Array  # (degree,) values of u at the Chebyshev nodes

    @property
    def degree(self) -> int:
        return len(self.nodes)

    def coefficients(self, values: Array) -> Array:
        """Coefficients (..., degree) of functions given by their values at the nodes."""
        return np.asarray(values @ _transform(self.degree).T)


@cache
def _transform(degree: int) -> Array:
    """Matrix from values at the Chebyshev nodes to Chebyshev coefficients."""
    matrix = 2 / degree * np.cos(np.outer(np.arange(degree), _angles(degree)))
    matrix[0] /= 2
    return np.asarray(matrix)


def _angles(degree: int) -> Array:
    return np.asarray(np.pi * (np.arange(degree) + 0.5) / degree)


def chebyshev_basis(u: Array, reach: float, accuracy: float) -> ChebyshevBasis:
    """Chebyshev polynomials that span every g_κ with |κ| ≤ ``reach`` on the data, to ``accuracy``.

    As many as the series of exp(half·z) on [−1, 1] needs.
    """
    from scipy.special import ive

    low, high = float(u.min()), float(u.max())
    middle, half = (low + high) / 2, (high - low) / 2
    order, steepest = np.arange(1, 160), np.ceil(max(reach, 0.5) * half)
    degree = 1 + int(order[int(np.argmax(ive(order, steepest) < accuracy * ive(0, steepest)))])
    columns = np.polynomial.chebyshev.chebvander(np.clip((u - middle) / half, -1, 1), degree - 1)
    return ChebyshevBasis(np.asarray(columns, float), middle + half * np.cos(_angles(degree)))


def refit(x: Array, series: Array, step: Array | None = None, memory: float = 0.0) -> Refits:
    """The least-squares law of each row of ``series`` (B, n) on x (n,).

    With a ``memory`` (in units of ``step``) the errors are an Ornstein–Uhlenbeck process.
    """
    return _refit(_planes(x, step, memory), _whiten(np.atleast_2d(series).T, step, memory))


def _refit(planes: Callable[[float], _Plane], whitened: Array) -> Refits:
    """The least-squares law of each column of the series (n, B)."""

    def coordinates(plane: _Plane, rows: Rows) -> tuple[Array, Array]:
        own = whitened[:, rows]
        return own.T @ plane.basis, (own**2).sum(0)

    return _fit(planes, whitened.shape[1], coordinates)


def bootstrap_refits(
    x: Array,
    y: Array,
    count: int = 10_000,
    step: Array | None = None,
    memory: float = 0.0,
    rng: np.random.Generator | None = None,
) -> Refits:
    """``count`` refits of series simulated from the least-squares law of y on x.

    The errors are Gaussian with the residual variance RSS/(n − 3); white, or with a ``memory``.
    """
    if rng is None:  # the quickest of numpy's generators: the numbers are a quarter of the time
        rng = np.random.Generator(np.random.SFC64(0))
    n = len(x)
    if n < 4:
        raise BadData(f"{n} points; the bootstrap of a law of three parameters needs at least 4")
    planes = _planes(x, step, memory)
    fit = _refit(planes, _whiten(y[:, None], step, memory))
    sigma = float(np.sqrt(fit.rss[0] / (n - 3)))
    truth = _whiten(fit.law.value(x).T, step, memory)[:, 0]
    z, basis, known = np.empty((count, 0)), np.empty((n, 0)), np.arange(count)

    def coordinates(plane: _Plane, rows: Rows) -> tuple[Array, Array]:
        """Normals for the coordinates, a χ² for all that is outside of the plane.

        A series that needs a finer plane keeps the errors that it has in the one before.
        """
        nonlocal z, basis, known
        r = plane.basis.shape[1]
        new = rng.standard_normal((len(rows), r))
        new *= sigma
        if basis.size:
            across = basis.T @ plane.basis
            errors = z[np.searchsorted(known, rows)] - truth @ basis
            new += (errors - new @ across.T) @ across
        new += truth @ plane.basis
        z, basis, known = new, plane.basis, rows
        rest = sigma**2 * rng.chisquare(n - r, len(rows)) if n > r else 0.0
        return z, np.einsum("ij,ij->i", z, z) + rest

    return _fit(planes, count, coordinates)


# ---------------------------------------------------------------------- the plane of the shapes


@dataclass(frozen=True, eq=False)
class _Plane:
    """The plane that holds the shapes up to some |κ|, and a table of them in its coordinates."""

    x_lo: float
    x_hi: float
    basis: Array  # (n, r) orthonormal; the first column is the (whitened) constant
    constant: float  # its length
    s: Array  # (K,) asinh κ, equally spaced
    unit: npt.NDArray[np.float32]  # (K, r − 1) ĝ
    local: Array  # (K − 12, 13, r + 1) the polynomials in s about each inner node: ĝ, the length
    #               of g_κ without its mean, and its coordinate along the constant


def _planes(x: Array, step: Array | None, memory: float) -> Callable[[float], _Plane]:
    """The plane for each reach, made when it is first asked for."""
    return cache(lambda reach: _plane(x, step, memory, reach))


def _plane(x: Array, step: Array | None, memory: float, reach: float) -> _Plane:
    x_lo, x_hi = float(x.min()), float(x.max())
    if not x_hi > x_lo:
        raise BadData("x is constant; a law needs an x that moves")
    d = chebyshev_basis((x - x_lo) / (x_hi - x_lo), reach, 1e-13)
    basis, triangle = np.linalg.qr(_whiten(d.columns, step, memory))
    half = int(np.ceil(np.arcsinh(reach) / SPACING))
    s = np.asarray(SPACING * np.arange(-half, half + 1), float)
    at = d.coefficients(shape(np.sinh(s)[:, None], d.nodes)) @ triangle.T
    norm = np.sqrt((at[:, 1:] ** 2).sum(1))
    unit = at[:, 1:] / norm[:, None]
    # Neighbouring curvatures look alike: fewer directions than polynomials carry them all.
    _, size, few = np.linalg.svd(unit, full_matrices=False)
    few = few[size > 1e-12 * size[0]].T
    unit, basis = unit @ few, np.hstack([basis[:, :1], basis[:, 1:] @ few])
    table = np.column_stack([unit, norm, at[:, 0]])
    windows = np.lib.stride_tricks.sliding_window_view(table, 2 * SIDE + 1, axis=0)
    local = _interpolation() @ windows.transpose(0, 2, 1)
    return _Plane(x_lo, x_hi, basis, float(triangle[0, 0]), s, unit.astype(np.float32), local)


def _whiten(columns: Array, step: Array | None, memory: float) -> Array:
    """Columns (n, k) with an Ornstein–Uhlenbeck process of this memory whitened out."""
    if memory <= 0:
        return columns
    t = np.arange(len(columns), dtype=float) if step is None else step
    decay = np.diff(t) / memory
    r, s = np.exp(-decay)[:, None], np.sqrt(-np.expm1(-2 * decay))[:, None]
    return np.vstack([columns[:1], (columns[1:] - r * columns[:-1]) / s])


# ---------------------------------------------------------------------- the search over κ


def _fit(
    planes: Callable[[float], _Plane],
    count: int,
    coordinates: Callable[[_Plane, Rows], tuple[Array, Array]],
) -> Refits:
    """The best law of each series.

    ``coordinates`` gives those of some series in a plane (B, r), and their sums of squares (B,).
    """
    out, rows = np.empty((4, count)), np.arange(count)
    for reach in REACH:
        plane = planes(reach)
        z, total = coordinates(plane, rows)
        best, s, norm, first = _search(plane, z[:, 1:])
        q = best / norm
        p = (z[:, 0] - q * first) / plane.constant
        rss = np.maximum(total - z[:, 0] ** 2 - best**2, 0.0)
        out[:, rows] = np.sinh(s), p, q, rss
        rows = rows[np.abs(s) >= plane.s[-1]]
        if not len(rows):
            break
    kappa, p, q, rss = out
    return Refits(Law(plane.x_lo, plane.x_hi, kappa, p, q), rss)


def _search(plane: _Plane, z: Array) -> Array:
    """F, asinh κ, the norm and the first coordinate of g_κ at the optimum of F². (4, B)"""
    peak = np.concatenate([_peaks(plane, z[part]) for part in _blocks(len(z))])
    # Series with the same best node stand together: their polynomials are one matrix product.
    order = np.argsort(peak.astype(np.int16), kind="stable")
    found = np.empty((4, len(z)))
    for part in _blocks(len(z)):
        rows = order[part]
        found[:, rows] = _refine(plane, z[rows], peak[rows])
    return found


def _blocks(count: int) -> Iterator[slice]:
    return (slice(start, start + BLOCK) for start in range(0, count, BLOCK))


def _peaks(plane: _Plane, z: Array) -> Rows:
    """The even node at which F² is largest; single precision tells nodes apart."""
    values = z.astype(np.float32) @ plane.unit[::2].T
    return 2 * np.asarray(np.abs(values, out=values).argmax(1))


def _refine(plane: _Plane, z: Array, peak: Rows) -> Array:
    """What :func:`_search` wants, of series in the order of the nodes of their peaks. (4, B)"""
    last = len(plane.s) - 1
    centre = np.clip(peak, SIDE, last - SIDE)
    f, norm, first = np.empty((3, 2 * SIDE + 1, len(z)))  # coefficients of polynomials in s
    r = z.shape[1]
    edges = np.flatnonzero(np.diff(centre, prepend=-1, append=-1))
    for group in map(slice, edges[:-1], edges[1:]):
        local = plane.local[centre[group.start] - SIDE]
        np.matmul(local[:, :r], z[group].T, out=f[:, group])
        norm[:, group], first[:, group] = local[:, r, None], local[:, r + 1, None]
    start = (peak - centre).astype(float)
    offset = np.where((peak == 0) | (peak == last), start, _stationary(f, start))
    at = SPACING * (centre - last // 2 + offset)
    return np.stack([_polyval(f, offset), at, _polyval(norm, offset), _polyval(first, offset)])


def _stationary(f: Array, start: Array) -> Array:
    """Where F' = 0 by Newton's method, never past the even nodes beside the start."""
    slope = _derivative(f)
    bend = _derivative(slope[:SIDE])  # a rough one: the path changes, not where it ends
    offset = start
    with np.errstate(divide="ignore", invalid="ignore"):
        for _ in range(8):
            move = _polyval(slope, offset) / _polyval(bend, offset)
            move[~np.isfinite(move)] = 0.0
            before, offset = offset, np.minimum(np.maximum(offset - move, start - 2), start + 2)
            if np.abs(offset - before).max() < 1e-5:  # the next would be 1e-11
                break
    return offset


@lru_cache(maxsize=1)
def _interpolation() -> Array:
    """Matrix from values at −6 … 6 to the coefficients of the polynomial through them."""
    nodes = np.arange(-SIDE, SIDE + 1)
    return np.asarray(np.linalg.inv(np.vander(nodes, increasing=True).astype(float)))


def _polyval(c: Array, t: Array) -> Array:
    """Σ c_j·t^j for coefficients (J, B) and t (B,)."""
    out: Array = c[-1].copy()
    for coefficient in c[-2::-1]:
        out *= t
        out += coefficient
    return out


def _derivative(c: Array) -> Array:
    return np.asarray(c[1:] * np.arange(1, len(c))[:, None])
