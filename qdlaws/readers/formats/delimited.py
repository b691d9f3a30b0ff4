"""CSV, TSV and their kin: header and rows with line numbers, repaired where that is safe.

Repaired and noted: a header that stands again in the middle (an appended run), a few lines of the
wrong length or with zero bytes. A last line without a line end is left out, for its last number may
be half-written: ``5.9e-05`` would be read as 5.9. Decimal commas and thousands separators are told
apart by the whole table. Refused with the line number: words in a number column, many broken lines,
no header, a number with two meanings.
"""

from __future__ import annotations

import csv
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice

import numpy as np

from qdlaws.core.number_text import (
    DecimalMark,
    decimal_mark,
    is_ambiguous,
    is_unknown,
    number,
    numbers,
)
from qdlaws.core.types import Array
from qdlaws.errors import BadLog
from qdlaws.readers.byte_source import Line, Source, listed
from qdlaws.readers.columns.generic_names import RUN_CODE, is_phase_name, is_run_name
from qdlaws.readers.columns.tool_names import is_wanted
from qdlaws.readers.run_labels import RunLabels
from qdlaws.readers.table import MAX_COLUMNS, Columns, Table

__all__ = ["Rows", "read_delimited", "table_mark", "two_meanings"]

SEPARATORS = "\t,;|"
BLOCK, FEWEST = 1 << 16, 128  # fields that are held as text at a time, rows at least
FIRST_ROWS = 200  # by which the decimal mark is recognised
MOST_BROKEN = 0.02
Row = tuple[int, list[str]]


@dataclass
class Rows:
    """The rows of one delimited file, streamed; ``notes()`` lists the repairs afterwards."""

    source: Source
    separator: str = field(init=False)
    header: list[str] = field(init=False)
    repeated: int = 0
    broken: list[int] = field(default_factory=list)
    holes: list[int] = field(default_factory=list)
    cut: int = 0

    def __post_init__(self) -> None:
        top = [t for t in self.source.head_text.splitlines()[:50] if t.strip() and t[0] != "#"]
        self.separator = _separator(self.source, top)
        self.header = _header(self.source, top, self.separator)

    def __iter__(self) -> Iterator[Row]:
        """(line number, fields) of every whole row."""
        parsed = self._parsed()
        try:
            _, first = next(parsed)
        except StopIteration:  # emptied since its first lines were looked at
            raise self.source.bad("the file is empty") from None
        for seen, (line, fields) in enumerate(parsed, 1):
            if not line.ended and not (len(fields) == len(first) and line.text.endswith('"')):
                self.cut = line.number
            elif fields == first:
                self.repeated += 1
            elif len(fields) != len(first):
                self.broken.append(line.number)
                self._refuse_many(seen, f"{len(fields)} fields where {len(first)} were needed")
            else:
                yield line.number, fields

    def _parsed(self) -> Iterator[tuple[Line, list[str]]]:
        last = Line(0, "", True)

        def texts() -> Iterator[str]:
            nonlocal last
            for line in self.source.lines():
                if line.has_hole:
                    self.holes.append(line.number)
                    self._refuse_many(line.number, "zero bytes in it")
                elif line.text.strip() and not (last.number == 0 and line.text[0] == "#"):
                    last = line
                    yield line.text + "\n"

        try:
            for fields in csv.reader(texts(), delimiter=self.separator, skipinitialspace=True):
                padded = " " in last.text or "\t" in last.text
                yield last, [text.strip() for text in fields] if padded else fields
        except csv.Error as error:
            raise self.source.bad(str(error), last.number) from error

    def _refuse_many(self, seen: int, problem: str) -> None:
        """BadLog where so many of the lines seen are broken that the file is no table."""
        broken = sorted(self.broken + self.holes) if self.broken and self.holes else None
        broken = broken or self.broken or self.holes
        if len(broken) > 3 + MOST_BROKEN * seen:
            first = f"{len(broken)} lines are broken, the first is line {broken[0]}"
            raise self.source.bad(f"{problem}; {first}", broken[-1])

    def notes(self) -> tuple[str, ...]:
        """The repairs, in words."""
        notes = []
        if self.repeated:
            notes.append(f"{self.source.name}: header repeated {self.repeated} time(s)")
        if self.broken:
            shown = listed(self.broken)
            notes.append(f"{self.source.name}: wrong number of fields, left out: line {shown}")
        if self.holes:
            shown = listed(self.holes)
            notes.append(f"{self.source.name}: damaged (zero bytes), left out: line {shown}")
        if self.cut:
            notes.append(
                f"{self.source.name}: half-written last line {self.cut} left out (no line end)"
            )
        return tuple(notes)


def read_delimited(source: Source, keep: Collection[str] = ()) -> Table:
    """The number columns of a CSV, TSV, ``;`` or ``|`` table."""
    rows = Rows(source)
    mark = table_mark(source)
    names = dict(enumerate(rows.header))
    columns = Columns(lambda name: name in keep or is_wanted(name))
    texts: dict[str, str] = {}
    runs = RunLabels()
    stream = iter(rows)
    while block := list(islice(stream, max(BLOCK // len(names), FEWEST))):
        cells = zip(*(fields for _, fields in block), strict=True)
        read: dict[str, Array] = {}
        for name, column in zip(rows.header, cells, strict=True):
            read[name] = numbers(column, mark)
            if is_run_name(name) or is_phase_name(name):
                read[RUN_CODE + name] = runs.codes(name, column)
            if name not in texts and (bad := _first_word(column, read[name])) is not None:
                texts[name] = _problem(source, name, column[bad], block[bad][0])
        columns.extend(read)
    frame = columns.frame()
    if not len(columns):
        raise source.bad("; ".join(["a header, no rows", *rows.notes()]))
    frame = frame.loc[:, np.isfinite(frame.to_numpy()).any(axis=0)]
    if all(name.startswith(RUN_CODE) for name in frame.columns):
        raise source.bad("a header and no numbers below it")
    table = Table("csv", frame, texts=texts, notes=rows.notes(), labels=runs.labels())
    return table.with_notes(*columns.notes())


def table_mark(source: Source) -> DecimalMark:
    """The decimal mark of a table, by its first rows."""
    return decimal_mark(cell for _, fields in islice(Rows(source), FIRST_ROWS) for cell in fields)


def _problem(source: Source, name: str, cell: str, line: int) -> str:
    """Why a cell is no number; BadLog where it is one of two, for then the table is not read."""
    if is_ambiguous(cell):
        raise source.bad(f"column {name!r}: {two_meanings(cell)}", line)
    return str(source.bad(f"{cell[:40]!r} in column {name!r}, a number was needed", line))


def two_meanings(cell: str) -> str:
    """What to do about a cell whose comma may stand before decimals or between thousands."""
    meant = f"{cell.strip()} may be {cell.replace(',', '')} or {cell.replace(',', '.')}"
    return f"{meant}: write decimals with a point, and no separator of thousands"


def _first_word(column: Sequence[str], values: Array) -> int | None:
    """The first place in the column that holds a word, not a number nor "unknown"."""
    unread = np.flatnonzero(np.isnan(values))
    return next((i for i in map(int, unread) if not is_unknown(column[i])), None)


# ---------------------------------------------------------------------- looking at the top


def _separator(source: Source, top: list[str]) -> str:
    """The separator that cuts the first lines into equally many fields, at least two."""
    for separator in SEPARATORS:
        try:
            counts = [len(fields) for fields in _cut(source, top[:20], separator)]
        except BadLog:  # a field beyond csv's limit: it does not cut here
            continue
        if counts and counts[0] > 1 and counts.count(counts[0]) >= 0.7 * len(counts):
            return separator
    raise source.bad("neither a log of a supported tool nor a table of columns")


def _cut(source: Source, lines: list[str], separator: str) -> list[list[str]]:
    try:
        return list(csv.reader(lines, delimiter=separator, skipinitialspace=True))
    except csv.Error as error:
        raise source.bad(str(error), 1) from error


def _header(source: Source, top: list[str], separator: str) -> list[str]:
    header = [name.strip() for name in _cut(source, top[:1], separator)[0]]
    if len(header) > MAX_COLUMNS:
        raise source.bad(f"{len(header):,} columns, at most {MAX_COLUMNS:,} are read", 1)
    if sum(np.isfinite(number(name)) for name in header) > len(header) / 2:
        raise source.bad("no header: the first line must name the columns", 1)
    seen: dict[str, int] = {}
    for i, name in enumerate(header):
        name = name or f"column {i + 1}"
        seen[name] = seen.get(name, 0) + 1
        header[i] = name if seen[name] == 1 else f"{name}.{seen[name] - 1}"
    return header
