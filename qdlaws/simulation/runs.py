"""A simulated run follows a known law along a path of x, with errors in quality and noise in x.

x falls from 1.2 to 0.2, fast at first, as entropy and diversity do in real runs.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from qdlaws.core.law import Law
from qdlaws.core.runlog import RunLog
from qdlaws.simulation.error_models import ErrorModel, draw_errors

Array = npt.NDArray[np.float64]

X_LOW, X_HIGH = 0.2, 1.2
"""The range of x of a simulated run, unless another is given."""


class SimulatedRun(NamedTuple):
    """The steps, x and quality of one run, as a trainer would have logged them."""

    step: Array
    x: Array
    y: Array

    def log(self) -> RunLog:
        """The run as a log with x as its diversity."""
        return RunLog(step=self.step, quality=self.y, diversity=self.x)


def true_law(kappa: float, change: float = -1.0, low: float = X_LOW, high: float = X_HIGH) -> Law:
    """The law of curvature κ whose quality changes by ``change`` from x = low to x = high.

    The higher of its two ends has the quality ``abs(change)``, the lower one 0.
    """
    start = 0.0 if change > 0 else -change
    return Law(low, high, np.asarray(kappa), np.asarray(start), np.asarray(change))


def falling_path(n: int, rate: float = 3.0, low: float = X_LOW, high: float = X_HIGH) -> Array:
    """x falling exponentially in step from ``high`` to ``low``, over n rows. (n,)"""
    share = np.linspace(0, 1, n)
    left = (np.exp(-rate * share) - np.exp(-rate)) / -np.expm1(-rate)
    return np.asarray(low + (high - low) * left)


def simulate(
    rng: np.random.Generator,
    law: Law,
    path: Array,
    sigma: float,
    errors: ErrorModel,
    x_noise: float = 0.0,
) -> SimulatedRun:
    """A run along ``path``: errors of size sigma in quality, ``x_noise`` ranges of x in x."""
    y = law.value(path) + sigma * draw_errors(rng, len(path), errors)
    return with_noise_in_x(rng, path, y, x_noise)


def with_noise_in_x(
    rng: np.random.Generator, path: Array, y: Array, x_noise: float
) -> SimulatedRun:
    """The run of this path and quality, x read with a noise of ``x_noise`` ranges of the path."""
    n = len(path)
    x = path + x_noise * np.ptp(path) * rng.standard_normal(n) if x_noise else path
    return SimulatedRun(np.arange(n, dtype=float), x, y)
