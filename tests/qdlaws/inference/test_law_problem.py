"""The input of a law posterior: units, shares of time, and nuisance columns."""

from __future__ import annotations

import numpy as np
import pytest

from qdlaws.inference.law_problem import (
    LawProblem,
    path_effects,
    time_shares,
)
from tests.helpers.simulated import ar1, collapse, law


def test_negligible_errors_of_the_path_are_left_out():
    x = collapse(25)
    y = law(2.0).value(x) + 0.05 * ar1(np.random.default_rng(1), 25, 0.8)
    direction = np.linspace(-1, 1, len(x))[:, None]
    columns = [
        path_effects(LawProblem(np.arange(25.0), x, y, cov_factor=size * direction)).shape[1]
        for size in np.geomspace(1e-9, 1e-1, 17)
    ]
    assert columns == sorted(columns)
    assert (columns[0], columns[-1]) == (0, 1)


def test_effect_of_the_path_is_its_error_times_the_slope_of_the_law():
    x = collapse(200)
    y = law(2.0).value(x)
    error = 0.01 * np.ones((200, 1))
    problem = LawProblem(np.arange(200.0), x, y, cov_factor=error)
    want = 0.01 * law(2.0).slope(x) / problem.unit[1]
    np.testing.assert_allclose(path_effects(problem)[:, 0], want, rtol=0.05)


def test_rows_share_the_time_of_the_run():
    assert time_shares(np.array([0.0, 1.0, 3.0]), 3.0) == pytest.approx([1 / 6, 1 / 2, 1 / 3])
    cut = np.array([0.0, 1.0, 2000.0, 2001.0])  # a mark between: no time passes there
    assert time_shares(cut, 3.0) == pytest.approx([0.25] * 4)
