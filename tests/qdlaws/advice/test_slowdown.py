"""Whether a run has slowed, judged with errors that last."""

import numpy as np
import pytest

from qdlaws.advice.rules import P_SLOWED
from qdlaws.advice.slowdown import LEAST_READINGS, probability_slowed

STEP = 10.0 * np.arange(40)
T = np.linspace(0, 1, 40)


def slow_errors(seed, n=40, memory=0.8):
    fresh = np.random.default_rng(seed).normal(size=n)
    errors = np.empty(n)
    errors[0] = fresh[0]
    for k in range(1, n):
        errors[k] = memory * errors[k - 1] + np.sqrt(1 - memory**2) * fresh[k]
    return errors


def test_a_run_that_levels_off_has_slowed_and_one_that_speeds_up_has_not():
    errors = 0.01 * slow_errors(0)
    assert probability_slowed(STEP, 1 - np.exp(-4 * T) + errors) > P_SLOWED
    assert probability_slowed(STEP, T**3 + errors) < 0.01


def test_slow_errors_about_a_straight_line_are_seldom_a_slowdown():
    chances = [probability_slowed(STEP, 0.12 * T + 0.01 * slow_errors(s)) for s in range(40)]
    assert sum(chance > P_SLOWED for chance in chances) <= 1
    assert 0.2 < np.mean(chances) < 0.8


def test_gaps_and_units_change_nothing_and_too_few_readings_say_nothing():
    y = 1 - np.exp(-2 * T) + 0.05 * slow_errors(1)
    with_gaps = np.insert(y, 7, np.nan)
    step = np.insert(STEP, 7, 65.0)
    chance = probability_slowed(STEP, y)
    assert probability_slowed(step, with_gaps) == pytest.approx(chance)
    assert probability_slowed(1e3 * STEP, 1e-4 * y) == pytest.approx(chance)
    few = slice(0, LEAST_READINGS - 1)
    assert probability_slowed(STEP[few], y[few]) == 0.5
    assert probability_slowed(STEP, np.ones(40)) == 0.5


def test_a_reading_without_weight_does_not_bend_the_run():
    y = 0.5 * T + 0.01 * slow_errors(2)
    y[-1] -= 1.0
    se = np.full(40, 0.01)
    se[-1] = 3.0
    assert probability_slowed(STEP, y) > 0.8 > probability_slowed(STEP, y, se)
