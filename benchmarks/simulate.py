"""Simulated runs with a known law: the clock, the law, the errors, the noise in x, and the bound.

One error model for all: a white part and a slow AR(1) part with unit total variance,

    e = √ν·white + √(1 − ν)·AR(ρ)

x runs over [0.2, 1.2] on a clock that spends most of its way early, as entropy does in real runs.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from qdlaws.core.law import Law, shape
from qdlaws.core.runlog import RunLog

Array = npt.NDArray[np.float64]

X_LO, X_HI = 0.2, 1.2
PATH_FREEDOMS = 6
"""Polynomials of step on which the bound lets a path that is read with noise vary."""


class Errors(NamedTuple):
    """White share ν and the correlation ρ of neighbours in the slow part."""

    white: float
    rho: float


ERRORS = {
    "rho=0": Errors(1.0, 0.0),
    "rho=.5": Errors(0.0, 0.5),
    "rho=.8": Errors(0.0, 0.8),
    "rho=.95": Errors(0.0, 0.95),
    "mixed A": Errors(0.7, 0.95),
    "mixed B": Errors(0.3, 0.8),
}
"""Four AR(1) models; 70 % white + 30 % AR(.95); 30 % white + 70 % AR(.8)."""

MIXED = ("mixed A", "mixed B")


class Run(NamedTuple):
    """One simulated run as it would be logged."""

    step: Array
    x: Array
    y: Array

    def log(self) -> RunLog:
        return RunLog(step=self.step, quality=self.y, diversity=self.x)


def true_law(kappa: float, q: float = -1.0) -> Law:
    """The law that changes by q from x = 0.2 to x = 1.2."""
    return Law(X_LO, X_HI, np.float64(kappa), np.float64(0.0 if q > 0 else 1.0), np.float64(q))


def clock(n: int, rate: float = 3.0) -> Array:
    """x falling from 1.2 to 0.2 over the run, fast at first: an exponential in step."""
    s = np.linspace(0, 1, n)
    return X_LO + (np.exp(-rate * s) - np.exp(-rate)) / -np.expm1(-rate)


def slow(rng: np.random.Generator, n: int, rho: float) -> Array:
    """A stationary AR(1) series of unit variance."""
    from scipy.signal import lfilter

    e = rng.standard_normal(n)
    e[1:] *= np.sqrt(1 - rho**2)
    return np.asarray(lfilter([1.0], [1.0, -rho], e))


def draw_errors(rng: np.random.Generator, n: int, errors: Errors) -> Array:
    """One series of errors of unit variance."""
    out = np.zeros(n)
    if errors.white > 0:
        out += np.sqrt(errors.white) * rng.standard_normal(n)
    if errors.white < 1:
        out += np.sqrt(1 - errors.white) * slow(rng, n, errors.rho)
    return out


def covariance(n: int, errors: Errors) -> Array:
    """Of the errors of unit variance. (n, n)"""
    apart = np.abs(np.subtract.outer(np.arange(n), np.arange(n)))
    return errors.white * np.eye(n) + (1 - errors.white) * errors.rho**apart


def simulate(
    rng: np.random.Generator, law: Law, path: Array, sigma: float, errors: Errors, x_noise: float
) -> Run:
    """A run along ``path``; ``x_noise`` is the noise of x in ranges of the path."""
    n = len(path)
    y = law.value(path) + sigma * draw_errors(rng, n, errors)
    x = path + x_noise * np.ptp(path) * rng.standard_normal(n) if x_noise else path
    return Run(np.arange(n, dtype=float), x, y)


class Bound(NamedTuple):
    """Cramér–Rao standard errors with σ and the error model known."""

    q: float
    kappa: float
    value: Array  # of the law at the spots asked for


def cramer_rao(
    law: Law, path: Array, sigma: float, errors: Errors, spots: Array, x_noise: float = 0.0
) -> Bound:
    """The bound for (p, q, κ) and for the law at ``spots``.

    With noise in x the path is unknown too: it may vary on a few polynomials of step, which x
    tells with its noise. That adds F·B·(BᵀB/τ²)⁻¹·Bᵀ·F to the covariance of y, F = diag(dR/dx).
    """
    n = len(path)
    cov = sigma**2 * covariance(n, errors)
    if x_noise:
        z = np.linspace(-1, 1, n)
        basis, _ = np.linalg.qr(np.polynomial.legendre.legvander(z, PATH_FREEDOMS - 1))
        effect = x_noise * np.ptp(path) * law.slope(path)[:, None] * basis
        cov += effect @ effect.T
    design = jacobian(law, path)
    params = np.linalg.inv(design.T @ np.linalg.solve(cov, design))
    at = jacobian(law, spots)
    value = np.sqrt(np.einsum("ij,jk,ik->i", at, params, at))
    return Bound(float(np.sqrt(params[1, 1])), float(np.sqrt(params[2, 2])), value)


def jacobian(law: Law, x: Array) -> Array:
    """∂R/∂(p, q, κ) at x. (n, 3)"""
    u, k, h = (np.asarray(x) - law.x_lo) / law.width, float(law.kappa), 1e-4
    bend = (shape(k + h, u) - shape(k - h, u)) / (2 * h)
    return np.column_stack([np.ones_like(u), shape(k, u), law.q * bend])
