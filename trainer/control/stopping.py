"""stop_when_advised: end a run by statements that may be looked at after every evaluation."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy.typing as npt

from qdlaws.advice.advise import advise
from qdlaws.core.goal import Goal
from qdlaws.core.runlog import RunLog
from qdlaws.core.serialize import plain

__all__ = ["Stop", "Stopper", "never_stop", "stop_when_advised"]


@dataclass(frozen=True)
class Stop:
    """Whether to stop now, which checkpoint to keep, and why."""

    stop: bool
    checkpoint: float | None
    """Step of the checkpoint to keep, of those that exist."""
    step: float
    confidence: float | None
    reasons: tuple[str, ...]

    def saved(self, steps: float) -> float:
        """The share of the planned steps that stopping here does not run; 0 where it goes on."""
        return max(1 - self.step / steps, 0.0) if self.stop and steps > 0 else 0.0

    def as_dict(self) -> dict[str, Any]:
        """Plain values for a line of ``advice.jsonl``."""
        values: dict[str, Any] = plain(vars(self))
        return values


Stopper = Callable[[RunLog, "npt.ArrayLike | None"], Stop]
"""A function of the log so far, and the steps with a checkpoint, that says whether to stop."""


def never_stop() -> Stopper:
    """Runs all the steps."""

    def decide(log: RunLog, checkpoints: npt.ArrayLike | None = None) -> Stop:
        return Stop(False, None, float(log.step[-1]), None, ("runs all its steps",))

    return decide


def stop_when_advised(goal: Goal | None = None, *, alpha: float = 0.05) -> Stopper:
    """Stops where :func:`qdlaws.advice.advise` does, wrongly in at most a share ``alpha`` of runs.

    The call takes the log and the steps whose checkpoints exist (None: every evaluation's). A run
    under a controller should be given a goal of gain (``min_gain_per_step``), of enough quality, or
    none: a floor is what the controller holds, and it stops the run only once it is surely broken
    and not being regained. A price that is met does not stop: that rests on the law's posterior,
    which is no statement for every peek.
    """
    goal = goal or Goal()

    def decide(log: RunLog, checkpoints: npt.ArrayLike | None = None) -> Stop:
        advice = advise(log, goal, checkpoints=checkpoints, alpha=alpha)
        reasons = advice.reasons
        if advice.action == "stop" and not advice.anytime:
            reasons = ("not stopped: this may not be asked at every step", *reasons)
        sure = advice.confidence if advice.anytime else None
        return Stop(advice.anytime, advice.checkpoint, advice.step, sure, reasons)

    return decide
