"""JSON lines: our own metrics.jsonl, verl's file logger, prime-rl, ms-swift, any other.

Streamed in bounded memory. A few lines that are no JSON, as a kill or a crash leaves them, are
skipped and named in the notes; a file with many of them is refused.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from qdlaws.core.json_lines import JsonLine, flat, parse_lines
from qdlaws.core.run_rows import TOOL as OURS
from qdlaws.core.run_rows import is_ours, row_kinds, row_numbers
from qdlaws.readers.byte_source import Source, listed
from qdlaws.readers.columns.tool_names import is_wanted
from qdlaws.readers.row_blocks import column_block, line_blocks, parse_block
from qdlaws.readers.run_labels import RunLabels
from qdlaws.readers.table import Columns, Table

__all__ = ["read_jsonl", "tool_of"]

MOST_BROKEN = 0.02  # share of lines that may be unreadable
FIRST_ROWS = 100  # by which the tool and the kinds are recognised


def read_jsonl(source: Source, keep: Collection[str] = ()) -> Table:
    """The table of a JSONL log; a very long one keeps the columns of laws and ``keep`` only."""
    columns, kinds, lines = Columns(lambda c: c in keep or is_wanted(c)), dict[str, str](), 0
    broken: list[tuple[int, str]] = []
    tool, runs = "jsonl", RunLabels()
    for block in line_blocks(source.lines(), FIRST_ROWS):
        rows = parse_block(block) if lines >= FIRST_ROWS else None
        together = None if rows is None else column_block(rows, runs, _row_numbers)
        if rows is not None and together is not None:
            lines += len(rows)
            for row in rows:
                if row.get("phase") == "eval":
                    tool = tool if tool != "jsonl" else tool_of(row)
                    kinds |= row_kinds(row)
            with _named(source, block[-1].number):
                columns.extend(together)
            continue
        for line in parse_lines((line.number, line.text) for line in block):
            lines += 1
            numbers, problem = _numbers(line)
            if numbers is None:
                broken.append((line.number, problem))
                if len(broken) > 3 + MOST_BROKEN * lines:
                    share = f"{len(broken)} of {lines} lines are no JSON object"
                    raise source.bad(f"{share}; the first problem: {broken[0][1]}", broken[0][0])
                continue
            row = line.row or {}
            if lines <= FIRST_ROWS or row.get("phase") == "eval":
                tool = tool if tool != "jsonl" else tool_of(row)
                kinds |= row_kinds(row)
            with _named(source, line.number):
                columns.add(numbers | runs.of_row(row))
    if not len(columns) and broken:
        raise source.bad(broken[0][1], broken[0][0])
    if not len(columns):
        raise source.bad("no JSON object in it" if lines else "the file is empty")
    notes = list(columns.notes())
    if broken:
        notes.append(f"{source.name}: unreadable, left out: line {listed([n for n, _ in broken])}")
    return Table(tool, columns.frame(), kinds=kinds, notes=tuple(notes), labels=runs.labels())


@contextmanager
def _named(source: Source, line: int) -> Iterator[None]:
    """Too many columns are an error of the file, with the line."""
    try:
        yield
    except OverflowError as error:
        raise source.bad(str(error), line) from error


def tool_of(row: Mapping[str, Any]) -> str:
    """The tool that writes rows of this shape; "jsonl" where none is recognised."""
    if is_ours(row):
        return OURS
    if isinstance(row.get("data"), dict) and "step" in row:
        return "verl"
    if "global_step/max_steps" in row:
        return "ms-swift"
    return "jsonl"


def _numbers(line: JsonLine) -> tuple[dict[str, float] | None, str]:
    """The named numbers of a line, wrappers taken off; or None and the problem with the line."""
    if line.row is None:
        return None, line.problem
    try:
        return _row_numbers(line.row), ""
    except ValueError as error:
        return None, str(error)


def _row_numbers(row: dict[str, Any]) -> dict[str, float]:
    match tool_of(row):
        case "verl":
            return {**flat(row["data"]), **flat({"step": row["step"]})}
        case "qdtrain":
            return row_numbers(row)
        case "ms-swift":
            done, _, _ = str(row["global_step/max_steps"]).partition("/")
            return flat({**row, "step": done})
    return flat(row)
