"""W&B: an offline run's ``.wandb`` file, decoded without W&B, and tables exported from its pages.

A ``.wandb`` file is a 7-byte head, then LevelDB log chunks (crc 4, length 2, type 1, data) in
blocks of 32 KiB counted from the start of the file; joined chunks are protobuf ``Record`` messages,
of which field 2 is a row of history: items 1 with key 1 or nested_key 2 and a value as JSON (16) or
typed (none 3, bool 4, sint64 5, double 6, text 7, json 8). The crc is zlib's, over type and data.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator

import pandas as pd

from qdlaws.core.json_lines import flat, parse
from qdlaws.errors import BadLog
from qdlaws.readers.byte_source import SeveralRuns, Source
from qdlaws.readers.columns.tool_names import is_wanted
from qdlaws.readers.formats.protobuf import as_double, fields, signed
from qdlaws.readers.table import Columns, Table

__all__ = ["MAGIC", "read_wandb", "unwrap_export"]

MAGIC = b":W&B"
HEAD, BLOCK, CHUNK_HEAD = 7, 1 << 15, 7
WHOLE, FIRST, MIDDLE, LAST = 1, 2, 3, 4
MAX_RECORD = 1 << 26
HISTORY, JSON_VALUE = 2, 16


def read_wandb(source: Source) -> Table:
    """The history of an offline run; a torn tail (a live or killed run) ends it quietly.

    Records with a wrong checksum are left out with the rest of their block, as LevelDB does.
    """
    columns = Columns(is_wanted)
    for record in _records(source):
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
        raise source.bad("; ".join(["no history in this W&B run", *source.remarks]))
    return Table("wandb", columns.frame(), notes=columns.notes())


def _records(source: Source) -> Iterator[bytes]:
    """The whole records: their chunks joined, none of them damaged."""
    parts: list[bytes] = []
    size = 0
    for chunk in _chunks(source):
        kind, data = chunk or (0, b"")
        if kind not in (WHOLE, FIRST) and not (parts and kind in (MIDDLE, LAST)):
            parts, size = [], 0  # the record lost a chunk
            continue
        if kind in (WHOLE, FIRST):
            parts, size = [], 0
        parts.append(data)
        size += len(data)
        if size > MAX_RECORD:
            raise source.bad(f"a record of more than {MAX_RECORD >> 20} MiB: no row is that long")
        if kind in (WHOLE, LAST):
            yield b"".join(parts)
            parts, size = [], 0
    if parts:
        source.remark("ends in half a record, read up to there")


def _chunks(source: Source) -> Iterator[tuple[int, bytes] | None]:
    """(type, data) of every chunk; None where the rest of a block is left out."""
    damaged = empty = 0
    with source.open() as stream:
        place = HEAD
        while block := stream.read(BLOCK):
            while len(block) - place >= CHUNK_HEAD:
                crc, size, kind = struct.unpack("<IHB", block[place : place + CHUNK_HEAD])
                end = place + CHUNK_HEAD + size
                if not any(block[place:]):  # set aside and not written, so far as is known
                    empty += 1
                    break
                if len(block) < min(end, BLOCK):
                    source.remark("ends in half a record, read up to there")
                    break
                if len(block) < end or zlib.crc32(block[place + 6 : end]) != crc:
                    damaged += 1
                    yield None
                    break
                if empty:
                    damaged, empty = damaged + empty, 0
                    yield None
                yield kind, block[place + CHUNK_HEAD : end]
                place = end
            else:
                if len(block) < BLOCK and any(block[place:]):
                    source.remark("ends in half a record, read up to there")
            place = 0
    if damaged:
        source.remark(
            f"{damaged} blocks of 32 KiB are damaged (wrong checksum), left out from there"
        )


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
        raise SeveralRuns(
            f"an export of {len(runs)} runs: {', '.join(runs[:8])}; name one, run={runs[0]!r}",
            [(name, name) for name in runs],
        )
    chosen = run or runs[0]
    kept = [c for c in named if c.startswith(f"{chosen} - ") and not c.endswith(("__MIN", "__MAX"))]
    if not kept:
        raise BadLog(f"no run {chosen!r} in this export; it holds {', '.join(runs[:8])}")
    data = {c.partition(" - ")[2]: frame[c] for c in kept}
    shared = {c: frame[c] for c in frame.columns if " - " not in c}
    note = "exported from W&B's pages, where long runs are sampled down: steps may be missing"
    return Table("wandb-export", pd.DataFrame({**shared, **data})).with_notes(*table.notes, note)
