"""Decision: what a controller does at an evaluation, and why. A controller is a pure function.

    controller(log, knobs) -> Decision        log: the evaluations so far; knobs: as they stand

Everything it needs is in the log, whose rows carry the knobs that were in force over the steps
before each evaluation, so a run resumed from its log, or a saved log replayed, decides the same.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from qdlaws.control.controller import Action
from qdlaws.core.run_rows import extra_column
from qdlaws.core.runlog import RunLog
from qdlaws.core.serialize import plain
from qdlaws.errors import BadData
from trainer.control.knob_dial import KNOB_COLUMNS
from trainer.knobs import Knobs

__all__ = ["Controller", "Decision", "knobs_in", "replay", "steered"]


@dataclass(frozen=True)
class Decision:
    """The knobs from now on, with the reasons and the figures they rest on."""

    knobs: Knobs
    action: Action
    reasons: tuple[str, ...]
    figures: Mapping[str, float] = field(default_factory=dict)
    """Numbers such as u, du, gain, level, target; NaN where unknown."""

    def as_dict(self) -> dict[str, Any]:
        """Plain values for a line of ``advice.jsonl``; unknown numbers are None."""
        values: dict[str, Any] = plain(
            {
                "action": self.action,
                "knobs": asdict(self.knobs),
                "reasons": self.reasons,
                "figures": self.figures,
            }
        )
        return values


Controller = Callable[[RunLog, Knobs], Decision]
"""A function of the log so far and the knobs in force that decides the next knobs."""


def steered(controller: Controller) -> Callable[[RunLog, Knobs], Knobs]:
    """The controller as a function of log and knobs that returns the new knobs alone."""
    return lambda log, knobs: controller(log, knobs).knobs


def knobs_in(log: RunLog, row: int, otherwise: Knobs) -> Knobs:
    """The knobs in force at a row; a field that the log lacks is taken from ``otherwise``."""
    found = {}
    for field_name, column in KNOB_COLUMNS.items():
        known = extra_column(log, column)
        value = math.nan if known is None else float(known[row])
        found[field_name] = value if math.isfinite(value) else getattr(otherwise, field_name)
    return Knobs(**found)


def replay(controller: Controller, log: RunLog, start: Knobs) -> list[Decision]:
    """The decision at each row, from the rows up to it and the knobs in force there."""
    if not len(log):
        raise BadData("an empty log has no decisions to replay")
    rows = np.arange(len(log))
    return [
        controller(log.take(rows <= row), knobs_in(log, int(row), start)) for row in rows.tolist()
    ]
