"""A log as bytes: opened safely, unpacked where it is gzip, and cut into numbered lines.

Only regular files are opened. A log may grow while it is read; one that is cut, replaced or written
anew meanwhile is a :class:`ChangedFile`, which :func:`qdlaws.readers.detect.read_file` reads again.
"""

from __future__ import annotations

import gzip
import io
import os
import sys
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import IO, BinaryIO, NamedTuple, cast

from qdlaws.core.regular_file import open_regular
from qdlaws.core.serialize import printable
from qdlaws.errors import BadLog

__all__ = ["ChangedFile", "Line", "SeveralRuns", "Source", "listed"]

CHUNK = 1 << 20
HEAD = 1 << 22  # the bytes by which the format is recognised
MAX_MESSAGE = 300  # characters: messages of other libraries can be long
MAX_LINE = 1 << 25  # 32 MiB: no logger writes longer lines
MAX_WHOLE = 1 << 27  # 128 MiB: the largest document that is read at once
START = 1 << 12  # the bytes by which a file that was written anew is recognised
BOMB_SIZE, BOMB_RATIO = 1 << 24, 200  # real logs shrink five- to thirtyfold
SHOW_PROGRESS = 1 << 25  # below this a file is read before a bar would be seen

GZIP = b"\x1f\x8b"
UTF16 = (b"\xff\xfe", b"\xfe\xff")


class Line(NamedTuple):
    """One line of a text: its number from 1, its content, and whether a line end closed it."""

    number: int
    text: str
    ended: bool

    @property
    def has_hole(self) -> bool:
        """Whether zero bytes stand in it, as a power loss leaves them: what was there is lost."""
        return "\0" in self.text


class ChangedFile(BadLog):
    """A log that was cut, replaced or written anew while it was read."""


class SeveralRuns(BadLog):
    """A file or folder that holds several runs, none of which was chosen."""

    def __init__(
        self, message: str, runs: Sequence[tuple[str, str]] = (), paths: Sequence[Path] = ()
    ) -> None:
        super().__init__(message)
        self.runs = tuple(runs)
        """(key that chooses it, name) of each run in the file."""
        self.paths = tuple(paths)
        """The file or folder of each run in the folder."""


class Stamp(NamedTuple):
    """The state of an open file by which a change is noticed."""

    device: int
    inode: int
    size: int
    time: int
    start: bytes

    @classmethod
    def of(cls, file: BinaryIO) -> Stamp:
        """The state of the file now; it is left at its beginning."""
        status = os.fstat(file.fileno())
        file.seek(0)
        start = file.read(START)
        file.seek(0)
        return cls(status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, start)

    def may_become(self, later: Stamp) -> bool:
        """Whether the later state differs by nothing but bytes behind the end."""
        same = self[:2] == later[:2] and later.start.startswith(self.start)
        return same and later.size >= self.size


def listed(lines: list[int]) -> str:
    """Line numbers in words, the first eight of many."""
    rest = f" and {len(lines) - 8:,} more" if len(lines) > 8 else ""
    return ", ".join(map(str, lines[:8])) + rest


@dataclass(frozen=True)
class Source:
    """One file of a log; it is read when its content is first used."""

    path: Path
    remarks: list[str] = field(default_factory=list, compare=False)
    """What was noticed while the bytes were read, for the notes of the log."""
    _stamps: list[Stamp] = field(default_factory=list, compare=False, repr=False)

    @property
    def name(self) -> str:
        """The name of the file in messages."""
        return self.path.name

    def several(self, problem: str, runs: Sequence[tuple[str, str]]) -> SeveralRuns:
        """The error that this file holds several runs, (key, name) each."""
        return SeveralRuns(str(self.bad(problem)), runs)

    def bad(self, problem: str, line: int | None = None) -> BadLog:
        """The error that names this file, the line, and the problem."""
        where = f"{self.name}, line {line}" if line else self.name
        return BadLog(printable(f"{where}: {' '.join(problem.split())[:MAX_MESSAGE]}"))

    def remark(self, words: str) -> None:
        """Adds a note on the file, once."""
        if (line := f"{self.name}: {words}") not in self.remarks:
            self.remarks.append(line)

    @cached_property
    def head(self) -> bytes:
        """The first 4 MiB, unpacked."""
        with self.open() as stream:
            return self._read(stream, HEAD)

    @cached_property
    def head_text(self) -> str:
        """The first 4 MiB as text."""
        return self.head.removeprefix(b"\xef\xbb\xbf").decode("utf-8", "replace")

    def whole(self) -> bytes:
        """All of the file, unpacked; refused beyond 128 MiB."""
        with self.unchanged(), self.open() as stream:
            data = self._read(stream, MAX_WHOLE + 1)
        if len(data) > MAX_WHOLE:
            raise self.bad(f"larger than {MAX_WHOLE >> 20} MiB, too large to be read at once")
        return data

    def text(self) -> str:
        """All of the file as text; refused beyond 128 MiB."""
        return self.whole().removeprefix(b"\xef\xbb\xbf").decode("utf-8", "replace")

    @contextmanager
    def open(self) -> Iterator[IO[bytes]]:
        """The bytes of the file as a stream: gzip unpacked, UTF-16 turned into UTF-8."""
        try:
            with open_regular(self.path) as raw:
                yield self._decoded(raw, self._checked(Stamp.of(raw)).start)
                self._checked(self._now())
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise self.bad(f"a damaged gzip file ({error})") from error
        except BadLog:
            raise
        except OSError as error:
            raise self.bad(error.strerror or str(error)) from error

    @contextmanager
    def unchanged(self) -> Iterator[None]:
        """A block in which the file may not change at all, not even grow."""
        before = self._checked(self._now())
        yield
        if self._now()[:4] != before[:4]:
            raise self._changed()

    def has_changed(self) -> bool:
        """Whether the file is not what it was when it was last opened, grown or rewritten."""
        try:
            return bool(self._stamps) and self._now() != self._stamps[-1]
        except BadLog:
            return True

    def _decoded(self, raw: BinaryIO, start: bytes) -> IO[bytes]:
        if start.startswith(GZIP):
            return cast(IO[bytes], _Unpacked(self, raw))
        if start.startswith(UTF16):
            wide = raw.read(MAX_WHOLE + 1)
            if len(wide) > MAX_WHOLE:
                raise self.bad("UTF-16 and very large: write it as UTF-8")
            return io.BytesIO(wide.decode("utf-16", "replace").encode())
        return raw

    def _now(self) -> Stamp:
        try:
            with open_regular(self.path) as file:
                return Stamp.of(file)
        except OSError as error:
            raise self.bad(error.strerror or str(error)) from error

    def _checked(self, stamp: Stamp) -> Stamp:
        """The stamp, which may only be later than all before it."""
        if self._stamps and not self._stamps[-1].may_become(stamp):
            raise self._changed()
        self._stamps[:] = [stamp]
        return stamp

    def _changed(self) -> ChangedFile:
        return ChangedFile(printable(f"{self.name}: it changed while it was read"))

    def lines(self) -> Iterator[Line]:
        """The lines one by one, in bounded memory, with a progress bar where one can be seen."""
        mark = b"\n" if b"\n" in self.head or b"\r" not in self.head else b"\r"
        number, rest = 0, b""
        with self.open() as stream, _progress(self.name, self._stamps[-1]) as advance:
            while chunk := stream.read(CHUNK):
                advance(len(chunk))
                pieces = (rest + chunk if rest else chunk).split(mark)
                rest = pieces.pop()
                for piece in pieces:
                    number += 1
                    yield Line(number, _text(piece, number), True)
                if len(rest) > MAX_LINE:
                    raise self.bad(f"longer than {MAX_LINE >> 20} MiB", number + 1)
        if rest:
            # the last line ends with half of "\\r\\n", or with no line end at all
            yield Line(number + 1, _text(rest, number + 1), rest.endswith(b"\r"))

    def _read(self, stream: IO[bytes], size: int) -> bytes:
        parts: list[bytes] = []
        while size > 0 and (part := stream.read(min(size, CHUNK))):
            parts.append(part)
            size -= len(part)
        return b"".join(parts)


def _text(line: bytes, number: int) -> str:
    if number == 1:
        line = line.removeprefix(b"\xef\xbb\xbf")
    return line.rstrip(b"\r").decode("utf-8", "replace")


class _Unpacked(io.RawIOBase):
    """A gzip stream that refuses to unpack a bomb.

    One that breaks off is refused as well: what damage in the middle unpacks to looks like numbers,
    and only the checksum at the end tells it from a copy that was merely cut.
    """

    def __init__(self, source: Source, raw: IO[bytes]) -> None:
        self._source, self._raw, self._out = source, raw, 0
        self._stream = gzip.GzipFile(fileobj=raw)

    def read(self, size: int = -1) -> bytes:
        wanted = size if size > 0 else CHUNK
        parts: list[bytes] = []
        while wanted > 0 and (part := self._part(wanted)):
            parts.append(part)
            wanted -= len(part)
        return b"".join(parts)

    def _part(self, size: int) -> bytes:
        try:
            data = self._stream.read1(size)
        except EOFError as error:
            words = "the gzip file breaks off, so its checksum is missing: unpack it and see"
            raise self._source.bad(words) from error
        except gzip.BadGzipFile as error:
            if not self._out or not str(error).startswith("Not a gzipped file"):
                raise
            self._source.remark("something else stands behind the gzip data, left out")
            return b""
        self._out += len(data)
        if self._out > BOMB_SIZE and self._out > BOMB_RATIO * self._raw.tell():
            raise self._source.bad(
                f"unpacks to more than {BOMB_RATIO} times its size: no log does, so it is refused"
            )
        return data

    def readable(self) -> bool:
        return True


@contextmanager
def _progress(name: str, stamp: Stamp) -> Iterator[Callable[[int], None]]:
    """A function that takes the number of bytes read; it draws only on a terminal's stderr."""
    if stamp.size < SHOW_PROGRESS or not sys.stderr.isatty():
        yield lambda _: None
        return
    from rich.console import Console
    from rich.markup import escape
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

    words = TextColumn("reading {task.description}")
    columns = (words, BarColumn(), DownloadColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        # a packed file unpacks to more than its size: the bar then has no end to show
        packed = stamp.start.startswith(GZIP)
        task = bar.add_task(escape(printable(name)), total=None if packed else stamp.size)
        yield lambda n: bar.advance(task, n)
