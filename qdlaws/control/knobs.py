"""Evaluation lines of ``metrics.jsonl`` as a log, and the ratio of the knobs that they carry.

A line has ``step``, ``quality``, ``diversity``, ``entropy``, their ``_se``, ``kl``, and the knobs
in force over the steps before it: ``kl_coef``, ``reward_scale``, ``entropy_coef``.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from qdlaws.core.runlog import RunLog

__all__ = ["InForce", "column_of", "in_force", "log_of"]

Array = npt.NDArray[np.float64]


def log_of(rows: Iterable[Mapping[str, Any]]) -> RunLog:
    """The log of the evaluations among the lines; null is NaN, and such a row is kept."""
    kept = [row for row in rows if row.get("phase", "eval") == "eval"]
    kinds = {
        name.removesuffix("_kind"): value
        for row in kept
        for name, value in row.items()
        if name.endswith("_kind") and isinstance(value, str)
    }
    numbers = [{k: _number(v) for k, v in row.items() if _is_number(v)} for row in kept]
    return RunLog.from_records(numbers, kinds=kinds, tool="qdtrain", duplicates="last")


def column_of(log: RunLog, name: str) -> Array | None:
    """An extra column by its own name, or as the readers call it; None where it is absent."""
    for known in (name, f"eval/{name}"):
        if known in log.extra:
            return log.extra[known].to_numpy(float)
    return None


@dataclass(frozen=True, eq=False)
class InForce:
    """The knobs of a run: u = log(reward_scale/strength) and the strength at each row, u now."""

    ratio: Array  # (n,) NaN where the log does not say
    strength: Array  # (n,)
    now: float


def in_force(
    log: RunLog,
    scale: float = 1.0,
    strength: float = 1.0,
    *,
    name: str = "kl_coef",
    now: float | None = None,
) -> InForce:
    """The knobs that the rows of a log carry; ``now`` defaults to those of its last row.

    ``scale`` and ``strength`` stand for a column that the log lacks altogether; ``name`` is the
    column of the strength.
    """
    scales, strengths = column_of(log, "reward_scale"), column_of(log, name)
    top = np.full(len(log), scale) if scales is None else scales
    bottom = np.full(len(log), strength) if strengths is None else strengths
    with np.errstate(divide="ignore", invalid="ignore"):
        u = np.log(top / bottom)
    u = np.where(np.isfinite(u), u, np.nan)
    known = u[np.isfinite(u)]
    last = float(known[-1]) if len(known) else math.nan
    return InForce(u, np.where(np.isfinite(u), bottom, np.nan), last if now is None else now)


def _is_number(value: Any) -> bool:
    return value is None or (isinstance(value, int | float) and not isinstance(value, bool))


def _number(value: Any) -> float:
    return math.nan if value is None else float(value)
