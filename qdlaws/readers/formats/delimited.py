"""CSV, TSV and their kin: header and rows with line numbers, repaired where that is safe.

Repaired and noted: a header that stands again in the middle (an appended run), a half-written last
line, thousands separators, decimal commas in ``;`` files, a few lines of the wrong length.
Refused with the line number: words in a number column, many lines of the wrong length, no header.
"""

from __future__ import annotations

import csv
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from itertools import islice

import numpy as np
import pandas as pd

from qdlaws.core.number_text import is_unknown, number, numbers
from qdlaws.core.types import Array
from qdlaws.errors import BadLog
from qdlaws.readers.byte_source import Line, Source
from qdlaws.readers.columns.tool_names import is_wanted
from qdlaws.readers.table import MAX_CELLS, MAX_COLUMNS, Table

__all__ = ["Rows", "read_delimited"]

SEPARATORS = "\t,;|"
BLOCK = 1 << 14
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
    cut: int = 0

    def __post_init__(self) -> None:
        top = [t for t in self.source.head_text.splitlines()[:50] if t.strip() and t[0] != "#"]
        self.separator = _separator(self.source, top)
        self.header = _header(self.source, top, self.separator)

    def __iter__(self) -> Iterator[Row]:
        """(line number, fields) of every whole row."""
        parsed = self._parsed()
        _, first = next(parsed)
        shortest: list[int] = []
        for seen, (line, fields) in enumerate(parsed, 1):
            if fields == first:
                self.repeated += 1
            elif len(fields) != len(first):
                self._reject(line, fields, seen)
            elif not line.ended and shortest and len(fields[-1]) < min(shortest):
                self.cut = line.number  # whole by count, but its last number was cut
            else:
                if seen <= 32:
                    shortest.append(len(fields[-1]))
                yield line.number, fields

    def _parsed(self) -> Iterator[tuple[Line, list[str]]]:
        last = Line(0, "", True)

        def texts() -> Iterator[str]:
            nonlocal last
            for line in self.source.lines():
                if line.text.strip() and not (last.number == 0 and line.text[0] == "#"):
                    last = line
                    yield line.text.replace("\0", "") + "\n"

        try:
            for fields in csv.reader(texts(), delimiter=self.separator, skipinitialspace=True):
                padded = " " in last.text or "\t" in last.text
                yield last, [text.strip() for text in fields] if padded else fields
        except csv.Error as error:
            raise self.source.bad(str(error), last.number) from error

    def _reject(self, line: Line, fields: list[str], seen: int) -> None:
        """Leaves out a row of the wrong length, or refuses the file."""
        if not line.ended:
            self.cut = line.number
            return
        self.broken.append(line.number)
        if len(self.broken) > 3 + MOST_BROKEN * seen:
            problem = f"{len(fields)} fields where the header names {len(self.header)}"
            first = f"{len(self.broken)} lines are like that, the first is line {self.broken[0]}"
            raise self.source.bad(f"{problem}; {first}", line.number)

    def notes(self) -> tuple[str, ...]:
        """The repairs, in words."""
        notes = []
        if self.repeated:
            notes.append(f"{self.source.name}: header repeated {self.repeated} time(s)")
        if self.broken:
            shown = ", ".join(map(str, self.broken))
            notes.append(f"{self.source.name}: wrong number of fields, left out: line {shown}")
        if self.cut:
            notes.append(f"{self.source.name}: half-written last line {self.cut} left out")
        return tuple(notes)


def read_delimited(source: Source, keep: Collection[str] = ()) -> Table:
    """The number columns of a CSV, TSV, ``;`` or ``|`` table."""
    rows = Rows(source)
    comma = rows.separator == ";" and _has_decimal_comma(source)
    names = dict(enumerate(rows.header))
    blocks: dict[int, list[Array]] = {i: [] for i in names}
    texts: dict[str, str] = {}
    stream, count = iter(rows), 0
    while block := list(islice(stream, BLOCK)):
        count += len(block)
        for i, name in names.items():
            column = [fields[i] for _, fields in block]
            blocks[i].append(numbers(column, comma))
            if name not in texts and (bad := _first_word(column, blocks[i][-1])) is not None:
                problem = f"{column[bad][:40]!r} in column {name!r}, a number was needed"
                texts[name] = str(source.bad(problem, block[bad][0]))
        if count * len(names) > MAX_CELLS:
            names = {i: n for i, n in names.items() if n in keep or is_wanted(n)}
    columns = {name: np.concatenate(blocks[i]) for i, name in names.items() if blocks[i]}
    frame = pd.DataFrame({n: v for n, v in columns.items() if np.isfinite(v).any()})
    if not len(frame):
        raise source.bad("a header and no numbers below it" if columns else "a header, no rows")
    dropped = "a very long table: columns that no law uses were left out"
    shorter = dropped if len(names) < len(rows.header) else ""
    return Table("csv", frame, texts=texts, notes=rows.notes()).with_notes(shorter)


def _first_word(column: list[str], values: Array) -> int | None:
    """The first place in the column that holds a word, not a number nor "unknown"."""
    unread = np.flatnonzero(np.isnan(values))
    return next((int(i) for i in unread if not is_unknown(column[i])), None)


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


def _has_decimal_comma(source: Source) -> bool:
    """Whether the commas of a ``;`` table are decimal ones (thousands would come in threes)."""
    cells = [f for _, fields in islice(Rows(source), 200) for f in fields if f.count(",") == 1]
    return any(len(cell.rpartition(",")[2]) != 3 for cell in cells)
