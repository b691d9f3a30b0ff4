"""The law-guided controller holds a floor, an entropy or a price by the laws of :mod:`qdlaws`."""

from __future__ import annotations

from dataclasses import replace

from qdlaws.control.controller import check_steerable, turn
from qdlaws.core.goal import Goal
from qdlaws.core.runlog import RunLog
from trainer.control.decision import Controller, Decision
from trainer.control.knob_dial import Dial
from trainer.knobs import Knobs

__all__ = ["law_guided"]


def law_guided(dial: Dial, goal: Goal, *, gain: float | None = None) -> Controller:
    """The controller for a goal with a floor or a price: :func:`qdlaws.control.controller.turn`.

    Parameters
    ----------
    dial : the knob that is turned
    goal : a floor on diversity or entropy, or a price
    gain : what diversity loses when log(reward_scale/kl) rises by 1, from ``qdtrain plan`` or
        earlier runs; None: taken from the plan. The turns of the run correct it
    """
    check_steerable(goal, gain)

    def decide(log: RunLog, knobs: Knobs) -> Decision:
        advice = turn(log, goal, dial.in_force(log, knobs), gain=gain, within=dial.range)
        after = dial.turned(knobs, advice.du or 0.0)
        reasons = advice.reasons + dial.words(knobs, after)
        return Decision(replace(advice, reasons=reasons, du=dial.step(advice.du)), after)

    return decide
