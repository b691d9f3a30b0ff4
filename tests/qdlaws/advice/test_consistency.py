"""No two lines of an advice contradict each other, on simulated and on random logs."""

from __future__ import annotations

import numpy as np
import pytest

from qdlaws import Advice, BadData, Goal, RunLog, advise

N = 40


def random_log(seed: int) -> RunLog:
    """A run of a random course: rising, saturating, falling, collapsing, wandering or flat."""
    g = np.random.default_rng(seed)
    t = np.linspace(0, 1, N)
    course = [
        lambda: g.uniform(0.2, 0.6) * t,
        lambda: 0.5 * (1 - np.exp(-t / g.uniform(0.02, 0.3))),
        lambda: -0.4 * t,
        lambda: 0.5 * t - 0.5 * (t > g.uniform(0.3, 0.9)),
        lambda: np.cumsum(g.normal(size=N)) * 0.03,
        lambda: np.zeros(N),
    ][seed % 6]()
    fall = g.uniform(-0.2, 0.7) * t
    size = 10 ** g.uniform(-3, -1)
    return RunLog.from_arrays(
        np.cumsum(g.integers(1, 6, N)),
        quality=0.4 + course + size * g.normal(size=N),
        diversity=np.clip(0.9 - fall + 0.5 * size * g.normal(size=N), 0, 1),
        entropy=np.maximum(2 - 2 * fall + size * g.normal(size=N), 0),
    )


GOALS = {
    "none": Goal(),
    "floor": Goal(min_diversity=0.6),
    "floor and price": Goal(min_diversity=0.5, price=0.7),
    "price": Goal(price=0.5),
    "cost": Goal(min_gain_per_step=1e-3),
    "target": Goal(target_quality=0.7),
}


def contradictions(advice: Advice, log: RunLog, goal: Goal) -> list[str]:
    """What one line of the advice says against another."""
    text = " | ".join(advice.reasons)
    problems = []

    def unless(consistent: bool, words: str) -> None:
        if not consistent:
            problems.append(f"{words}: {advice.action}: {text}")

    stop, turns = advice.action == "stop", advice.action in ("tighten", "loosen")
    unless(not (stop and "multiply the KL" in text), "a stop turns a knob")
    unless(turns == bool(advice.du), "a turn without a factor, or a factor without a turn")
    unless(not (stop and "is still rising" in text), "a stop of a rising run")
    unless(not (advice.action == "continue" and "stopped rising" in text), "saturated, but go on")
    unless(not (advice.action == "continue" and "Go back" in text), "go on, and go back")
    unless("is still rising" not in text or advice.checkpoint > log.step[0], "best at the start")
    unless(advice.action != "wait" or advice.confidence is None, "sure of what is open")
    fell = [alarm for alarm in advice.alarms if alarm.rollback is not None]
    unless("Go back" not in text or bool(fell), "go back without a fall")
    unless(all(alarm.rollback == advice.checkpoint for alarm in fell), "two steps to go back to")
    unless(not (advice.anytime and not stop), "an unattended stop that is none")
    for column, floor in goal.floors().items():
        target = getattr(advice, f"{column}_target")
        explained = "margin" in text or "price" in text or stop
        above = target is not None and target.known and target.mid > floor + 1e-9
        unless(not above or explained, "a target above the floor without the reason")
    return problems


@pytest.mark.parametrize("name", GOALS)
@pytest.mark.parametrize("seed", range(12))
def test_no_two_lines_of_an_advice_contradict_each_other(seed, name):
    log, goal = random_log(seed), GOALS[name]
    try:
        advice = advise(log, goal)
    except BadData as refusal:
        if "contradictory goals" not in str(refusal):
            raise
        return
    assert contradictions(advice, log, goal) == []


def test_a_floor_speaks_where_the_price_cannot_be_steered_by():
    log = random_log(5)  # quality has no part in it
    floor = advise(log, Goal(min_diversity=0.2))
    both = advise(log, Goal(min_diversity=0.2, price=0.7))
    assert floor.action != "wait"
    assert both.action != "wait"
