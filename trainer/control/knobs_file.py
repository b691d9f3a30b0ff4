"""``knobs.json``: a person or a program turns the knobs of a run while it runs.

``{"kl": 0.1}`` is enough. The run takes the file by renaming it to ``knobs/step-000012.json``, so
the turn stands on the disk with its step: a run that is killed and resumed from an earlier
checkpoint turns again at that step. What is no turn is set aside as ``knobs.rejected.json``, in one
line, and the run goes on with the knobs that it has.
"""

from __future__ import annotations

import json
import logging
import os
import re
import stat
import time
from dataclasses import replace
from math import isfinite
from pathlib import Path

from qdlaws.errors import BadData
from trainer.knobs import Knobs

__all__ = ["LARGEST", "KnobsFile", "read_turn"]

LARGEST = {"kl": 1e4, "reward_scale": 1e6, "entropy": 1e4}
"""The knobs that can be turned and the largest value of each; the smallest is 0."""
PATIENCE = 2.0
"""Seconds in which a file that is no JSON is read again: it may be half written."""
MAX_BYTES = 65_536
TURN = re.compile(r"step-(\d+)\.json")


class HalfWritten(ValueError):
    """A text that is no JSON, or not yet."""


def read_turn(content: bytes) -> dict[str, float]:
    """The values in a turn of the knobs; BadData where it is none, HalfWritten where it is no JSON.

    The encodings of JSON are recognised: UTF-8, and the UTF-16 that Windows writes.
    """
    names = ", ".join(LARGEST)
    try:
        values = json.loads(content)
    except RecursionError:
        raise BadData("JSON nested too deeply") from None
    except ValueError as error:
        raise HalfWritten(str(error)) from None
    if not isinstance(values, dict) or not values.keys() <= LARGEST.keys():
        raise BadData(f"an object with numbers for {names} was needed")
    for name, value in values.items():
        number = isinstance(value, (int, float)) and not isinstance(value, bool)
        if not (number and 0 <= value <= LARGEST[name] and isfinite(value)):
            raise BadData(f"{name} must be a number from 0 to {LARGEST[name]:g}")
    return {name: float(value) for name, value in values.items()}


class KnobsFile:
    """The knobs file of a run's folder; only the process that writes the run reads it."""

    def __init__(self, run: Path) -> None:
        self._run = run
        self._waiting: Path | None = None
        """A turn that was taken and is no JSON yet."""
        self._since = 0.0
        self._ignored: tuple[int, int] | None = None
        """A file that cannot be moved away, by inode and time."""

    def read(self, step: int, knobs: Knobs) -> Knobs:
        """The knobs from the update after ``step`` on."""
        turn = self._run / "knobs" / f"step-{step:06d}.json"
        if not turn.exists() and not self._take(turn):
            return knobs
        try:
            values = read_turn(_content(turn))
        except HalfWritten as error:
            now = time.monotonic()
            if self._waiting is None:
                self._since = now
            if now - self._since < PATIENCE:
                self._waiting = turn
            else:
                self._reject(turn, str(error))
            return knobs
        except (BadData, OSError) as error:
            self._reject(turn, str(error))
            return knobs
        self._waiting = None
        return replace(knobs, **values)

    def forget(self, before: int) -> None:
        """Removes turns of steps that every checkpoint is past."""
        for path in (self._run / "knobs").glob("step-*.json"):
            name = TURN.fullmatch(path.name)
            if name is not None and int(name[1]) < before and path != self._waiting:
                path.unlink(missing_ok=True)

    def _take(self, turn: Path) -> bool:
        """Moves what waits, or ``knobs.json``, to the turn of this step; whether there was any."""
        path = self._waiting or self._run / "knobs.json"
        try:
            status = path.lstat()
        except OSError:
            return False
        if (status.st_ino, status.st_mtime_ns) == self._ignored:
            return False
        if not stat.S_ISREG(status.st_mode):
            self._reject(path, "it is no file")
            return False
        try:
            turn.parent.mkdir(exist_ok=True)
            path.replace(turn)
        except OSError:  # on Windows somebody has it open: at the next step then
            return False
        return True

    def _reject(self, path: Path, reason: str) -> None:
        self._waiting = None
        aside = self._run / "knobs.rejected.json"
        where = f"it is now {aside.name}"
        try:
            path.replace(aside)
        except OSError:
            status = path.lstat()
            self._ignored = (status.st_ino, status.st_mtime_ns)
            where = "it is left where it is"
        logging.getLogger(__name__).warning(
            "%s is ignored: %s; %s, and the knobs stay as they are",
            self._run / "knobs.json", reason, where,
        )  # fmt: skip


def _content(path: Path) -> bytes:
    """The bytes of a turn, on the disk before they count."""
    handle = os.open(path, os.O_RDWR | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0))
    with os.fdopen(handle, "rb") as file:
        content = file.read(MAX_BYTES + 1)
        os.fsync(file.fileno())
    if len(content) > MAX_BYTES:
        raise BadData(f"it has more than {MAX_BYTES:,} bytes")
    return content
