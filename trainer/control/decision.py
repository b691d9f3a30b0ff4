"""Decision: the advice at an evaluation and the knobs that follow. A controller is a pure function.

    controller(log, knobs) -> Decision        log: the evaluations so far; knobs: as they stand

Everything it needs is in the log, whose rows carry the knobs that were in force over the steps
before each evaluation, so a run resumed from its log, or a saved log replayed, decides the same.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from qdlaws.core.advice import Advice
from qdlaws.core.run_rows import extra_column
from qdlaws.core.runlog import RunLog
from qdlaws.errors import BadData
from trainer.control.knob_dial import KNOB_COLUMNS
from trainer.knobs import Knobs

__all__ = ["Controller", "Decision", "knobs_in", "replay"]


@dataclass(frozen=True)
class Decision:
    """The advice, the knobs from now on, and whether the run ends with it."""

    advice: Advice
    knobs: Knobs
    stopped: bool = False

    def to_dict(self) -> dict[str, Any]:
        """The line of ``advice.jsonl``; unknown numbers are None."""
        return self.advice.to_line(asdict(self.knobs), self.stopped)


Controller = Callable[[RunLog, Knobs], Decision]
"""A function of the log so far and the knobs in force that decides the next knobs."""


def knobs_in(log: RunLog, row: int, otherwise: Knobs) -> Knobs:
    """The knobs in force at a row; a field that the log lacks is taken from ``otherwise``."""
    values = {}
    for name, column in KNOB_COLUMNS.items():
        readings = extra_column(log, column)
        value = math.nan if readings is None else float(readings[row])
        values[name] = value if math.isfinite(value) else getattr(otherwise, name)
    return Knobs(**values)


def replay(controller: Controller, log: RunLog, start: Knobs) -> list[Decision]:
    """The decision at each row, from the rows up to it and the knobs in force there."""
    if not len(log):
        raise BadData("an empty log has no decisions to replay")
    rows = np.arange(len(log))
    return [
        controller(log.take(rows <= row), knobs_in(log, int(row), start)) for row in rows.tolist()
    ]
