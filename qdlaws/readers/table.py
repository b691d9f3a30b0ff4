"""The table of numbers by step that every reader returns, gathered in bounded memory."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd

from qdlaws.core.run_rows import latest_by_step, without_abandoned
from qdlaws.core.types import Array

__all__ = ["CLOCKS", "MAX_CELLS", "MAX_COLUMNS", "Columns", "Table", "one_row_a_step"]

MAX_COLUMNS = 10_000
MAX_CELLS = 1 << 23  # 64 MiB of float64
SAMPLES_PER_STEP = 4  # from here on, rows that share a step are samples, not rewrites
CLOCKS = {"step", "time", "timestamp", "_timestamp", "_runtime", "_step", "epoch", "wall_time"}
NAN = float("nan")


@dataclass(frozen=True)
class Table:
    """The numbers of a log, in its order.

    Attributes
    ----------
    tool : the tool that wrote it, as far as the container shows
    frame : a column ``step`` and the logged columns; a step may have several rows
    kinds : column → its kind, where the format states it
    marks : steps at which the regime changed
    texts : column → the error to raise if a law needs this column, which holds words
    notes : the decisions that the reader made, in words
    labels : column that names runs → its labels, in the order of their numbers
    """

    tool: str
    frame: pd.DataFrame
    kinds: Mapping[str, str] = field(default_factory=dict)
    texts: Mapping[str, str] = field(default_factory=dict)
    marks: tuple[float, ...] = ()
    notes: tuple[str, ...] = ()
    labels: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def with_notes(self, *notes: str) -> Table:
        """The same table with more notes."""
        return replace(self, notes=(*self.notes, *(n for n in notes if n)))


class Columns:
    """Rows of named numbers, gathered column by column.

    Memory is bounded: beyond 2²³ values the columns that ``wanted`` refuses are dropped, and
    beyond that neighbouring rows are averaged in pairs.
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
        if self._block == 1:
            self._append(row)
        else:  # rows are averaged by now
            self._wait(row)

    def extend(self, rows: Mapping[str, Array]) -> None:
        """Append rows that come as columns of one length; OverflowError beyond 10,000 columns."""
        if not rows:
            return
        length = len(next(iter(rows.values())))
        names = dict.fromkeys(self._with_new_columns(dict.fromkeys([*rows, *self._names()], NAN)))
        names |= dict.fromkeys(self._names())  # more rows may wait than before
        empty = np.full(length, NAN)
        rows = {n: np.asarray(rows.get(n, empty), np.float64) for n in names}
        if not rows:  # none of the columns is kept
            return
        if self._block > 1:
            rows, self._waiting = self._averaged(rows)
        for name, values in rows.items():
            column = self._columns[name]
            column.extend([NAN] * (self._rows - len(column)))
            column.frombytes(values.tobytes())
        self._rows += len(next(iter(rows.values())))
        while self._rows * len(self._columns) > MAX_CELLS:
            self._shrink()

    def _names(self) -> list[str]:
        """The names in the rows that wait to be averaged."""
        return [name for row in self._waiting for name in row]

    def frame(self) -> pd.DataFrame:
        """The gathered columns, missing values as NaN; an incomplete average is left out."""
        return pd.DataFrame({name: self._filled(c) for name, c in self._columns.items()})

    def notes(self) -> tuple[str, ...]:
        """Notes on the columns and rows that the limit on memory cost."""
        notes = ["a very long log: columns that no law uses were left out"] * self._only_wanted
        if self._block > 1:
            notes.append(f"a very long log: each row is the mean of {self._block} logged rows")
        return tuple(notes)

    def _filled(self, column: array[float]) -> Array:
        return np.concatenate([np.frombuffer(column), np.full(self._rows - len(column), NAN)])

    def _append(self, row: Mapping[str, float]) -> None:
        if not row.keys() <= self._columns.keys():
            block = self._block
            row = self._with_new_columns(row)
            if self._block > block:  # so many new columns that the rows before were averaged
                for _ in range(block):
                    self._wait(row)
                return
        for name, value in row.items():
            column = self._columns[name]
            if (missing := self._rows - len(column)) > 0:
                column.extend([NAN] * missing)
            column.append(value)
        self._rows += 1
        if self._rows % 4096 == 0 and self._rows * len(self._columns) > MAX_CELLS:
            self._shrink()

    def _wait(self, row: Mapping[str, float]) -> None:
        """Puts the row to those that will be averaged, and averages them once they are enough."""
        self._waiting.append(row)
        if len(self._waiting) >= self._block:
            row, self._waiting = _mean_row(self._waiting), []
            self._append(row)

    def _averaged(
        self, rows: Mapping[str, Array]
    ) -> tuple[dict[str, Array], list[Mapping[str, float]]]:
        """The means of each block of rows, those that wait before them, and the rows left over."""
        waiting = self._waiting
        whole = {
            name: np.concatenate([[row.get(name, NAN) for row in waiting], values])
            for name, values in rows.items()
        }
        blocks = len(next(iter(whole.values()))) // self._block
        end = blocks * self._block
        means = {n: _finite_mean(v[:end].reshape(-1, self._block)) for n, v in whole.items()}
        rest = zip(*(values[end:].tolist() for values in whole.values()), strict=True)
        return means, [dict(zip(whole, values, strict=True)) for values in rest]

    def _with_new_columns(self, row: Mapping[str, float]) -> Mapping[str, float]:
        """The row without columns that are not kept, once there is room for its new ones."""
        new = self._new(row)
        while (self._rows + 1) * (len(self._columns) + len(new)) > MAX_CELLS and self._rows > 1:
            self._shrink()
            new = self._new(row)
        if len(self._columns) + len(new) > MAX_COLUMNS:
            raise OverflowError(f"more than {MAX_COLUMNS:,} columns")
        self._columns.update((name, array("d")) for name in new)
        return {name: value for name, value in row.items() if name in self._columns}

    def _new(self, row: Mapping[str, float]) -> list[str]:
        names = [name for name in row if name not in self._columns]
        return [n for n in names if self._wanted(n)] if self._only_wanted else names

    def _shrink(self) -> None:
        if not self._only_wanted:
            self._only_wanted = True
            self._columns = {n: c for n, c in self._columns.items() if self._wanted(n)}
            if self._rows * len(self._columns) <= MAX_CELLS:
                return
        whole = {n: self._filled(c) for n, c in self._columns.items()}
        if self._rows % 2:  # the odd row waits for the next one
            last = {n: float(column[-1]) for n, column in whole.items()}
            self._waiting += [last] * self._block
        self._rows, self._block = self._rows // 2, self._block * 2
        pairs = {n: column[: 2 * self._rows].reshape(-1, 2) for n, column in whole.items()}
        self._columns = {n: array("d", _finite_mean(v).tobytes()) for n, v in pairs.items()}


def _mean_row(rows: list[Mapping[str, float]]) -> dict[str, float]:
    """For each name the mean over the rows in which it is a number."""
    names = dict.fromkeys(name for row in rows for name in row)
    finite = {n: [row[n] for row in rows if row.get(n, NAN) == row.get(n, NAN)] for n in names}
    return {n: sum(values) / len(values) for n, values in finite.items() if values}


def _finite_mean(pairs: Array) -> Array:
    finite = np.isfinite(pairs)
    total = np.where(finite, pairs, 0.0).sum(axis=1)
    return np.asarray(np.where(finite.any(axis=1), total / np.maximum(finite.sum(axis=1), 1), NAN))


# ---------------------------------------------------------------------- one row a step


def one_row_a_step(table: Table) -> Table:
    """The table with one row a step.

    Where most steps have many rows, these are the samples of a batch: their mean, with its standard
    error. Otherwise they are parts of one row that were written separately, or rows that a resumed
    run wrote again: the last value of each column counts.
    """
    frame = table.frame[np.isfinite(table.frame["step"])]
    lost = len(table.frame) - len(frame)
    table = table.with_notes(f"{lost} rows without a usable step left out" if lost else "")
    counts = frame["step"].value_counts()
    if not len(counts) or counts.max() == 1:
        return replace(table, frame=frame.sort_values("step").reset_index(drop=True))
    if _are_samples(frame, counts):
        merged = _batch_means(frame)
        note = f"{len(frame)} rows over {len(merged)} steps: taken as samples, averaged by step"
        return replace(table, frame=merged).with_notes(note)
    frame, stale = without_abandoned(frame)
    return replace(table, frame=latest_by_step(frame)).with_notes(stale)


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
