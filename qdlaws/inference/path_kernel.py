"""The compiled inner loops of paths: of a latent column, and of the slow errors of a run.

They are compiled and kept as those of :mod:`qdlaws.inference.kernel` are, and linear in the rows.
"""

from __future__ import annotations

import numpy as np

from qdlaws.core.types import Array
from qdlaws.inference.kernel import compiled

__all__ = ["average_path", "path_evidence", "smooth_slow_errors"]


@compiled
def _factorise(bands: Array, d: Array, level: float, trend: float, rows: Array) -> float:
    """log|V|, with V = F·diag(1/p)·Fᵀ; ``rows`` (4, m) become p, the off-diagonals of F, and F⁻¹d.

    NaN where V is not positive definite.
    """
    logdet = 0.0
    # 1 over the pivots, a factor and the values of the last two rows
    p1, p2, l1, z1, z2 = 1.0, 1.0, 0.0, 0.0, 0.0
    for i in range(len(d)):
        second = bands[2, 2, i - 2] if i > 1 else 0.0
        first = 0.0
        if i > 0:
            first = level * bands[0, 1, i - 1] + trend * bands[1, 1, i - 1] + bands[2, 1, i - 1]
        pivot = level * bands[0, 0, i] + trend * bands[1, 0, i] + bands[2, 0, i]
        rest = first - second * l1
        f1, f2 = rest * p1, second * p2
        pivot -= f1 * rest + f2 * second
        if not pivot > 0:
            return np.nan
        logdet += np.log(pivot)
        z2, z1 = z1, d[i] - f1 * z1 - f2 * z2
        p2, p1, l1 = p1, 1.0 / pivot, f1
        rows[0, i], rows[1, i], rows[2, i], rows[3, i] = p1, f1, f2, z1
    return logdet


@compiled
def path_evidence(bands: Array, d: Array, level: Array, trend: Array) -> tuple[Array, Array]:
    """dᵀV⁻¹d and log|V| of V = θ₁·L + θ₂·R + N for every pair (θ₁, θ₂).

    ``bands`` (3, 3, m) are L, R and N, each lower banded with two off-diagonals.
    """
    square, logdet = np.empty(len(level)), np.empty(len(level))
    rows = np.zeros((4, len(d)))
    for g in range(len(level)):
        logdet[g] = _factorise(bands, d, level[g], trend[g], rows)
        total = 0.0
        for i in range(len(d)):
            total += rows[3, i] * rows[3, i] * rows[0, i]
        square[g] = total if np.isfinite(logdet[g]) else np.nan
    return square, logdet


@compiled
def average_path(bands: Array, d: Array, level: Array, trend: Array, weight: Array) -> Array:
    """The average of V⁻¹d over the pairs (θ₁, θ₂); weights below a millionth are left out."""
    m = len(d)
    mean, rows, total = np.zeros(m), np.empty((4, m)), 0.0
    for g in range(len(level)):
        if not weight[g] > 1e-6:
            continue
        total += weight[g]
        _factorise(bands, d, level[g], trend[g], rows)
        last, last_but_one = 0.0, 0.0
        for i in range(m - 1, -1, -1):
            value = rows[3, i] * rows[0, i]
            if i + 1 < m:
                value -= rows[1, i + 1] * last
            if i + 2 < m:
                value -= rows[2, i + 2] * last_but_one
            last, last_but_one = value, last
            mean[i] += weight[g] * value
    return mean / total


@compiled
def smooth_slow_errors(
    step: Array, weight: Array, errors: Array, memory: Array, white: Array
) -> tuple[Array, Array]:
    """The mean and variance of the slow part of series of unit errors, given their sums. (D, n)

    A Kalman filter and the Rauch–Tung–Striebel smoother, one error model for each series.
    """
    count, n = errors.shape
    mean, variance = np.zeros((count, n)), np.zeros((count, n))
    decay, ahead = np.zeros(n), np.zeros(n)  # and the variance predicted from the row before
    for d in range(count):
        if memory[d] <= 0:
            continue
        slow = 1.0 - white[d]
        ahead[0], decay[0], value = slow, 0.0, 0.0
        for i in range(n):
            if i > 0:
                decay[i] = np.exp(-(step[i] - step[i - 1]) / memory[d])
                ahead[i] = slow + decay[i] * decay[i] * (variance[d, i - 1] - slow)
            total = ahead[i] + white[d] * weight[i]
            gain = ahead[i] / total if total > 0 else 0.0
            predicted = decay[i] * value
            value = predicted + gain * (errors[d, i] - predicted)
            mean[d, i], variance[d, i] = value, (1.0 - gain) * ahead[i]
        for i in range(n - 2, -1, -1):
            back = decay[i + 1] * variance[d, i] / ahead[i + 1] if ahead[i + 1] > 0 else 0.0
            mean[d, i] += back * (mean[d, i + 1] - decay[i + 1] * mean[d, i])
            variance[d, i] += back * back * (variance[d, i + 1] - ahead[i + 1])
    return mean, variance
