"""The adaptive grid over curvature and error model ends where the posterior mass is resolved."""

from __future__ import annotations

import numpy as np
import pytest

from qdlaws.inference.law_problem import LawProblem
from qdlaws.inference.quadrature import KAPPA_REACH, RunStack, refined_grids
from tests.helpers.simulated import D_HIGH, D_LOW, ar1, collapse, law


def stack_of(problems: list[LawProblem], **options) -> RunStack:
    one = problems[0]
    u, z = np.array([p.u for p in problems]), np.array([p.z for p in problems])
    given = {"straight": False, "effort": 1.0, **options}
    return RunStack(one.t, one.length, u, z, None, None, None, **given)


def problem(kappa: float, sigma: float, seed: int = 0) -> LawProblem:
    x = collapse(60)
    noise = sigma * ar1(np.random.default_rng(seed), 60, 0.4)
    return LawProblem(np.arange(60.0), x, law(kappa).value(x) + noise)


def test_every_run_gets_one_grid_with_its_mass_inside():
    stack = stack_of([problem(2.0, 0.05), problem(-3.0, 0.001), problem(0.0, 0.3)])
    rows = []
    for numbers, grid in refined_grids(stack):
        rows += numbers.tolist()
        assert grid.resolved().all()
        along = grid.curvature_weight()
        assert np.all(along.max(1) > 10 * along[:, [0, -1]].max(1)) or 2 in numbers
    assert sorted(rows) == [0, 1, 2]


@pytest.mark.parametrize("sigma", [1e-1, 1e-3, 1e-5])
def test_grid_follows_the_width_of_the_posterior(sigma):
    """The window of κ shrinks with the noise, and holds the truth."""
    run = problem(2.0, sigma)
    true_kappa = 2.0 * (run.ends[1] - run.ends[0]) / (D_HIGH - D_LOW)
    ((_, grid),) = refined_grids(stack_of([run]))
    low, high = grid.kappa[0, [0, -1]]
    weight = grid.curvature_weight()[0]
    mean = (weight @ grid.kappa[0]) / weight.sum()
    sd = np.sqrt(weight @ (grid.kappa[0] - mean) ** 2 / weight.sum())
    assert low < mean - 2 * sd
    assert mean + 2 * sd < high
    assert abs(mean - true_kappa) < 4 * sd
    assert grid.count_curvatures(1e-4) > 10


def test_straight_laws_have_one_curvature():
    ((_, grid),) = refined_grids(stack_of([problem(0.0, 0.1)], straight=True))
    assert grid.straight
    assert grid.kappa.tolist() == [[0.0]]


def test_steep_laws_are_searched_beyond_the_first_reach():
    ((_, grid),) = refined_grids(stack_of([problem(25.0, 0.001)]))
    assert grid.kappa.max() > KAPPA_REACH[0]
