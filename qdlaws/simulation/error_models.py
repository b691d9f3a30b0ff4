"""The errors of a simulated run are white noise plus a slow AR(1) part, of unit total variance.

    e = √ν·white + √(1 − ν)·AR(ρ)

The rows are evenly spaced, and ρ is the correlation of the slow part between neighbouring rows.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]


class ErrorModel(NamedTuple):
    """The white share ν of the variance, and the correlation ρ of neighbours in the slow part."""

    white: float
    rho: float


ERROR_MODELS = {
    "rho=0": ErrorModel(1.0, 0.0),
    "rho=.5": ErrorModel(0.0, 0.5),
    "rho=.8": ErrorModel(0.0, 0.8),
    "rho=.95": ErrorModel(0.0, 0.95),
    "mixed A": ErrorModel(0.7, 0.95),
    "mixed B": ErrorModel(0.3, 0.8),
}
"""Four AR(1) models; 70 % white + 30 % AR(.95); 30 % white + 70 % AR(.8)."""


def real_log_errors(n: int) -> ErrorModel:
    """Errors as in real logs: 20 % white, the rest with a memory of 1.5 lengths of the run.

    Learnt by empirical Bayes on the residuals of the laws of 70 published runs.
    """
    return ErrorModel(0.2, float(np.exp(-1 / (1.5 * n))))


MIXED = ("mixed A", "mixed B")
"""The error models with both parts, by name."""


def ar1_series(rng: np.random.Generator, n: int, rho: float) -> Array:
    """A stationary AR(1) series of unit variance. (n,)"""
    from scipy.signal import lfilter

    shocks = rng.standard_normal(n)
    shocks[1:] *= np.sqrt(1 - rho**2)
    return np.asarray(lfilter([1.0], [1.0, -rho], shocks))


def draw_errors(rng: np.random.Generator, n: int, errors: ErrorModel) -> Array:
    """One series of errors of unit variance. (n,)"""
    slow, white = error_parts(rng, n, errors)
    return np.asarray(slow + white)


def error_parts(rng: np.random.Generator, n: int, errors: ErrorModel) -> tuple[Array, Array]:
    """The slow and the white part of one series of errors of unit variance. Each (n,)"""
    slow, white = np.zeros(n), np.zeros(n)
    if errors.white > 0:
        white = np.sqrt(errors.white) * rng.standard_normal(n)
    if errors.white < 1:
        slow = np.sqrt(1 - errors.white) * ar1_series(rng, n, errors.rho)
    return slow, white


def error_covariance(n: int, errors: ErrorModel) -> Array:
    """The covariance of a series of errors of unit variance. (n, n)"""
    distance = np.abs(np.subtract.outer(np.arange(n), np.arange(n)))
    return errors.white * np.eye(n) + (1 - errors.white) * errors.rho**distance
