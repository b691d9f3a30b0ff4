"""Evenly spaced, equally weighted rows: cosine and sine transforms in place of banded solves.

The precision of an evenly spaced Ornstein–Uhlenbeck process is a polynomial of the second
difference but for its two corners,

    K = D + c·(e₁e₁ᵀ + eₙeₙᵀ),   D = diag in the cosine basis: ((1 − r)² + r·λ)/(1 − r²),
    c = r/(1 + r),   λ_k = 4·sin²(πk/2n),   r = exp(−h/ℓ)

so one transform of the columns serves every error model, and the corners are two numbers each (one
for the even and one for the odd frequencies). Every term is positive: nothing cancels.

Every error model weighs the frequencies by a smooth function of log λ, (α + βλ)/(γ + δλ), so a few
nodes λ_j tell it at all of them, f(λ_k) = Σ_j W_jk·f(λ_j) to nine digits. The products of the
columns are gathered into these bundles once, and an error model meets thirty numbers, not n.

The same with sines for the second differences of a path.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from qdlaws.core.types import Array, Rows

__all__ = ["KEPT", "even_grams", "even_path", "evenly_spaced"]


CHUNK = 4096
"""Frequencies taken at once, so that memory does not grow with the run."""

KEPT = 256
"""The longest run whose paths and stacks are kept; 15 MiB at most."""


def evenly_spaced(step: Array) -> bool:
    """Are all gaps the same, to rounding?"""
    gaps = np.diff(step)
    return bool(len(gaps) and np.ptp(gaps) <= 1e-12 * (abs(step[0]) + abs(step[-1]) + gaps[0]))


@dataclass(frozen=True, eq=False)
class _Bundles:
    """Some of the frequencies, bundled at J nodes λ."""

    nodes: Array  # (J,)
    rows: slice  # the frequencies
    share: Array  # (c, J) of their products, for functions that grow with λ
    ends: tuple[Array, Array]  # (c/2, J) of the columns, even and odd, times the corners e₁ ± eₙ
    pins: Array  # (2, J) of the corners with themselves


def even_grams(columns: Array, spacing: float, memory: Array, white: Array) -> tuple[Array, Array]:
    """Zᵀ Σ⁻¹ Z (..., M, r, r) and log|Σ| (..., M) of Σ = (1 − ν)·C(ℓ) + ν·I.

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
    flat, ends = np.zeros((*shape, r * (r + 1) // 2)), np.zeros((2, *shape, r))
    pins = np.zeros((2, *memory.shape))
    for b in _bundles(n):
        inverse = 1 / (base[..., None] + rise[..., None] * b.nodes)
        d = level[..., None] + growth[..., None] * b.nodes
        zp = z[..., b.rows]
        flat += (d * inverse) @ _bundled_products(zp, b.share).mT
        for parity, weights in enumerate(b.ends):
            pins[parity] += inverse @ b.pins[parity]
            ends[parity] += inverse @ (zp[..., _own(parity, b.rows.start)] @ weights).mT
    tied = 1 + nu * edge * pins
    logdet = (n - 1) * np.log(short * long) + _logdet(n, base, rise) + np.log(tied).sum(0)
    gram = flat[..., _square(r)].reshape(*shape, r, r)
    scale = np.sqrt((1 - nu) * edge / tied)
    pair = np.stack([f * g[..., None] for f, g in zip(ends, scale, strict=True)], axis=-2)
    gram += pair.mT @ pair
    return gram, np.broadcast_to(logdet, shape)


def _logdet(n: int, base: Array, rise: Array) -> Array:
    """Σ_k log(base + rise·λ_k) over all n frequencies: a Chebyshev polynomial.

    With θ = base/rise = 4·sinh²(φ/2) it is rise^n·tanh(φ/2)·2·sinh(nφ).
    """
    grown = rise + base / 2 + np.sqrt(base * (rise + base / 4))  # rise·exp(φ)
    with np.errstate(divide="ignore"):
        twice = -4 * n * np.arcsinh(np.sqrt(base / rise) / 2)  # −2nφ
    ends = 0.5 * np.log(base / (base + 4 * rise)) + np.log(-np.expm1(twice))
    return np.asarray(n * np.log(grown) + ends)


def _starts(r: int) -> list[int]:
    """Where the products of each of r columns with those after it start."""
    return [i * r - i * (i - 1) // 2 for i in range(r)]


def _bundled_products(rows: Array, share: Array) -> Array:
    """The products of every two of r rows (..., r, c) in bundles (..., r(r + 1)/2, J).

    Row by row: all of them at once would not stay in the cache.
    """
    r, lead = rows.shape[-2], rows.shape[:-2]
    out = np.empty((*lead, r * (r + 1) // 2, share.shape[1]))
    room = np.empty(rows.size)
    for i, at in enumerate(_starts(r)):
        shape = (*lead, r - i, rows.shape[-1])
        some = room[: math.prod(shape)].reshape(shape)
        np.multiply(rows[..., i:, :], rows[..., i : i + 1, :], out=some)
        bundled = some.reshape(-1, shape[-1]) @ share
        out[..., at : at + r - i, :] = bundled.reshape(*lead, r - i, -1)
    return out


def _bundles(n: int) -> Iterator[_Bundles]:
    """All the frequencies of a run of n rows."""
    return (_bundled(n, start) for start in range(0, n, CHUNK))


@lru_cache(maxsize=256)  # the chunks of a million rows, some 100 MiB
def _bundled(n: int, start: int) -> _Bundles:
    """The frequencies from ``start`` on, at as few nodes as nine digits want.

    The nodes are frequencies, picked by pivoting from the weights of poles θ all over the range;
    (λ + σ)/(λ + θ) and 1/(λ + θ) are each brought to a like size at all frequencies first, so
    that every weight is right relative to itself.
    """
    from scipy.linalg import lstsq, qr

    k = np.arange(start, min(start + CHUNK, n))
    frequency = 4 * np.sin(np.pi * k / (2 * n)) ** 2
    corner = np.sqrt(np.where(k == 0, 2.0, 4.0) / n) * np.cos(np.pi * k / (2 * n))  # of e₁ ± eₙ
    least = 4 * np.sin(np.pi / (2 * n)) ** 2
    scale = np.sqrt(np.maximum(frequency, least / 10))
    poles = np.exp(np.arange(np.log(least / 100), np.log(400), 0.4))[:, None]
    falling = poles / (frequency + poles)
    growing = np.concatenate([falling, 1 - falling]) / scale
    falling = falling * scale
    growing /= growing.max(1, keepdims=True)
    falling /= falling.max(1, keepdims=True)
    few = np.unique(np.geomspace(1, len(k), 256).astype(int)) - 1
    triangle, order = qr(growing[:, few], mode="r", pivoting=True)
    pivots = np.abs(np.diagonal(triangle))
    at = few[order[: int((pivots > 1e-9 * pivots[0]).sum())]]
    share = lstsq(growing[:, at], growing)[0] * scale / scale[at][:, None]
    other = lstsq(falling[:, at], falling)[0] * scale[at][:, None] / scale
    halves = [_own(parity, start) for parity in (0, 1)]
    ends = [(other[:, own] * corner[own]).T for own in halves]
    pins = [corner[own] @ end for end, own in zip(ends, halves, strict=True)]
    rows = slice(start, start + len(k))
    return _Bundles(
        frequency[at], rows, np.ascontiguousarray(share.T), (ends[0], ends[1]), np.array(pins)
    )


def _own(parity: int, start: int) -> slice:
    """The even or the odd frequencies among those from ``start`` on."""
    return slice((parity - start) % 2, None, 2)


@lru_cache(maxsize=64)
def _square(r: int) -> Rows:
    """Where the entries of an r by r matrix are among the products of every two columns."""
    at = np.zeros((r, r), np.intp)
    upper = np.triu_indices(r)
    at[upper] = at.T[upper] = np.arange(len(upper[0]))
    return at.ravel()


def even_path(
    d: Array, level: Array, trend: Array, noise: float
) -> tuple[Array, Array, Callable[[Array], Array]]:
    """dᵀV⁻¹d (G,), log|V| (G,) and averages of V⁻¹d over the G, for second differences d.

    V = θ₂·(I − T/6) + θ₁·T + noise·(T² + e₁e₁ᵀ + eₘeₘᵀ) with T = tridiag(−1, 2, −1), for each of
    the G pairs of θ₁ ``level`` and θ₂ ``trend``.
    """
    z = _sines(d)
    spectrum_of = _kept_path_spectrum if len(d) <= KEPT else _path_spectrum
    inverse, pins, logdet = spectrum_of(len(d), level.tobytes(), trend.tobytes(), noise)
    seen = [pinned @ z[parity::2] for parity, (pinned, _) in enumerate(pins)]
    square = inverse @ z**2
    for at, (_, tied) in zip(seen, pins, strict=True):
        square -= at**2 / tied

    def solved(weight: Array) -> Array:
        average = (weight @ inverse) * z
        for parity, (at, (pinned, tied)) in enumerate(zip(seen, pins, strict=True)):
            average[parity::2] -= (weight * at / tied) @ pinned
        return _sines(average)

    return square, logdet, solved


def _path_spectrum(
    m: int, level: bytes, trend: bytes, noise: float
) -> tuple[Array, list[tuple[Array, Array]], Array]:
    """The inverse without the corners (G, m), the corners by parity, and log|V| (G,)."""
    one, two = np.frombuffer(level)[:, None], np.frombuffer(trend)[:, None]
    j = np.arange(1, m + 1)
    tau = 4 * np.sin(np.pi * j / (2 * (m + 1))) ** 2
    corner = np.sqrt(4 / (m + 1)) * np.sin(np.pi * j / (m + 1))  # of (e₁ ± eₘ)/√2
    inverse = 1 / (two * (1 - tau / 6) + one * tau + noise * tau**2)
    logdet, pins = -np.log(inverse).sum(1), []
    for parity in (0, 1):
        own = slice(parity, None, 2)
        pinned = inverse[:, own] * corner[own]
        tied = 1 / noise + pinned @ corner[own]
        logdet += np.log(noise * tied)
        pins.append((pinned, tied))
    return inverse, pins, logdet


_kept_path_spectrum = lru_cache(maxsize=16)(_path_spectrum)


def _sines(values: Array) -> Array:
    """The orthonormal sine transform (type I), its own inverse."""
    from scipy.fft import dst

    return np.asarray(dst(values, type=1, norm="ortho"))
