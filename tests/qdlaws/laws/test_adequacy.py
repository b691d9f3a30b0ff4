"""Checks of whether a law describes its run, on arrays."""

from __future__ import annotations

import numpy as np
import pytest

from qdlaws.laws.adequacy import (
    BLOCKS,
    block_means,
    calibration_slope,
    explained,
    least_squares,
    most_influential_row,
    share_inside,
)


def test_a_short_run_is_its_own_block_means() -> None:
    rows = np.arange(7.0)
    blocks = block_means(rows, rows, rows**2, rows)
    assert np.array_equal(blocks.y, rows**2)


def test_block_means_average_successive_rows_by_their_precision() -> None:
    rows = np.arange(120.0)
    weight = np.ones(120)
    weight[1] = 1e12  # a row that says nothing
    blocks = block_means(rows, rows, rows, rows, weight)
    assert len(blocks.step) == BLOCKS
    assert blocks.step[0] == pytest.approx(0.0)
    assert blocks.step[1] == pytest.approx(np.arange(2, 4).mean())
    assert blocks.step[-1] == pytest.approx(np.arange(117, 120).mean())


def test_r2_is_one_for_the_truth_zero_for_the_mean_and_negative_for_the_opposite() -> None:
    y = np.linspace(0, 1, 20)
    assert explained(y, y) == 1.0
    assert explained(y, np.full(20, 0.3)) == pytest.approx(0.0)
    assert explained(y, -y) < 0
    assert explained(np.ones(5), np.arange(5.0)) == 0.0


def test_r2_takes_no_account_of_the_level() -> None:
    """The level of a law belongs to this run's slow error as well."""
    y = np.linspace(0, 1, 20)
    assert explained(y, y + 5) == pytest.approx(1.0)


@pytest.mark.parametrize("factor", [0.5, 1.0, -2.0])
def test_the_calibration_slope_is_the_change_over_that_of_the_law(factor: float) -> None:
    curve = np.linspace(0, 1, 30) ** 2
    assert calibration_slope(factor * curve + 3, curve) == pytest.approx(factor)


def test_a_law_that_rests_on_its_first_row_is_seen() -> None:
    rng = np.random.default_rng(0)
    y, curve = 0.1 * rng.standard_normal(30), np.zeros(30)
    y[0], curve[0] = -2.0, -2.0
    row, left = most_influential_row(y, curve + 0.02 * np.linspace(0, 1, 30))
    assert row == 0
    assert left < 0.1


def test_no_row_of_a_line_carries_it_alone() -> None:
    curve = np.linspace(0, 1, 30)
    y = curve + 0.05 * np.random.default_rng(0).standard_normal(30)
    assert most_influential_row(y, curve)[1] > 0.9


@pytest.mark.parametrize("seed", range(3))
def test_leaving_out_a_row_in_closed_form_agrees_with_leaving_it_out(seed: int) -> None:
    rng = np.random.default_rng(seed)
    y, curve = rng.standard_normal((2, 12))
    without = []
    for i in range(12):
        r = np.corrcoef(np.delete(y, i), np.delete(curve, i))[0, 1]
        without.append(np.sign(r) * r**2)
    row, left = most_influential_row(y, curve)
    assert row == int(np.argmin(without))
    assert left == pytest.approx(min(without))


def test_the_share_of_readings_in_a_band() -> None:
    y = np.array([0.0, 1.0, 3.0, -5.0])
    assert share_inside(y, np.zeros(4), np.ones(4)) == 0.5


def test_least_squares_explains_an_exact_law_whole_and_never_less_than_a_line():
    x = np.linspace(0.1, 0.9, 40)
    for c in (-6.0, 0.0, 3.0, 9.0):
        y = 1 - 0.2 * (np.exp(c * x) if c else x)
        r2, kappa = least_squares(x, y)
        assert r2 == pytest.approx(1, abs=2e-3)
        assert kappa == pytest.approx(c * 0.8, rel=0.1, abs=0.2)
    noise = np.random.default_rng(0).normal(size=40)
    line = np.corrcoef(x, noise)[0, 1] ** 2
    assert line - 1e-9 <= least_squares(x, noise)[0] < 0.5
    assert least_squares(np.full(5, 0.3), np.arange(5.0)) == (0.0, 0.0)
