"""``read``: any log of any supported tool as a RunLog."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from os import PathLike
from pathlib import Path

import pandas as pd

from qdlaws.core.run_rows import (
    EVALUATION,
    TRAINING,
    evaluation_log,
    plain_name,
    stages,
    with_plain_names,
)
from qdlaws.core.runlog import RunLog
from qdlaws.errors import BadLog
from qdlaws.readers.byte_source import Source
from qdlaws.readers.columns.choose import Choice, Series, choose, clocked
from qdlaws.readers.columns.tool_names import NO_ENTROPY, OURS, dialect_of
from qdlaws.readers.detect import FORMATS, Options, read_file
from qdlaws.readers.folder import read_folder
from qdlaws.readers.merge_files import joined
from qdlaws.readers.table import Table, steps_once

__all__ = ["read", "tools"]

Where = str | PathLike[str]
CONTAINERS = {
    "trainer", "tensorboard", "wandb", "mlflow", "trackio", "jsonl", "json", "csv", "parquet",
    "wandb-export",
}  # fmt: skip
"""Tables whose real author shows in the names of their columns only."""


def read(
    path: Where | Sequence[Where],
    *,
    quality: str | None = None,
    diversity: str | None = None,
    entropy: str | None = None,
    step: str | None = None,
    series: Series = "auto",
    run: str | None = None,
    batch_size: int | None = None,
    kinds: Mapping[str, str] | None = None,
) -> RunLog:
    """The log of one run, whatever tool wrote it; told from the content, not from the name.

    Parameters
    ----------
    path : a file, a folder of a run, or several files of one run
    quality, diversity, entropy, step : names of columns, where the guess is not what you want
    series : ``"train"``, ``"eval"``, or ``"auto"``: evaluation where it has at least 8 points
    run : which run, where a store holds several
    batch_size : samples behind each logged mean; turns logged standard deviations into errors
    kinds : what a column is, e.g. ``{"entropy": "token_entropy"}``, where the log does not say

    Returns
    -------
    RunLog : ``notes`` says what was decided on the way, ``names`` which columns were taken,
        ``kinds`` what they are (``kinds["kl"]``: estimator, unit, reference).

    Raises BadLog for a file that is no log, and MissingColumn for a name that is not in it.
    """
    if series not in ("auto", "train", "eval"):
        raise BadLog(f"series {series!r} is unknown: 'auto', 'train' or 'eval' was needed")
    named = {"quality": quality, "diversity": diversity, "entropy": entropy}
    options = Options(run, {n for n in (*named.values(), step) if n})
    where, table = _table(path, options)
    _refuse_words(table, {**named, "step": step})
    frame, clock = clocked(table.frame, step)
    table = steps_once(replace(table, frame=frame).noted(clock))
    dialect = dialect_of(table.tool, table.frame.columns)
    if dialect is OURS:
        if "eval/quality" in table.frame and series != "train" and not any(named.values()):
            return _evaluations(table, where, kinds or {})
        named = {role: _column_of_ours(name, table.frame) for role, name in named.items()}
    choice = choose(table.frame, dialect, series, named, table.kinds, batch_size)
    _refuse_words(table, choice.columns)
    if "entropy" not in choice.columns and dialect.tool in NO_ENTROPY:
        table = table.noted(f"no entropy in this log: {NO_ENTROPY[dialect.tool]}")
    tool = dialect.tool if table.tool in CONTAINERS and dialect.tool != "plain" else table.tool
    return _log(table, choice, where, tool, dict(kinds or {}))


def tools() -> dict[str, str]:
    """The formats that ``read`` knows: name -> in words."""
    folders = {
        "folder": "qdtrain run, checkpoints of TRL and transformers, W&B, TensorBoard, MLflow, "
        "several files of one run"
    }
    return {name: words for name, (words, _) in FORMATS.items()} | folders


def _table(path: Where | Sequence[Where], options: Options) -> tuple[str, Table]:
    if isinstance(path, (str, PathLike)):
        return str(path), _one(Path(path), options)
    paths = [Path(p) for p in path]
    if not paths:
        raise BadLog("no files given: a path, or several files of one run, was needed")
    tables = [_one(p, options) for p in paths]
    return ", ".join(map(str, paths)), joined(tables, paths)


def _one(path: Path, options: Options) -> Table:
    try:
        if path.is_dir():
            return read_folder(path, options)
        if not path.exists():
            raise BadLog(f"{path}: no such file or folder")
    except (OSError, ValueError) as error:  # a name that is too long, a folder that is locked, …
        if isinstance(error, BadLog):
            raise
        raise BadLog(f"{str(path)[:200]!r}: {error}") from error
    if not path.is_file():
        raise BadLog(f"{path}: neither a file nor a folder")
    return read_file(Source(path), options)


def _refuse_words(table: Table, wanted: Mapping[str, str | None]) -> None:
    """Complain where a wanted column holds words: with the line in which the first one stands."""
    for name in wanted.values():
        if name and name in table.texts:
            raise BadLog(table.texts[name])


def _evaluations(table: Table, where: str, stated: Mapping[str, str]) -> RunLog:
    """The log of our own trainer's evaluations, whose names need no guess."""
    log = evaluation_log(
        table.frame, table.kinds, source=where, marks=table.marks, notes=table.notes
    )
    note = f"evaluation series, {len(log)} points"
    kinds = {**log.kinds, **{column: str(kind) for column, kind in stated.items()}}
    return replace(log, kinds=kinds, notes=(*log.notes, note))


def _column_of_ours(name: str | None, frame: pd.DataFrame) -> str | None:
    """A column of both phases by the name that it has in a log, or in its row."""
    if name is None or name in frame.columns:
        return name
    return next((p + name for p in (EVALUATION, TRAINING) if p + name in frame.columns), name)


def _log(table: Table, choice: Choice, where: str, tool: str, stated: dict[str, str]) -> RunLog:
    frame, columns, marks = choice.frame, dict(choice.columns), table.marks
    if tool == OURS.tool:
        frame = with_plain_names(frame)
        columns = {role: plain_name(name) for role, name in columns.items()}
        marks = (*marks, *stages(frame))
    kl = columns.pop("kl", None)
    log = RunLog.from_frame(
        frame,
        quality=columns.get("quality"),
        diversity=columns.get("diversity"),
        entropy=columns.get("entropy"),
        quality_se=columns.get("quality_se"),
        diversity_se=columns.get("diversity_se"),
        entropy_se=columns.get("entropy_se"),
        marks=marks,
        kinds={k: str(v) for k, v in {**choice.kinds, **stated}.items()},
        source=where,
        tool=tool,
        notes=(*table.notes, *choice.notes),
    )
    return replace(log, names={**log.names, "kl": kl}) if kl else log
