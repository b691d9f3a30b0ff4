"""A small fixed-seed version of benchmarks/coverage.py, and tests of what it stands on."""

from __future__ import annotations

import json
import sys
from itertools import combinations, product
from pathlib import Path

import numpy as np
import pytest

sys.path.append(str(Path(__file__).parents[2] / "benchmarks"))

import jobs
from cells import KAPPA, SIGMA, X_NOISE, Cell, N, design_cells, gather, measure
from coverage_report import report, slack, wanted, widest
from simulate import ERRORS, clock, covariance, cramer_rao, draw_errors, true_law

from qdlaws.inference.bootstrap import refit

REPS = 40

SMALL = [
    Cell(20, 2.0, 0.05, "rho=.8", 0.0),
    Cell(60, 2.0, 0.05, "rho=.8", 0.0),
    Cell(60, 0.0, 0.15, "mixed A", 0.0),
    Cell(200, -3.0, 0.05, "rho=.5", 0.0),
    Cell(200, 0.5, 0.05, "mixed B", 0.05),
]


@pytest.mark.parametrize("cell", SMALL, ids=str)
def test_intervals_hold_the_truth(cell: Cell) -> None:
    """At least as often as wanted, less three Monte Carlo standard errors of 40 runs."""
    result = gather(cell, "qdlaws", [measure(cell, "qdlaws", 0, REPS)])
    bound = wanted(cell)
    assert bound is not None
    assert (result.worst >= bound.low - 1.5 * slack(bound.low, REPS)).all(), result.worst
    most = widest(cell)
    if most is not None:  # the median width of 40 runs is known to some 5 %
        assert (result.width[:3] <= 1.1 * most).all(), result.width


def test_ordinary_intervals_do_not() -> None:
    """The simulation is hard enough to tell: those of curve_fit hold in half of the runs."""
    cell = SMALL[1]
    result = gather(cell, "curve_fit", [measure(cell, "curve_fit", 0, REPS)])
    assert result.coverage[0] < 0.7
    text = report([result, gather(cell, "qdlaws", [measure(cell, "qdlaws", 0, 4)])], {cell}, REPS)
    assert "curve_fit" in text
    assert str(cell) in text


def test_every_level_meets_every_level() -> None:
    levels = (N, KAPPA, SIGMA, tuple(ERRORS), X_NOISE)
    cells = design_cells()
    assert len(cells) < 36
    for a, b in combinations(range(5), 2):
        met = {(c[a], c[b]) for c in cells}
        assert met == set(product(levels[a], levels[b]))


@pytest.mark.parametrize("name", list(ERRORS))
def test_errors_have_the_covariance_that_the_bound_takes(name: str) -> None:
    rng = np.random.default_rng(1)
    drawn = np.array([draw_errors(rng, 12, ERRORS[name]) for _ in range(20_000)])
    # The standard error of a covariance of unit variables is at most √(2/20,000) = .01.
    assert np.abs(drawn.T @ drawn / len(drawn) - covariance(12, ERRORS[name])).max() < 0.05


def test_the_bound_is_reached_by_least_squares_under_white_errors() -> None:
    law, path, spots = true_law(2.0), clock(200), np.array([0.0, 0.2, 0.7, 1.2])
    noise = np.random.default_rng(2).standard_normal((4000, 200))
    spread = refit(path, law.value(path) + 0.02 * noise).law.value(spots).std(0)
    bound = cramer_rao(law, path, 0.02, ERRORS["rho=0"], spots).value
    assert spread == pytest.approx(bound, rel=0.05)  # 4 standard errors of a standard deviation


def test_noise_in_x_costs_information() -> None:
    law, path, spots = true_law(2.0), clock(60), np.array([0.7])
    exact, noisy = (
        cramer_rao(law, path, 0.05, ERRORS["rho=.5"], spots, noise) for noise in (0.0, 0.1)
    )
    assert noisy.kappa > exact.kappa
    assert noisy.value > exact.value


def test_an_interrupted_run_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs, "CACHE", tmp_path)
    whole = json.dumps({"key": "done", "result": {"reps": 7}})
    (tmp_path / "try.jsonl").write_text(whole + "\n" + whole[:20])  # stopped while it wrote
    found = jobs.run_jobs("try", [("done", ()), ("open", ())], measure, processes=0)
    assert found == {"done": {"reps": 7}}


def test_a_changed_statistic_starts_anew() -> None:
    assert jobs.fingerprint("core.law") != jobs.fingerprint("core.law", "inference.error_model")
    assert jobs.fingerprint("core.law") == jobs.fingerprint("core.law")
