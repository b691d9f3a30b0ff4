"""Evenly spaced, equally weighted rows: cosine and sine transforms in place of banded solves.

The precision of an evenly spaced Ornstein–Uhlenbeck process is a polynomial of the second
difference but for its two corners,

    K = D + c·(e₁e₁ᵀ + eₙeₙᵀ),   D = diag in the cosine basis: ((1 − r)² + r·λ)/(1 − r²),
    c = r/(1 + r),   λ_k = 4·sin²(πk/2n),   r = exp(−h/ℓ)

so one transform of the columns serves every error model, all of them are one matrix product, and
the corners are two numbers each (one for the even and one for the odd frequencies). Every term is
positive: nothing cancels. The same with sines for the second differences of a path.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

__all__ = ["even_grams", "even_path", "evenly_spaced", "sines"]

Array = npt.NDArray[np.float64]

Rows = npt.NDArray[np.intp]

CHUNK = 4096
"""Frequencies taken at once, so that memory does not grow with the run."""

KEPT = 256
"""The longest run whose spectra are kept for the next run of that length; 15 MiB at most."""


def evenly_spaced(step: Array) -> bool:
    """Are all gaps the same, to rounding?"""
    gaps = np.diff(step)
    return bool(len(gaps) and np.ptp(gaps) <= 1e-12 * (abs(step[0]) + abs(step[-1]) + gaps[0]))


@dataclass(frozen=True, eq=False)
class _Spectrum:
    """What some of the frequencies add to Zᵀ Σ⁻¹ Z and log|Σ|, for M error models."""

    share: Array  # (..., M, c) D/(1 − ν + ν·D)
    ends: tuple[Array, Array]  # (..., M, c/2) the same without D, times the corners e₁ ± eₙ
    pins: Array  # (2, ..., M) the corners within it
    logdet: Array  # (..., M)


def even_grams(columns: Array, spacing: float, memory: Array, white: Array) -> tuple[Array, Array]:
    """Zᵀ Σ⁻¹ Z (..., M, r, r) and log|Σ| (..., M) of Σ = (1 − ν)·C(ℓ) + ν·I.

    ``columns`` (..., n, r) of one run or of many; ``memory`` and ``white`` (..., M) of each run, or
    (M,) of all. A memory of 0 means ν = 1.
    """
    from scipy.fft import dct

    n, r = columns.shape[-2:]
    z = dct(columns, type=2, norm="ortho", axis=-2, orthogonalize=True)
    ell, nu = np.where(memory > 0, memory, spacing), np.where(memory > 0, white, 1.0)
    decay = np.exp(-spacing / ell)
    short, long = -np.expm1(-spacing / ell), 1 + decay  # 1 − r, 1 + r
    edge = decay / long
    shape = (*columns.shape[:-2], memory.shape[-1])
    flat, ends = np.zeros((*shape, r * (r + 1) // 2)), np.zeros((2, *shape, r))
    logdet, pins = (n - 1) * np.log(short * long), np.zeros((2, *memory.shape))
    for start in range(0, n, CHUNK):
        if n <= KEPT and memory.ndim == 1:
            spectrum = _kept_spectrum(n, start, spacing, ell.tobytes(), nu.tobytes())
        else:
            spectrum = _spectrum(n, start, spacing, ell, nu)
        zp = z[..., start : start + CHUNK, :]
        flat += spectrum.share @ _products(zp).mT
        logdet += spectrum.logdet
        pins += spectrum.pins
        for parity in (0, 1):
            ends[parity] += spectrum.ends[parity] @ zp[..., _own(parity, start), :]
    tied = 1 + nu * edge * pins
    logdet = logdet + np.log(tied).sum(0)
    gram = flat[..., _square(r)].reshape(*shape, r, r)
    scale = np.sqrt((1 - nu) * edge / tied)
    pair = np.stack([f * g[..., None] for f, g in zip(ends, scale, strict=True)], axis=-2)
    gram += pair.mT @ pair
    return gram, np.broadcast_to(logdet, shape)


def _starts(r: int) -> list[int]:
    """Where the products of each of r columns with those after it start."""
    return [i * r - i * (i - 1) // 2 for i in range(r)]


def _products(z: Array) -> Array:
    """The products of every two columns (..., r(r + 1)/2, c) of z (..., c, r), row by row."""
    rows = np.ascontiguousarray(z.mT)
    r = rows.shape[-2]
    out = np.empty((*rows.shape[:-2], r * (r + 1) // 2, rows.shape[-1]))
    for i, at in enumerate(_starts(r)):
        np.multiply(rows[..., i:, :], rows[..., i : i + 1, :], out=out[..., at : at + r - i, :])
    return out


def _spectrum(n: int, start: int, spacing: float, ell: Array, nu: Array) -> _Spectrum:
    """The frequencies from ``start`` on."""
    k = np.arange(start, min(start + CHUNK, n))
    corner = np.sqrt(np.where(k == 0, 2.0, 4.0) / n) * np.cos(np.pi * k / (2 * n))  # of e₁ ± eₙ
    frequency = 4 * np.sin(np.pi * k / (2 * n)) ** 2
    decay = np.exp(-spacing / ell)
    short, long = -np.expm1(-spacing / ell), 1 + decay  # 1 − r, 1 + r
    d = (short / long)[..., None] + (decay / (short * long))[..., None] * frequency
    inverse = 1 / ((1 - nu)[..., None] + nu[..., None] * d)
    halves = [_own(parity, start) for parity in (0, 1)]
    ends = [inverse[..., own] * corner[own] for own in halves]
    pins = [end @ corner[own] for end, own in zip(ends, halves, strict=True)]
    logdet = -np.log(inverse).sum(-1)
    d *= inverse
    return _Spectrum(d, (ends[0], ends[1]), np.array(pins), logdet)


@lru_cache(maxsize=64)
def _kept_spectrum(n: int, start: int, spacing: float, ell: bytes, nu: bytes) -> _Spectrum:
    """Runs of one length meet the same error models again and again."""
    return _spectrum(n, start, spacing, np.frombuffer(ell), np.frombuffer(nu))


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


def even_path(d: Array, level: Array, trend: Array, noise: float) -> tuple[Array, Array, Array]:
    """dᵀV⁻¹d (G,), log|V| (G,) and the sine transform of V⁻¹d (G, m) for second differences d.

    V = θ₂·(I − T/6) + θ₁·T + noise·(T² + e₁e₁ᵀ + eₘeₘᵀ) with T = tridiag(−1, 2, −1), for each of
    the G pairs of θ₁ ``level`` and θ₂ ``trend``.
    """
    z = sines(d)
    spectrum_of = _kept_path_spectrum if len(d) <= KEPT else _path_spectrum
    inverse, pins, logdet = spectrum_of(len(d), level.tobytes(), trend.tobytes(), noise)
    solved = inverse * z
    for parity, (pinned, tied) in enumerate(pins):
        own = slice(parity, None, 2)
        solved[:, own] -= ((pinned @ z[own]) / tied)[:, None] * pinned
    return solved @ z, logdet, solved


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


def sines(values: Array) -> Array:
    """The orthonormal sine transform (type I), its own inverse."""
    from scipy.fft import dst

    return np.asarray(dst(values, type=1, norm="ortho"))
