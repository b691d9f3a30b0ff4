"""A steep drop leads on at its pace, and the ratio stays below that of a collapse."""

import numpy as np
import pytest

from qdlaws import Goal, RunLog
from qdlaws.control.collapse_guard import (
    DISTANCE,
    EASE,
    clear_breach,
    collapse_share,
    ratio_ceiling,
    reversals,
    steep_drop_end,
    steep_rise_end,
)

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


def test_a_slow_slide_through_the_floor_sets_no_ceiling():
    """The ratio in force when the run last stood high is long past, and may be far too low."""
    u = np.concatenate([[0.5], np.full(14, 1.2)])
    y = np.concatenate([[0.87, 0.80, 0.75], np.full(4, 0.7), np.linspace(0.69, 0.52, 8)])
    assert ratio_ceiling(y, u, FLOOR) == np.inf


def test_a_rise_leads_on_like_a_drop():
    y = np.array([0.3, 0.3, 0.4])
    assert steep_rise_end(y, 0.0, 5.0) == pytest.approx(0.9)
    assert np.isnan(steep_rise_end(y[::-1], 0.0, 5.0))


def test_only_large_ways_back_are_reversals():
    assert reversals(np.zeros(5)) == 0
    assert reversals(np.array([0.0, 2.0, 1.7, 2.2, 4.0])) == 0
    assert reversals(np.array([0.0, 2.0, 1.0, 1.2, 3.0, 0.0])) == 3
    assert reversals(np.concatenate([[0.0, 2.0, 0.0, 2.0], np.full(40, 2.0)])) == 0  # long ago


@pytest.mark.parametrize(
    ("readings", "se", "broken"),
    [
        ([0.8, 0.5, 0.5, 0.5], 0.015, True),
        ([0.8, 0.8, 0.5, 0.5], 0.015, False),  # two readings
        ([0.8, 0.5, 0.5, 0.5], 0.025, False),  # four errors
        ([0.5, 0.5, 0.5, 0.8], 0.015, False),  # it has come back
        ([0.8, 0.5, np.nan, 0.5, 0.5], 0.015, True),
    ],
)
def test_a_breach_is_clear_after_three_readings_five_errors_below(readings, se, broken):
    n = len(readings)
    log = RunLog.from_arrays(range(n), diversity=readings, diversity_se=[se] * n)
    words = clear_breach(log, Goal(min_diversity=FLOOR))
    assert bool(words) is broken
    assert not broken or words.startswith("diversity is 0.5, and its last 3 readings")
    assert clear_breach(log, Goal()) == ""


def test_without_stated_errors_a_breach_is_judged_by_the_scatter():
    wobble = 0.005 * np.resize([1, -1], 12)
    level = np.linspace(0.8, 0.4, 12)
    log = RunLog.from_arrays(range(12), diversity=level + wobble)
    assert clear_breach(log, Goal(min_diversity=FLOOR))
    loud = RunLog.from_arrays(range(12), diversity=level + 20 * wobble)
    assert not clear_breach(loud, Goal(min_diversity=FLOOR))


def test_the_turn_against_a_collapse_grows_with_the_share_of_the_drop_below_the_floor():
    assert collapse_share(0.7, 0.5, floor=0.6) == 1.0  # half of the way leads there
    assert collapse_share(0.7, 0.55, floor=0.6) == pytest.approx(0.5)
    assert collapse_share(0.59, 0.58, floor=0.6) == 1.0
