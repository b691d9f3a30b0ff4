"""Decision: what a controller does at an evaluation, and why. A controller is a pure function.

    controller(log, knobs) -> Decision        log: the evaluations so far; knobs: as they stand

Everything it needs is in the log, whose rows carry the knobs that were in force over the steps
before each evaluation, so a run resumed from its log, or a saved log replayed, decides the same.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

import numpy as np

from qdlaws.errors import BadData
from qdlaws.plain import plain
from qdlaws.runlog import RunLog
from trainer.controllers.dial import KNOB_COLUMNS
from trainer.knobs import Knobs

__all__ = ["Controller", "Decision", "knobs_in", "log_of", "replay", "steered"]

Action = Literal["continue", "wait", "tighten", "loosen"]


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


def steered(controller: Controller) -> Callable[[RunLog, Knobs], Knobs]:
    """The controller as a function of log and knobs that returns the new knobs alone."""
    return lambda log, knobs: controller(log, knobs).knobs


def log_of(rows: Iterable[Mapping[str, Any]]) -> RunLog:
    """The log that controllers read, from the lines of ``metrics.jsonl`` (evaluations only)."""
    kept = [
        {name: value for name, value in row.items() if name != "phase"}
        for row in rows
        if row.get("phase", "eval") == "eval"
    ]
    kinds = {
        name.removesuffix("_kind"): value
        for row in kept
        for name, value in row.items()
        if name.endswith("_kind") and isinstance(value, str)
    }
    numbers = [{k: _number(v) for k, v in row.items() if _is_number(v)} for row in kept]
    return RunLog.from_records(numbers, kinds=kinds, tool="qdtrain", duplicates="last")


def knobs_in(log: RunLog, row: int, otherwise: Knobs) -> Knobs:
    """The knobs in force at a row; a field that the log lacks is taken from ``otherwise``."""
    found = {}
    for field_name, column in KNOB_COLUMNS.items():
        known = next((c for c in (column, f"eval/{column}") if c in log.extra), None)
        value = math.nan if known is None else float(log.extra[known].iloc[row])
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


def _is_number(value: Any) -> bool:
    return value is None or (isinstance(value, int | float) and not isinstance(value, bool))


def _number(value: Any) -> float:
    return math.nan if value is None else float(value)
