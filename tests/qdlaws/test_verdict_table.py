"""A small fixed-seed version of benchmarks/verdicts.py."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.append(str(Path(__file__).parents[2] / "benchmarks"))

from simulate import ERRORS, clock, cramer_rao, true_law
from verdicts import KINDS, Cell, error_size, failures, measure, one_run, report

REPS = 12
"""With 12 runs a share of 90 % has a standard error of 9 %, one of 5 % of 6 %."""


@pytest.mark.parametrize("kind", ["concave, 6 s.e.", "convex, 6 s.e.", "linear, 6 s.e."])
def test_a_law_is_found(kind: str) -> None:
    counts = measure(Cell(kind, 60, "mixed A", 0.0), 0, REPS)
    assert counts[str(KINDS[kind].right)] >= 8


@pytest.mark.parametrize("kind", ["both rise", "flat", "random walks", "two AR(1) series"])
def test_no_law_is_found_where_there_is_none(kind: str) -> None:
    counts = measure(Cell(kind, 60, "rho=.5", 0.0), 0, REPS)
    assert counts["unsupported"] >= 9
    assert counts["concave"] + counts["convex"] <= 2


def test_spikes_do_not_bend_a_line() -> None:
    counts = measure(Cell("spiky line", 60, "rho=.5", 0.0), 0, REPS)
    assert counts["linear"] >= 9


def test_which_way_time_runs_changes_no_verdict() -> None:
    forward, backward = (
        measure(Cell(kind, 60, "rho=.5", 0.0), 0, REPS) for kind in ("concave", "R falls, H rises")
    )
    assert min(forward["concave"], backward["concave"]) >= 8


@pytest.mark.parametrize("kappa", [2.0, 0.0])
def test_errors_are_sized_by_the_bound(kappa: float) -> None:
    law, path = true_law(kappa), clock(60)
    sigma = error_size(law, path, "rho=.8", 0.1, 4.0)
    bound = cramer_rao(law, path, sigma, ERRORS["rho=.8"], np.zeros(1), 0.1)
    effect = kappa / bound.kappa if kappa else -float(law.q) / bound.q
    assert effect == pytest.approx(4.0, rel=1e-6)


@pytest.mark.parametrize("kind", list(KINDS))
def test_every_kind_of_run_is_a_run(kind: str) -> None:
    run = one_run(np.random.default_rng(0), Cell(kind, 60, "mixed B", 0.1))
    assert run.x.shape == run.y.shape == (60,)
    assert np.isfinite(run.x).all()
    assert np.isfinite(run.y).all()


def test_the_table_tells_what_fails() -> None:
    cell = Cell("linear", 60, "rho=.5", 0.0)
    good = {"concave": 2, "convex": 2, "linear": 92, "unsupported": 4}
    bad = {"concave": 20, "convex": 0, "linear": 70, "unsupported": 10}
    assert failures(cell, good) == []
    assert failures(cell, bad) == ["right 70% < 90 %", "curved 20.0% > 5 %"]
    assert "0 of 1 cells pass" in report({cell: bad}, 100)
