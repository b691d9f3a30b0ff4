"""Stops by rule: of a run by itself, and of a run under a controller."""

from __future__ import annotations

import numpy as np
import pytest

from qdlaws import Goal, RunLog, advise
from qdlaws.advice.advise import advise_run
from qdlaws.control.controller import turn
from qdlaws.control.knobs import in_force

STEPS = 10.0 * np.arange(80)


def log_of(quality, diversity):
    noise = 0.004 * np.random.default_rng(0).standard_normal(len(quality))
    log = RunLog.from_arrays(STEPS[: len(quality)], quality=quality + noise, diversity=diversity)
    return RunLog.from_frame(log.to_frame().assign(kl_coef=0.1, reward_scale=1.0))


def saturating():
    k = np.arange(80)
    return log_of(0.5 + 0.4 * (1 - np.exp(-k / 8)), 0.9 - 0.002 * k)


def test_a_run_stops_once_its_gain_is_gone_and_keeps_a_checkpoint_that_exists():
    goal, log = Goal(min_gain_per_step=2e-4), saturating()
    advices = [advise(log.take(slice(0, n)), goal) for n in (10, 20, 80)]
    assert [advice.anytime for advice in advices] == [False, False, True]
    kept = advise(log, goal, checkpoints=[0.0, 300.0, 400.0])
    assert kept.checkpoint in (300.0, 400.0)
    assert kept.confidence > 0.95


def test_under_a_controller_the_turn_is_the_advice_unless_the_run_may_stop():
    goal, log = Goal(min_diversity=0.7, min_gain_per_step=2e-4), saturating()
    controlled = turn(log, goal, in_force(log))
    goes_on = advise_run(log, goal, controlled)
    assert (goes_on.action, goes_on.du) == (controlled.action, controlled.du)
    stop = advise_run(log, goal, controlled, may_stop=True)
    assert (stop.action, stop.du, stop.anytime) == ("stop", None, True)
    assert stop.checkpoint == goes_on.checkpoint


def test_a_broken_floor_is_no_reason_to_stop_for_a_controller_that_holds_it():
    k = np.arange(80)
    log = log_of(0.5 + 0.004 * k, np.where(k < 20, 0.8, 0.6) + 0.002 * (-1.0) ** k)
    goal = Goal(min_diversity=0.7)
    assert advise(log, goal).action == "stop"
    advice = advise_run(log, goal, turn(log, goal, in_force(log)), may_stop=True)
    assert advice.action == "tighten"


def test_falling_quality_counts_readings_not_checkpoints():
    """With two checkpoints left of eighty readings the trend of quality is known all the same."""
    log = log_of(0.8 - 0.003 * np.arange(80), np.full(80, 0.8))
    assert advise(log, checkpoints=[100.0, 790.0]).action == "stop"


def test_a_problem_is_a_reason_to_wait_and_ends_no_run():
    log = log_of(0.3 + 0.002 * np.arange(80), 0.9 - 0.004 * np.arange(80))
    goal = Goal(min_diversity=0.8, target_quality=0.9)
    with pytest.raises(ValueError, match="contradictory goals"):
        advise(log, goal)
    advice = advise_run(log, goal)
    assert advice.action == "wait"
    assert "contradictory goals" in advice.reasons[0]
