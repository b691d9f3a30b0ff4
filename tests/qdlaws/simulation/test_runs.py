"""A simulated run lies on its law, and its log has the columns that a fit needs."""

from __future__ import annotations

import numpy as np
import pytest

from qdlaws.simulation import ErrorModel, falling_path, simulate, true_law


@pytest.mark.parametrize("change", [-1.0, 0.5])
def test_the_law_changes_by_what_it_is_given(change: float) -> None:
    law = true_law(2.0, change, low=0.3, high=0.9)
    assert law.value(0.9) - law.value(0.3) == pytest.approx(change)
    assert min(law.value(0.9), law.value(0.3)) == pytest.approx(0.0)
    assert law.c == pytest.approx(2.0 / 0.6)


def test_the_path_falls_fastest_at_first() -> None:
    path = falling_path(50, low=0.3, high=0.9)
    assert (path[0], path[-1]) == pytest.approx((0.9, 0.3))
    assert (np.diff(path) < 0).all()
    assert (np.diff(path, 2) > 0).all()


def test_a_run_without_errors_lies_on_its_law() -> None:
    law, path = true_law(-2.0), falling_path(40)
    log = simulate(np.random.default_rng(0), law, path, 0.0, ErrorModel(1.0, 0.0)).log()
    assert log.quality == pytest.approx(law.value(log.diversity))


def test_errors_and_noise_have_the_stated_sizes() -> None:
    law, path = true_law(1.0), falling_path(4000)
    run = simulate(np.random.default_rng(0), law, path, 0.2, ErrorModel(1.0, 0.0), 0.1)
    assert np.std(run.y - law.value(path)) == pytest.approx(0.2, rel=0.05)
    assert np.std(run.x - path) == pytest.approx(0.1, rel=0.05)
