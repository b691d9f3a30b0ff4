"""Simulated errors have the covariance that the Cramér–Rao bound is computed with."""

from __future__ import annotations

import numpy as np
import pytest

from qdlaws.simulation import ERROR_MODELS, draw_errors, error_covariance


@pytest.mark.parametrize("name", list(ERROR_MODELS))
def test_drawn_errors_have_the_stated_covariance(name: str) -> None:
    rng = np.random.default_rng(1)
    drawn = np.array([draw_errors(rng, 12, ERROR_MODELS[name]) for _ in range(20_000)])
    # The standard error of a covariance of unit variables is at most √(2/20,000) = .01.
    covariance = drawn.T @ drawn / len(drawn)
    assert np.abs(covariance - error_covariance(12, ERROR_MODELS[name])).max() < 0.05
