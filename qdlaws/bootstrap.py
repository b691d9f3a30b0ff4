"""Least-squares refits of one law by the ten thousand: the parametric bootstrap.

All shapes g_κ of a run lie in the span of a few Chebyshev polynomials of u, so after one QR a
series of n points is r numbers and a sum of squares. What is left of a fit is one number, κ:

    RSS(κ) = |z|² − F(κ)² + rest,   F(κ) = ĝ(κ)·z,   ĝ(κ): g_κ without its mean, of unit length

F of all series at all nodes of κ is one matrix product, and F is so smooth in asinh κ that the
polynomial through the nodes about the best one gives the optimum to rounding. Under white
noise a bootstrap series costs r normals and a χ²(n − r), whatever n is. With a memory everything
is whitened first, and the same holds for generalised least squares.

This is the classical answer: it takes the errors for what it is told they are. The laws' own
intervals come from :mod:`qdlaws.posterior`.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from qdlaws.errors import BadData
from qdlaws.law import Law, shape
from qdlaws.regression import polynomials

__all__ = ["Refits", "bootstrap_refits", "refit"]

Array = npt.NDArray[np.float64]

REACH = (5.0, 12.0, 48.0)
"""|κ| is searched up to the first; a series whose fit runs to that end, up to the next."""

SPACING = 0.07  # of the nodes in asinh κ
SIDE = 6  # nodes on either side of the best one
BLOCK = 1024  # series taken at once, so that they stay in the cache


@dataclass(frozen=True, eq=False)
class Refits:
    """The least-squares laws of many series over the same x, and their residual sums of squares.

    A fit whose |κ| ends at 48 is a step: least squares has no optimum there.
    """

    law: Law
    rss: Array


def refit(x: Array, series: Array, step: Array | None = None, memory: float = 0.0) -> Refits:
    """The least-squares law of each row of ``series`` (B, n) on x (n,).

    With a ``memory`` (in units of ``step``) the errors are an Ornstein–Uhlenbeck process.
    """
    plane = _plane(x, step, memory)
    whitened = _whiten(np.atleast_2d(series).T, step, memory)
    return _solve(plane, whitened.T @ plane.basis, (whitened**2).sum(0))


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
    rng = np.random.default_rng(0) if rng is None else rng
    plane = _plane(x, step, memory)
    n, r = plane.basis.shape
    if n < 4:
        raise BadData(f"{n} points; the bootstrap of a law of three parameters needs at least 4")
    whitened = _whiten(y[:, None], step, memory)
    z = whitened.T @ plane.basis
    fit = _solve(plane, z, (whitened**2).sum(0))
    sigma = np.sqrt(fit.rss[0] / (n - 3))
    mean = _whiten(fit.law.value(x).T, step, memory).T @ plane.basis

    def drawn(z: Array) -> Refits:
        """Refits from coordinates, and a χ² for all that is outside of them."""
        free = n - z.shape[1]
        rest = sigma**2 * rng.chisquare(free, len(z)) if free else np.zeros(len(z))
        return _solve(plane, z, (z**2).sum(1) + rest)

    near = min(plane.tables[0].unit.shape[1] + 1, r)
    z = mean[:, :near] + sigma * rng.standard_normal((count, near))
    refits = drawn(z)
    far = np.flatnonzero(np.abs(refits.law.kappa) >= 0.999 * REACH[0])
    if len(far) and near < r:  # these need the finer shapes too
        more = mean[:, near:] + sigma * rng.standard_normal((len(far), r - near))
        again = drawn(np.hstack([z[far], more]))
        for name in ("kappa", "p", "q"):
            getattr(refits.law, name)[far] = getattr(again.law, name)
        refits.rss[far] = again.rss
    return refits


# ---------------------------------------------------------------------- the plane of the shapes


@dataclass(frozen=True, eq=False)
class _Table:
    """The shapes at the nodes of κ, in the coordinates of the plane."""

    s: Array  # (K,) asinh κ, equally spaced
    unit: Array  # (K, r − 1) ĝ
    norm: Array  # (K,) length of g_κ without its mean
    first: Array  # (K,) coordinate of g_κ along the constant


@dataclass(frozen=True, eq=False)
class _Plane:
    x_lo: float
    x_hi: float
    basis: Array  # (n, r) orthonormal; the first column is the (whitened) constant
    constant: float  # its length
    tables: tuple[_Table, ...]


def _plane(x: Array, step: Array | None, memory: float) -> _Plane:
    x_lo, x_hi = (float(v) for v in np.quantile(x, [0.02, 0.98]))
    if not x_hi > x_lo:
        raise BadData("x is constant; a law needs an x that moves")
    u = (x - x_lo) / (x_hi - x_lo)
    designs = [polynomials(u, reach, 1e-13) for reach in REACH]
    wide = designs[-1]
    basis, triangle = np.linalg.qr(_whiten(wide.columns, step, memory))
    tables = []
    for d, reach in zip(designs, REACH, strict=True):
        r = min(d.degree, len(triangle))  # the polynomials are nested, and so is the QR
        half = int(np.ceil(np.arcsinh(reach) / SPACING))
        s = SPACING * np.arange(-half, half + 1)
        at = d.coefficients(shape(np.sinh(s)[:, None], d.nodes)) @ triangle[:r, : d.degree].T
        norm = np.sqrt((at[:, 1:] ** 2).sum(1))
        tables.append(_Table(np.asarray(s, float), at[:, 1:] / norm[:, None], norm, at[:, 0]))
    return _Plane(x_lo, x_hi, basis, float(triangle[0, 0]), tuple(tables))


def _whiten(columns: Array, step: Array | None, memory: float) -> Array:
    """Columns (n, k) with an Ornstein–Uhlenbeck process of this memory whitened out."""
    if memory <= 0:
        return columns
    t = np.arange(len(columns), dtype=float) if step is None else step
    decay = np.diff(t) / memory
    r, s = np.exp(-decay)[:, None], np.sqrt(-np.expm1(-2 * decay))[:, None]
    return np.vstack([columns[:1], (columns[1:] - r * columns[:-1]) / s])


# ---------------------------------------------------------------------- the search over κ


def _solve(plane: _Plane, z: Array, total: Array) -> Refits:
    """The best law of each series from its coordinates z (B, r) and sum of squares (B,)."""
    out = np.empty((4, len(z)))
    rows = np.arange(len(z))
    for table in plane.tables:
        width = table.unit.shape[1] + 1
        if width > z.shape[1]:
            break
        blocks = [
            _search(table, z[some, 1:width])
            for some in np.split(rows, range(BLOCK, len(rows), BLOCK))
        ]
        best, s, norm, first = np.hstack(blocks)
        q = best / norm
        p = (z[rows, 0] - q * first) / plane.constant
        out[:, rows] = np.sinh(s), p, q, best
        rows = rows[np.abs(s) >= table.s[-1]]
        if not len(rows):
            break
    kappa, p, q, best = out
    rss = np.maximum(total - z[:, 0] ** 2 - best**2, 0.0)
    return Refits(Law(plane.x_lo, plane.x_hi, kappa, p, q), rss)


def _search(table: _Table, z: Array) -> Array:
    """F, asinh κ, the norm and the first coordinate of g_κ at the optimum of F². (4, B)"""
    values = z @ table.unit.T  # (B, K)
    last = len(table.s) - 1
    peak = np.abs(values).argmax(1)
    centre = np.clip(peak, SIDE, last - SIDE)
    window = centre[:, None] + np.arange(-SIDE, SIDE + 1)
    powers = _interpolation()
    f = powers @ np.take_along_axis(values, window, 1).T  # (13, B) coefficients
    slope = _derivative(f)
    bend = _derivative(slope)
    start = (peak - centre).astype(float)
    offset = start.copy()
    with np.errstate(divide="ignore", invalid="ignore"):
        for _ in range(4):  # Newton on F' = 0, never past the neighbouring nodes
            move = _polyval(slope, offset) / _polyval(bend, offset)
            np.clip(offset - np.nan_to_num(move), start - 1, start + 1, out=offset)
    offset = np.where((peak == 0) | (peak == last), start, offset)
    norm, first = (_polyval(powers @ v[window].T, offset) for v in (table.norm, table.first))
    return np.stack([_polyval(f, offset), SPACING * (centre - last // 2 + offset), norm, first])


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
