"""Trackers that keep a SQLite file: MLflow and Trackio. Opened read-only."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

from qdlaws.core.json_lines import flat, parse
from qdlaws.readers.byte_source import Source
from qdlaws.readers.columns.tool_names import is_wanted
from qdlaws.readers.table import Columns, Table

__all__ = ["MAGIC", "only_run", "read_mlflow_files", "read_sqlite"]

MAGIC = b"SQLite format 3\0"
TRACKIO, MLFLOW = {"metrics", "step", "run_name"}, {"key", "value", "step", "run_uuid", "is_nan"}


def read_sqlite(source: Source, run: str | None = None) -> Table:
    """The metrics of one run of an MLflow or Trackio database."""
    try:
        with _opened(source.path) as base:
            columns = {row[1] for row in base.execute("PRAGMA table_info(metrics)")}
            if columns >= MLFLOW:
                return _mlflow(source, base, run)
            if columns >= TRACKIO:
                return _trackio(source, base, run, "run_id" if "run_id" in columns else "run_name")
    except (sqlite3.Error, UnicodeError, OverflowError) as error:
        raise source.bad(f"a database that cannot be read ({error})") from error
    raise source.bad("a SQLite database, but neither MLflow's nor Trackio's")


@contextmanager
def _opened(path: Path) -> Iterator[sqlite3.Connection]:
    """A read-only connection; a copy whose write-ahead files are gone is read as it stands."""
    address = f"file:{quote(str(path.resolve()))}?mode=ro"
    beside = path.with_name(f"{path.name}-wal").exists()
    with closing(
        sqlite3.connect(address if beside else f"{address}&immutable=1", uri=True)
    ) as base:
        base.text_factory = lambda text: text.decode("utf-8", "replace")
        yield base


def _mlflow(source: Source, base: sqlite3.Connection, run: str | None) -> Table:
    names = dict(base.execute("SELECT run_uuid, name FROM runs")) if _has(base, "runs") else {}
    counts = base.execute("SELECT run_uuid, count(*) FROM metrics GROUP BY run_uuid").fetchall()
    uuid = only_run(source, [(u, names.get(u) or u, n) for u, n in counts], run)
    rows = base.execute(
        "SELECT step, key, value FROM metrics WHERE run_uuid = ? AND is_nan = 0 "
        "ORDER BY step, timestamp", (uuid,)
    )  # fmt: skip
    return _long(source, "mlflow", rows)


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
    rows = base.execute("SELECT 1 FROM sqlite_master WHERE name = ?", (table,))
    return rows.fetchone() is not None


def _long(source: Source, tool: str, rows: Iterable[tuple[Any, Any, Any]]) -> Table:
    """A table from (step, key, value) rows that are ordered by step."""
    columns = Columns(is_wanted)
    row: dict[str, Any] = {}
    try:
        for step, key, value in rows:
            if row and row["step"] != step:
                columns.add(flat(row))
                row = {}
            row |= {"step": step, str(key): value}
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
        raise source.bad(f"holds {len(runs)} runs: {names}; name one, run={runs[0][1]!r}")
    return runs[0][0]


def read_mlflow_files(folder: Path) -> Table:
    """The metrics of one run of MLflow's file store: ``metrics/KEY``, lines "time value step"."""
    rows: list[tuple[float, float, str, float]] = []
    files = sorted(p for p in (folder / "metrics").rglob("*") if p.is_file())
    for path in files:
        key, source = path.relative_to(folder / "metrics").as_posix(), Source(path)
        for line in source.lines():
            parts = line.text.split()
            if len(parts) != 3:
                if line.ended and parts:
                    raise source.bad("three numbers were needed: time, value, step", line.number)
                continue
            try:
                time, value, step = map(float, parts)
            except ValueError as error:
                raise source.bad(str(error), line.number) from error
            rows.append((step, time, key, value))
    rows.sort(key=lambda row: row[:2])
    return _long(Source(folder), "mlflow", ((step, key, value) for step, _, key, value in rows))
