"""The rules behind an advice, asked in turn: the first that has something to say decides.

    out of steps → target reached → floor broken → gain gone → price met → steered → quality alone

Each takes what is known of a run and a goal and answers (action, confidence, reasons), or None.
"""

from __future__ import annotations

from typing import Literal

import numpy as np

from qdlaws.advice.checkpoints import Choice
from qdlaws.control.targets import Targets, law_of
from qdlaws.core.goal import Goal
from qdlaws.core.runlog import RunLog
from qdlaws.inference.e_process import Evidence, gain_below, level_above, level_below
from qdlaws.laws.result import LawFits

__all__ = ["Action", "Decision", "decide"]

Action = Literal["continue", "stop", "wait", "tighten", "loosen"]

SURE = 0.95

Decision = tuple[Action, float | None, list[str]]


def decide(
    log: RunLog, laws: LawFits | None, goal: Goal, aim: Targets, choice: Choice, alpha: float
) -> tuple[Decision, bool]:
    """The decision, and whether it is a stop that holds at every peek."""
    for rule in (_out_of_steps, _target_reached, _floor_broken, _gain_gone, _price_met):
        decision = rule(log, laws, goal, aim, alpha)
        if decision is not None:
            return decision, rule is not _price_met
    if aim.steered is not None:
        return _steered(laws, goal, aim), False
    if goal.price is not None:
        return ("wait", None, [_no_price(log, laws, goal)]), False
    last = _quality_only(log, laws, choice, alpha)
    return last, last[0] == "stop"


def _out_of_steps(
    log: RunLog, laws: LawFits | None, goal: Goal, aim: Targets, alpha: float
) -> Decision | None:
    if goal.budget_steps is None or log.step[-1] < goal.budget_steps:
        return None
    return "stop", 1.0, [f"the budget of {goal.budget_steps:g} steps is spent"]


def _target_reached(
    log: RunLog, laws: LawFits | None, goal: Goal, aim: Targets, alpha: float
) -> Decision | None:
    if goal.target_quality is None:
        return None
    found = level_above(log.step, log.column("quality"), goal.target_quality, log.quality_se)
    if not found.at_level(alpha):
        return None
    return _stop(found, f"quality is above the target of {goal.target_quality:g}")


def _floor_broken(
    log: RunLog, laws: LawFits | None, goal: Goal, aim: Targets, alpha: float
) -> Decision | None:
    """A floor that is surely broken and not being regained."""
    for column, floor in goal.floors().items():
        se = getattr(log, f"{column}_se")
        found = level_below(log.step, log.column(column), floor, se)
        now = aim.steering.get(column)
        # an e-process remembers; what counts is that the floor is still broken
        still = now is not None and now.level + now.level_se < floor
        still = still and now is not None and not now.slope > now.slope_se
        if found.at_level(alpha) and still and now is not None:
            words = f"{column} is {now.level:.3g}, below the floor of {floor:g}, and not recovering"
            return _stop(found, words)
    return None


def _gain_gone(
    log: RunLog, laws: LawFits | None, goal: Goal, aim: Targets, alpha: float
) -> Decision | None:
    if goal.min_gain_per_step is None:
        return None
    least = goal.min_gain_per_step
    found = gain_below(log.step, log.column("quality"), least, log.quality_se)
    if not found.at_level(alpha):
        return None
    return _stop(found, f"a step now brings less than {least:g} quality")


def _price_met(
    log: RunLog, laws: LawFits | None, goal: Goal, aim: Targets, alpha: float
) -> Decision | None:
    if aim.p_price_met is None or goal.price is None or aim.p_price_met < SURE:
        return None
    words = (
        f"the operating point is passed: one more unit of {goal.priced(log)} is worth "
        f"{goal.price:g} to you and costs less in quality than that only above it"
    )
    return "stop", aim.p_price_met, [words]


def _stop(found: Evidence, words: str) -> Decision:
    odds = f"{np.exp(found.log_e):.0f}" if found.log_e < np.log(1000) else "over 1000"
    sure = f"odds {odds} : 1 by a test that may be asked at every step"
    return "stop", found.confidence, [f"{words} ({sure})"]


def _steered(laws: LawFits | None, goal: Goal, aim: Targets) -> Decision:
    assert aim.steered is not None
    now = aim.steering[aim.steered]
    rests = [] if aim.from_law else _rests_on_readings(laws, aim.steered)
    if not np.isfinite(aim.du):
        return "wait", None, [f"fewer than 3 readings of {aim.steered}: too few to steer by"]
    where = f"{aim.steered} is {now.level:.3g} ± {now.level_se:.2g}"
    if np.isfinite(now.slope):
        where += f", changing by {now.slope:+.2g} an evaluation"
    where += f"; the target is {now.target:.3g}"
    if aim.du < 0:
        sure = now.p_below if np.isfinite(now.p_below) else None
        word = "missed now" if now.level < now.target else "left alone it would soon be missed"
        return "tighten", sure, [f"{where}: {word}", *rests]
    above = 1 - now.p_below
    if aim.du > 0 and not now.falling:
        return "loosen", above, [f"{where}: there is some to spend", *rests]
    word = "it falls towards it by itself" if now.falling else "near enough"
    return "continue", above, [f"{where}: {word}", *rests]


def _rests_on_readings(laws: LawFits | None, column: str) -> list[str]:
    law = law_of(laws, column)
    if law is None:
        return [f"no law of quality on {column}: this rests on measured {column} alone"]
    if not law.supported:
        return [
            f"quality on {column} is unsupported ({law.reasons[0]}): "
            f"this rests on measured {column} alone"
        ]
    return []


def _no_price(log: RunLog, laws: LawFits | None, goal: Goal) -> str:
    column = goal.priced(log) or "diversity"
    law = law_of(laws, column)
    if law is None:
        return f"a price needs a law of quality on {column}, and none could be fitted yet"
    why = f"{law.verdict}: {law.reasons[0]}" if law.reasons else law.verdict
    return f"a price needs a concave law of quality on {column}; this one is {why}"


def _quality_only(log: RunLog, laws: LawFits | None, choice: Choice, alpha: float) -> Decision:
    """No floor and no price: go on while quality rises, stop when it surely falls."""
    law = next((f for c in ("diversity", "entropy") if (f := law_of(laws, c)) is not None), None)
    verdict = (
        [f"quality on {law.x_name} is {law.verdict}" + "".join(f" ({r})" for r in law.reasons[:1])]
        if law is not None
        else ["no law could be fitted"]
    )
    if "quality" not in log.columns or choice.table["step"].size < 5:
        return "wait", None, ["too few readings of quality to say where it goes", *verdict]
    falling = gain_below(log.step, log.column("quality"), 0.0, log.quality_se)
    late = choice.step < log.step[-1]
    if falling.at_level(alpha) and late:
        return _stop(falling, "quality is falling")
    if choice.p_rising >= 0.9:
        return "continue", choice.p_rising, ["quality is still rising", *verdict]
    return "wait", None, ["whether quality still rises cannot be told from its noise", *verdict]
