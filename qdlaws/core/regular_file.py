"""Regular files only: a pipe that never answers and a device that never ends are not opened."""

from __future__ import annotations

import errno
import os
import stat
from io import BufferedReader
from os import PathLike

__all__ = ["open_regular", "read_regular"]

READ = (
    os.O_RDONLY
    | getattr(os, "O_NONBLOCK", 0)  # these three are not on every system
    | getattr(os, "O_CLOEXEC", 0)
    | getattr(os, "O_BINARY", 0)
)


def open_regular(path: str | PathLike[str]) -> BufferedReader:
    """A regular file, opened to be read; OSError for a pipe, a device, a socket or a folder."""
    _refuse_others(os.stat(path))  # some devices act when they are merely opened
    number = os.open(path, READ)
    try:
        _refuse_others(os.fstat(number))  # what was opened may be another file by now
        return os.fdopen(number, "rb")
    except BaseException:
        os.close(number)
        raise


def read_regular(path: str | PathLike[str], most: int | None = None) -> bytes:
    """The bytes of a regular file; OSError where it has more than ``most``."""
    with open_regular(path) as file:
        data = file.read() if most is None else file.read(most + 1)
    if most is not None and len(data) > most:
        raise OSError(errno.EFBIG, f"larger than {most:,} bytes")
    return data


def _refuse_others(status: os.stat_result) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise OSError(errno.EINVAL, "not a regular file")
