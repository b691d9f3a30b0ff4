"""The compiled inner loops of a latent path: a banded factorisation for every pair of variances.

They are compiled and kept as those of :mod:`qdlaws.inference.kernel` are, and linear in the rows.
"""

from __future__ import annotations

import numpy as np

from qdlaws.core.types import Array
from qdlaws.inference.kernel import compiled

__all__ = ["average_path", "path_evidence"]


@compiled
def path_evidence(bands: Array, d: Array, level: Array, trend: Array) -> tuple[Array, Array]:
    """dᵀV⁻¹d and log|V| of V = θ₁·L + θ₂·R + N for every pair (θ₁, θ₂).

    ``bands`` (3, 3, m) are L, R and N, each lower banded with two off-diagonals.
    """
    m = len(d)
    square, logdet = np.empty(len(level)), np.empty(len(level))
    for g in range(len(level)):
        total, log_total = 0.0, 0.0
        d1, d2, l1, z1, z2 = 1.0, 1.0, 0.0, 0.0, 0.0  # pivots, a factor and values of the last rows
        for i in range(m):
            second = bands[2, 2, i - 2] if i > 1 else 0.0
            first = 0.0
            if i > 0:
                first = level[g] * bands[0, 1, i - 1] + trend[g] * bands[1, 1, i - 1]
                first += bands[2, 1, i - 1]
            pivot = level[g] * bands[0, 0, i] + trend[g] * bands[1, 0, i] + bands[2, 0, i]
            f2 = second / d2 if i > 1 else 0.0
            f1 = (first - f2 * d2 * l1) / d1 if i > 0 else 0.0
            pivot -= f1 * f1 * d1 + f2 * f2 * d2
            value = d[i] - f1 * z1 - f2 * z2
            if not pivot > 0:
                total, log_total = np.nan, np.nan
                break
            total += value * value / pivot
            log_total += np.log(pivot)
            d2, d1, l1, z2, z1 = d1, pivot, f1, z1, value
        square[g], logdet[g] = total, log_total
    return square, logdet


@compiled
def average_path(bands: Array, d: Array, level: Array, trend: Array, weight: Array) -> Array:
    """The average of V⁻¹d over the pairs (θ₁, θ₂); weights below a millionth are left out."""
    m = len(d)
    mean = np.zeros(m)
    pivots, first_factor, second_factor, values = (
        np.ones(m),
        np.zeros(m),
        np.zeros(m),
        np.empty(m),
    )
    total = 0.0
    for g in range(len(level)):
        if not weight[g] > 1e-6:
            continue
        total += weight[g]
        for i in range(m):
            f1, f2 = 0.0, 0.0
            pivot = level[g] * bands[0, 0, i] + trend[g] * bands[1, 0, i] + bands[2, 0, i]
            value = d[i]
            if i > 1:
                f2 = bands[2, 2, i - 2] / pivots[i - 2]
                pivot -= f2 * f2 * pivots[i - 2]
                value -= f2 * values[i - 2]
            if i > 0:
                first = level[g] * bands[0, 1, i - 1] + trend[g] * bands[1, 1, i - 1]
                first += bands[2, 1, i - 1]
                if i > 1:
                    first -= f2 * pivots[i - 2] * first_factor[i - 1]
                f1 = first / pivots[i - 1]
                pivot -= f1 * f1 * pivots[i - 1]
                value -= f1 * values[i - 1]
            pivots[i], first_factor[i], second_factor[i], values[i] = pivot, f1, f2, value
        for i in range(m - 1, -1, -1):
            value = values[i] / pivots[i]
            if i + 1 < m:
                value -= first_factor[i + 1] * values[i + 1]
            if i + 2 < m:
                value -= second_factor[i + 2] * values[i + 2]
            values[i] = value
            mean[i] += weight[g] * value
    return mean / total
