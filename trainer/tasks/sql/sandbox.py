"""A small database in memory that answers SELECT and nothing else, within fixed limits.

sqlite itself refuses what is not a read (its authorizer), stops after a number of virtual-machine
instructions (its progress handler) and bounds every string; no file can be reached. A query may
call only functions that give the same answer in every run. The step limit comes first because,
unlike a clock, it gives the same verdict in every run; the clock is there for what few
instructions can make slow.
"""

from __future__ import annotations

import re
import sqlite3
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from qdlaws.errors import QdlawsError

__all__ = ["Limits", "Outcome", "ReadOnlyDatabase", "Row", "canonical_rows"]

Row = tuple[Any, ...]

_CHECK_EVERY = 1000  # instructions between two looks at the limits
_READS = frozenset(
    {sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ, sqlite3.SQLITE_RECURSIVE, sqlite3.SQLITE_FUNCTION}
)
_FUNCTIONS = """
-> ->> abs acos acosh asin asinh atan atan2 atanh avg ceil ceiling char coalesce cos cosh count
cume_dist degrees dense_rank exp first_value floor format glob group_concat hex ifnull iif instr
json json_array json_array_length json_extract json_group_array json_group_object json_insert
json_object json_patch json_quote json_remove json_replace json_set json_type json_valid lag
last_value lead length like likelihood likely ln log log10 log2 lower ltrim max min mod nth_value
ntile nullif percent_rank pi pow power printf quote radians rank replace round row_number rtrim
sign sin sinh soundex sqrt substr substring sum tan tanh total trim trunc typeof unicode unlikely
upper
"""
"""The functions that a query may call. The rest load code, fill memory, or depend on the clock, on
chance, on earlier queries or on a new version: ``date('now')``, ``random()``, ``changes()``."""
_ALLOWED = frozenset(_FUNCTIONS.split())
_SIZES = re.compile(r"%[-+ 0#!,]*(\d+|\*)?(?:\.(\d+|\*))?")
"""Width and precision of a field of printf."""
_KEPT_BYTES = 16 * 2**20
"""Most memory of the outcomes that a database keeps, about."""


@dataclass(frozen=True)
class Limits:
    """The limits of a query."""

    steps: int = 300_000
    """Virtual-machine instructions; a question on twelve rows takes some hundreds."""
    seconds: float = 2.0
    """Wall clock, the second line of defence."""
    rows: int = 1000
    """Rows of a result; a query with more is answered with those and ``more``."""
    text: int = 2000
    """Characters of the query, and bytes of any string inside it."""
    bytes: int = 2**20
    """Memory of a result, about; one that is larger is cut, as one with too many rows is."""


@dataclass(frozen=True)
class Outcome:
    """The outcome of a query: its rows, an error, or that it took too long."""

    status: Literal["rows", "error", "too_slow"]
    rows: tuple[Row, ...] = ()
    more: bool = False
    """There were more rows than the limit."""
    message: str = ""


class ReadOnlyDatabase:
    """Tables of rows for queries; outcomes are kept, so that a repeated query costs nothing."""

    def __init__(
        self,
        script: str,
        rows: Mapping[str, Sequence[Row]],
        limits: Limits | None = None,
        keep: int = 20_000,
    ) -> None:
        self.limits = limits or Limits()
        self._kept: OrderedDict[str, Outcome] = OrderedDict()
        self._keep = keep
        self._kept_bytes = 0
        self._lock = threading.Lock()
        # the lock, not the thread check, keeps two threads apart
        self._connection = sqlite3.connect(":memory:", check_same_thread=False)
        try:
            self._fill(script, rows)
        except sqlite3.Error as error:
            self._connection.close()
            raise QdlawsError(f"a database cannot be built: {error}") from None
        self._shut()

    def ask(self, query: str) -> Outcome:
        """The outcome of one SELECT."""
        with self._lock:
            if query in self._kept:
                self._kept.move_to_end(query)
                return self._kept[query]
            outcome = self._run(query)
            self._kept[query] = outcome
            self._kept_bytes += _bytes_of(query, outcome)
            while len(self._kept) > self._keep or self._kept_bytes > _KEPT_BYTES:
                self._kept_bytes -= _bytes_of(*self._kept.popitem(last=False))
            return outcome

    def close(self) -> None:
        self._connection.close()

    # ------------------------------------------------------------------ helpers

    def _fill(self, script: str, rows: Mapping[str, Sequence[Row]]) -> None:
        self._connection.executescript(script)
        for table, values in rows.items():
            if values:
                marks = ",".join("?" * len(values[0]))
                self._connection.executemany(f"insert into {table} values ({marks})", values)
        self._connection.commit()

    def _shut(self) -> None:
        connection, text = self._connection, self.limits.text
        connection.execute("pragma temp_store = memory")  # sorting never touches the disk
        connection.execute("pragma query_only = on")
        for limit, value in (
            (sqlite3.SQLITE_LIMIT_SQL_LENGTH, text),
            (sqlite3.SQLITE_LIMIT_LENGTH, text),
            (sqlite3.SQLITE_LIMIT_LIKE_PATTERN_LENGTH, 50),
            (sqlite3.SQLITE_LIMIT_EXPR_DEPTH, 50),
            (sqlite3.SQLITE_LIMIT_COMPOUND_SELECT, 20),
            (sqlite3.SQLITE_LIMIT_ATTACHED, 0),
            (sqlite3.SQLITE_LIMIT_WORKER_THREADS, 0),
        ):
            connection.setlimit(limit, value)
        for name in ("printf", "format"):
            connection.create_function(name, -1, _bounded_printf(text), deterministic=True)
        connection.set_authorizer(_only_reads)

    def _run(self, query: str) -> Outcome:
        # the first alone would be executed as far as its terminator: refuse what hides behind it
        if "\0" in query:
            return Outcome("error", message="a null character in the query")
        watch = _Watch(self.limits)
        self._connection.set_progress_handler(watch, _CHECK_EVERY)
        cursor = None
        try:
            cursor = self._connection.execute(query)
            rows, more = self._fetched(cursor)
        except (sqlite3.Error, sqlite3.Warning, ValueError, OverflowError) as error:
            if watch.stopped:
                return Outcome("too_slow", message=watch.stopped)
            return Outcome("error", message=f"{type(error).__name__}: {error}")
        except MemoryError:
            return Outcome("too_slow", message="out of memory")
        finally:
            if cursor is not None:
                cursor.close()
            self._connection.set_progress_handler(None, 0)
        if cursor.description is None:  # nothing but blanks or a comment
            return Outcome("error", message="no query")
        return Outcome("rows", tuple(rows), more=more)

    def _fetched(self, cursor: sqlite3.Cursor) -> tuple[list[Row], bool]:
        """The rows within the limits, and whether there were more."""
        rows: list[Row] = []
        size = 0
        for row in cursor:
            size += _bytes_of_row(row)
            if len(rows) == self.limits.rows or size > self.limits.bytes:
                return rows, True
            rows.append(row)
        return rows, False


class _Watch:
    """Called by sqlite every so many instructions; answers 1 to stop."""

    def __init__(self, limits: Limits) -> None:
        self._left = limits.steps // _CHECK_EVERY
        self._seconds = limits.seconds
        self._until = time.monotonic() + limits.seconds
        self.stopped = ""

    def __call__(self) -> int:
        self._left -= 1
        if self._left < 0:
            self.stopped = "more than the allowed steps"
        elif time.monotonic() > self._until:
            self.stopped = f"more than {self._seconds:g} seconds"
        return int(bool(self.stopped))


def _bytes_of(query: str, outcome: Outcome) -> int:
    """Memory of a kept outcome, about."""
    return 400 + len(query) + len(outcome.message) + sum(map(_bytes_of_row, outcome.rows))


def _bytes_of_row(row: Row) -> int:
    """Memory of a row, about: an object of CPython takes some 50 bytes and a place some 8."""
    return 50 + sum(58 + (len(v) if isinstance(v, str | bytes) else 0) for v in row)


def canonical_rows(rows: Sequence[Row], *, ordered: bool) -> tuple[Row, ...]:
    """Rows that compare: numbers to nine digits whatever their type, sorted unless ``ordered``."""
    plain = [tuple(_plain(value) for value in row) for row in rows]
    return tuple(plain if ordered else sorted(plain))


def _plain(value: Any) -> tuple[str, Any]:
    """(type, value): 3 and 3.0 agree, a number and its text do not."""
    if value is None:
        return "", 0
    if isinstance(value, int):
        return "number", value
    if isinstance(value, float):
        short = float(f"{value:.9g}")
        return "number", int(short) if short.is_integer() else short
    return ("bytes", value) if isinstance(value, bytes) else ("text", value)


def _bounded_printf(most: int) -> Callable[..., Any]:
    """sqlite's own printf for widths up to a limit.

    It writes a wider field character by character, 20 seconds for a billion, and no limit of
    sqlite's reaches into that.
    """
    plain = sqlite3.connect(":memory:", check_same_thread=False)

    def printf(pattern: Any = None, *values: Any) -> Any:
        sizes = [size for pair in _SIZES.findall(str(pattern)) for size in pair if size]
        given = [abs(value) for value in values if isinstance(value, (int, float))]
        wide = [int(size[:9]) for size in sizes if size != "*"] + (given if "*" in sizes else [])
        if max(wide, default=0) > most:
            raise ValueError(f"a field of more than {most} characters")
        marks = ",".join("?" * (1 + len(values)))
        return plain.execute(f"select printf({marks})", (pattern, *values)).fetchone()[0]

    return printf


def _only_reads(action: int, first: str | None, second: str | None, *_: str | None) -> int:
    """sqlite's authorizer: allows reads only, while a statement is compiled."""
    if action not in _READS:
        return sqlite3.SQLITE_DENY
    if action == sqlite3.SQLITE_FUNCTION and (second or "").lower() not in _ALLOWED:
        return sqlite3.SQLITE_DENY
    return sqlite3.SQLITE_OK
