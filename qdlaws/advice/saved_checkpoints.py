"""The steps whose checkpoints exist, by the folder that a log was read from.

Advice to keep a checkpoint, or to go back to one, should name one that exists. Trainers name their
folders by the step: ``checkpoint-120`` (Hugging Face), ``global_step_120`` (verl), ``step-000120``
(qdtrain). Where none are left beside the log, ``save_steps`` in the ``trainer_state.json`` of
Hugging Face says which were written.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np

from qdlaws.core.runlog import RunLog
from qdlaws.core.types import Array

__all__ = ["saved_steps"]

NAME = re.compile(r"^(?:checkpoint|global_step|step|iter|ckpt|epoch_step)[-_]0*(\d{1,12})$")

FOLDERS = ("", "checkpoints", "ckpt")
"""Where a run's folder holds its checkpoints."""

MOST_ENTRIES = 10_000
"""Entries of a folder that are looked at."""


def saved_steps(log: RunLog) -> Array:
    """The steps of the checkpoints beside a log, in order; empty where none can be seen."""
    if not log.source:
        return np.empty(0)
    source = Path(log.source)
    try:
        folder = source if source.is_dir() else source.parent
        if not source.exists():
            return np.empty(0)
        if NAME.match(folder.resolve().name):  # a log inside one of the checkpoints
            folder = folder.resolve().parent
        steps = {step for name in FOLDERS for step in _steps_in(folder / name)}
        return np.array(sorted(steps or _by_interval(folder, float(log.step[-1]))), dtype=float)
    except OSError:  # a folder that may not be read shows no checkpoints
        return np.empty(0)


def _steps_in(folder: Path) -> set[int]:
    """The steps in the names of the folders here."""
    if not folder.is_dir():
        return set()
    entries = (entry for entry, _ in zip(folder.iterdir(), range(MOST_ENTRIES), strict=False))
    return {int(m[1]) for entry in entries if (m := NAME.match(entry.name)) and entry.is_dir()}


def _by_interval(folder: Path, last: float) -> set[int]:
    """The multiples of ``save_steps`` up to the last step, where the trainer's state says them."""
    state = folder / "trainer_state.json"
    if not state.is_file():
        return set()
    try:
        every = json.loads(state.read_text(encoding="utf-8")).get("save_steps")
    except (OSError, ValueError, AttributeError, RecursionError):
        return set()
    if not isinstance(every, int | float) or not every >= 1:
        return set()
    return set(range(int(every), int(min(last, 1e7)) + 1, int(every)))
