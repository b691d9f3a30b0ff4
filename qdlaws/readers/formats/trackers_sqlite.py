"""Trackers that keep a SQLite file, MLflow and Trackio, opened read-only; MLflow's file store.

A database is a stranger's: only plain tables are read, for a view may compute without end, texts
are limited in length and the time is too.
"""

from __future__ import annotations

import sqlite3
import time
from array import array
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager, nullcontext
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np

from qdlaws.core.json_lines import MAX_VALUES, flat, parse
from qdlaws.readers.byte_source import Source, listed
from qdlaws.readers.columns.tool_names import is_wanted
from qdlaws.readers.table import MAX_CELLS, Columns, Table

__all__ = ["MAGIC", "only_run", "read_mlflow_files", "read_sqlite", "table_of_values"]

MAGIC = b"SQLite format 3\0"
MAX_TEXT = 1 << 24  # bytes of one value
MAX_SECONDS, INSTRUCTIONS = 120.0, 100_000  # of reading; after so many steps the clock is looked at
WAL = 2  # the file format that keeps a write-ahead log
TRACKIO, MLFLOW = {"metrics", "step", "run_name"}, {"key", "value", "step", "run_uuid", "is_nan"}


def read_sqlite(source: Source, run: str | None = None) -> Table:
    """The metrics of one run of an MLflow or Trackio database."""
    try:
        with _opened(source) as base:
            columns = {row[1] for row in base.execute("PRAGMA table_info(metrics)")}
            if columns and not _has(base, "metrics"):
                raise source.bad("metrics is a view or a virtual table, a table was needed")
            if columns >= MLFLOW:
                return _mlflow(source, base, run)
            if columns >= TRACKIO:
                return _trackio(source, base, run, "run_id" if "run_id" in columns else "run_name")
    except (sqlite3.Error, UnicodeError, OverflowError) as error:
        raise source.bad(f"a database that cannot be read ({error})") from error
    raise source.bad("a SQLite database, but neither MLflow's nor Trackio's")


@contextmanager
def _opened(source: Source) -> Iterator[sqlite3.Connection]:
    """A read-only connection; a copy whose write-ahead files are gone is read as it stands."""
    path = source.path
    address = f"file:{quote(str(path.resolve()))}?mode=ro"
    logged = source.head[18:20] == bytes([WAL, WAL])
    alone = logged and not path.with_name(f"{path.name}-wal").exists()
    connection = sqlite3.connect(f"{address}&immutable=1" if alone else address, uri=True)
    with closing(connection) as base, source.unchanged() if alone else nullcontext():
        base.text_factory = lambda text: text.decode("utf-8", "replace")
        base.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, MAX_TEXT)
        end = time.monotonic() + MAX_SECONDS
        base.set_progress_handler(lambda: time.monotonic() > end, INSTRUCTIONS)
        base.execute("PRAGMA trusted_schema = OFF")
        base.execute("BEGIN")  # one state of the database for all that is read
        yield base


def _mlflow(source: Source, base: sqlite3.Connection, run: str | None) -> Table:
    names = dict(base.execute("SELECT run_uuid, name FROM runs")) if _has(base, "runs") else {}
    counts = base.execute("SELECT run_uuid, count(*) FROM metrics GROUP BY run_uuid").fetchall()
    uuid = only_run(source, [(u, names.get(u) or u, n) for u, n in counts], run)
    rows = base.execute(
        "SELECT step, key, value FROM metrics WHERE run_uuid = ? AND is_nan = 0 "
        "ORDER BY step, timestamp", (uuid,)
    )  # fmt: skip
    return table_of_values(source, "mlflow", rows)


def _trackio(source: Source, base: sqlite3.Connection, run: str | None, key: str) -> Table:
    counts = base.execute(f"SELECT {key}, max(run_name), count(*) FROM metrics GROUP BY {key}")
    chosen = only_run(source, counts.fetchall(), run)
    columns = Columns(is_wanted)
    order = f"SELECT step, metrics FROM metrics WHERE {key} = ? ORDER BY rowid"
    for step, metrics in base.execute(order, (chosen,)):
        try:
            row = parse(metrics)
            columns.add({**flat(row), "step": float(step)} if isinstance(row, dict) else {})
        except (ValueError, TypeError, OverflowError) as error:
            raise source.bad(f"metrics of step {step!r} cannot be read ({error})") from error
    return Table("trackio", columns.frame(), notes=columns.notes())


def _has(base: sqlite3.Connection, table: str) -> bool:
    """Whether the database has a plain table of this name."""
    query = "SELECT sql FROM sqlite_master WHERE type = 'table' AND lower(name) = ?"
    row = base.execute(query, (table,)).fetchone()
    return row is not None and not str(row[0]).lower().startswith("create virtual")


def table_of_values(source: Source, tool: str, rows: Iterable[tuple[Any, Any, Any]]) -> Table:
    """A table from (step, key, value) rows that are ordered by step."""
    columns = Columns(is_wanted)
    row: dict[str, Any] = {}
    try:
        for step, key, value in rows:
            if row and row["step"] != step:
                columns.add(flat(row))
                row = {}
            row |= {"step": step, str(key): value}
            if len(row) > MAX_VALUES:
                raise OverflowError(f"more than {MAX_VALUES:,} values at step {step}")
        if row:
            columns.add(flat(row))
    except (ValueError, OverflowError) as error:
        raise source.bad(str(error)) from error
    if not len(columns):
        raise source.bad("this run logged no metrics")
    return Table(tool, columns.frame(), notes=columns.notes())


def only_run(source: Source, runs: list[tuple[str, str, int]], wanted: str | None) -> str:
    """The id of the wanted run, or of the only one; runs are (id, name, number of rows)."""
    if not runs:
        raise source.bad("no run in it has metrics")
    names = ", ".join(f"{name} ({n} values)" for _, name, n in runs[:8])
    if wanted is not None:
        matches = [key for key, name, _ in runs if wanted in (key, name)]
        if len(matches) != 1:
            raise source.bad(f"{len(matches)} runs are called {wanted!r}; it holds {names}")
        return matches[0]
    if len(runs) > 1:
        problem = f"holds {len(runs)} runs: {names}; name one, run={runs[0][1]!r}"
        raise source.several(problem, [(key, name) for key, name, _ in runs])
    return runs[0][0]


def read_mlflow_files(folder: Path) -> Table:
    """The metrics of one run of MLflow's file store: ``metrics/KEY``, lines "time value step".

    A last line without a line end is left out: its step may be half-written.
    """
    keys: list[str] = []
    columns = {name: array("d") for name in ("key", "time", "value", "step")}
    notes: list[str] = []
    for path in sorted(p for p in (folder / "metrics").rglob("*") if p.is_file()):
        keys.append(path.relative_to(folder / "metrics").as_posix())
        source, damaged = Source(path), list[int]()
        for line in source.lines():
            parts = line.text.split()
            if not parts:
                continue
            if line.has_hole or not line.ended:
                damaged.append(line.number)
                continue
            row = _three_numbers(source, parts, line.number)
            for column, number in zip(columns.values(), (len(keys) - 1, *row), strict=True):
                column.append(number)
            if len(columns["key"]) > MAX_CELLS:
                raise source.bad(f"more than {MAX_CELLS:,} values in the files of this run")
        if damaged:
            notes.append(
                f"{source.name}: half-written or damaged, left out: line {listed(damaged)}"
            )
    key, times, values, steps = (np.array(column) for column in columns.values())
    order = np.lexsort((times, steps))
    rows = ((steps[i].item(), keys[int(key[i])], values[i].item()) for i in order)
    return table_of_values(Source(folder), "mlflow", rows).with_notes(*notes)


def _three_numbers(source: Source, parts: list[str], line: int) -> list[float]:
    if len(parts) != 3:
        raise source.bad("three numbers were needed: time, value, step", line)
    try:
        return [float(part) for part in parts]
    except ValueError as error:
        raise source.bad(str(error), line) from error
