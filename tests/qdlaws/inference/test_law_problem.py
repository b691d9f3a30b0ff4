"""The input of a law posterior: units, stacks, and nuisance columns."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from qdlaws.inference.law_problem import (
    LawProblem,
    nuisance_columns,
    padded_columns,
    path_effects,
    path_matters,
)
from tests.helpers.simulated import ar1, collapse, law


def test_negligible_errors_of_the_path_are_left_out_and_the_quick_bound_is_safe():
    """The bound that spares the preliminary fit never drops columns that the fit would keep."""
    x = collapse(25)
    y = law(2.0).value(x) + 0.05 * ar1(np.random.default_rng(1), 25, 0.8)
    step = np.arange(25.0)
    direction = np.linspace(-1, 1, len(x))[:, None]
    kept, spared = [], []
    for size in np.geomspace(1e-9, 1e-1, 17):
        problem = LawProblem(step, x, y, cov_factor=size * direction)
        kept.append(path_effects([problem])[0] is not None)
        spared.append(not path_matters(problem))
        assert (nuisance_columns([problem])[0][0] is not None) is kept[-1]
    assert (kept[0], kept[-1]) == (False, True)
    assert (spared[0], spared[-1]) == (True, False)


def test_only_short_even_unweighted_runs_are_stackable():
    x = collapse(40)
    even = LawProblem(np.arange(40.0), x, law(2.0).value(x))
    assert even.stackable
    assert not replace(even, weight=np.ones(40)).stackable
    assert not replace(even, covariates=np.ones((40, 1))).stackable
    assert not replace(even, step=np.append(np.arange(39.0), 50.0)).stackable
    far = x.copy()
    far[0] += np.ptp(x)
    assert not replace(even, x=far).stackable


def test_covariates_are_columns_of_precision_zero():
    x = collapse(40)
    knob = np.repeat([[0.0], [5.0]], 20, axis=0)
    problem = LawProblem(np.arange(40.0), x, law(2.0).value(x), covariates=knob)
    ((columns, precision),) = nuisance_columns([problem])
    np.testing.assert_allclose(columns[:, 0], np.repeat([-1.0, 1.0], 20))
    assert precision.tolist() == [0.0]


def test_padding_adds_columns_of_zeros():
    one, two = np.ones((5, 1)), np.ones((5, 3))
    columns, precision = padded_columns([(one, np.ones(1)), (two, np.ones(3))])
    np.testing.assert_array_equal(columns.sum((1, 2)), [5, 15])
    assert columns.shape == (2, 5, 3)
    assert precision.tolist() == [1.0, 1.0, 1.0]
    assert padded_columns([(None, None)]) == (None, None)
