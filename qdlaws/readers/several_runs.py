"""Several runs in one file: told by a column that names them, or by steps that begin anew."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pandas as pd

from qdlaws.core.runlog import NUMBERED
from qdlaws.readers.byte_source import Source
from qdlaws.readers.columns.clock import with_step_column
from qdlaws.readers.columns.generic_names import RUN_CODE, is_run_name
from qdlaws.readers.formats.trackers_sqlite import only_run
from qdlaws.readers.table import Table

__all__ = ["one_of_several_runs"]

FEWEST_ROWS = 3
"""Rows, in the middle, of what counts as a run: a seed that changes every row names none."""
RESTARTS = 2
"""Times that a log may not begin anew at its first step; once is a run that was started again."""
IN_ORDER = {"jsonl", "csv", "verl", "openrlhf", "roll", "trainer-console"}
"""Formats whose rows stand in the order in which they were written."""


def one_of_several_runs(source: Source, kind: str, table: Table, wanted: str | None) -> Table:
    """The table of one run; BadLog with the list of runs where none of several is chosen."""
    coded = [c for c in table.frame.columns if c.startswith(RUN_CODE)]
    coded = [c for c in coded if is_run_name(c.removeprefix(RUN_CODE))]
    frame = table.frame.drop(columns=coded)
    groups = _named(table, coded)
    if groups is not None and wanted is None and not _overlap(frame, groups):
        groups = None  # pieces of one run, each with a name
    if groups is None and kind in IN_ORDER:
        groups = _restarts(frame)
    table = replace(table, frame=frame, labels={})
    if groups is None:
        if wanted is not None and kind in IN_ORDER:
            raise source.bad(f"there is no run {wanted!r}: the file holds one run without a name")
        return table
    names = list(dict.fromkeys(groups))
    runs = [(name, name, int((groups == name).sum())) for name in names]
    chosen = only_run(source, runs, wanted)
    note = f"run {chosen!r} of {len(runs)} in this file" * (len(runs) > 1)
    rows = frame[(groups == chosen).to_numpy()].reset_index(drop=True)
    return replace(table, frame=rows.dropna(axis="columns", how="all")).with_notes(note)


def _named(table: Table, coded: Sequence[str]) -> pd.Series[str] | None:
    """The run of each row by the columns that tell several apart, else by the first of them."""
    columns = []
    for name in coded:
        codes, labels = table.frame[name], table.labels.get(name.removeprefix(RUN_CODE), ())
        counts = codes.value_counts()
        if labels and len(counts) and counts.median() >= FEWEST_ROWS:
            known = {float(i): label for i, label in enumerate(labels)}
            columns.append(codes.map(known).fillna("no name").astype(str))
    columns = [c for c in columns if c.nunique() > 1] or columns[:1]
    if not columns:
        return None
    joined = columns[0]
    for column in columns[1:]:
        joined = joined + "/" + column
    return joined


def _overlap(frame: pd.DataFrame, groups: pd.Series[str]) -> bool:
    """Whether two runs have steps between the same ends, or no step tells their rows apart."""
    if groups.nunique() < 2:
        return False
    clocked, note = with_step_column(frame, None)
    if note == NUMBERED:
        return True
    ends = clocked["step"].groupby(groups.to_numpy()).agg(["min", "max"]).sort_values("min")
    return bool((ends["min"].to_numpy()[1:] < ends["max"].cummax().to_numpy()[:-1]).any())


def _restarts(frame: pd.DataFrame) -> pd.Series[str] | None:
    """The number of the start of each row, where the steps begin anew more than once."""
    if len(frame) < (RESTARTS + 1) * FEWEST_ROWS:
        return None
    steps = with_step_column(frame, None)[0]["step"].ffill().bfill().to_numpy(np.float64)
    begins = (steps[1:] < steps[:-1]) & (steps[1:] <= steps[0])
    starts = np.concatenate([[0], np.cumsum(begins)])
    if starts[-1] < RESTARTS or np.median(np.bincount(starts)) < FEWEST_ROWS:
        return None
    return pd.Series([f"start {number + 1}" for number in starts])
