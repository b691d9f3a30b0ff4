"""TensorBoard event files, decoded without TensorBoard: every point, none sampled away.

A file is TFRecords (length, its crc, data, its crc); the data are ``Event`` messages: wall_time 1,
step 2, summary 5 = values 1 with tag 1, simple_value 2, tensor 8, metadata 9; session_log 7.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd

from qdlaws.readers.byte_source import Source
from qdlaws.readers.formats.protobuf import as_double, as_float, fields, signed
from qdlaws.readers.table import MAX_COLUMNS, Table

__all__ = ["is_tensorboard", "masked_crc32c", "read_tensorboard"]

MAX_RECORD = 1 << 28
POLYNOMIAL, MASK = 0x82F63B78, 0xA282EAD8  # of CRC-32C, and of its masking
START = 1  # SessionLog.Status: a run that was started again discards later steps
FLOATS = {1: ("<f4", 5), 2: ("<f8", 6)}  # DataType -> (numpy type, field of its values)
Point = tuple[str, float, float]  # tag, step, value


def is_tensorboard(head: bytes) -> bool:
    """Whether the bytes begin with a TFRecord: a length and the checksum of that length."""
    return len(head) >= 12 and struct.unpack("<I", head[8:12])[0] == masked_crc32c(head[:8])


def read_tensorboard(sources: Sequence[Source]) -> Table:
    """The scalars of the event files of one run, by step.

    Files are taken in the order of their names (which hold the time); where a run was started
    again, what was written for the same and later steps before is discarded, as TensorBoard does.
    """
    series: dict[str, dict[float, float]] = {}
    torn: list[str] = []
    root = _common(sources)
    for source in sorted(sources, key=lambda s: s.name):
        prefix = _prefix(source.path.parent, root)
        for point in _points(source, torn):
            if isinstance(point, float):
                _discard(series, prefix, point)
                continue
            tag, step, value = point
            name = _named(prefix, tag)
            if name not in series and len(series) >= MAX_COLUMNS:
                raise source.bad(f"more than {MAX_COLUMNS:,} tags")
            series.setdefault(name, {})[step] = value
    if not series:
        raise sources[0].bad("no scalars in these event files")
    frame = pd.DataFrame({tag: pd.Series(points) for tag, points in series.items()}, dtype=float)
    frame = frame.sort_index().rename_axis("step").reset_index()
    notes = tuple(f"{name}: ends in half a record, read up to there" for name in torn)
    return Table("tensorboard", _derived(frame), notes=notes)


def _discard(series: dict[str, dict[float, float]], prefix: str, start: float) -> None:
    for name, points in series.items():
        if name.startswith(prefix):
            series[name] = {s: v for s, v in points.items() if s < start}


def _points(source: Source, torn: list[str]) -> Iterator[Point | float]:
    """The scalars of one file; a bare number is the step at which the run was started again."""
    for record in _records(source, torn):
        try:
            yield from _event(record)
        except (ValueError, struct.error) as error:
            raise source.bad(f"a damaged event ({error})") from error


def _records(source: Source, torn: list[str]) -> Iterator[bytes]:
    with source.open() as stream:
        while head := stream.read(12):
            if len(head) < 12:
                torn.append(source.name)
                return
            if not is_tensorboard(head):
                raise source.bad("a damaged record in a TensorBoard event file")
            (size,) = struct.unpack("<Q", head[:8])
            if size > MAX_RECORD:
                raise source.bad(f"a record of {size:,} bytes: no event is that long")
            data = stream.read(size)
            if len(data) < size or len(stream.read(4)) < 4:
                torn.append(source.name)
                return
            yield data


def _event(record: bytes) -> Iterator[Point | float]:
    step, summaries, started = 0, [], False
    for number, _, value in fields(record):
        if number == 2 and isinstance(value, int):
            step = signed(value)
        elif number == 5 and isinstance(value, bytes):
            summaries.append(value)
        elif number == 7 and isinstance(value, bytes):
            started = any(n == 1 and v == START for n, _, v in fields(value))
    if started:
        yield float(step)
    for summary in summaries:
        for number, _, value in fields(summary):
            if number == 1 and isinstance(value, bytes):
                tag, scalar = _scalar(value)
                if scalar is not None:
                    yield tag, float(step), scalar


def _scalar(value: bytes) -> tuple[str, float | None]:
    """(tag, number) of a summary value; None where it is an image, a histogram, a text …"""
    tag, scalar = "", None
    for number, wire, content in fields(value):
        if number == 1 and isinstance(content, bytes):
            tag = content.decode("utf-8", "replace")[:300]
        elif number == 2 and wire == 5:
            scalar = as_float(content)
        elif number == 8 and isinstance(content, bytes):
            scalar = _tensor(content)
    return tag, scalar


def _tensor(message: bytes) -> float | None:
    """The only number of a float tensor: in its content (4) or its values (5, 6)."""
    parts = {number: (wire, content) for number, wire, content in fields(message)}
    dtype = parts.get(1, (0, 0))[1]
    if not isinstance(dtype, int) or dtype not in FLOATS:
        return None
    kind, place = FLOATS[dtype]
    for number in (4, place):
        wire, content = parts.get(number, (0, b""))
        if isinstance(content, bytes) and len(content) == np.dtype(kind).itemsize:
            unpack = as_double if kind == "<f8" else as_float
            return unpack(content) if wire in (1, 2, 5) else None
    return None


# ---------------------------------------------------------------------- many files, one run


def _common(sources: Sequence[Source]) -> Path:
    """The nearest folder that holds all files, or the first one's where they share none."""
    folders = [s.path.parent for s in sources]
    shared = [
        p for p in (folders[0], *folders[0].parents) if all(f.is_relative_to(p) for f in folders)
    ]
    return shared[0] if shared else folders[0]


def _prefix(folder: Path, root: Path) -> str:
    """The folder below the run's own, which ``add_scalars`` makes one for each series."""
    return "" if folder == root else f"{folder.relative_to(root).as_posix()}/"


def _named(prefix: str, tag: str) -> str:
    """The name of a series: ``add_scalars`` writes its tag into the folder's name as well."""
    folder, flat = prefix.removesuffix("/"), tag.replace("/", "_")
    if folder.rpartition("/")[2].startswith(f"{flat}_"):
        return f"{tag}/{folder.rpartition('/')[2].removeprefix(f'{flat}_')}"
    return prefix + tag


def _derived(frame: pd.DataFrame) -> pd.DataFrame:
    """With what REINVENT4's scalars give by arithmetic: diversity from iSIM, KL from the NLLs."""
    columns = {name.rpartition("/")[2]: name for name in frame.columns}
    similarity = columns.get("iSIM: Average similarity")
    if similarity:
        frame["1 − iSIM"] = 1.0 - frame[similarity]
    for prior, agent in (("prior", "agent"), ("prior NLL", "agent NLL")):
        if prior in columns and agent in columns and "NLL" in columns[prior]:
            frame["prior − agent NLL"] = frame[columns[prior]] - frame[columns[agent]]
    return frame


# ---------------------------------------------------------------------- checksums


@cache
def _crc_table() -> tuple[int, ...]:
    table = []
    for byte in range(256):
        for _ in range(8):
            byte = (byte >> 1) ^ (POLYNOMIAL if byte & 1 else 0)
        table.append(byte)
    return tuple(table)


def masked_crc32c(data: bytes) -> int:
    """The CRC-32C (Castagnoli) of the data, rotated and shifted as TFRecord files hold it."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc = (crc >> 8) ^ _crc_table()[(crc ^ byte) & 255]
    crc ^= 0xFFFFFFFF
    return ((crc >> 15 | crc << 17) + MASK) & 0xFFFFFFFF
