"""W&B: an offline run's ``.wandb`` file, decoded without W&B, and tables exported from its pages.

A ``.wandb`` file is a 7-byte head, then LevelDB log chunks (crc 4, length 2, type 1, data) in
blocks of 32 KiB counted from the start of the file; joined chunks are protobuf ``Record`` messages,
of which field 2 is a row of history: items 1 with key 1 or nested_key 2 and a value as JSON (16) or
typed (none 3, bool 4, sint64 5, double 6, text 7, json 8).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

import pandas as pd

from qdlaws.core.json_lines import flat, parse
from qdlaws.errors import BadLog
from qdlaws.readers.byte_source import Source
from qdlaws.readers.columns.tool_names import is_wanted
from qdlaws.readers.formats.protobuf import as_double, fields, signed
from qdlaws.readers.table import Columns, Table

__all__ = ["MAGIC", "read_wandb", "unwrap_export"]

MAGIC = b":W&B"
HEAD, BLOCK, CHUNK_HEAD = 7, 1 << 15, 7
WHOLE, FIRST, MIDDLE, LAST = 1, 2, 3, 4
HISTORY, JSON_VALUE = 2, 16


def read_wandb(source: Source) -> Table:
    """The history of an offline run; a torn tail (a live or killed run) ends it quietly."""
    columns = Columns(is_wanted)
    torn = [False]
    for record in _records(source, torn):
        try:
            row = _history(record)
        except (ValueError, struct.error) as error:
            raise source.bad(f"a damaged record ({error})") from error
        if row:
            try:
                columns.add(row)
            except OverflowError as error:
                raise source.bad(str(error)) from error
    if not len(columns):
        raise source.bad("no history in this W&B run")
    note = f"{source.name}: ends in half a record, read up to there" if torn[0] else ""
    return Table("wandb", columns.frame(), notes=columns.notes()).with_notes(note)


def _records(source: Source, torn: list[bool]) -> Iterator[bytes]:
    parts: list[bytes] = []
    with source.open() as stream:
        place = len(stream.read(HEAD))
        while True:
            left = BLOCK - place % BLOCK
            if left < CHUNK_HEAD:
                place += len(stream.read(left))
                continue
            head = stream.read(CHUNK_HEAD)
            if len(head) < CHUNK_HEAD:
                torn[0] = bool(head or parts)
                return
            size, kind = struct.unpack("<HB", head[4:])
            data = stream.read(size)
            place += CHUNK_HEAD + size
            if kind == 0 and size == 0:  # a block that was set aside and never written
                return
            if len(data) < size or kind not in (WHOLE, FIRST, MIDDLE, LAST):
                torn[0] = True
                return
            parts = [data] if kind in (WHOLE, FIRST) else [*parts, data]
            if kind in (WHOLE, LAST):
                yield b"".join(parts)
                parts = []


def _history(record: bytes) -> dict[str, float]:
    """The numbers of a history record; nothing where the record is of another sort."""
    row: dict[str, float] = {}
    for number, _, content in fields(record):
        if number == HISTORY and isinstance(content, bytes):
            for inner, _, item in fields(content):
                if inner == 1 and isinstance(item, bytes):
                    row |= _item(item)
    return row


def _item(item: bytes) -> dict[str, float]:
    names: list[str] = []
    value: object = None
    for number, _, content in fields(item):
        if number in (1, 2) and isinstance(content, bytes):
            names.append(content.decode("utf-8", "replace"))
        elif number in (JSON_VALUE, 8) and isinstance(content, bytes):
            value = parse(content)
        elif number == 4:
            value = bool(content)
        elif number == 5 and isinstance(content, int):
            value = signed(content >> 1) ^ -(content & 1)  # zigzag
        elif number == 6:
            value = as_double(content)
    return flat({"/".join(names): value})


def unwrap_export(table: Table, run: str | None) -> Table:
    """A table exported from W&B's pages with the run's name taken off its columns.

    The pages write ``"Step", "RUN - KEY", "RUN - KEY__MIN", "RUN - KEY__MAX"``; several runs in one
    file are refused unless one is named.
    """
    frame = table.frame
    named = [c for c in frame.columns if " - " in c]
    if not named or not any(c.endswith("__MIN") for c in named):
        return table
    runs = sorted({c.partition(" - ")[0] for c in named})
    if run is None and len(runs) > 1:
        raise BadLog(
            f"an export of {len(runs)} runs: {', '.join(runs[:8])}; name one, run={runs[0]!r}"
        )
    chosen = run or runs[0]
    kept = [c for c in named if c.startswith(f"{chosen} - ") and not c.endswith(("__MIN", "__MAX"))]
    if not kept:
        raise BadLog(f"no run {chosen!r} in this export; it holds {', '.join(runs[:8])}")
    data = {c.partition(" - ")[2]: frame[c] for c in kept}
    shared = {c: frame[c] for c in frame.columns if " - " not in c}
    note = "exported from W&B's pages, where long runs are sampled down: steps may be missing"
    return Table("wandb-export", pd.DataFrame({**shared, **data})).with_notes(*table.notes, note)
