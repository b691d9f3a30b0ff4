"""The step of a log: which of its clocks covers the rows in which something was measured."""

from __future__ import annotations

import re
from collections.abc import Iterable
from difflib import get_close_matches

import numpy as np
import pandas as pd

from qdlaws.core.runlog import CLOCK as CLOCK_NOTE
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
        return _with_step(frame, {step: 1.0}), ""
    measured = [c for c in frame.columns if is_measured(c) or c in set(named)]
    rows = frame[frame[measured].notna().any(axis=1)] if measured else frame
    rows = rows if len(rows) else frame
    clocks = [clock for pattern in CLOCK if (clock := _clock(frame, rows, pattern))]
    if not clocks:
        return frame.assign(step=np.arange(len(frame), dtype=float)), NUMBERED
    shares = [float(rows[list(clock)].notna().any(axis=1).mean()) for clock in clocks]
    clock = next(c for c, s in zip(clocks, shares, strict=True) if s >= MOSTLY * max(shares))
    return _with_step(frame, clock), _clock_note(clock, rows)


def _clock_note(clock: Clock, rows: pd.DataFrame) -> str:
    """Which columns the step comes from, where that is not the column ``step``."""
    if "step" in clock:
        return ""
    unit = next(name for name in reversed(clock))
    fast = [f"{times:g} of {name!r} are one" for name, times in clock.items() if times > 1]
    note = f"{CLOCK_NOTE}{unit if fast else next(iter(clock))!r}"
    if fast:
        note += f", {fast[0]}"
    if "step" in rows:
        note += f": column 'step' is in {rows['step'].notna().mean():.0%} of the measured rows only"
    return note


Clock = dict[str, float]
"""The columns of one clock, the fullest first, and the steps of each that are one step of it."""


def _clock(frame: pd.DataFrame, rows: pd.DataFrame, pattern: str) -> Clock:
    """The columns of one kind of clock; they count alike, or one so many times as fast.

    A trainer of several updates a rollout counts both, ``rollout/step`` and four times as fast
    ``train/step``, in rows of their own.
    """
    names = [c for c in frame.columns if re.fullmatch(pattern, c) and frame[c].notna().any()]
    if pattern == PREFIXED:
        names = [c for c in names if _counts(frame[c])]
    names.sort(key=lambda c: rows[c].isna().sum())
    if pattern != PREFIXED or len(names) < 2:
        return dict.fromkeys(names, 1.0)
    ends = {c: float(frame[c].max()) for c in names}
    alike = [c for c in names if 0.9 <= ends[c] / ends[names[0]] <= 1.1]
    apart = rows[alike].isna().all(axis=1)
    for slow in (c for c in names if c not in alike):
        times = _times(frame[names[0]], frame[slow])
        if times and rows.loc[apart, slow].notna().sum() > (1 - MOSTLY) * len(rows):
            others = [c for c in names if c not in alike and 0.9 <= ends[c] / ends[slow] <= 1.1]
            return dict.fromkeys(alike, times) | dict.fromkeys(others, 1.0)
    return dict.fromkeys(alike, 1.0)


def _times(fast: pd.Series[float], slow: pd.Series[float]) -> float:
    """How many times as fast one counter counts as another; 0 where that is no whole number."""
    start = 1.0 if fast.min() == 0 or slow.min() == 0 else 0.0
    ratio = float((fast.max() + start) / (slow.max() + start))
    times = float(round(ratio))
    return times if times >= 2 and abs(ratio - times) <= 0.02 * times else 0.0


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


def _with_step(frame: pd.DataFrame, clock: Clock) -> pd.DataFrame:
    columns = {name: _slowed(frame[name], times) for name, times in clock.items()}
    steps = pd.DataFrame(columns).bfill(axis=1).iloc[:, 0].astype(float)
    return frame.drop(columns=[*clock, "step"], errors="ignore").assign(step=steps)


def _slowed(steps: pd.Series[float], times: float) -> pd.Series[float]:
    """A counter in steps of a slower one that starts with it, at 0 or at 1."""
    if times == 1.0:
        return steps
    return steps // times if steps.min() == 0 else -(-steps // times)


def missing_column(role: str, name: str, frame: pd.DataFrame) -> str:
    """The message that a column is not in the log, with the names that are near."""
    near = get_close_matches(name, map(str, frame.columns), n=3, cutoff=0.5)
    hint = f"did you mean {', '.join(near)}?" if near else f"its columns: {listed_columns(frame)}"
    return f"no column {name!r} for {role} in this log; {hint}"


def listed_columns(frame: pd.DataFrame, most: int = 12) -> str:
    """The names of the columns, the first dozen of many."""
    names = [str(c) for c in frame.columns if c != "step"]
    return ", ".join(names[:most]) + (f", … ({len(names)} in all)" if len(names) > most else "")
