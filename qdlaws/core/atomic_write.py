"""Atomic writes: readers of a file see the old content or the new one, never a part."""

from __future__ import annotations

import os
import re
import secrets
import stat
import time
from contextlib import suppress
from itertools import islice
from os import PathLike
from pathlib import Path

from qdlaws.errors import QdlawsError

__all__ = ["write_atomically"]

NEW_FILE = (
    os.O_WRONLY
    | os.O_CREAT
    | os.O_EXCL
    | getattr(os, "O_NOFOLLOW", 0)  # these two are not on every system
    | getattr(os, "O_BINARY", 0)
)
"""A name that exists, a link included, is never written through."""
OLD = 600.0
"""Seconds after which the writer of a new file has been killed."""
MOST_ENTRIES = 10_000
"""Entries of a folder among which left-overs are looked for."""


def write_atomically(path: str | PathLike[str], content: str | bytes) -> None:
    """Writes to a new file beside ``path``, flushes it to the disk and renames it.

    Only a regular file is replaced: a link would be lost, and what it points to left as it was.
    New files that killed writers of the same path have left beside it are removed.
    Characters that UTF-8 lacks (a file name of raw bytes) are written as escapes.
    """
    path = Path(path)
    data = content.encode("utf-8", "backslashreplace") if isinstance(content, str) else content
    new = path.with_name(f".{path.name}.{secrets.token_hex(8)}.tmp")
    try:
        _refuse_others(path)
        number = os.open(new, NEW_FILE, 0o666)
    except OSError as error:
        raise _refusal(path, error) from None
    try:
        with os.fdopen(number, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(new, path)
        _remove_left_over(path)
    except BaseException as error:
        with suppress(OSError):  # the first error is the one to tell
            new.unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise _refusal(path, error) from None
        raise


def _remove_left_over(path: Path) -> None:
    """Removes the new files of writers of this path that were killed; a living one's is young."""
    name = re.compile(rf"\.{re.escape(path.name)}\.[0-9a-f]{{16}}\.tmp")
    with suppress(OSError), os.scandir(path.parent) as entries:
        for entry in islice(entries, MOST_ENTRIES):
            is_new = name.fullmatch(entry.name) and entry.is_file(follow_symlinks=False)
            if is_new and time.time() - entry.stat(follow_symlinks=False).st_mtime > OLD:
                os.unlink(entry.path)


def _refuse_others(path: Path) -> None:
    """OSError where the path is a link, a device, a pipe or a folder."""
    try:
        mode = os.lstat(path).st_mode
    except FileNotFoundError:
        return
    if stat.S_ISLNK(mode):
        raise OSError("a symbolic link stands there: name the file that it points to")
    if not stat.S_ISREG(mode):
        raise OSError("something that is no regular file stands there")


def _refusal(path: Path, error: OSError) -> QdlawsError:
    return QdlawsError(f"cannot write {path}: {error.strerror or error}")
