"""The gain that the rest of a run may bring over the checkpoint that would be kept."""

import numpy as np
import pytest

from qdlaws import Goal, RunLog
from qdlaws.advice.checkpoints import choose
from qdlaws.advice.gain_ahead import gain_ahead

N = 60
STEP = 10.0 * np.arange(N)


def log_of(quality) -> RunLog:
    noise = 0.01 * np.random.default_rng(0).normal(size=N)
    return RunLog.from_arrays(STEP, quality=np.asarray(quality) + noise)


RISING = log_of(0.2 + 0.01 * np.arange(N))
SATURATED = log_of(0.8 - 0.6 * np.exp(-np.arange(N) / 4))


def gain_of(log, goal=None):
    goal = goal or Goal()
    return gain_ahead(log, goal, choose(log, goal))


def test_a_rising_run_will_probably_gain_and_a_saturated_one_will_not():
    rising, saturated = gain_of(RISING), gain_of(SATURATED)
    assert rising.probability(rising.tenth) > 0.9
    assert saturated.probability(saturated.worth_having) < 0.04
    assert abs(saturated.change.mid) < 0.01
    assert rising.change.low > 0.05  # .15 in the next quarter if it went on so


def test_a_larger_gain_is_less_probable_and_one_beyond_the_scale_impossible():
    gain = gain_of(RISING)
    chances = [gain.probability(amount) for amount in (0.0, 0.05, 0.1, 0.2)]
    assert chances == sorted(chances, reverse=True)
    assert gain.probability(0.5) == 0.0  # quality so far lies in [0, 1]


def test_a_gain_worth_having_can_be_told_from_noise():
    gain = gain_of(SATURATED)
    assert gain.worth_having >= 2 * gain.level[1]
    assert gain.worth_having >= 0.1 * gain.range


def test_the_horizon_is_a_quarter_of_the_run_or_what_the_budget_leaves():
    assert gain_of(RISING).horizon == pytest.approx(150)
    assert gain_of(RISING, Goal(budget_steps=640)).horizon == pytest.approx(50)
    spent = gain_of(RISING, Goal(budget_steps=590))
    assert spent.horizon == 0
    assert spent.probability(0.0) == 0


def test_going_on_is_worth_its_cost_below_the_slope_of_the_run_only():
    slope = 0.001  # quality per step
    assert gain_of(RISING).worth_of_going_on(slope / 2)[0] > 0
    assert gain_of(RISING).worth_of_going_on(10 * slope)[0] <= 0
    assert gain_of(SATURATED).worth_of_going_on(slope / 2)[0] <= 0


def test_going_on_is_worth_little_more_than_the_expected_gain_less_its_cost():
    for cost in (1e-4, 1e-3, 1e-2):
        worth, steps, gain = gain_of(RISING).worth_of_going_on(cost)
        assert gain - cost * steps < worth <= 1.5 * gain - cost * steps


def test_few_runs_of_noise_alone_have_moved():
    noise = np.random.default_rng(0).normal(size=(12, 40))
    moved = [gain_of(RunLog.from_arrays(range(40), quality=y)).has_moved for y in noise]
    assert sum(moved) <= 4
    assert gain_of(RISING).has_moved


def test_a_quality_that_never_moved_has_no_forecast_of_gain():
    assert gain_of(RunLog.from_arrays(STEP, quality=np.zeros(N))) is None
