"""A stretch without movement is found where x and quality both stand still, and only there."""

from __future__ import annotations

import numpy as np
import pytest

import qdlaws as qd
from qdlaws.laws.standstill import moving_rows
from qdlaws.simulation import ERROR_MODELS, MISFITS, SCENARIOS, falling_path

N, M = 100, 40
NAMES = ("entropy", "quality")


def course(x: np.ndarray, y: np.ndarray):
    """The rows that move in a run of these columns."""
    return moving_rows(np.arange(len(x), dtype=float), x, y, NAMES)


def falling_then(x: float, y: float, sigma: float = 0.05):
    """x from 1 to 0 and quality from 0 to 1 in forty rows, then sixty at another place."""
    rng = np.random.default_rng(0)
    path = np.append(falling_path(M, low=0.0, high=1.0), np.full(N - M, x))
    quality = np.append(1 - path[:M], np.full(N - M, y))
    return path, quality + sigma * rng.standard_normal(N)


def test_a_finished_stretch_is_left_out_with_its_steps():
    rows, why = course(*falling_then(0.0, 1.0))
    assert rows[:30].all()
    assert not rows[60:].any()
    assert why.startswith("from step ")
    assert "entropy and quality stand still" in why
    assert f"the other {rows.sum()} of 100 rows" in why


def test_a_flat_opening_is_left_out():
    x, y = falling_then(0.0, 1.0)
    rows, why = course(x[::-1], y[::-1])
    assert rows[-30:].all()
    assert not rows[:40].any()
    assert why.startswith("up to step ")


def test_a_collapse_is_cut_from_its_first_row():
    rows, why = course(*falling_then(-0.3, -0.5))
    assert rows.tolist() == [True] * M + [False] * (N - M)
    assert "quality has collapsed" in why


@pytest.mark.parametrize("direction", [1, -1])
def test_nothing_is_cut_where_only_one_of_the_two_stands_still(direction):
    x, y = falling_then(0.0, 1.0)
    t = np.linspace(0, 1, N)
    for moving in ((np.exp(-t), y), (x, t + 0.02 * y)):
        rows, why = course(*(column[::direction] for column in moving))
        assert rows.all()
        assert not why


def test_a_short_run_and_a_short_plateau_are_left_whole():
    x, y = falling_then(0.0, 1.0)
    assert course(x[:46], y[:46]).rows.all()
    assert course(x[::8], y[::8]).rows.all()


@pytest.mark.parametrize("name", ["concave", "linear", "random walks", "flat"])
def test_runs_that_keep_moving_are_left_whole(name):
    for seed in range(10):
        run = SCENARIOS[name].run(np.random.default_rng(seed), 200, ERROR_MODELS["rho=.5"])
        assert moving_rows(run.step, run.x, run.y, NAMES).rows.all()


@pytest.mark.parametrize("end", ["collapse", "quiet plateau"])
def test_a_law_is_that_of_the_stretch_that_moves(end):
    """Before, the law of the whole run: a collapse was called a peak."""
    run = MISFITS[f"line, {end}"].run(np.random.default_rng(3), 120, ERROR_MODELS["rho=0"])
    law = qd.fit(run.log()).rd
    assert law.supported
    assert law.left_out is not None
    assert law.n + len(law.left_out.step) == 120
    assert law.change.low < -1 < law.change.high
    values = law.to_dict()["left_out"]
    assert values["to"] == 119
    assert values["n"] == len(law.left_out.step)
    assert values["why"] in law.reasons
    assert "left out" in str(law.summary())
    assert law.present_x == pytest.approx(run.x[-10:].mean(), abs=0.02)


def test_a_run_that_keeps_moving_leaves_nothing_out():
    run = SCENARIOS["concave"].run(np.random.default_rng(0), 60, ERROR_MODELS["rho=.5"])
    law = qd.fit(run.log()).rd
    assert law.left_out is None
    assert law.to_dict()["left_out"] is None
