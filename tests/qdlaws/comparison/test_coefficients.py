"""Coefficients of several runs at a common reference."""

from __future__ import annotations

import numpy as np
import pytest

from qdlaws import BadData, compare
from qdlaws.comparison.coefficients import comparable_runs
from tests.helpers.simulated import log_at_reference as run


def test_coefficients_at_the_reference_are_those_of_the_law():
    runs, reference, kind, _ = comparable_runs(
        [run(seed=1, n=200), run(seed=2, n=200)], None, None, None
    )
    assert kind == "rd"
    offset = reference - 0.7
    truth = [0.8 - 0.5 * np.expm1(4 * offset) / 4, 0.5 * np.exp(4 * offset), 4.0]
    for r in runs:
        np.testing.assert_array_less(np.abs(r.mean - truth), 3.5 * r.sd)


def test_different_measures_are_not_pooled():
    one = run(kinds={"diversity": "internal_diversity"})
    two = run(kinds={"diversity": "distinct_2"}, seed=1)
    with pytest.raises(BadData, match="measure diversity differently"):
        compare([one, two])
