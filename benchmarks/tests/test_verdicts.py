"""The verdict benchmark: every kind of run has a target, and a missed target is in the table."""

from __future__ import annotations

import numpy as np
from verdicts import COUNTED, WANTED, Cell, failures, measure, one_run, report

from qdlaws.simulation import MISFITS, SCENARIOS


def test_every_scenario_has_its_targets() -> None:
    assert list(WANTED) == [*SCENARIOS, *MISFITS]


def test_the_verdicts_of_a_cell_are_counted() -> None:
    counts = measure(Cell("flat", 60, "rho=.5", 0.0), 0, 3)
    assert sum(counts.values()) - counts["likely"] == 3
    assert counts["unsupported"] >= 2


def test_the_runs_of_a_cell_have_its_length_and_noise() -> None:
    exact = one_run(np.random.default_rng(0), Cell("concave", 60, "mixed B", 0.0))
    assert len(exact.x) == 60
    assert (np.diff(exact.x) < 0).all()
    noisy = one_run(np.random.default_rng(0), Cell("concave", 60, "mixed B", 0.1))
    assert (np.diff(noisy.x) > 0).any()


def test_the_table_shows_which_targets_are_missed() -> None:
    cell = Cell("linear", 60, "rho=.5", 0.0)
    none = dict.fromkeys(COUNTED, 0)
    good = none | {"concave": 2, "convex": 2, "linear": 80, "falling": 12, "unsupported": 4}
    bad = none | {"concave": 20, "linear": 60, "falling": 10, "unsupported": 10, "likely": 5}
    assert failures(cell, good) == []
    assert failures(cell, bad) == ["right 70% < 90 %", "curved 20.0% > 5 %"]
    assert "0 of 1 cells pass" in report({cell: bad}, 100)
