"""Several files of one run, joined to one table."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from itertools import combinations
from pathlib import Path

import pandas as pd

from qdlaws.errors import BadLog
from qdlaws.readers.columns.clock import with_step_column
from qdlaws.readers.table import CLOCKS, MAX_CELLS, Table

__all__ = ["is_one_run", "join_tables", "read_parts"]

STAGED = {"reinvent4", "reinvent4-log"}


MOST_CELLS = 4 * MAX_CELLS
"""Values of all files together, missing ones included."""


def read_parts(tables: Iterable[Table], name: str) -> list[Table]:
    """The tables of the files of one run; BadLog where they are too large to be joined."""
    parts: list[Table] = []
    rows, columns = 0, set[str]()
    for table in tables:
        parts.append(table)
        rows += len(table.frame)
        columns.update(table.frame.columns)
        if rows * len(columns) > MOST_CELLS:
            raise BadLog(
                f"{name}: its files hold more than {MOST_CELLS:,} values: name one of them"
            )
    return parts


def is_one_run(tables: Sequence[Table], paths: Sequence[Path]) -> bool:
    """Whether the files are stages, parallel parts or consecutive pieces of one run."""
    if len(tables) == 1:
        return True
    if len({t.tool for t in tables}) > 1:
        return False
    if tables[0].tool in STAGED:
        return len({(p.parent, re.sub(r"\d+$", "", p.stem)) for p in paths}) == 1
    if not _share_columns(tables):
        return True
    starts = {float(with_step_column(t.frame, None)[0]["step"].min()) for t in tables}
    return len({p.parent for p in paths}) == 1 and len(starts) == len(tables)


def join_tables(tables: Sequence[Table], paths: Sequence[Path]) -> Table:
    """Several files of one run as one table.

    Stages that count their steps anew (REINVENT4) are put one after the other, with a mark where
    each begins; parts of the same steps (prime-rl's trainer and orchestrator) stand side by side;
    pieces of a resumed run follow each other, the later one counting where they overlap.
    """
    first, names = tables[0], [p.name for p in paths]
    if len(tables) == 1:
        return first
    if len({t.tool for t in tables}) > 1:
        tools = ", ".join(f"{n} ({t.tool})" for n, t in zip(names, tables, strict=True))
        raise BadLog(f"files of different tools are not one run: {tools}; name one")
    marks: tuple[float, ...] = ()
    if first.tool in STAGED:
        frame, marks = _staged(tables)
        note = f"{len(tables)} stages joined: {', '.join(names[:6])}"
    else:
        frame = pd.concat([with_step_column(t.frame, None)[0] for t in tables], ignore_index=True)
        if not _share_columns(tables):  # side by side: no part has left the others behind
            frame = frame.sort_values("step", kind="stable")
        note = f"{len(tables)} files read as one run: {', '.join(names[:6])}"
    kinds = {k: v for t in tables for k, v in t.kinds.items()}
    texts = {k: v for t in tables for k, v in t.texts.items()}
    notes = dict.fromkeys(n for t in tables for n in t.notes)
    return Table(first.tool, frame, kinds, texts, marks, (note, *notes))


def _staged(tables: Sequence[Table]) -> tuple[pd.DataFrame, tuple[float, ...]]:
    """The stages one after the other, and the first step of each but the first."""
    frames: list[pd.DataFrame] = []
    marks: list[float] = []
    offset = 0.0
    for table in tables:
        marks += [offset + 1] * bool(frames) + [offset + mark for mark in table.marks]
        frames.append(table.frame.assign(step=table.frame["step"] + offset))
        offset = float(frames[-1]["step"].max())
    return pd.concat(frames, ignore_index=True), tuple(marks)


def _share_columns(tables: Sequence[Table]) -> bool:
    """Whether two of the tables measure the same thing."""
    measured = [set(t.frame.columns) - CLOCKS for t in tables]
    return any(a & b for a, b in combinations(measured, 2))
