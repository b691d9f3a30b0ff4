"""A log as bytes: opened safely, unpacked where it is gzip, and cut into numbered lines."""

from __future__ import annotations

import gzip
import io
import sys
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import IO, NamedTuple, cast

from qdlaws.errors import BadLog

__all__ = ["Line", "Source"]

CHUNK = 1 << 20
HEAD = 1 << 22  # the bytes by which the format is recognised
MAX_MESSAGE = 300  # characters: messages of other libraries can be long
MAX_LINE = 1 << 25  # 32 MiB: no logger writes longer lines
MAX_WHOLE = 1 << 28  # 256 MiB: the largest document that is read at once
BOMB_SIZE, BOMB_RATIO = 1 << 24, 200  # real logs shrink five- to thirtyfold
SHOW_PROGRESS = 1 << 25  # below this a file is read before a bar would be seen

GZIP = b"\x1f\x8b"
UTF16 = (b"\xff\xfe", b"\xfe\xff")


class Line(NamedTuple):
    """One line of a text: its number from 1, its content, and whether a line end closed it."""

    number: int
    text: str
    ended: bool


@dataclass(frozen=True)
class Source:
    """One file of a log; it is read when its content is first used."""

    path: Path

    @property
    def name(self) -> str:
        """The name of the file in messages."""
        return self.path.name

    def bad(self, problem: str, line: int | None = None) -> BadLog:
        """The error that names this file, the line, and the problem."""
        where = f"{self.name}, line {line}" if line else self.name
        return BadLog(f"{where}: {' '.join(problem.split())[:MAX_MESSAGE]}")

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
        """All of the file, unpacked; refused beyond 256 MiB."""
        with self.open() as stream:
            data = self._read(stream, MAX_WHOLE + 1)
        if len(data) > MAX_WHOLE:
            raise self.bad(f"larger than {MAX_WHOLE >> 20} MiB, too large to be read at once")
        return data

    def text(self) -> str:
        """All of the file as text; refused beyond 256 MiB."""
        return self.whole().removeprefix(b"\xef\xbb\xbf").decode("utf-8", "replace")

    @contextmanager
    def open(self) -> Iterator[IO[bytes]]:
        """The bytes of the file as a stream: gzip unpacked, UTF-16 turned into UTF-8."""
        try:
            with self.path.open("rb") as raw:
                start = raw.read(2)
                raw.seek(0)
                if start == GZIP:
                    yield cast(IO[bytes], _Unpacked(self, raw))
                elif start in UTF16:
                    wide = raw.read(MAX_WHOLE + 1)
                    if len(wide) > MAX_WHOLE:
                        raise self.bad("UTF-16 and very large: write it as UTF-8")
                    yield io.BytesIO(wide.decode("utf-16", "replace").encode())
                else:
                    yield raw
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise self.bad(f"a damaged gzip file ({error})") from error
        except BadLog:
            raise
        except OSError as error:
            raise self.bad(error.strerror or str(error)) from error

    def lines(self) -> Iterator[Line]:
        """The lines one by one, in bounded memory, with a progress bar where one can be seen."""
        mark = b"\n" if b"\n" in self.head or b"\r" not in self.head else b"\r"
        number, rest = 0, b""
        with self.open() as stream, _progress(self.path) as advance:
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
            yield Line(number + 1, _text(rest, number + 1), False)

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
    """A gzip stream that refuses to unpack a bomb, and takes a cut tail as the end of the file."""

    def __init__(self, source: Source, raw: IO[bytes]) -> None:
        self._source, self._raw, self._out = source, raw, 0
        self._stream = gzip.GzipFile(fileobj=raw)

    def read(self, size: int = -1) -> bytes:
        try:
            # read1 hands over what is there, so that a cut tail costs nothing that came before it
            data = self._stream.read1(size if size > 0 else CHUNK)
        except EOFError:
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
def _progress(path: Path) -> Iterator[Callable[[int], None]]:
    """A function that takes the number of bytes read; it draws only on a terminal's stderr."""
    size = path.stat().st_size
    if size < SHOW_PROGRESS or not sys.stderr.isatty():
        yield lambda _: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TimeRemainingColumn

    columns = (f"reading {path.name}", BarColumn(), DownloadColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        # a packed file unpacks to more than its size: the bar then has no end to show
        with path.open("rb") as raw:
            packed = raw.read(2) == GZIP
        task = bar.add_task("", total=None if packed else size)
        yield lambda n: bar.advance(task, n)
