"""Atomic writes: readers of a file see the old content or the new one, never a part."""

from __future__ import annotations

import os
import secrets
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


def write_atomically(path: str | PathLike[str], content: str | bytes) -> None:
    """Writes to a new file beside ``path``, flushes it to the disk and renames it."""
    path = Path(path)
    new = path.with_name(f".{path.name}.{secrets.token_hex(8)}.tmp")
    try:
        with os.fdopen(os.open(new, NEW_FILE, 0o666), "wb") as file:
            file.write(content.encode() if isinstance(content, str) else content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(new, path)
    except OSError as error:
        new.unlink(missing_ok=True)
        raise QdlawsError(f"cannot write {path}: {error.strerror or error}") from None
