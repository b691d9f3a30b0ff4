"""Rows of a table on disk or on the hub, each with the number of its line.

JSONL, a JSON list, CSV (every value is text), parquet, or a data set of the hub. All rows are held
in memory: at most a million, beyond that ``limit`` must say how many of the first ones to take.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from json import JSONDecodeError
from pathlib import Path
from typing import Any

from qdlaws.core.json_lines import parse
from qdlaws.errors import BadData, QdlawsError
from trainer.tasks.task import Prompt

__all__ = ["MOST_ROWS", "hub_rows", "read_prompts", "read_rows"]

MOST_ROWS = 1_000_000
MOST_CHARACTERS = 1_000_000_000
"""Of a parquet file, which may be packed a thousandfold."""

Numbered = tuple[int, dict[str, Any]]


def read_rows(path: str | Path, limit: int | None = None) -> list[Numbered]:
    """(line number, row) of a .jsonl, .ndjson, .json, .csv, .tsv or .parquet file."""
    file = Path(path)
    readers = {
        ".jsonl": _jsonl,
        ".ndjson": _jsonl,
        ".json": _json,
        ".csv": _csv,
        ".tsv": _csv,
        ".parquet": _parquet,
    }
    if file.suffix.lower() not in readers:
        raise QdlawsError(f"{file}: one of {', '.join(readers)} was needed")
    if not file.is_file():
        raise QdlawsError(f"{file}: there is no such file")
    try:
        return _bounded(readers[file.suffix.lower()](file), limit, str(file))
    except UnicodeDecodeError as error:
        raise BadData(f"{file}: not UTF-8 text ({error.reason} at byte {error.start})") from None
    except OSError as error:
        raise QdlawsError(f"{file}: {error.strerror or error}") from None


def hub_rows(name: str, config: str | None, split: str, limit: int | None = None) -> list[Numbered]:
    """(row number, row) of a data set of the hub."""
    try:
        import datasets  # type: ignore[import-not-found,import-untyped,unused-ignore]
    except ImportError:
        raise QdlawsError(
            f"hub={name!r} needs the package datasets: pip install datasets"
        ) from None
    try:
        rows = datasets.load_dataset(name, config, split=split)
    except Exception as error:  # the hub's client raises many kinds
        first = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise QdlawsError(f"hub={name!r}, split {split!r} cannot be loaded: {first}") from None
    return _bounded(((i, dict(row)) for i, row in enumerate(rows, 1)), limit, name)


def read_prompts(
    rows: Sequence[Numbered], column: str, source: str, start: int = 0
) -> list[Prompt]:
    """The prompts of the rows, numbered from ``start``; the other columns are their data."""
    prompts = []
    for number, (line, row) in enumerate(rows, start):
        where = f"{source}, line {line}"
        if column not in row:
            raise BadData(f"{where}: no column {column!r}; found {', '.join(map(str, row))}")
        data = {str(name): value for name, value in row.items() if name != column}
        content = row[column]
        if isinstance(content, str):
            prompts.append(Prompt(number, content, data))
        else:
            messages = _messages(content, where)
            prompts.append(Prompt(number, _words(messages), {**data, "messages": messages}))
    return prompts


# ---------------------------------------------------------------------- formats


def _jsonl(file: Path) -> Iterator[Numbered]:
    with file.open(encoding="utf-8-sig") as lines:
        for number, line in enumerate(lines, 1):
            if line.strip():
                yield number, _row(_json_value(line, f"{file}, line {number}"), file, number)


def _json(file: Path) -> Iterator[Numbered]:
    rows = _json_value(file.read_text(encoding="utf-8-sig"), str(file))
    if not isinstance(rows, list):
        raise BadData(f"{file}: a list of objects was needed (or one object a line in .jsonl)")
    yield from ((i, _row(row, file, i, "row")) for i, row in enumerate(rows, 1))


def _json_value(text: str, where: str) -> Any:
    try:
        return parse(text)
    except JSONDecodeError as error:
        line = f", line {error.lineno}" if "\n" in text.strip() else ""
        raise BadData(f"{where}{line}: not JSON ({error.msg})") from None
    except ValueError as error:
        raise BadData(f"{where}: {error}") from None


def _csv(file: Path) -> Iterator[Numbered]:
    separator = "\t" if file.suffix.lower() == ".tsv" else ","
    with file.open(encoding="utf-8-sig", newline="") as lines:
        reader = csv.DictReader(lines, delimiter=separator, strict=True)
        try:
            for row in reader:
                if None in row or None in row.values():
                    count = sum(v is not None for k, v in row.items() if k is not None)
                    count += len(row.get(None) or ())
                    wanted = len(reader.fieldnames or ())
                    raise BadData(f"{file}, line {reader.line_num}: {count} values, not {wanted}")
                yield reader.line_num, row
        except csv.Error as error:
            raise BadData(f"{file}, line {reader.line_num}: {error}") from None


def _parquet(file: Path) -> Iterator[Numbered]:
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError:
        raise QdlawsError(f"{file} needs the package pyarrow: pip install 'qdlaws[logs]'") from None
    try:
        table = pyarrow.parquet.ParquetFile(file)
        number = size = 0
        for batch in table.iter_batches(batch_size=1000):
            for row in batch.to_pylist():
                number, size = number + 1, size + _characters(row)
                if size > MOST_CHARACTERS:
                    raise QdlawsError(
                        f"{file}: more than {MOST_CHARACTERS:,} characters in the first "
                        f"{number:,} rows; limit= takes fewer"
                    )
                yield number, row
    except pyarrow.ArrowException as error:
        raise BadData(f"{file}: not a parquet file ({error})") from None


# ---------------------------------------------------------------------- helpers


def _characters(value: Any) -> int:
    """The characters in a value of a table: a text that stands in every row is stored once."""
    if isinstance(value, Mapping):
        return sum(map(_characters, value.values()))
    if isinstance(value, list):
        return sum(map(_characters, value))
    return len(value) if isinstance(value, str | bytes) else 8


def _row(value: Any, file: Path, number: int, unit: str = "line") -> dict[str, Any]:
    if not isinstance(value, Mapping):
        raise BadData(f"{file}, {unit} {number}: an object was needed, found {value!r:.40}")
    return dict(value)


def _bounded(rows: Iterator[Numbered], limit: int | None, name: str) -> list[Numbered]:
    if limit is not None and limit < 1:
        raise QdlawsError(f"limit={limit}: at least one row was needed")
    taken = list(islice(rows, MOST_ROWS if limit is None else limit))
    if limit is None and next(rows, None) is not None:
        raise QdlawsError(f"{name}: more than {MOST_ROWS:,} rows; limit= takes the first so many")
    if not taken:
        raise BadData(f"{name}: no rows")
    return taken


def _messages(content: Any, where: str) -> list[dict[str, str]]:
    good = isinstance(content, list) and content
    if not good or not all(
        isinstance(m, dict) and isinstance(m.get("role"), str) and isinstance(m.get("content"), str)
        for m in content
    ):
        raise BadData(
            f"{where}: the prompt must be text or a list of messages with role and content, "
            f"found {content!r:.60}"
        )
    return [{"role": m["role"], "content": m["content"]} for m in content]


def _words(messages: Sequence[dict[str, str]]) -> str:
    """The content of a single message; of several, each with its role in front."""
    if len(messages) == 1:
        return messages[0]["content"]
    return "\n".join(f"{m['role']}: {m['content']}" for m in messages)
