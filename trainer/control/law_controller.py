"""The law-guided controller holds a floor, an entropy or a price by the laws of :mod:`qdlaws`."""

from __future__ import annotations

from qdlaws.control.controller import check_steerable, turn
from qdlaws.core.goal import Goal
from qdlaws.core.runlog import RunLog
from trainer.control.decision import Controller, Decision
from trainer.control.knob_dial import Dial
from trainer.knobs import Knobs

__all__ = ["law_guided"]


def law_guided(dial: Dial, goal: Goal, *, gain: float | None = None) -> Controller:
    """The controller for a goal with a floor or a price; see
    :func:`qdlaws.control.controller.turn`.

    ``gain`` is the prior of −dD/du (from ``plan`` or earlier runs); the run's own turns correct it.
    """
    check_steerable(goal, gain)

    def decide(log: RunLog, knobs: Knobs) -> Decision:
        made = turn(log, goal, dial.in_force(log, knobs), gain=gain, within=dial.range)
        after = dial.turned(knobs, made.du)
        return Decision(after, made.action, made.reasons + dial.words(knobs, after), made.figures)

    return decide
