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

import numpy as np
import numpy.typing as npt

__all__ = ["even_grams", "even_path", "evenly_spaced", "sines"]

Array = npt.NDArray[np.float64]

CHUNK = 4096
"""Frequencies taken at once, so that memory does not grow with the run."""


def evenly_spaced(step: Array) -> bool:
    """Are all gaps the same, to rounding?"""
    gaps = np.diff(step)
    return bool(len(gaps) and np.ptp(gaps) <= 1e-12 * (abs(step[0]) + abs(step[-1]) + gaps[0]))


def even_grams(columns: Array, spacing: float, memory: Array, white: Array) -> tuple[Array, Array]:
    """Zᵀ Σ⁻¹ Z (M, r, r) and log|Σ| (M,) of Σ = (1 − ν)·C(ℓ) + ν·I, for ℓ > 0 and ν < 1."""
    from scipy.fft import dct

    n, r = columns.shape
    z = dct(columns, type=2, norm="ortho", axis=0, orthogonalize=True)
    k = np.arange(n)
    corner = np.sqrt(np.where(k == 0, 2.0, 4.0) / n) * np.cos(np.pi * k / (2 * n))  # of e₁ ± eₙ
    frequency = 4 * np.sin(np.pi * k / (2 * n)) ** 2
    decay = np.exp(-spacing / memory)
    short, long = -np.expm1(-spacing / memory), 1 + decay  # 1 − r, 1 + r
    ratio, edge = white / (1 - white), decay / long
    upper = np.triu_indices(r)
    count = len(memory)
    flat, logdet = np.zeros((count, len(upper[0]))), np.zeros(count)
    ends, pins = np.zeros((2, count, r)), np.zeros((2, count))
    for start in range(0, n, CHUNK):
        part = slice(start, start + CHUNK)
        d = short[:, None] / long[:, None] + (decay / (short * long))[:, None] * frequency[part]
        inverse = 1 / (1 + ratio[:, None] * d)
        zp = z[part]
        flat += (d * inverse) @ (zp[:, upper[0]] * zp[:, upper[1]])
        logdet -= np.log(inverse).sum(1)
        for parity in (0, 1):
            own = slice((parity - start) % 2, None, 2)
            pinned = inverse[:, own] * corner[part][own]
            ends[parity] += pinned @ zp[own]
            pins[parity] += pinned @ corner[part][own]
    gram = np.empty((count, r, r))
    gram[:, upper[0], upper[1]] = gram[:, upper[1], upper[0]] = flat
    for f, pin in zip(ends, pins, strict=True):
        tied = 1 + ratio * edge * pin
        gram += (edge / tied)[:, None, None] * f[:, :, None] * f[:, None, :]
        logdet += np.log(tied)
    logdet += (n - 1) * np.log(short * long) + n * np.log1p(-white)
    return gram / (1 - white)[:, None, None], logdet


def even_path(d: Array, level: Array, trend: Array, noise: float) -> tuple[Array, Array, Array]:
    """dᵀV⁻¹d (G,), log|V| (G,) and the sine transform of V⁻¹d (G, m) for second differences d.

    V = θ₂·(I − T/6) + θ₁·T + noise·(T² + e₁e₁ᵀ + eₘeₘᵀ) with T = tridiag(−1, 2, −1), for each of
    the G pairs of θ₁ ``level`` and θ₂ ``trend``.
    """
    m = len(d)
    j = np.arange(1, m + 1)
    tau = 4 * np.sin(np.pi * j / (2 * (m + 1))) ** 2
    corner = np.sqrt(4 / (m + 1)) * np.sin(np.pi * j / (m + 1))  # of (e₁ ± eₘ)/√2
    z = sines(d)
    inverse = 1 / (trend[:, None] * (1 - tau / 6) + level[:, None] * tau + noise * tau**2)
    solved = inverse * z
    logdet = -np.log(inverse).sum(1)
    for parity in (0, 1):
        own = slice(parity, None, 2)
        pinned = inverse[:, own] * corner[own]
        tied = 1 / noise + pinned @ corner[own]
        logdet += np.log(noise * tied)
        solved[:, own] -= ((pinned @ z[own]) / tied)[:, None] * pinned
    return solved @ z, logdet, solved


def sines(values: Array) -> Array:
    """The orthonormal sine transform (type I), its own inverse."""
    from scipy.fft import dst

    return np.asarray(dst(values, type=1, norm="ortho"))
