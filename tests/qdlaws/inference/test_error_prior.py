"""The prior of the error model: its mass, and the boxes that the quadrature refines."""

from __future__ import annotations

import numpy as np
import pytest

from qdlaws.inference.error_prior import (
    ERROR_MODELS,
    all_error_models,
    error_models,
    full_range,
    memory_reach,
)


@pytest.mark.parametrize("n", [20, 60, 200])
def test_prior_mass_of_a_fine_grid_is_that_of_the_three_error_models(n):
    nodes = error_models(n, n - 1.0, full_range(n, n - 1.0), effort=12)
    mass = np.exp(nodes.logprior)
    white, slow = nodes.memory == 0, nodes.white == 0
    assert mass[white].sum() == pytest.approx(ERROR_MODELS["white"])
    assert mass[slow].sum() == pytest.approx(ERROR_MODELS["slow"], rel=0.02)
    assert mass[~white & ~slow].sum() == pytest.approx(ERROR_MODELS["both"], rel=0.02)


def test_nodes_span_the_whole_range():
    nodes = all_error_models(60, 59.0, 1.0)
    assert nodes.memory[:-1].min() == pytest.approx(0.4)
    assert nodes.memory.max() == pytest.approx(memory_reach(60) * 59)
    assert (nodes.memory[-1], nodes.white[-1]) == (0, 1)


def test_boxes_of_many_runs_are_each_alone():
    boxes = np.array([[0.0, 2.0, 0.1, 0.6], [-0.5, 1.0, 0.0, 1.0]])
    together = error_models(60, 59.0, boxes, 1.0)
    for i, box in enumerate(boxes):
        alone = error_models(60, 59.0, box, 1.0)
        one = together.take(np.array([i]))
        np.testing.assert_allclose(one.memory[0], alone.memory)
        np.testing.assert_allclose(one.logprior[0], alone.logprior)
