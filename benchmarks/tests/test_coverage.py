"""The coverage benchmark: its design, its bounds, and the table that it prints."""

from __future__ import annotations

from itertools import combinations, product

import numpy as np
import pytest
from bootstrap import refit
from cells import KAPPA, SIGMA, X_NOISE, Cell, N, design_cells, gather, measure
from coverage_report import report, slack, too_low, wanted, widest

from qdlaws.simulation import ERROR_MODELS, cramer_rao, falling_path, true_law

CELL = Cell(60, 2.0, 0.05, "rho=.8", 0.0)


def test_every_level_of_the_design_meets_every_other() -> None:
    levels = (N, KAPPA, SIGMA, tuple(ERROR_MODELS), X_NOISE)
    cells = design_cells()
    assert len(cells) < 36
    for a, b in combinations(range(5), 2):
        assert {(c[a], c[b]) for c in cells} == set(product(levels[a], levels[b]))


def test_curve_fit_covers_too_little_and_the_table_says_so() -> None:
    """The simulation is hard enough: intervals of curve_fit hold the truth in half of the runs."""
    peer = gather(CELL, "curve_fit", [measure(CELL, "curve_fit", 0, 40)])
    assert peer.coverage[0] < 0.7
    assert too_low(peer)[0]
    ours = gather(CELL, "qdlaws", [measure(CELL, "qdlaws", 0, 4)])
    text = report([peer, ours], {CELL}, 40)
    assert "## curve_fit, cell by cell" in text
    assert "✗" in text.split("## curve_fit, cell by cell")[1]
    assert str(CELL) in text


def test_more_is_wanted_of_an_easier_cell() -> None:
    hard = wanted(CELL._replace(errors="rho=.95"))
    easy = wanted(CELL)
    assert hard is not None
    assert easy is not None
    assert hard.low < easy.low
    assert widest(CELL) == 2.5
    assert widest(CELL._replace(x_noise=0.1)) is None
    assert slack(0.9, 400) == pytest.approx(0.03)


def test_least_squares_refits_reach_the_cramer_rao_bound_under_white_errors() -> None:
    law, path, x = true_law(2.0), falling_path(200), np.array([0.0, 0.2, 0.7, 1.2])
    noise = np.random.default_rng(2).standard_normal((4000, 200))
    spread = refit(path, law.value(path) + 0.02 * noise).law.value(x).std(0)
    bound = cramer_rao(law, path, 0.02, ERROR_MODELS["rho=0"], x).value
    assert spread == pytest.approx(bound, rel=0.05)  # 4 standard errors of a standard deviation
