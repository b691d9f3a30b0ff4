"""The step of a log: which of its clocks covers the rows in which something was measured."""

from __future__ import annotations

import re
from collections.abc import Iterable
from difflib import get_close_matches

import numpy as np
import pandas as pd

from qdlaws.core.runlog import NUMBERED
from qdlaws.errors import MissingColumn
from qdlaws.readers.columns.generic_names import CLOCK, PREFIXED
from qdlaws.readers.columns.tool_names import is_measured

__all__ = ["listed_columns", "missing_column", "with_step_column"]

MOSTLY = 0.9
"""Share of rows, or of steps of a counter, from which a clock is as good as a full one."""


def with_step_column(
    frame: pd.DataFrame, step: str | None, named: Iterable[str] = ()
) -> tuple[pd.DataFrame, str]:
    """The frame with its step in a column ``step``, and a note on the column it came from.

    Of several clocks the first in the order of ``CLOCK`` is taken that has a value in about as many
    of the rows with a quality, diversity or entropy (or a named column) as the best of them.
    """
    if step is not None:
        if step not in frame.columns:
            raise MissingColumn(missing_column("step", step, frame))
        return _with_step(frame, [step]), ""
    measured = [c for c in frame.columns if is_measured(c) or c in set(named)]
    rows = frame[frame[measured].notna().any(axis=1)] if measured else frame
    rows = rows if len(rows) else frame
    clocks = [names for pattern in CLOCK if (names := _clock(frame, rows, pattern))]
    if not clocks:
        return frame.assign(step=np.arange(len(frame), dtype=float)), NUMBERED
    shares = [float(rows[names].notna().any(axis=1).mean()) for names in clocks]
    names = next(c for c, s in zip(clocks, shares, strict=True) if s >= MOSTLY * max(shares))
    note = "" if names[0] == "step" else f"the step is column {names[0]!r}"
    if names[0] != "step" and "step" in frame:
        note += f": column 'step' is in {rows['step'].notna().mean():.0%} of the measured rows only"
    return _with_step(frame, names), note


def _clock(frame: pd.DataFrame, rows: pd.DataFrame, pattern: str) -> list[str]:
    """The columns of one kind of clock, the fullest first; they must count alike to be one."""
    names = [c for c in frame.columns if re.fullmatch(pattern, c) and frame[c].notna().any()]
    if pattern == PREFIXED:
        names = [c for c in names if _counts(frame[c])]
    names.sort(key=lambda c: rows[c].isna().sum())
    ends = {c: float(frame[c].max()) for c in names}
    return [c for c in names if pattern != PREFIXED or 0.9 <= ends[c] / ends[names[0]] <= 1.1]


def _counts(values: pd.Series[float]) -> bool:
    """Whether a column holds whole numbers that mostly rise: a counter, not a duration."""
    counted = values.dropna().to_numpy(dtype=np.float64)
    rises = np.diff(counted) >= 0
    return bool(
        (counted >= 0).all()
        and (counted == np.floor(counted)).all()
        and counted.max() > counted.min()
        and rises.mean() >= MOSTLY
    )


def _with_step(frame: pd.DataFrame, names: list[str]) -> pd.DataFrame:
    steps = frame[names].bfill(axis=1).iloc[:, 0].astype(float)
    return frame.drop(columns=[*names, "step"], errors="ignore").assign(step=steps)


def missing_column(role: str, name: str, frame: pd.DataFrame) -> str:
    """The message that a column is not in the log, with the names that are near."""
    near = get_close_matches(name, map(str, frame.columns), n=3, cutoff=0.5)
    hint = f"did you mean {', '.join(near)}?" if near else f"its columns: {listed_columns(frame)}"
    return f"no column {name!r} for {role} in this log; {hint}"


def listed_columns(frame: pd.DataFrame, most: int = 12) -> str:
    """The names of the columns, the first dozen of many."""
    names = [str(c) for c in frame.columns if c != "step"]
    return ", ".join(names[:most]) + (f", … ({len(names)} in all)" if len(names) > most else "")
