"""What every reader hands over: a table of numbers by step, kept in bounded memory."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd

from qdlaws.core.number_text import Array
from qdlaws.core.run_rows import latest_by_step, without_abandoned

__all__ = ["CLOCKS", "MAX_CELLS", "MAX_COLUMNS", "Columns", "Table", "steps_once"]

MAX_COLUMNS = 10_000
MAX_CELLS = 1 << 23  # 64 MiB of float64
SAMPLES_PER_STEP = 4  # from here on, rows that share a step are samples, not rewrites
CLOCKS = {"step", "time", "timestamp", "_timestamp", "_runtime", "_step", "epoch", "wall_time"}
NAN = float("nan")


@dataclass(frozen=True)
class Table:
    """Numbers as they were logged, in the order of the log.

    Attributes
    ----------
    tool : who wrote it, as far as the container tells
    frame : a column ``step`` and whatever was logged beside it; a step may stand in many rows
    kinds : column -> what it is, where the reader itself knows
    marks : steps at which the regime changed
    texts : column -> what to complain about if a law wants this column, which holds words
    notes : what the reader had to decide, in words
    """

    tool: str
    frame: pd.DataFrame
    kinds: Mapping[str, str] = field(default_factory=dict)
    texts: Mapping[str, str] = field(default_factory=dict)
    marks: tuple[float, ...] = ()
    notes: tuple[str, ...] = ()

    def noted(self, *notes: str) -> Table:
        """The same table with more notes."""
        return replace(self, notes=(*self.notes, *(n for n in notes if n)))


class Columns:
    """Rows of named numbers, gathered column by column.

    Memory is bounded: beyond 2²³ values the columns that ``wanted`` does not name are let go,
    and beyond that neighbouring rows are averaged in pairs.
    """

    def __init__(self, wanted: Callable[[str], bool] = lambda _: True) -> None:
        self._wanted, self._only_wanted = wanted, False
        self._columns: dict[str, array[float]] = {}
        self._rows, self._block = 0, 1
        self._waiting: list[Mapping[str, float]] = []

    def __len__(self) -> int:
        return self._rows

    def add(self, row: Mapping[str, float]) -> None:
        """Append one row; OverflowError beyond 10,000 columns."""
        if self._block > 1:  # rows are averaged by now: wait until one is full
            self._waiting.append(row)
            if len(self._waiting) < self._block:
                return
            row, self._waiting = _mean_row(self._waiting), []
        for name, value in row.items():
            column = self._columns.get(name)
            if column is None:
                if self._only_wanted and not self._wanted(name):
                    continue
                if len(self._columns) >= MAX_COLUMNS:
                    raise OverflowError(f"more than {MAX_COLUMNS:,} columns")
                column = self._columns[name] = array("d")
            if (missing := self._rows - len(column)) > 0:
                column.extend([NAN] * missing)
            column.append(value)
        self._rows += 1
        if self._rows % 4096 == 0 and self._rows * len(self._columns) > MAX_CELLS:
            self._shrink()

    def frame(self) -> pd.DataFrame:
        """What was gathered, missing values as NaN; a last row that is not full is left out."""
        return pd.DataFrame({name: self._filled(c) for name, c in self._columns.items()})

    def notes(self) -> tuple[str, ...]:
        """What was let go to stay within memory."""
        told = ["a very long log: columns that no law uses were left out"] * self._only_wanted
        if self._block > 1:
            told.append(f"a very long log: each row is the mean of {self._block}")
        return tuple(told)

    def _filled(self, column: array[float]) -> Array:
        return np.concatenate([np.frombuffer(column), np.full(self._rows - len(column), NAN)])

    def _shrink(self) -> None:
        if not self._only_wanted:
            self._only_wanted = True
            self._columns = {n: c for n, c in self._columns.items() if self._wanted(n)}
            if self._rows * len(self._columns) <= MAX_CELLS:
                return
        pairs = {n: self._filled(c).reshape(-1, 2) for n, c in self._columns.items()}
        self._rows, self._block = self._rows // 2, self._block * 2
        self._columns = {n: array("d", _mean_of_known(v).tobytes()) for n, v in pairs.items()}


def _mean_row(rows: list[Mapping[str, float]]) -> dict[str, float]:
    """Of each name the mean over the rows that know it."""
    names = dict.fromkeys(name for row in rows for name in row)
    known = {n: [row[n] for row in rows if row.get(n, NAN) == row.get(n, NAN)] for n in names}
    return {n: sum(values) / len(values) for n, values in known.items() if values}


def _mean_of_known(pairs: Array) -> Array:
    known = np.isfinite(pairs)
    total = np.where(known, pairs, 0.0).sum(axis=1)
    return np.asarray(np.where(known.any(axis=1), total / np.maximum(known.sum(axis=1), 1), NAN))


# ---------------------------------------------------------------------- one row a step


def steps_once(table: Table) -> Table:
    """The table with one row a step.

    Rows that share a step are, in this order of trying: samples of one batch (then their mean, with
    its standard error), parts of one row written separately, or the rewriting of a resumed run
    (then the last value of each column counts).
    """
    frame = table.frame[np.isfinite(table.frame["step"])]
    lost = len(table.frame) - len(frame)
    table = table.noted(f"{lost} rows had no usable step" if lost else "")
    counts = frame["step"].value_counts()
    if not len(counts) or counts.max() == 1:
        return replace(table, frame=frame.sort_values("step").reset_index(drop=True))
    if _are_samples(frame, counts):
        merged = _batch_means(frame)
        note = f"{len(frame)} rows over {len(merged)} steps: taken as samples and averaged by step"
        return replace(table, frame=merged).noted(note)
    frame, stale = without_abandoned(frame)
    return replace(table, frame=latest_by_step(frame)).noted(stale)


def _are_samples(frame: pd.DataFrame, counts: pd.Series[int]) -> bool:
    """Whether most steps hold many rows that all fill the same columns."""
    if counts.median() < SAMPLES_PER_STEP:
        return False
    measured = [c for c in frame.columns if c not in CLOCKS]
    return bool((frame[measured].notna().mean() > 0.8).any())


def _batch_means(frame: pd.DataFrame) -> pd.DataFrame:
    groups = frame.groupby("step", sort=True)
    means = groups.mean()
    errors = groups.sem().add_suffix("_se")
    errors = errors[[c for c in errors.columns if c not in means.columns]]
    return pd.concat([means, errors], axis=1).assign(n_samples=groups.size()).reset_index()
