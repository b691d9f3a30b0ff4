"""The folder of a run: which files in it are the trainer's, who may write it, how it is cleaned.

A run folder may come from somebody else, so names that it holds are checked before they are used;
and whatever is not the trainer's in it stays.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from qdlaws.errors import BadData, QdlawsError
from trainer.training.metrics import cut_back

__all__ = [
    "BEGINNING",
    "BRANCHING",
    "LOGS",
    "check_files",
    "cut_files",
    "flush",
    "growing_files",
    "lock",
    "one_line",
    "table_step",
    "tidy",
]

LOGS = ("metrics.jsonl", "advice.jsonl")
FOLDERS = ("checkpoints", "samples", "knobs")
BEGINNING = ("start.json", "rehearsal.safetensors", "rehearsal.txt")
"""What a run writes before its first step; a run that begins anew writes it anew."""
BRANCHING = ".branching"
"""Stands in a folder while a branch is copied into it."""
SAMPLES = re.compile(r"samples/[^/\\:.][^/\\:]*\.csv")
TABLE = re.compile(r"step-(\d+)\.csv")
TEMPORARY = re.compile(
    r"\.(config\.toml|start\.json|plan\.json|summary\.json|rehearsal\.safetensors|step-\d+\.csv)"
    r"\..+\.tmp"
)
"""New files of the trainer before they are renamed; those of other programs are theirs."""


@contextmanager
def one_line(action: str) -> Iterator[None]:
    """An error of the file system is raised as one line: "cannot save runs/a: no space left"."""
    try:
        yield
    except QdlawsError:
        raise
    except OSError as error:
        raise QdlawsError(f"cannot {action}: {error.strerror or error}") from None


@contextmanager
def lock(run: Path) -> Iterator[None]:
    """Holds the run's folder; a second run that wants it gets one line. A kill frees it."""
    made = [folder for folder in (run, *run.parents) if not folder.exists()]
    with one_line(f"use {run} as the folder of a run"):
        run.mkdir(parents=True, exist_ok=True)
        _check_kind(run / ".lock", stat.S_ISREG, "file")
        held = FileLock(run / ".lock")
        try:
            held.acquire(blocking=False)
        except Timeout:
            raise BadData(f"another process is writing {run}") from None
    try:
        yield
    finally:
        if made:
            _remove_if_empty(run, made)
        held.release()


def _remove_if_empty(run: Path, made: Sequence[Path]) -> None:
    """A run that was refused leaves none of the folders that were made for it."""
    if [path.name for path in run.iterdir()] != [".lock"]:
        return
    with suppress(OSError):  # something has come into one of them; Windows removes no open file
        (run / ".lock").unlink()
        for folder in made:
            folder.rmdir()


def check_files(run: Path) -> None:
    """Refuses a folder where a link or a pipe stands in the place of a file of the trainer's."""
    if (run / BRANCHING).exists():
        raise BadData(f"{run} is a branch that was cut short: give qdtrain branch once more")
    for name in (*LOGS, *BEGINNING, "config.toml", "summary.json"):
        _check_kind(run / name, stat.S_ISREG, "file")
    for name in FOLDERS:
        _check_kind(run / name, stat.S_ISDIR, "folder")
    for path in (run / "samples").glob("*.csv"):
        _check_kind(path, stat.S_ISREG, "file")


def _check_kind(path: Path, is_kind: Callable[[int], bool], kind: str) -> None:
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return
    if not is_kind(mode):
        raise BadData(f"{path} is no {kind}: a run writes into its own folder, never through links")


def table_step(path: Path) -> int | None:
    """The step of a table of samples; None where the file is another."""
    name = TABLE.fullmatch(path.name)
    return None if name is None else int(name[1])


def growing_files(run: Path, sizes: object) -> dict[Path, int]:
    """The files that a checkpoint gives a size, each checked to be one that the trainer writes."""
    if not isinstance(sizes, Mapping):
        raise BadData("state.json has no table of sizes")
    for name, size in sizes.items():
        if name not in LOGS and not SAMPLES.fullmatch(name):
            raise BadData(f"state.json names {name!r}, which is no file that a run writes")
        if not isinstance(size, int) or isinstance(size, bool) or size < 0:
            raise BadData(f"state.json gives {name} the size {size!r}")
    return {run / name: size for name, size in sizes.items()}


def cut_files(run: Path, step: int, sizes: object) -> None:
    """Every file as it was at the checkpoint: appended lines cut off, newer tables removed."""
    for path, size in growing_files(run, sizes).items():
        if path.exists() or path.parent == run:  # samples may be thrown away, the logs may not
            cut_back(path, size)
    for table in (run / "samples").glob("step-*.csv"):
        if (table_step(table) or 0) > step:
            table.unlink()


def tidy(run: Path) -> None:
    """Removes the temporary files of killed writers. Only who holds the lock may do that."""
    for folder in (run, run / "samples"):
        for path in sorted(folder.iterdir()) if folder.is_dir() else ():
            if TEMPORARY.fullmatch(path.name):
                path.unlink(missing_ok=True)


def flush(path: Path) -> None:
    """Waits until a file or a folder is on the disk."""
    if os.name == "nt" and path.is_dir():
        return  # Windows does not open folders
    handle = os.open(path, os.O_RDWR if os.name == "nt" else os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
