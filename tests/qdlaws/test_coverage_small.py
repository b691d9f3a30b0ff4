"""Nominal 95 % intervals hold the truth in a few simulated cells, 40 runs of each.

The full version, over thirty and more cells beside its peers, is benchmarks/law_coverage.py.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pytest

import qdlaws as qd
from qdlaws import simulation as sim

RUNS = 40
X = np.array([0.7, 0.2, 1.2, -0.1, 0.0])
"""The middle of the observed range, its two ends, .3 ranges beyond, and the ceiling."""


class Cell(NamedTuple):
    """A kind of simulated run, the coverage wanted of it, and the widest intervals allowed.

    Widths are in units of those by the Cramér–Rao bound; None: nothing is asked of them.
    """

    n: int
    kappa: float
    sigma: float
    errors: str
    x_noise: float
    least: float
    widest: float | None


CELLS = [
    Cell(20, 2.0, 0.05, "rho=.8", 0.0, 0.88, None),
    Cell(60, 2.0, 0.05, "rho=.8", 0.0, 0.92, 2.5),
    Cell(60, 0.0, 0.15, "mixed A", 0.0, 0.85, None),
    Cell(200, -3.0, 0.05, "rho=.5", 0.0, 0.92, 1.3),
    Cell(200, 0.5, 0.05, "mixed B", 0.05, 0.88, None),
]


@pytest.mark.parametrize("cell", CELLS, ids=lambda c: f"n={c.n}, kappa={c.kappa}, {c.errors}")
def test_intervals_hold_the_truth_and_are_no_wider_than_need_be(cell: Cell) -> None:
    law, path = sim.true_law(cell.kappa), sim.falling_path(cell.n)
    errors = sim.ERROR_MODELS[cell.errors]
    bounds = np.empty((RUNS, 2, len(X)))
    for seed in range(RUNS):
        rng = np.random.default_rng([20261121, CELLS.index(cell), seed])
        fitted = qd.fit(sim.simulate(rng, law, path, cell.sigma, errors, cell.x_noise).log()).rd
        assert fitted is not None
        bounds[seed] = fitted.predict(X)[["low", "high"]].to_numpy().T
    low, high = bounds[:, 0], bounds[:, 1]
    truth = law.value(X)
    coverage = ((low <= truth) & (truth <= high)).mean(0)
    # three Monte Carlo standard errors below what is wanted of 2,000 runs
    standard_error = np.sqrt(cell.least * (1 - cell.least) / RUNS)
    assert (coverage >= cell.least - 3 * standard_error).all(), coverage
    if cell.widest is not None:  # the median width of 40 runs is known to some 5 %
        bound = sim.cramer_rao(law, path, cell.sigma, errors, X, cell.x_noise)
        width = np.median(high - low, axis=0) / (2 * 1.96 * bound.value)
        assert (width[:3] <= 1.1 * cell.widest).all(), width
