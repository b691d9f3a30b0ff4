"""A folder that nothing can be written to, for whoever the tests run as."""

from __future__ import annotations

import builtins
import errno
import io
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

CHANGES = ("mkdir", "rmdir", "unlink", "remove", "rename", "replace", "truncate", "utime")
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC


def make_read_only(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """From now on every change below the folder fails as on a read-only file system."""

    def refuse(path: Any) -> None:
        if isinstance(path, (str, os.PathLike)) and Path(path).is_relative_to(folder):
            raise OSError(errno.EROFS, os.strerror(errno.EROFS), str(path))

    def guarded(function: Callable[..., Any], writes: Callable[..., bool]) -> Callable[..., Any]:
        def call(path: Any, *args: Any, **options: Any) -> Any:
            if writes(*args, **options):
                refuse(path)
            return function(path, *args, **options)

        return call

    def mode_writes(mode: str = "r", *_: Any, **__: Any) -> bool:
        return bool(set(mode) & set("wax+"))

    for name in CHANGES:
        monkeypatch.setattr(os, name, guarded(getattr(os, name), lambda *_, **__: True))
    flags = guarded(os.open, lambda flags, *_, **__: bool(flags & WRITING))
    monkeypatch.setattr(os, "open", flags)
    opened = guarded(io.open, mode_writes)
    monkeypatch.setattr(io, "open", opened)
    monkeypatch.setattr(builtins, "open", opened)
