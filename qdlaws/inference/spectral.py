"""Evenly spaced, equally weighted rows: cosine and sine transforms in place of banded solves.

The precision of an evenly spaced Ornstein–Uhlenbeck process is a polynomial of the second
difference but for its two corners,

    K = D + c·(e₁e₁ᵀ + eₙeₙᵀ),   D = diag in the cosine basis: ((1 − r)² + r·λ)/(1 − r²),
    c = r/(1 + r),   λ_k = 4·sin²(πk/2n),   r = exp(−h/ℓ)

so one cosine transform of the columns serves every error model (as in Whittle's likelihood, but
exact: the corners are a correction of rank two by Sherman–Morrison–Woodbury, one for the even and
one for the odd frequencies). Every term is positive: nothing cancels.

The precision of an error model is a smooth function of log λ, (α + βλ)/(γ + δλ), so its values at a
few nodes λ_j give those at all frequencies, f(λ_k) = Σ_j W_jk·f(λ_j), to nine digits: an
interpolative decomposition (Cheng, Gimbutas, Martinsson & Rokhlin 2005). The products of the
columns are summed onto these nodes once, and an error model costs thirty numbers instead of n.

The same with sines for the second differences of a path.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from qdlaws.core.types import Array, Rows

__all__ = [
    "CHUNK",
    "MAX_CACHED",
    "cached_path_spectrum",
    "even_grams",
    "even_path",
    "evenly_spaced",
    "spectral_nodes",
]


CHUNK = 4096
"""Frequencies taken at once, so that memory does not grow with the run."""

MAX_CACHED = 256
"""The longest run whose spectra are cached and that is fitted in stacks; 15 MiB at most."""


def evenly_spaced(step: Array) -> bool:
    """Are all gaps the same, to rounding?"""
    gaps = np.diff(step)
    return bool(len(gaps) and np.ptp(gaps) <= 1e-12 * (abs(step[0]) + abs(step[-1]) + gaps[0]))


@dataclass(frozen=True, eq=False)
class SpectralNodes:
    """A range of frequencies, represented by J nodes λ."""

    nodes: Array  # (J,)
    rows: slice  # the frequencies
    share: Array  # (c, J) weights of products of two columns, for functions that grow with λ
    corner_shares: tuple[Array, Array]  # (c/2, J) of column × corner e₁ ± eₙ, even and odd
    corner_squares: Array  # (2, J) of the corners with themselves


def even_grams(columns: Array, spacing: float, memory: Array, white: Array) -> tuple[Array, Array]:
    """Gram matrices Zᵀ Σ⁻¹ Z (..., M, r, r) and log|Σ| (..., M) of Σ = (1 − ν)·C(ℓ) + ν·I.

    ``columns`` (..., n, r) of one run or of many; ``memory`` and ``white`` (..., M) of each run, or
    (M,) of all. A memory of 0 means ν = 1.
    """
    from scipy.fft import dct

    n, r = columns.shape[-2:]
    z = dct(np.ascontiguousarray(columns.mT), type=2, norm="ortho", orthogonalize=True)
    ell, nu = np.where(memory > 0, memory, spacing), np.where(memory > 0, white, 1.0)
    decay = np.exp(-spacing / ell)
    short, long = -np.expm1(-spacing / ell), 1 + decay  # 1 − r, 1 + r
    edge = decay / long
    level, growth = short / long, decay / (short * long)  # D = level + growth·λ
    base, rise = (1 - nu) + nu * level, nu * growth  # 1 − ν + ν·D = base + rise·λ
    shape = (*columns.shape[:-2], memory.shape[-1])
    products, corners = np.zeros((*shape, r * (r + 1) // 2)), np.zeros((2, *shape, r))
    corner_squares = np.zeros((2, *memory.shape))
    for chunk in _chunks(n):
        inverse = 1 / (base[..., None] + rise[..., None] * chunk.nodes)
        d = level[..., None] + growth[..., None] * chunk.nodes
        part = z[..., chunk.rows]
        products += (d * inverse) @ _products_at_nodes(part, chunk.share).mT
        for parity, weights in enumerate(chunk.corner_shares):
            corner_squares[parity] += inverse @ chunk.corner_squares[parity]
            at_nodes = part[..., _of_parity(parity, chunk.rows.start)] @ weights
            corners[parity] += inverse @ at_nodes.mT
    capacitance = 1 + nu * edge * corner_squares
    logdet = (n - 1) * np.log(short * long) + _logdet(n, base, rise) + np.log(capacitance).sum(0)
    gram = products[..., _square(r)].reshape(*shape, r, r)
    scale = np.sqrt((1 - nu) * edge / capacitance)
    pair = np.stack([f * g[..., None] for f, g in zip(corners, scale, strict=True)], axis=-2)
    gram += pair.mT @ pair
    return gram, np.broadcast_to(logdet, shape)


def _logdet(n: int, base: Array, rise: Array) -> Array:
    """Σ_k log(base + rise·λ_k) over all n frequencies, the log of a Chebyshev polynomial.

    With θ = base/rise = 4·sinh²(φ/2) the polynomial is rise^n·tanh(φ/2)·2·sinh(nφ).
    """
    grown = rise + base / 2 + np.sqrt(base * (rise + base / 4))  # rise·exp(φ)
    with np.errstate(divide="ignore"):
        twice = -4 * n * np.arcsinh(np.sqrt(base / rise) / 2)  # −2nφ
    ends = 0.5 * np.log(base / (base + 4 * rise)) + np.log(-np.expm1(twice))
    return np.asarray(n * np.log(grown) + ends)


def _starts(r: int) -> list[int]:
    """Where the products of each of r columns with those after it start."""
    return [i * r - i * (i - 1) // 2 for i in range(r)]


def _products_at_nodes(rows: Array, share: Array) -> Array:
    """The products of every two of r rows (..., r, c), summed onto nodes (..., r(r + 1)/2, J).

    Row by row: all of them at once would not stay in the cache.
    """
    r, lead = rows.shape[-2], rows.shape[:-2]
    out = np.empty((*lead, r * (r + 1) // 2, share.shape[1]))
    buffer = np.empty(rows.size)
    for i, start in enumerate(_starts(r)):
        shape = (*lead, r - i, rows.shape[-1])
        products = buffer[: math.prod(shape)].reshape(shape)
        np.multiply(rows[..., i:, :], rows[..., i : i + 1, :], out=products)
        summed = products.reshape(-1, shape[-1]) @ share
        out[..., start : start + r - i, :] = summed.reshape(*lead, r - i, -1)
    return out


def _chunks(n: int) -> Iterator[SpectralNodes]:
    """All the frequencies of a run of n rows."""
    return (spectral_nodes(n, start) for start in range(0, n, CHUNK))


@lru_cache(maxsize=256)  # the chunks of a million rows, some 100 MiB
def spectral_nodes(n: int, start: int) -> SpectralNodes:
    """The chunk of frequencies from ``start`` on, at as few nodes as nine digits need.

    The nodes are frequencies, picked by a pivoted QR of the functions 1/(λ + θ) and λ/(λ + θ) for
    poles θ over the whole range. Both are first scaled to a like size at all frequencies, so that
    the interpolation has a small relative error everywhere.
    """
    from scipy.linalg import lstsq, qr

    k = np.arange(start, min(start + CHUNK, n))
    frequency = 4 * np.sin(np.pi * k / (2 * n)) ** 2
    corner = np.sqrt(np.where(k == 0, 2.0, 4.0) / n) * np.cos(np.pi * k / (2 * n))  # of e₁ ± eₙ
    lowest = 4 * np.sin(np.pi / (2 * n)) ** 2
    scale = np.sqrt(np.maximum(frequency, lowest / 10))
    poles = np.exp(np.arange(np.log(lowest / 100), np.log(400), 0.4))[:, None]
    falling = poles / (frequency + poles)
    growing = np.concatenate([falling, 1 - falling]) / scale
    falling = falling * scale
    growing /= growing.max(1, keepdims=True)
    falling /= falling.max(1, keepdims=True)
    candidates = np.unique(np.geomspace(1, len(k), 256).astype(int)) - 1
    triangle, order = qr(growing[:, candidates], mode="r", pivoting=True)
    pivots = np.abs(np.diagonal(triangle))
    picked = candidates[order[: int((pivots > 1e-9 * pivots[0]).sum())]]
    share = lstsq(growing[:, picked], growing)[0] * scale / scale[picked][:, None]
    corner_share = lstsq(falling[:, picked], falling)[0] * scale[picked][:, None] / scale
    halves = [_of_parity(parity, start) for parity in (0, 1)]
    shares = [(corner_share[:, half] * corner[half]).T for half in halves]
    squares = [corner[half] @ part for part, half in zip(shares, halves, strict=True)]
    return SpectralNodes(
        nodes=frequency[picked],
        rows=slice(start, start + len(k)),
        share=np.ascontiguousarray(share.T),
        corner_shares=(shares[0], shares[1]),
        corner_squares=np.array(squares),
    )


def _of_parity(parity: int, start: int) -> slice:
    """The even or the odd frequencies among those from ``start`` on."""
    return slice((parity - start) % 2, None, 2)


@lru_cache(maxsize=64)
def _square(r: int) -> Rows:
    """Where the entries of an r by r matrix are among the products of every two columns."""
    place = np.zeros((r, r), np.intp)
    upper = np.triu_indices(r)
    place[upper] = place.T[upper] = np.arange(len(upper[0]))
    return place.ravel()


def even_path(
    d: Array, level: Array, trend: Array, noise: float
) -> tuple[Array, Array, Callable[[Array], Array]]:
    """dᵀV⁻¹d (G,), log|V| (G,) and averages of V⁻¹d over the G, for second differences d.

    V = θ₂·(I − T/6) + θ₁·T + noise·(T² + e₁e₁ᵀ + eₘeₘᵀ) with T = tridiag(−1, 2, −1), for each of
    the G pairs of θ₁ ``level`` and θ₂ ``trend``; the third answer takes weights of the G pairs.
    """
    z = _sines(d)
    spectrum = cached_path_spectrum if len(d) <= MAX_CACHED else _path_spectrum
    inverse, corners, logdet = spectrum(len(d), level.tobytes(), trend.tobytes(), noise)
    products = [column @ z[parity::2] for parity, (column, _) in enumerate(corners)]
    square = inverse @ z**2
    for product, (_, capacitance) in zip(products, corners, strict=True):
        square -= product**2 / capacitance

    def average(weight: Array) -> Array:
        mean = (weight @ inverse) * z
        for parity, (product, (column, capacitance)) in enumerate(
            zip(products, corners, strict=True)
        ):
            mean[parity::2] -= (weight * product / capacitance) @ column
        return _sines(mean)

    return square, logdet, average


def _path_spectrum(
    m: int, level: bytes, trend: bytes, noise: float
) -> tuple[Array, list[tuple[Array, Array]], Array]:
    """The inverse without the corners (G, m), the corners by parity, and log|V| (G,)."""
    one, two = np.frombuffer(level)[:, None], np.frombuffer(trend)[:, None]
    j = np.arange(1, m + 1)
    tau = 4 * np.sin(np.pi * j / (2 * (m + 1))) ** 2
    corner = np.sqrt(4 / (m + 1)) * np.sin(np.pi * j / (m + 1))  # of (e₁ ± eₘ)/√2
    inverse = 1 / (two * (1 - tau / 6) + one * tau + noise * tau**2)
    logdet, corners = -np.log(inverse).sum(1), []
    for parity in (0, 1):
        half = slice(parity, None, 2)
        column = inverse[:, half] * corner[half]
        capacitance = 1 / noise + column @ corner[half]
        logdet += np.log(noise * capacitance)
        corners.append((column, capacitance))
    return inverse, corners, logdet


cached_path_spectrum = lru_cache(maxsize=16)(_path_spectrum)


def _sines(values: Array) -> Array:
    """The orthonormal sine transform (type I), its own inverse."""
    from scipy.fft import dst

    return np.asarray(dst(values, type=1, norm="ortho"))
