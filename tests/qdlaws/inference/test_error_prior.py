"""The prior of the error model: its mass, and that it speaks of the run and not of its readings."""

from __future__ import annotations

import numpy as np
import pytest

from qdlaws.inference.error_prior import (
    ERROR_MODELS,
    MEMORY_REACH,
    SHORTEST,
    error_models,
    memory_nodes,
)


def models(n, rows=8, cols=6):
    """The error models of the whole range of a run of n rows."""
    return error_models(n - 1.0, tuple(memory_nodes(n - 1.0, rows).tolist()), (0.0, 1.0), cols)


@pytest.mark.parametrize("n", [20, 60, 200])
def test_prior_mass_of_a_fine_grid_is_that_of_the_three_error_models(n):
    nodes = models(n, 96, 72)
    mass = np.exp(nodes.logprior)
    white, slow = nodes.memory == 0, nodes.white == 0
    assert mass[white].sum() == pytest.approx(ERROR_MODELS["white"])
    assert mass[slow].sum() == pytest.approx(ERROR_MODELS["slow"], rel=0.02)
    assert mass[~white & ~slow].sum() == pytest.approx(ERROR_MODELS["both"], rel=0.02)


def test_nodes_span_the_whole_range():
    nodes = models(60)
    assert nodes.memory[:-1].min() == pytest.approx(SHORTEST)
    assert nodes.memory.max() == pytest.approx(MEMORY_REACH * 59)
    assert (nodes.memory[-1], nodes.white[-1]) == (0, 1)


def test_prior_of_the_memory_in_run_lengths_does_not_depend_on_the_number_of_readings():
    for n in (14, 25, 200, 2000):
        nodes = models(n, 480, 360)
        mass, slow = np.exp(nodes.logprior), nodes.memory > 0
        long = nodes.memory > 0.5 * (n - 1)
        assert mass[long].sum() / mass[slow].sum() == pytest.approx(0.68, abs=0.05)
