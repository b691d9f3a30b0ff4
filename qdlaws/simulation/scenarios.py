"""Kinds of runs, with a law and without one, and the verdict that each deserves.

``SCENARIOS`` keep to the assumptions of a fit: where there is a law, its errors are sized so that
its effect (the curvature of a curved law, the change of a straight one) is four or six Cramér–Rao
standard errors. ``MISFITS`` do not: errors as in real logs, walks, drifts, jumps, hinges, humps,
quantised quality, evaluations at powers of a number, and runs that are over before they end.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import numpy as np
import numpy.typing as npt

from qdlaws.simulation.bound import error_size
from qdlaws.simulation.error_models import (
    ErrorModel,
    ar1_series,
    draw_errors,
    real_log_errors,
)
from qdlaws.simulation.runs import X_LOW, SimulatedRun, falling_path, true_law, with_noise_in_x

Array = npt.NDArray[np.float64]
Series = Callable[[np.random.Generator, int, ErrorModel, float], tuple[Array, Array]]
"""(rng, rows, errors, noise in x) → the path of x and the quality along it."""

EFFECT = 4.0
"""Standard errors of the effect of a law, unless the scenario's name says otherwise."""


@dataclass(frozen=True)
class Scenario:
    """How the runs of one kind come about, and their right verdict (None: there is no telling)."""

    series: Series
    verdict: str | None
    steps: Callable[[int], Array] | None = None

    def run(
        self, rng: np.random.Generator, n: int, errors: ErrorModel, x_noise: float = 0.0
    ) -> SimulatedRun:
        """One run of n rows, x read with a noise of ``x_noise`` ranges."""
        path, y = self.series(rng, n, errors, x_noise)
        run = with_noise_in_x(rng, path, y, x_noise)
        return run if self.steps is None else run._replace(step=self.steps(n))


def _law(
    kappa: float, change: float = -1.0, rising: bool = False, effect: float = EFFECT
) -> Series:
    """Runs along a law whose effect is so many standard errors."""
    law = true_law(kappa, change)

    def path(n: int) -> Array:
        return falling_path(n)[::-1] if rising else falling_path(n)

    @cache
    def sigma(n: int, errors: ErrorModel, x_noise: float) -> float:
        return error_size(law, path(n), errors, x_noise, effect)

    def series(
        rng: np.random.Generator, n: int, errors: ErrorModel, x_noise: float
    ) -> tuple[Array, Array]:
        x = path(n)
        return x, law.value(x) + sigma(n, errors, x_noise) * draw_errors(rng, n, errors)

    return series


def _flat(
    rng: np.random.Generator, n: int, errors: ErrorModel, x_noise: float
) -> tuple[Array, Array]:
    """Quality that does not change."""
    return falling_path(n), draw_errors(rng, n, errors)


def _spiky(
    rng: np.random.Generator, n: int, errors: ErrorModel, x_noise: float
) -> tuple[Array, Array]:
    """A line with errors of 5 % of its change and, in 3 % of the rows, spikes of 80 %."""
    path = falling_path(n)
    spikes = (rng.random(n) < 0.03) * 0.8 * rng.standard_normal(n)
    return path, true_law(0.0).value(path) + 0.05 * draw_errors(rng, n, errors) + spikes


def _walks(white: float) -> Series:
    """Two independent random walks; y with white noise of so many of its steps, and errors."""

    def series(
        rng: np.random.Generator, n: int, errors: ErrorModel, x_noise: float
    ) -> tuple[Array, Array]:
        x, y = np.cumsum(rng.standard_normal((2, n)), axis=1)
        disturbance = 0.05 * np.ptp(y) * draw_errors(rng, n, errors)
        return x, y + white * rng.standard_normal(n) + disturbance

    return series


def _two_stationary_series(
    rng: np.random.Generator, n: int, errors: ErrorModel, x_noise: float
) -> tuple[Array, Array]:
    """Two independent series that go nowhere."""
    return ar1_series(rng, n, 0.8), draw_errors(rng, n, errors)


def _two_saturating_series(
    rng: np.random.Generator, n: int, errors: ErrorModel, x_noise: float
) -> tuple[Array, Array]:
    """Two unrelated series that both saturate, each at its rate: an association without a cause."""
    y = -np.expm1(-rng.uniform(2, 8) * np.linspace(0, 1, n))
    return falling_path(n), y + 0.05 * draw_errors(rng, n, errors)


SCENARIOS = {
    "concave": Scenario(_law(2.0), "concave"),
    "convex": Scenario(_law(-2.0), "convex"),
    "linear": Scenario(_law(0.0), "linear"),
    "concave, 6 s.e.": Scenario(_law(2.0, effect=6.0), "concave"),
    "convex, 6 s.e.": Scenario(_law(-2.0, effect=6.0), "convex"),
    "linear, 6 s.e.": Scenario(_law(0.0, effect=6.0), "linear"),
    "both rise": Scenario(_law(0.0, change=1.0), "unsupported"),
    "R falls, H rises": Scenario(_law(2.0, rising=True), "concave"),
    "flat": Scenario(_flat, "unsupported"),
    "spiky line": Scenario(_spiky, "linear"),
    "random walks": Scenario(_walks(0.0), "unsupported"),
    "walk + white noise": Scenario(_walks(2.0), "unsupported"),
    "two AR(1) series": Scenario(_two_stationary_series, "unsupported"),
    "unrelated clocks": Scenario(_two_saturating_series, None),
}
"""Runs with a law and without one, by name."""


# ---------------------------------------------------------------------- runs that break assumptions

SMALL_ERROR = 0.12
"""Errors over the change of the law: the median of published runs."""

DRIFT, JUMP = 2.5, 1.5
"""The length of a drift and the size of a jump, in standard deviations of the white errors."""

Disturbance = Callable[[np.random.Generator, int], Array]
"""(rng, rows) → errors about a law, of a size near 1."""


def _as_in_real_logs(rng: np.random.Generator, n: int) -> Array:
    return draw_errors(rng, n, real_log_errors(n))


def _random_walk(rng: np.random.Generator, n: int) -> Array:
    return np.asarray(np.cumsum(rng.standard_normal(n)) / np.sqrt(n))


def _drift(rng: np.random.Generator, n: int) -> Array:
    """White errors on a ramp in step, up or down."""
    ramp = DRIFT * rng.choice([-1.0, 1.0]) * np.linspace(0, 1, n)
    return np.asarray(rng.standard_normal(n) + ramp)


def _jump(rng: np.random.Generator, n: int) -> Array:
    """White errors and a jump, up or down, in the middle three fifths of the run."""
    after = np.linspace(0, 1, n) > rng.uniform(0.2, 0.8)
    return np.asarray(rng.standard_normal(n) + JUMP * rng.choice([-1.0, 1.0]) * after)


def _disturbed(disturbance: Disturbance, change: float) -> Series:
    """A straight law (flat where ``change`` is 0) with these errors."""

    def series(
        rng: np.random.Generator, n: int, errors: ErrorModel, x_noise: float
    ) -> tuple[Array, Array]:
        path = falling_path(n)
        return path, true_law(0.0, change).value(path) + SMALL_ERROR * disturbance(rng, n)

    return series


def _shaped(shape: Callable[[Array], Array], error: float = SMALL_ERROR) -> Series:
    """Quality as a function of u, the place of x in its range, with errors."""

    def series(
        rng: np.random.Generator, n: int, errors: ErrorModel, x_noise: float
    ) -> tuple[Array, Array]:
        path = falling_path(n)
        u = (path - path.min()) / np.ptp(path)
        return path, shape(u) + error * draw_errors(rng, n, errors)

    return series


def _quantised(change: float, levels: int = 16) -> Series:
    """A straight law, read as the share of ``levels`` questions that were answered."""

    def series(
        rng: np.random.Generator, n: int, errors: ErrorModel, x_noise: float
    ) -> tuple[Array, Array]:
        path = falling_path(n)
        y = true_law(0.0, change).value(path) + SMALL_ERROR * draw_errors(rng, n, errors)
        return path, np.round(levels * y) / levels

    return series


def _log_steps(change: float) -> Series:
    """A straight law, evaluated at steps that grow by a constant factor."""

    def series(
        rng: np.random.Generator, n: int, errors: ErrorModel, x_noise: float
    ) -> tuple[Array, Array]:
        place = log_steps(n)
        place = (place - place[0]) / np.ptp(place)
        path = np.interp(place, np.linspace(0, 1, 1001), falling_path(1001))
        return path, true_law(0.0, change).value(path) + SMALL_ERROR * draw_errors(rng, n, errors)

    return series


MOVING, QUIET = 0.4, 0.1
"""The share of a run that moves before it stands still, and the errors in the rest over its own."""


def _standing_still(change: float, collapsed: bool = False) -> Series:
    """A law that is over after two fifths of the run; the rest is quiet, or x and quality are lost.

    The law is straight, flat where ``change`` is 0.
    """

    def series(
        rng: np.random.Generator, n: int, errors: ErrorModel, x_noise: float
    ) -> tuple[Array, Array]:
        moves = np.arange(n) < int(MOVING * n)
        path = np.full(n, X_LOW)
        path[moves] = falling_path(int(moves.sum()))
        quality = true_law(0.0, change).value(path)
        if collapsed:
            path[~moves], quality[~moves] = 0.1 * X_LOW, -0.5
        path += 0.005 * rng.standard_normal(n)
        size = SMALL_ERROR * np.where(moves, 1.0, QUIET)
        return path, quality + size * draw_errors(rng, n, errors)

    return series


def log_steps(n: int) -> Array:
    """n steps from 1 to 1,000 that grow by a constant factor."""
    return np.geomspace(1.0, 1000.0, n)


DISTURBANCES: dict[str, Disturbance] = {
    "as real logs": _as_in_real_logs,
    "random walk": _random_walk,
    "drift": _drift,
    "jump": _jump,
}

MISFITS = {
    **{f"flat, {k}": Scenario(_disturbed(d, 0.0), "unsupported") for k, d in DISTURBANCES.items()},
    **{f"line, {k}": Scenario(_disturbed(d, -1.0), "linear") for k, d in DISTURBANCES.items()},
    "hinge": Scenario(_shaped(lambda u: 1 - np.maximum(u - 0.5, 0) * 2), "concave"),
    "hump": Scenario(_shaped(lambda u: 1 - (2 * u - 1) ** 2), "peaked"),
    "flat, quantised": Scenario(_quantised(0.0), "unsupported"),
    "line, quantised": Scenario(_quantised(-1.0), "linear"),
    "flat, log steps": Scenario(_log_steps(0.0), "unsupported", log_steps),
    "line, log steps": Scenario(_log_steps(-1.0), "linear", log_steps),
    "flat, quiet plateau": Scenario(_standing_still(0.0), "unsupported"),
    "line, quiet plateau": Scenario(_standing_still(-1.0), "linear"),
    "flat, collapse": Scenario(_standing_still(0.0, collapsed=True), "unsupported"),
    "line, collapse": Scenario(_standing_still(-1.0, collapsed=True), "linear"),
}
"""Runs that break an assumption of a fit, by name."""
