"""The compiled inner loops: whitening by a Kalman filter, least squares, drawing.

Numba compiles them on their first call, within some ten seconds, and keeps the result on disk
(beside this file, or in the user's cache folder where that is read-only). Every loop works at any
spacing of the steps and with any weights, in time and memory proportional to the rows.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numba
import numpy as np

from qdlaws.core.types import Array, Rows

__all__ = [
    "announce",
    "compiled",
    "draw_laws",
    "fit_grid",
    "fit_pairs",
    "integrate_nuisance",
    "whiten",
]

logger = logging.getLogger("qdlaws")

RIDGE = 1e-9
"""Keeps equal columns from being singular."""


def compiled(function: Callable[..., Any]) -> Any:
    """The function, compiled on its first call; on disk where a folder for that can be written."""
    options: dict[str, Any] = {"nogil": True, "fastmath": {"contract"}, "error_model": "numpy"}
    try:
        return numba.njit(cache=True, **options)(function)
    except RuntimeError:  # no folder can be written: compiled anew in every process
        return numba.njit(**options)(function)


@cache
def announce() -> None:
    """Says once in a process, in one line, that a first compilation takes some seconds."""
    folder = getattr(getattr(whiten, "_cache", None), "cache_path", None)
    if folder is None or not any(Path(folder).glob("kernel.whiten-*.nbi")):
        logger.warning("qdlaws compiles its inner loops, once: about ten seconds")


@compiled
def whiten(
    step: Array,
    weight: Array,
    base: Array,
    shapes: Array,
    share: Array,
    memory: Array,
    white: Array,
) -> tuple[Array, Array, Array, Array]:
    """Inner products under Σ⁻¹ of columns and of shapes, for every error model.

    Σ = (1 − ν)·C(ℓ) + ν·W is that of :mod:`qdlaws.inference.error_model`; a Kalman filter of its
    one state, the slow error, turns each column into its innovations, whose products are summed.
    After the columns of ``base`` (n, b) comes one more, the covariance of the readings with the
    mean of the slow error over the run, Σ_j share_j·(1 − ν)·C_ij.

    Returns log|Σ| (M,), the products of these b + 1 columns with themselves and with the shapes
    (M, b + 1, b + 1 + K), those of each shape with itself (M, K), and the variance of the mean of
    the slow error (M,).
    """
    n, width = base.shape
    count, models = shapes.shape[1], len(memory)
    b = width + 1
    logdet, mean_variance = np.empty(models), np.zeros(models)
    products, squares = np.empty((models, b, b + count)), np.zeros((models, count))
    columns, whitened = np.zeros((n, b + count)), np.empty((n, b + count))
    columns[:, :width], columns[:, b:] = base, shapes
    decay, mean_covariance = np.zeros(n), np.empty(n)
    left, state = np.empty((b, n)), np.empty(b + count)
    for m in range(models):
        slow = 1.0 - white[m] if memory[m] > 0 else 0.0
        nugget = white[m] if memory[m] > 0 else 1.0
        if m == 0 or memory[m] != memory[m - 1]:
            last_gap, r = -1.0, 0.0
            for i in range(1, n):
                gap = step[i] - step[i - 1]
                if gap != last_gap:
                    r = np.exp(-gap / memory[m]) if memory[m] > 0 else 0.0
                    last_gap = gap
                decay[i] = r
            # Σ_j share_j·exp(−|t_i − t_j|/ℓ): the rows before and the rows after
            r = 0.0
            for i in range(n):
                r = decay[i] * r + share[i]
                mean_covariance[i] = r
            r = 0.0
            for i in range(n - 2, -1, -1):
                r = decay[i + 1] * (r + share[i + 1])
                mean_covariance[i] += r
        for i in range(n):
            columns[i, width] = slow * mean_covariance[i]
            mean_variance[m] += share[i] * columns[i, width]
        variance, logdeterminant = slow, 0.0
        state[:] = 0.0
        square = squares[m]
        for i in range(n):
            r = decay[i]
            if i > 0:
                variance = r * r * variance + slow * (1.0 - r * r)
            total = variance + nugget * weight[i]
            gain, scale = variance / total, 1.0 / np.sqrt(total)
            logdeterminant += np.log(total)
            variance *= 1.0 - gain
            for c in range(b + count):
                predicted = r * state[c]
                innovation = columns[i, c] - predicted
                state[c] = predicted + gain * innovation
                whitened[i, c] = scale * innovation
            for c in range(b):
                left[c, i] = whitened[i, c]
            for k in range(count):
                square[k] += whitened[i, b + k] * whitened[i, b + k]
        logdet[m] = logdeterminant
        np.dot(left, whitened, products[m])
    return logdet, products, squares, mean_variance


@compiled
def integrate_nuisance(
    logdet: Array,
    products: Array,
    squares: Array,
    nuisances: int,
    dof: float,
    every: int,
    tolerance: float,
) -> None:
    """Integrates the first ``nuisances`` base columns N out, in place: Σ + N·Nᵀ/σ².

    The scale σ² is that of the best of every ``every``-th shape under each error model, from a
    short iteration. Next among the base columns are a constant and the readings.
    """
    models, b, _ = products.shape
    count = squares.shape[1]
    j0 = nuisances
    root = np.zeros((j0, j0))
    left, left_shapes = np.zeros((j0, b)), np.zeros((j0, count))
    for m in range(models):
        floor = 0.0
        for j in range(j0):
            floor = max(floor, 1e-14 * products[m, j, j])
        left[:] = 0.0  # the first scale is that of the readings with all their nuisances
        left_shapes[:] = 0.0
        sigma2, added = np.inf, 0.0
        for _ in range(8):
            best = _best_rss(m, j0, products, squares, left, left_shapes, every)
            scale = max(best / dof, floor) if best < np.inf else products[m, j0 + 1, j0 + 1] / dof
            if abs(np.log(scale / sigma2)) < tolerance:
                break
            sigma2, added = scale, 0.0
            for i in range(j0):
                for j in range(i):
                    value = products[m, i, j]
                    for k in range(j):
                        value -= root[i, k] * root[j, k]
                    root[i, j] = value / root[j, j]
                least = 1e-12 * products[m, i, i] + 1e-300
                pivot = products[m, i, i] + sigma2
                for k in range(i):
                    pivot -= root[i, k] * root[i, k]
                root[i, i] = np.sqrt(max(pivot, least))
                added += 2.0 * np.log(root[i, i]) - np.log(sigma2)
                for c in range(j0, b):
                    value = products[m, i, c]
                    for k in range(i):
                        value -= root[i, k] * left[k, c]
                    left[i, c] = value / root[i, i]
                for k in range(count):
                    left_shapes[i, k] = products[m, i, b + k]
                for j in range(i):
                    for k in range(count):
                        left_shapes[i, k] -= root[i, j] * left_shapes[j, k]
                for k in range(count):
                    left_shapes[i, k] /= root[i, i]
        logdet[m] += added
        for i in range(j0):
            for c in range(j0, b):
                for d in range(j0, b):
                    products[m, c, d] -= left[i, c] * left[i, d]
                for k in range(count):
                    products[m, c, b + k] -= left[i, c] * left_shapes[i, k]
            for k in range(count):
                squares[m, k] -= left_shapes[i, k] * left_shapes[i, k]


@compiled
def _best_rss(
    m: int,
    j0: int,
    products: Array,
    squares: Array,
    left: Array,
    left_shapes: Array,
    every: int,
) -> float:
    """The smallest residual sum of squares among some of the shapes, without the nuisances."""
    b = products.shape[1]
    one, y1, yy = products[m, j0, j0], products[m, j0, j0 + 1], products[m, j0 + 1, j0 + 1]
    total = yy
    for i in range(j0):
        one -= left[i, j0] * left[i, j0]
        y1 -= left[i, j0] * left[i, j0 + 1]
        yy -= left[i, j0 + 1] * left[i, j0 + 1]
    best = np.inf
    for k in range(0, squares.shape[1], every):
        g1, gy, gg = products[m, j0, b + k], products[m, j0 + 1, b + k], squares[m, k]
        for i in range(j0):
            g1 -= left[i, j0] * left_shapes[i, k]
            gy -= left[i, j0 + 1] * left_shapes[i, k]
            gg -= left_shapes[i, k] * left_shapes[i, k]
        det = one * gg - g1 * g1
        if det > 0:
            q = (one * gy - g1 * y1) / det
            best = min(best, max(yy - (y1 - q * g1) / one * y1 - q * gy, 1e-14 * total))
    return best


@compiled
def fit_grid(
    logdet: Array,
    products: Array,
    squares: Array,
    nuisances: int,
    dof: float,
    logprior: Array,
    nugget: Array,
    nugget_dof: float,
) -> tuple[Array, Array]:
    """The generalised least-squares fit of every error model and shape, and its log evidence.

    ``logprior`` (M, K) is that of the nodes; ``nugget`` (M,) the known size of the nugget in units
    of σ², 0 where none is known. The fields (7, M, K) are S, p, q, pp, pq, qq in units of σ², and
    the product of each shape with the mean slow error.
    """
    models, count = squares.shape
    fields, evidence = np.empty((7, models, count)), np.empty((models, count))
    j, b = nuisances, products.shape[1]
    for m in range(models):
        one, y1, yy = products[m, j, j], products[m, j, j + 1], products[m, j + 1, j + 1]
        known = nugget[m] > 0.0
        added = nugget_dof * nugget[m] if known else 0.0
        strength = dof + nugget_dof if known else dof
        base = -0.5 * logdet[m] + (0.5 * nugget_dof * np.log(nugget[m]) if known else 0.0)
        for k in range(count):
            g1, gy = products[m, j, b + k], products[m, j + 1, b + k]
            det = one * squares[m, k] - g1 * g1
            q = (one * gy - g1 * y1) / det
            p = (y1 - q * g1) / one
            rss = max(yy - p * y1 - q * gy, 1e-14 * yy) + added
            value = base + logprior[m, k] - 0.5 * (np.log(det) + strength * np.log(rss))
            evidence[m, k] = value if np.isfinite(value) else -np.inf
            fields[0, m, k], fields[1, m, k], fields[2, m, k] = rss, p, q
            fields[3, m, k], fields[4, m, k] = squares[m, k] / det, -g1 / det
            fields[5, m, k], fields[6, m, k] = one / det, products[m, j + 2, b + k]
    return fields, evidence


@compiled
def fit_pairs(logdet: Array, products: Array, squares: Array, n: int) -> tuple[Array, Array]:
    """Least squares on a constant and each shape, alone and beside each of the first base columns.

    The base columns of :func:`whiten` are A columns, a constant and the readings (n,). Returns the
    residual sums of squares of each shape alone (M, K), and the fields (7, M, A, K) of the pairs:
    both coefficients, their variances and covariance for unit errors, the residual sum of squares,
    and the logarithm of the likelihood with the coefficients and the size of the errors integrated
    out.
    """
    models, b, _ = products.shape
    j, count = b - 3, squares.shape[1]
    alone, pairs = np.empty((models, count)), np.empty((7, models, j, count))
    for m in range(models):
        gram, one = products[m], products[m, j, j]
        y1 = gram[j + 1, j] / one
        yy = gram[j + 1, j + 1] - y1 * gram[j + 1, j]
        for k in range(count):
            g1 = gram[j, b + k] / one
            gg = squares[m, k] - g1 * gram[j, b + k]
            gy = gram[j + 1, b + k] - y1 * gram[j, b + k]
            alone[m, k] = max(yy - gy * gy / max(gg, 1e-300), 1e-12 * yy)
            for a in range(j):
                aa = (gram[a, a] - gram[a, j] * gram[a, j] / one) * (1 + RIDGE)
                ay, ag = gram[a, j + 1] - y1 * gram[a, j], gram[a, b + k] - g1 * gram[a, j]
                bb = gg * (1 + RIDGE)
                # of two equal columns, or where one is constant, next to nothing is left
                det = max(aa * bb - ag * ag, RIDGE * aa * bb + 1e-200)
                first, second = (ay * bb - gy * ag) / det, (gy * aa - ay * ag) / det
                rss = max(yy - first * ay - second * gy, 1e-12 * yy)
                pairs[0, m, a, k], pairs[1, m, a, k] = first, second
                pairs[2, m, a, k], pairs[3, m, a, k] = bb / det, aa / det
                pairs[4, m, a, k], pairs[5, m, a, k] = -ag / det, rss
                terms = logdet[m] + np.log(one) + np.log(det) + (n - 3) * np.log(rss)
                pairs[6, m, a, k] = -terms / 2
    return alone, pairs


@compiled
def draw_laws(
    weight: Array,
    kappa: Array,
    fields: Array,
    mean_one: Array,
    mean_y: Array,
    mean_variance: Array,
    points: Array,
) -> tuple[Array, Rows]:
    """Draws of κ, p, q, σ and the run's mean slow error, and the error model of each.

    First κ from its marginal distribution (linear between nodes), then the error model given κ,
    then the rest: in that order no draw depends on the rounding of a small cell. ``fields`` are
    RSS, p, q, their (co)variances pp, pq, qq in units of σ², and the product of the shape with the
    mean slow error, each (M, K); ``points`` (6, D) are two uniforms, the first in order, a χ² and
    three normals.
    """
    models, nodes = weight.shape
    count, straight, intervals = points.shape[1], nodes == 1, max(nodes - 1, 1)
    out, model = np.empty((5, count)), np.empty(count, np.intp)
    cumulative = np.empty(models)
    values = np.empty(7)
    total = 0.0
    masses = np.zeros(intervals)
    for k in range(intervals):
        for m in range(models):
            right = k if straight else k + 1
            if fields[5, m, k] > 0 and fields[5, m, right] > 0:
                masses[k] += weight[m, k] + weight[m, right]
        if not straight:
            masses[k] *= kappa[k + 1] - kappa[k]
        total += masses[k]
    below, d = 0.0, 0
    for k in range(intervals):
        right = k if straight else k + 1
        share = masses[k] / total
        if share <= 0.0 and k < intervals - 1:
            continue
        running = 0.0
        for m in range(models):
            if fields[5, m, k] > 0 and fields[5, m, right] > 0:
                running += weight[m, k] + weight[m, right]
            cumulative[m] = running
        while d < count and (points[0, d] <= below + share or k == intervals - 1):
            f = min(max((points[0, d] - below) / max(share, 1e-300), 0.0), 1.0)
            target = points[1, d] * running
            low, high = 0, models - 1
            while low < high:
                middle = (low + high) // 2
                if cumulative[middle] < target:
                    low = middle + 1
                else:
                    high = middle
            m = low
            for field in range(7):
                start = fields[field, m, k]
                values[field] = start + f * (fields[field, m, right] - start)
            sigma = np.sqrt(values[0] / points[2, d])
            deviation = np.sqrt(values[5])
            rest = np.sqrt(max(values[3] - values[4] * values[4] / values[5], 0.0))
            q = values[2] + sigma * deviation * points[3, d]
            p = values[1] + sigma * (values[4] / deviation * points[3, d] + rest * points[4, d])
            out[0, d] = kappa[k] + f * (kappa[right] - kappa[k])
            out[1, d], out[2, d], out[3, d] = p, q, sigma
            slow_mean = mean_y[m] - p * mean_one[m] - q * values[6]
            out[4, d] = slow_mean + sigma * np.sqrt(max(mean_variance[m], 0.0)) * points[5, d]
            model[d] = m
            d += 1
        below += share
    return out, model
