"""The error model of one run: an Ornstein–Uhlenbeck process plus a nugget of white sampling noise.

    Σ(ℓ, ν) = (1 − ν)·C(ℓ) + ν·W,     C_ij = exp(−|t_i − t_j|/ℓ),   W = diag(w)

ℓ is the memory in steps, ν the white share (the nugget of geostatistics; Cressie 1993), w the
relative sampling variances (mean 1). On even steps C is an AR(1). The slow part is Markov, so a
Kalman filter whitens in O(n) at any spacing of the steps (:mod:`qdlaws.inference.kernel`). The
model is reversible in time.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from qdlaws.core.interval import median
from qdlaws.core.types import Array, Rows

__all__ = [
    "Grams",
    "cut_memory",
    "grams",
    "regimes_of",
    "simulate",
    "spike_weights",
]


@dataclass(frozen=True)
class Grams:
    """Gram matrices Zᵀ Σ⁻¹ Z of the columns Z, and log|Σ|, for every pair (ℓ, ν)."""

    gram: Array  # (M, r, r)
    logdet: Array  # (M,)


def grams(
    columns: Array, step: Array, memory: Array, white: Array, weight: Array | None = None
) -> Grams:
    """Gram matrices Zᵀ Σ⁻¹ Z and log|Σ| for each of the M pairs (memory, white).

    ``columns`` is (n, r), ``weight`` the relative sampling variances (n,). A memory of 0 means no
    slow part: Σ = W.
    """
    from qdlaws.inference.kernel import whiten

    n, r = columns.shape
    logdet, products, _, _ = whiten(
        np.ascontiguousarray(step, float),
        np.ones(n) if weight is None else np.ascontiguousarray(weight, float),
        np.ascontiguousarray(columns, float),
        np.empty((n, 0)),
        np.zeros(n),
        np.ascontiguousarray(memory, float),
        np.ascontiguousarray(white, float),
    )
    return Grams(products[:, :r, :r], logdet)


def simulate(
    step: Array,
    memory: Array,
    white: Array,
    weight: Array | None,
    rng: np.random.Generator,
) -> tuple[Array, Array]:
    """The slow and the white part of one series of unit errors for each pair (memory, white).

    Each is (L, n); their sum is the error.
    """
    count, n = len(memory), len(step)
    w = np.ones(n) if weight is None else weight
    with np.errstate(divide="ignore"):
        decay = np.diff(step)[None, :] / np.maximum(memory, 1e-300)[:, None]
    r, s = np.exp(-decay), np.sqrt(-np.expm1(-2 * decay))
    noise = rng.standard_normal((count, n))
    slow = np.empty((count, n))
    slow[:, 0] = noise[:, 0]
    for i in range(1, n):
        slow[:, i] = r[:, i - 1] * slow[:, i - 1] + s[:, i - 1] * noise[:, i]
    sampling = np.sqrt(w) * rng.standard_normal((count, n))
    return np.sqrt(1 - white)[:, None] * slow, np.sqrt(white)[:, None] * sampling


def regimes_of(step: Array, marks: tuple[float, ...]) -> Rows:
    """The number of the regime of each row; a mark starts a new regime."""
    return np.searchsorted(np.asarray(marks, float), step, side="right")


def cut_memory(step: Array, marks: tuple[float, ...]) -> tuple[Array, float]:
    """Steps with a gap at every mark that no memory crosses, and the span without the gaps.

    The gap is a thousand runs long: enough for independence, and few digits of the steps are lost.
    """
    span = float(step[-1] - step[0])
    regime = regimes_of(step, marks)
    return step + 1e3 * span * (regime - regime[0]), span


def spike_weights(series: Array, tails: str = "auto") -> tuple[Array, int]:
    """Factors on the sampling variance that weigh spikes down, and the number of spikes.

    A spike stands out on the same side from the medians of the three rows before and the three
    after it (a steep but smooth stretch does not); z is the smaller of the two distances over the
    robust scale of the rows about their neighbours. The weights are those of a Student t with 4
    degrees of freedom (Lange, Little & Taylor 1989): the variance grows by (4 + z²)/5, and by
    (z/5)⁴ more beyond z = 5. With "auto" all factors are 1 unless some |z| exceeds 5.
    """
    n = len(series)
    if tails == "normal" or n < 8:
        return np.ones(n), 0
    first, last = 2 * series[0] - series[3:0:-1], 2 * series[-1] - series[-2:-5:-1]
    extended = np.concatenate([first, series, last])  # mirrored through both ends
    a, b, c = extended[:-2], extended[1:-1], extended[2:]
    medians = np.maximum(np.minimum(a, b), np.minimum(np.maximum(a, b), c))
    before, after = medians[:n], medians[4:]
    left, right = series - before, series - after
    distance = np.where(left * right > 0, np.minimum(np.abs(left), np.abs(right)), 0.0)
    scale = 1.4826 * median(np.abs(series - (before + after) / 2))
    scale = max(scale, 0.01 * float(np.ptp(series)))
    if scale <= 0:
        return np.ones(n), 0
    z = distance / scale
    spikes = int((z > 5).sum())
    if tails == "auto" and not spikes:
        return np.ones(n), 0
    return np.asarray(np.maximum((4 + z**2) / 5, 1.0) * np.maximum(z / 5, 1.0) ** 4), spikes
