"""Nominal 95 % bands of this run's law hold it in a few simulated cells, 40 runs of each.

The full version, over seventy cells beside its peers, is benchmarks/law_coverage.py.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pytest

import qdlaws as qd
from qdlaws import simulation as sim

RUNS = 40
X = np.array([0.7, 0.25, 1.15])
"""The middle of the observed range, and near its two ends."""


class Cell(NamedTuple):
    """A kind of simulated run, the coverage wanted of it, and the widest band allowed.

    Widths are in standard deviations of the errors.
    """

    n: int
    kappa: float
    sigma: float
    errors: str
    x_noise: float
    least: float
    widest: float


CELLS = [
    Cell(20, 2.0, 0.05, "rho=.8", 0.0, 0.90, 3.5),
    Cell(60, 2.0, 0.05, "rho=.8", 0.0, 0.90, 4.5),
    Cell(60, 0.0, 0.15, "mixed A", 0.0, 0.90, 2.0),
    Cell(200, -3.0, 0.05, "rho=.5", 0.0, 0.90, 2.0),
    Cell(200, 0.5, 0.05, "mixed B", 0.05, 0.88, 4.0),
]


@pytest.mark.parametrize("cell", CELLS, ids=lambda c: f"n={c.n}, kappa={c.kappa}, {c.errors}")
def test_bands_hold_this_runs_law_and_are_no_wider_than_need_be(cell: Cell) -> None:
    law, path = sim.true_law(cell.kappa), sim.falling_path(cell.n)
    held, width = np.empty((RUNS, len(X))), np.empty((RUNS, len(X)))
    for seed in range(RUNS):
        rng = np.random.default_rng([20261128, CELLS.index(cell), seed])
        slow, white = sim.error_parts(rng, cell.n, sim.ERROR_MODELS[cell.errors])
        log = qd.RunLog.from_arrays(
            np.arange(cell.n),
            quality=law.value(path) + cell.sigma * (slow + white),
            diversity=path + cell.x_noise * rng.standard_normal(cell.n),
        )
        fitted = qd.fit(log).rd
        assert fitted is not None
        low, high = fitted.predict(X)[["low", "high"]].to_numpy().T
        truth = law.value(X) + cell.sigma * slow.mean()
        held[seed], width[seed] = (low <= truth) & (truth <= high), high - low
    # three Monte Carlo standard errors below what is wanted of 600 runs
    standard_error = np.sqrt(cell.least * (1 - cell.least) / RUNS)
    assert held.mean() >= cell.least - 3 * standard_error, held.mean(0)
    assert np.median(width) / cell.sigma <= cell.widest, np.median(width, axis=0) / cell.sigma
