"""TensorBoard event files, decoded without TensorBoard: every point, none sampled away.

A file is TFRecords (length, its crc, data, its crc); the data are ``Event`` messages: wall_time 1,
step 2, summary 5 = values 1 with tag 1, simple_value 2, tensor 8, metadata 9; session_log 7.
"""

from __future__ import annotations

import struct
from array import array
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd

from qdlaws.core.types import Array
from qdlaws.readers.byte_source import Source
from qdlaws.readers.columns.tool_names import is_wanted
from qdlaws.readers.formats.crc32c import masked_crc32c, masked_crc32cs
from qdlaws.readers.formats.protobuf import as_double, as_float, fields, signed
from qdlaws.readers.table import MAX_CELLS, MAX_COLUMNS, Table

__all__ = ["is_tensorboard", "read_tensorboard"]

MAX_RECORD = 1 << 28
MAX_POINTS = 2 * MAX_CELLS  # of all tags, 24 bytes each
BATCH_RECORDS, BATCH_BYTES = 4096, 1 << 22  # that are checked at a time
START = 1  # SessionLog.Status: a run that was started again discards later steps
FLOATS = {1: ("<f4", 5), 2: ("<f8", 6)}  # DataType -> (numpy type, field of its values)
Point = tuple[str, float, float]  # tag, step, value


def is_tensorboard(head: bytes) -> bool:
    """Whether the bytes begin with a TFRecord: a length and the checksum of that length."""
    return len(head) >= 12 and struct.unpack("<I", head[8:12])[0] == masked_crc32c(head[:8])


@dataclass
class Series:
    """The points of one tag in the order in which they were written."""

    prefix: str
    steps: array[float] = field(default_factory=lambda: array("d"))
    values: array[float] = field(default_factory=lambda: array("d"))
    restarts: array[int] = field(default_factory=lambda: array("l"))
    """For each point how many restarts of the run had been read before it."""


@dataclass
class Run:
    """The points of the event files of one run, and the steps from which it was started again."""

    series: dict[str, Series] = field(default_factory=dict)
    restarts: list[tuple[str, float]] = field(default_factory=list)
    """Folder prefix and first step; what that folder had written from that step on is void."""
    points: int = 0
    only_wanted: bool = False

    def add(self, prefix: str, point: Point) -> None:
        """Append a point; OverflowError where the run has more tags or points than are read."""
        name, step, value = point
        series = self.series.get(name)
        if series is None:
            if self.only_wanted and not is_wanted(name):
                return
            if len(self.series) >= MAX_COLUMNS:
                raise OverflowError(f"more than {MAX_COLUMNS:,} tags")
            series = self.series[name] = Series(prefix)
        series.steps.append(step)
        series.values.append(value)
        series.restarts.append(len(self.restarts))
        self.points += 1
        if self.points > MAX_POINTS:
            self._drop_unwanted()

    def _drop_unwanted(self) -> None:
        if self.only_wanted:
            raise OverflowError(f"more than {MAX_POINTS:,} points of tags that laws use")
        self.only_wanted = True
        self.series = {name: s for name, s in self.series.items() if is_wanted(name)}
        self.points = sum(len(s.steps) for s in self.series.values())

    def frame(self) -> tuple[pd.DataFrame, str]:
        """The series side by side, steps in order; and a note where steps had to be averaged."""
        first_void: dict[str, Array] = {}
        series: dict[str, tuple[Array, Array]] = {}
        for name, points in self.series.items():
            if points.prefix not in first_void:
                first_void[points.prefix] = self._first_void_steps(points.prefix)
            steps, values = np.array(points.steps), np.array(points.values)
            valid = steps < first_void[points.prefix][np.array(points.restarts)]
            series[name] = _last_of_each_step(steps[valid], values[valid])
        steps = np.unique(np.concatenate([s for s, _ in series.values()]))
        if len(steps) * len(series) > MAX_CELLS and not self.only_wanted:
            series = {name: points for name, points in series.items() if is_wanted(name)}
            self.only_wanted = True
            steps = np.unique(np.concatenate([[], *(s for s, _ in series.values())]))
        block = max(-(-len(steps) * len(series) // MAX_CELLS), 1)
        columns = {name: _block_means(steps, *points, block) for name, points in series.items()}
        note = f"a very long log: each row is the mean of {block} logged steps" if block > 1 else ""
        return pd.DataFrame({"step": _block_means(steps, steps, steps, block), **columns}), note

    def _first_void_steps(self, prefix: str) -> Array:
        """For points after k restarts, the lowest step from which a later restart voids them."""
        starts = [s if prefix.startswith(p) else np.inf for p, s in self.restarts]
        later = np.minimum.accumulate(np.array([np.inf, *reversed(starts)]))
        return np.asarray(later[::-1], float)


def read_tensorboard(sources: Sequence[Source]) -> Table:
    """The scalars of the event files of one run, by step.

    Files are taken in the order of their names (which hold the time); where a run was started
    again, what was written for the same and later steps before is discarded, as TensorBoard does.
    Records whose checksum is wrong are left out.
    """
    run, root = Run(), _common(sources)
    for source in sorted(sources, key=lambda s: s.name):
        prefix = _prefix(source.path.parent, root)
        try:
            for point in _points(source):
                if isinstance(point, float):
                    run.restarts.append((prefix, point))
                else:
                    run.add(prefix, (_named(prefix, point[0]), *point[1:]))
        except OverflowError as error:
            raise source.bad(str(error)) from error
    if not run.points:
        damage = "; ".join(remark for source in sources for remark in source.remarks)
        raise sources[0].bad(f"no scalars in these event files{damage and '; '}{damage}")
    frame, averaged = run.frame()
    dropped = "a very long log: columns that no law uses were left out" if run.only_wanted else ""
    return Table("tensorboard", _derived(frame)).with_notes(dropped, averaged)


def _last_of_each_step(steps: Array, values: Array) -> tuple[Array, Array]:
    """The steps in order, and of each the value that was written last."""
    once, backwards = np.unique(steps[::-1], return_index=True)
    return once, values[::-1][backwards]


def _block_means(rows: Array, steps: Array, values: Array, block: int) -> Array:
    """A column over blocks of so many of the rows' steps: the mean of its finite values there."""
    place, finite = np.searchsorted(rows, steps) // block, np.isfinite(values)
    size = -(-len(rows) // block)
    count = np.bincount(place[finite], minlength=size)
    if block == 1:
        column = np.full(size, np.nan)
        column[place] = np.where(finite, values, np.nan)
        return column
    total = np.bincount(place[finite], values[finite], minlength=size)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def _points(source: Source) -> Iterator[Point | float]:
    """The scalars of one file; a bare number is the step at which the run was started again."""
    for record in _records(source):
        try:
            yield from _event(record)
        except (ValueError, struct.error) as error:
            raise source.bad(f"a damaged event ({error})") from error


def _records(source: Source) -> Iterator[bytes]:
    """The records whose checksum is right."""
    damaged = whole = 0
    for heads, records, checks in _batches(source):
        lengths_hold = masked_crc32cs([head[:8] for head in heads]) == _last_words(heads)
        holds = masked_crc32cs(records) == _last_words(checks)
        for record, length_holds, content_holds in zip(records, lengths_hold, holds, strict=True):
            if not length_holds:
                raise source.bad("a damaged record in a TensorBoard event file")
            damaged, whole = damaged + (not content_holds), whole + bool(content_holds)
            if content_holds:
                yield record
    if damaged:
        of = damaged + whole
        source.remark(f"{damaged} of {of} records are damaged (wrong checksum), left out")


Batch = tuple[list[bytes], list[bytes], list[bytes]]
"""Of some records the heads (length, its checksum), the data, and the checksums of the data."""


def _batches(source: Source) -> Iterator[Batch]:
    heads: list[bytes] = []
    records: list[bytes] = []
    checks: list[bytes] = []
    held, torn = 0, False
    with source.open() as stream:
        while head := stream.read(12):
            size = int.from_bytes(head[:8], "little")
            if len(head) == 12 and size > MAX_RECORD:
                if is_tensorboard(head):
                    raise source.bad(f"a record of {size:,} bytes: no event is that long")
                raise source.bad("a damaged record in a TensorBoard event file")
            if not any(head):  # set aside and never written, as a power loss leaves it
                torn = True
                break
            rest = stream.read(size + 4) if len(head) == 12 else b""
            if len(head) < 12 or len(rest) < size + 4:
                if len(head) == 12 and not is_tensorboard(head):
                    raise source.bad("a damaged record in a TensorBoard event file")
                torn = True
                break
            heads.append(head)
            records.append(rest[:-4])
            checks.append(rest[-4:])
            held += size
            if len(heads) >= BATCH_RECORDS or held >= BATCH_BYTES:
                yield heads, records, checks
                heads, records, checks, held = [], [], [], 0
    if heads:
        yield heads, records, checks
    if torn:
        source.remark("ends in half a record, read up to there")


def _last_words(pieces: Iterable[bytes]) -> Array:
    return np.frombuffer(b"".join(piece[-4:] for piece in pieces), "<u4")


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
    """With the diversity that REINVENT4's similarity gives."""
    columns = {name.rpartition("/")[2]: name for name in frame.columns}
    similarity = columns.get("iSIM: Average similarity")
    return frame.assign(**{"1 − iSIM": 1.0 - frame[similarity]}) if similarity else frame
