"""What any trainer of transformers logs, as rows of ``metrics.jsonl``."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

__all__ = ["is_evaluation", "logged_row"]

TOTALS = ("train_runtime", "train_samples_per_second", "total_flos", "train_loss")
"""What the trainer says once, when the run has ended."""


def logged_row(logs: Mapping[str, Any], step: int) -> dict[str, float] | None:
    """The numbers of one ``on_log`` with their step; None where it has no measurement.

    Quoted numbers, as ms-swift logs them, count; the totals at the end of a run do not.
    """
    row = {str(name): value for name, text in logs.items() if (value := _finite(text)) is not None}
    if not set(row) - {"epoch", "step", "num_input_tokens_seen"} or set(row) & set(TOTALS):
        return None
    return {**row, "step": step}


def is_evaluation(row: Mapping[str, Any]) -> bool:
    """Whether a row holds the metrics of an evaluation."""
    return any(name.startswith("eval_") for name in row)


def _finite(value: Any) -> float | None:
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    return number if math.isfinite(number) else None
