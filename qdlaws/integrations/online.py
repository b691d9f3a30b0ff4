"""The one decision of a row inside somebody else's trainer: its advice, and how far to turn."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Literal

from qdlaws.advice.advise import advise_run
from qdlaws.control.collapse_guard import clear_breach
from qdlaws.control.controller import check_steerable, turn
from qdlaws.control.knobs import in_force
from qdlaws.core.advice import Advice
from qdlaws.core.goal import Goal
from qdlaws.core.runlog import RunLog
from qdlaws.errors import BadData, QdlawsError

__all__ = ["Decision", "OnlineAdvisor", "advisor", "turn_within_reach"]

REACH = (4.0, 5.0)
"""How far below and above the u of the start a knob may be turned."""

Mode = Literal["advise", "stop", "steer"]


def turn_within_reach(
    log: RunLog, goal: Goal, start: float, now: float, gain: float | None
) -> Advice:
    """The turn of the controller, u = log(reward scale/KL) staying within reach of the start."""
    within = (start - REACH[0], start + REACH[1])
    return turn(log, goal, in_force(log, now=now), gain=gain, within=within)


@dataclass(frozen=True)
class Decision:
    """The advice on a row, the factor of the turned knob, and whether the run ends."""

    advice: Advice
    stop: bool
    scale_factor: float = 1.0
    """By which the reward scale (or 1/KL) is multiplied from now on."""


@dataclass(frozen=True)
class OnlineAdvisor:
    """How a plug-in decides: the same decisions as LawCallback's, from the rows alone.

    Parameters
    ----------
    goal : the goal of the run; to steer it needs a floor or a price
    mode : ``"advise"``, ``"stop"`` (ends the run when advised) or ``"steer"`` (turns a knob)
    every : steps that make one row
    gain : prior of −dD/du, the diversity that a unit of log(reward scale/KL) costs
    may_stop : stop when advised while steering, too
    """

    goal: Goal
    mode: Mode = "advise"
    every: int = 10
    gain: float | None = None
    may_stop: bool = False
    alpha: float = 0.05

    def __post_init__(self) -> None:
        if self.mode not in ("advise", "stop", "steer"):
            raise BadData(f"mode={self.mode!r}: one of advise, stop, steer was needed")
        if not (isinstance(self.every, int) and self.every > 0):
            raise BadData(f"every={self.every!r}: a number of steps above 0 was needed")
        if self.mode == "steer":
            check_steerable(self.goal, self.gain)

    def decide(
        self,
        log: RunLog,
        start: float,
        now: float,
        words: Callable[[float], str] | None = None,
    ) -> Decision:
        """The decision on a log whose u was ``start`` at first and is ``now``.

        ``words`` says what a factor of the reward scale does to the knob of this trainer. A log
        that cannot answer yet (no valid molecule so far, say) is a reason to wait, not to end.
        """
        try:
            return self._decision(log, start, now, words)
        except QdlawsError as problem:
            reasons = (" ".join(str(problem).split()),)
            return Decision(Advice(action="wait", step=float(log.step[-1]), reasons=reasons), False)

    def _decision(
        self, log: RunLog, start: float, now: float, words: Callable[[float], str] | None
    ) -> Decision:
        stops = self.mode == "stop" or self.may_stop
        turned = None
        if self.mode == "steer":
            turned = turn_within_reach(log, self.goal, start, now, self.gain)
            if turned.du and words is not None:
                turned = replace(turned, reasons=(*turned.reasons, words(math.exp(turned.du))))
        advice = advise_run(
            log, self.goal, turned, may_stop=stops, plant_gain=self.gain, alpha=self.alpha
        )
        breach = clear_breach(log, self.goal) if self.mode == "stop" else ""
        if breach and not advice.anytime:
            advice = replace(advice, action="stop", du=None, confidence=None, reasons=(breach,))
        steers = self.mode == "steer" and bool(advice.du)
        factor = math.exp(advice.du or 0.0) if steers else 1.0
        return Decision(advice, bool(stops and (advice.anytime or breach)), factor)


def advisor(options: dict[str, Any]) -> OnlineAdvisor:
    """The advisor for the options of a configuration file, the goal's among them."""
    goals = set(Goal.__dataclass_fields__)
    rest = set(OnlineAdvisor.__dataclass_fields__) - {"goal"}
    unknown = set(options) - goals - rest
    if unknown:
        known = ", ".join(sorted(goals | rest))
        raise BadData(f"unknown option {', '.join(sorted(unknown))}: one of {known} was needed")
    given = {name: value for name, value in options.items() if value is not None}
    goal = Goal(**{k: v for k, v in given.items() if k in goals})
    return OnlineAdvisor(goal, **{k: v for k, v in given.items() if k in rest})
