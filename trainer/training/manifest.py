"""The manifest of a checkpoint: size and SHA-256 of each of its files, ``state.json`` included.

A flipped bit, a cut file and a file of another checkpoint are seen before anything is loaded.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open

from qdlaws.core.regular_file import open_regular, read_regular
from qdlaws.core.serialize import printable
from qdlaws.errors import BadLog
from trainer.training.progress import Progress

__all__ = ["FORMAT", "checked_state", "is_interrupted", "write_manifest"]

NAME = "manifest.json"
FORMAT = 2
"""In ``state.json``: 2 has a manifest beside it; 1, which did not write its number, has none."""


def write_manifest(folder: Path, interrupted: bool) -> None:
    """Writes the manifest of the files in the folder."""
    files = {path.name: _figures(path) for path in sorted(folder.iterdir()) if path.name != NAME}
    values = {"interrupted": interrupted, "files": files}
    (folder / NAME).write_text(json.dumps(values, indent=1) + "\n", encoding="utf-8")


def is_interrupted(folder: Path) -> bool:
    """Whether the checkpoint was saved because the run was interrupted, not because it was due."""
    try:
        return bool(_json(folder / NAME)["interrupted"]) if (folder / NAME).exists() else False
    except (BadLog, KeyError):
        return False


def checked_state(folder: Path) -> dict[str, Any]:
    """The state of a checkpoint, every file of which is whole; BadLog names the one that is not."""
    files = _json(folder / NAME).get("files") if (folder / NAME).exists() else {}
    if not isinstance(files, dict):
        raise BadLog(f"{NAME} is damaged")
    for name, figures in files.items():
        if Path(name).name != name or "\0" in name or not (folder / name).is_file():
            raise BadLog(f"{printable(name)} is missing")
        if _figures(folder / name) != figures:
            raise BadLog(f"{name} is not as it was saved")
    state = _json(folder / "state.json")
    written = state.get("format", 1)
    if written not in (1, FORMAT):
        raise BadLog(f"state.json has the format {written}, which is newer than this program")
    if written == FORMAT and "state.json" not in files:
        raise BadLog(f"{NAME} is missing")
    if written == 1:
        _check_tensors(folder)
    if "task" not in state:
        raise BadLog("state.json is not of this version: it has no 'task'")
    step = Progress.from_state(state).step
    if folder.name != f"step-{step:06d}":
        raise BadLog(f"state.json is of step {step}")
    return state


def _check_tensors(folder: Path) -> None:
    """Before there were manifests: the headers and lengths of the files of tensors."""
    names = {"optimizer.safetensors", *(path.name for path in folder.glob("*.safetensors"))}
    for name in sorted(names):
        try:
            with safe_open(folder / name, framework="pt"):
                pass
        except (OSError, SafetensorError) as error:
            raise BadLog(f"{name} cannot be read: {error}") from None


def _figures(path: Path) -> dict[str, Any]:
    with open_regular(path) as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        return {"bytes": file.tell(), "sha256": digest}


def _json(path: Path) -> dict[str, Any]:
    """The JSON object of a small file."""
    try:
        value = json.loads(read_regular(path))
    except (OSError, ValueError, RecursionError) as error:
        raise BadLog(f"{path.name} cannot be read: {error}") from None
    if not isinstance(value, dict):
        raise BadLog(f"{path.name} holds no JSON object")
    return value
