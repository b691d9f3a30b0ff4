"""Files that are there as a whole or not at all."""

from __future__ import annotations

import os
from os import PathLike
from pathlib import Path

from qdlaws.errors import QdlawsError

__all__ = ["write_whole"]


def write_whole(path: str | PathLike[str], content: str | bytes) -> None:
    """Writes the file under another name and renames it: readers see the old or the new one."""
    path = Path(path)
    other = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with other.open("wb") as file:
            file.write(content.encode() if isinstance(content, str) else content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(other, path)
    except OSError as error:
        other.unlink(missing_ok=True)
        raise QdlawsError(f"cannot write {path}: {error.strerror or error}") from None
