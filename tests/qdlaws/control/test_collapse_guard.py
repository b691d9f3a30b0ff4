"""A steep drop leads on at its pace, and the ratio stays below that of a collapse."""

import numpy as np
import pytest

from qdlaws.control.collapse_guard import DISTANCE, EASE, ratio_ceiling, steep_drop_end

FLOOR = 0.6


def test_a_drop_leads_on_at_its_own_pace_with_three_errors_granted():
    y = np.array([0.9, 0.9, 0.8])
    assert steep_drop_end(y, 0.0, 5.0) == pytest.approx(0.8 - 5 * 0.1)
    assert steep_drop_end(y, 0.01, 5.0) == pytest.approx(0.8 - 5 * (0.1 - 0.03 * np.sqrt(2)))
    assert np.isnan(steep_drop_end(y, 0.03, 5.0))  # within the noise
    assert np.isnan(steep_drop_end(y[::-1], 0.0, 5.0))  # it rises
    assert np.isnan(steep_drop_end(np.array([0.9, np.nan, 0.5]), 0.0, 5.0))
    assert np.isnan(steep_drop_end(y[:1], 0.0, 5.0))


def test_after_a_fall_the_ratio_stays_below_where_it_began():
    u = np.array([1.0, 2.0, 3.0, 4.0, 4.2, 3.5, 2.8, 2.0, 1.5])
    y = np.array([0.87, 0.87, 0.86, 0.85, 0.62, 0.3, 0.4, 0.8, 0.87])
    assert ratio_ceiling(y[:5], u[:5], FLOOR) == np.inf  # it has not fallen through
    assert ratio_ceiling(y[:6], u[:6], FLOOR) == pytest.approx(4.0 - DISTANCE)
    assert ratio_ceiling(y, u, FLOOR) == pytest.approx(4.0 - DISTANCE + 3 * EASE)


def test_a_second_fall_lowers_the_ceiling_and_a_shallow_one_sets_none():
    u = np.array([2.0, 4.0, 4.0, 2.0, 2.9, 2.9, 2.0])
    y = np.array([0.87, 0.85, 0.3, 0.86, 0.85, 0.2, 0.7])
    assert ratio_ceiling(y, u, FLOOR) == pytest.approx(2.9 - DISTANCE + EASE)
    shallow = np.array([0.87, 0.7, 0.58, 0.57, 0.62])  # a floor missed by .03, a tenth of the way
    assert ratio_ceiling(shallow, u[:5], FLOOR) == np.inf
    assert ratio_ceiling(np.full(5, np.nan), u[:5], FLOOR) == np.inf
