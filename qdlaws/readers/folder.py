"""A folder as a log: the files that belong to the run, as one table."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path

from qdlaws.errors import BadLog, QdlawsError
from qdlaws.readers.byte_source import SeveralRuns, Source
from qdlaws.readers.detect import Options, detect, read_file, read_unchanged
from qdlaws.readers.formats.tensorboard import read_tensorboard
from qdlaws.readers.formats.trackers_sqlite import only_run, read_mlflow_files
from qdlaws.readers.merge_files import is_one_run, join_tables, read_parts
from qdlaws.readers.table import Table

__all__ = ["read_folder"]

MOST_ENTRIES = 200_000  # of a folder and those below it that are listed
MOST_FILES = 20_000  # that are opened
DEEPEST = 6
SMALL = 1 << 25  # bytes: a smaller file is read whole to see whether it is a table
SKIPPED = re.compile(
    r".*\.(?:safetensors|bin|pt|pth|pkl|npz|npy|png|jpg|html|py|toml|yaml|yml|md|lock|chkpt|prior)$"
)
NOT_A_LOG = {  # JSON beside a log that holds settings
    "config.json", "tokenizer.json", "tokenizer_config.json", "generation_config.json",
    "special_tokens_map.json", "vocab.json", "wandb-metadata.json", "wandb-summary.json",
    "advice.jsonl", "added_tokens.json", "training_args.json", "requirements.txt",
}  # fmt: skip
PREFERRED = (
    "reinvent4", "saturn", "jsonl", "wandb", "verl", "openrlhf", "roll", "reinvent4-log",
    "tensorboard", "sqlite", "trainer-console", "csv", "parquet", "json",
)  # fmt: skip
"""The order in which one of several formats in a folder is taken: the most informative first."""
METRICS = {"metrics.jsonl", "logging.jsonl"}


def read_folder(folder: Path, options: Options) -> Table:
    """The table of the run that a folder holds."""
    if (metrics := folder / "metrics.jsonl").is_file() and _is_ours(metrics):
        return read_file(Source(metrics), options)
    if states := _trainer_states(folder):
        return _longest(states, options)
    if stores := _mlflow_runs(folder):
        return _mlflow(folder, stores, options)
    files, all_of_them = _files(folder)
    limits = f"{MOST_ENTRIES:,} entries or {MOST_FILES:,} possible logs"
    too_many = "" if all_of_them else f"only some of its files were looked at (beyond {limits})"
    sources = _by_format(files)
    if not sources:
        problem = f"{too_many}: name a file" if too_many else ""
        raise BadLog(
            f"{folder}: no log of a supported tool in this folder{problem and '; '}{problem}"
        )
    kind = next(k for k in PREFERRED if k in sources)
    others = sorted(set(sources) - {kind})
    note = f"this folder also holds {', '.join(others)}: name a file to read it" if others else ""
    return _together(folder, kind, sources[kind], options).with_notes(note, too_many)


def _is_ours(metrics: Path) -> bool:
    return '"phase"' in Source(metrics).head_text[:10_000]


def _by_format(files: Sequence[Path]) -> dict[str, list[Source]]:
    """The readable ones of the files, by format."""
    sources: dict[str, list[Source]] = {}
    for path in files:
        source = Source(path)
        try:
            kind = detect(source)
            small = path.stat().st_size < SMALL
            if kind in ("csv", "json") and small:  # anything could be one: see whether it reads
                read_file(source, Options(pooled=True))
            if kind == "jsonl" and source.head.count(b"\n") < 2:  # settings, not a log
                continue
        except (QdlawsError, OSError):  # no log, or gone since it was listed
            continue
        sources.setdefault(kind, []).append(Source(path))  # a new one, which holds no bytes yet
    return sources


def _files(folder: Path) -> tuple[list[Path], bool]:
    """The files that could be logs in the order of their names, and whether these are all."""
    entries = list(islice(_entries(folder, DEEPEST), MOST_ENTRIES + 1))
    paths = sorted(
        path
        for path, size in entries[:MOST_ENTRIES]
        if size and path.name not in NOT_A_LOG and not SKIPPED.match(path.name.lower())
    )
    return paths[:MOST_FILES], len(entries) <= MOST_ENTRIES and len(paths) <= MOST_FILES


def _entries(folder: Path, depth: int) -> Iterator[tuple[Path, int]]:
    """The regular files below a folder with their sizes, hidden ones and links left out."""
    below: list[Path] = []
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                try:
                    if entry.name.startswith(".") or entry.is_symlink():
                        continue
                    if entry.is_file():
                        yield folder / entry.name, entry.stat().st_size
                    elif entry.is_dir():
                        below.append(folder / entry.name)
                except OSError:  # gone since it was listed
                    continue
    except OSError:  # not readable
        return
    if depth > 1:
        for inner in sorted(below):
            yield from _entries(inner, depth - 1)


def _together(folder: Path, kind: str, sources: list[Source], options: Options) -> Table:
    if kind == "tensorboard":
        return read_unchanged(_one_tree(folder, sources), read_tensorboard)
    if len(sources) == 1:
        return read_file(sources[0], options)
    if kind in ("wandb", "sqlite"):
        runs = [(str(s.path), s.path.stem, s.path.stat().st_size) for s in sources]
        chosen = only_run(Source(folder), runs, options.run)
        return read_file(Source(Path(chosen)), replace(options, run=None))
    if kind == "jsonl" and any(s.name in METRICS for s in sources):  # the rest are samples
        sources = [s for s in sources if s.name in METRICS]
    sources.sort(key=lambda s: _natural(s.path))
    paths = [s.path for s in sources]
    tables = read_parts((read_file(s, options) for s in sources), str(folder))
    if not is_one_run(tables, paths):
        shown = ", ".join(str(p.relative_to(folder)) for p in paths[:8])
        problem = f"{folder}: {len(sources)} runs: {shown}; name one (or several of one run)"
        raise SeveralRuns(problem, paths=paths)
    return join_tables(tables, paths)


def _natural(path: Path) -> list[tuple[int, str]]:
    """A key that puts part 10 behind part 9."""
    pieces = re.split(r"(\d{1,17})", str(path))
    return [(int(p), "") if p.isascii() and p.isdigit() else (-1, p) for p in pieces]


def _one_tree(folder: Path, sources: list[Source]) -> list[Source]:
    """The event files of one run: those of one folder and of ``add_scalars`` folders below it."""
    folders = sorted({s.path.parent for s in sources})
    tops = [f for f in folders if not any(f != g and f.is_relative_to(g) for g in folders)]
    if len(tops) > 1:
        shown = ", ".join(str(t.relative_to(folder)) for t in tops[:8])
        problem = f"{folder}: event files of {len(tops)} runs: {shown}; name one folder"
        raise SeveralRuns(problem, paths=tops)
    return sources


# ---------------------------------------------------------------------- known layouts


def _trainer_states(folder: Path) -> list[Path]:
    """``trainer_state.json`` here, and in the checkpoint folders below."""
    patterns = (
        "trainer_state.json",
        "checkpoint-*/trainer_state.json",
        "*/checkpoint-*/trainer_state.json",
    )
    return [p for pattern in patterns for p in sorted(folder.glob(pattern)) if p.is_file()]


def _longest(states: list[Path], options: Options) -> Table:
    """The trainer state that has come farthest: the others are its beginnings."""
    outputs = sorted({_output_folder(path) for path in states})
    if len(outputs) > 1:
        shown = ", ".join(output.name for output in outputs[:8])
        problem = f"{outputs[0].parent}: {len(outputs)} runs: {shown}; name one folder"
        raise SeveralRuns(problem, paths=outputs)
    longest: tuple[tuple[float, int], Path, Table] | None = None
    problems = []
    for path in states:
        try:
            table = read_file(Source(path), options)
        except BadLog as error:  # a checkpoint that was being written when the run was killed
            problems.append(error)
            continue
        length = float(table.frame["step"].max()), len(table.frame)
        if longest is None or length > longest[0]:
            longest = length, path, table
    if longest is None:
        raise problems[0]
    _, path, table = longest
    note = (
        f"{path.parent.name}/{path.name}, the longest of {len(states)}" if len(states) > 1 else ""
    )
    return table.with_notes(note, *(f"left out: {error}" for error in problems))


def _output_folder(state: Path) -> Path:
    """The folder of the run that a ``trainer_state.json`` belongs to."""
    return state.parent.parent if state.parent.name.startswith("checkpoint-") else state.parent


def _mlflow_runs(folder: Path) -> list[Path]:
    """The run folders of an MLflow file store: meta.yaml beside metrics/."""
    metas = [p for depth in ("", "*/", "*/*/", "*/*/*/") for p in folder.glob(f"{depth}meta.yaml")]
    return sorted(p.parent for p in metas if (p.parent / "metrics").is_dir())


def _mlflow(folder: Path, stores: list[Path], options: Options) -> Table:
    runs = [(str(p), p.name, sum(1 for _ in (p / "metrics").rglob("*"))) for p in stores]
    return read_mlflow_files(Path(only_run(Source(folder), runs, options.run)))
