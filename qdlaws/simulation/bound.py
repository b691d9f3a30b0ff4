"""The Cramér–Rao bound of a law: the least standard errors that an unbiased estimate can have.

The bound knows σ and the error model, which a fit has to estimate. Widths of intervals are
measured by it, and the errors of a simulated run are sized by it (:func:`error_size`), so that an
effect is so many standard errors. See Lehmann and Casella, *Theory of Point Estimation*, ch. 2.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from qdlaws.core.law import Law, shape
from qdlaws.simulation.error_models import ErrorModel, error_covariance

Array = npt.NDArray[np.float64]

PATH_FREEDOMS = 6
"""Polynomials of step on which the bound lets a path that is read with noise vary."""

LARGEST_SIGMA = 0.4
"""No simulated errors are larger than this, whatever effect they are sized for."""


class Bound(NamedTuple):
    """Least standard errors of the change q, the curvature κ, and the law at the given x."""

    q: float
    kappa: float
    value: Array


def cramer_rao(
    law: Law, path: Array, sigma: float, errors: ErrorModel, x: Array, x_noise: float = 0.0
) -> Bound:
    """The bound for (p, q, κ) and for the law at ``x``.

    With noise τ in x the path is unknown too: it may vary on a few polynomials B of step. That
    adds F·B·(BᵀB/τ²)⁻¹·Bᵀ·F to the covariance of y, with F = diag(dR/dx).
    """
    n = len(path)
    covariance = sigma**2 * error_covariance(n, errors)
    if x_noise:
        z = np.linspace(-1, 1, n)
        basis, _ = np.linalg.qr(np.polynomial.legendre.legvander(z, PATH_FREEDOMS - 1))
        effect = x_noise * np.ptp(path) * law.slope(path)[:, None] * basis
        covariance += effect @ effect.T
    design = jacobian(law, path)
    params = np.linalg.inv(design.T @ np.linalg.solve(covariance, design))
    gradient = jacobian(law, x)
    value = np.sqrt(np.einsum("ij,jk,ik->i", gradient, params, gradient))
    return Bound(float(np.sqrt(params[1, 1])), float(np.sqrt(params[2, 2])), value)


def jacobian(law: Law, x: Array) -> Array:
    """∂R/∂(p, q, κ) at x. (n, 3)"""
    u, kappa, h = (np.asarray(x) - law.x_lo) / law.width, float(law.kappa), 1e-4
    bend = (shape(kappa + h, u) - shape(kappa - h, u)) / (2 * h)
    return np.column_stack([np.ones_like(u), shape(kappa, u), law.q * bend])


def error_size(
    law: Law, path: Array, errors: ErrorModel, x_noise: float = 0.0, effect: float = 4.0
) -> float:
    """The σ at which κ (of a line: the change q) is ``effect`` standard errors; at most 0.4."""

    def strength(sigma: float) -> float:
        bound = cramer_rao(law, path, sigma, errors, np.zeros(1), x_noise)
        kappa = float(law.kappa)
        return abs(kappa) / bound.kappa if kappa else abs(float(law.q)) / bound.q

    low, high = 1e-6, LARGEST_SIGMA
    if strength(high) >= effect:
        return high
    for _ in range(60):
        middle = np.sqrt(low * high)
        low, high = (middle, high) if strength(middle) > effect else (low, middle)
    return float(low)
