"""Falls that no gain explains: seen by the last drop, remembered by a ceiling, nothing else is."""

import numpy as np
import pytest

from qdlaws.control.collapse_guard import BACK, EASE, ceiling, steep
from qdlaws.control.knobs import InForce
from qdlaws.control.steering import Limits, steer_by_plant

FLOOR, GAIN = 0.6, 0.065


def _knobs(u):
    return InForce(np.asarray(u, float), np.ones(len(u)), float(u[-1]))


def test_a_drop_leads_on_at_its_own_pace_with_three_errors_granted():
    y = np.array([0.9, 0.9, 0.8])
    assert steep(y, 0.0, 5.0) == pytest.approx(0.8 - 5 * 0.1)
    assert steep(y, 0.01, 5.0) == pytest.approx(0.8 - 5 * (0.1 - 0.03 * np.sqrt(2)))
    assert np.isnan(steep(y, 0.03, 5.0))  # within the noise
    assert np.isnan(steep(y[::-1], 0.0, 5.0))  # it rises
    assert np.isnan(steep(np.array([0.9, np.nan, 0.5]), 0.0, 5.0))
    assert np.isnan(steep(y[:1], 0.0, 5.0))


def test_an_accelerating_fall_tightens_before_a_line_through_five_readings_would():
    u = np.linspace(2, 4.4, 13)
    y = 0.87 + 0.002 * np.resize([1, -1], 13)
    y[-1] = 0.76  # the first reading of the fall, far above the floor
    fallen = steer_by_plant(10.0 * np.arange(13), y, _knobs(u), FLOOR, GAIN)
    assert fallen.level + Limits().guard * fallen.slope > FLOOR
    assert fallen.du < -0.3
    y[-1] = 0.869
    assert steer_by_plant(10.0 * np.arange(13), y, _knobs(u), FLOOR, GAIN).du > 0


def test_after_a_fall_the_ratio_stays_below_where_it_began():
    u = np.array([1.0, 2.0, 3.0, 4.0, 4.2, 3.5, 2.8, 2.0, 1.5])
    y = np.array([0.87, 0.87, 0.86, 0.85, 0.62, 0.3, 0.4, 0.8, 0.87])
    assert ceiling(y[:5], u[:5], FLOOR) == np.inf  # it has not fallen through
    assert ceiling(y[:6], u[:6], FLOOR) == pytest.approx(4.0 - BACK)
    assert ceiling(y, u, FLOOR) == pytest.approx(4.0 - BACK + 3 * EASE)
    step = 10.0 * np.arange(len(y))
    back = steer_by_plant(step, y, _knobs(u), FLOOR, GAIN)
    assert 0 < back.du <= Limits().home  # it comes back faster than it went there the first time
    assert back.ceiling == pytest.approx(4.0 - BACK + 3 * EASE)
    above = steer_by_plant(step, y, InForce(u, np.ones(len(u)), 3.5), FLOOR, GAIN)
    assert above.du < 0


def test_a_second_fall_lowers_the_ceiling_and_a_shallow_one_sets_none():
    u = np.array([2.0, 4.0, 4.0, 2.0, 2.9, 2.9, 2.0])
    y = np.array([0.87, 0.85, 0.3, 0.86, 0.85, 0.2, 0.7])
    assert ceiling(y, u, FLOOR) == pytest.approx(2.9 - BACK + EASE)
    shallow = np.array([0.87, 0.7, 0.58, 0.57, 0.62])  # a floor missed by .03, a tenth of the way
    assert ceiling(shallow, u[:5], FLOOR) == np.inf
    assert ceiling(np.full(5, np.nan), u[:5], FLOOR) == np.inf
