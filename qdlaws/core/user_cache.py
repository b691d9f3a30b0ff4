"""The folder in which the package keeps what is slow to work out again.

``QDLAWS_CACHE=off`` keeps nothing, ``QDLAWS_CACHE=/a/folder`` keeps it there; by default it is the
user's cache folder of the system.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

__all__ = ["MOST_BYTES", "VARIABLE", "cache_folder"]

VARIABLE = "QDLAWS_CACHE"
MOST_BYTES = 500_000_000
"""Bytes of the whole folder; a part that grows beyond its share is emptied."""
OFF = {"off", "0", "no", "false", "none"}


def cache_folder() -> Path | None:
    """The folder, made where it is missing; None where it is off or cannot be made."""
    wanted = os.environ.get(VARIABLE, "").strip()
    if wanted.lower() in OFF:
        return None
    folder = Path(wanted) if wanted else _of_the_system() / "qdlaws"
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError:
        return None
    return folder


def _of_the_system() -> Path:
    """Where programs of this user keep what they can work out again."""
    home = Path(os.path.expanduser("~"))
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or home / "AppData" / "Local")
    if sys.platform == "darwin":
        return home / "Library" / "Caches"
    return Path(os.environ.get("XDG_CACHE_HOME") or home / ".cache")
