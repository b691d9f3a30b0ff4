"""Reading a log: from a path to a RunLog, whatever tool wrote it; and the log of an example run."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from os import PathLike
from pathlib import Path
from typing import Any, TypeVar

import pandas as pd

from qdlaws.core.run_rows import (
    EVALUATION,
    TRAINING,
    evaluation_log,
    plain_name,
    stages,
    with_plain_names,
)
from qdlaws.core.runlog import NUMBERED, RunLog
from qdlaws.errors import BadLog, MissingColumn
from qdlaws.readers.byte_source import SeveralRuns, Source
from qdlaws.readers.columns.clock import listed_columns, with_step_column
from qdlaws.readers.columns.column_choice import ColumnChoice, Series, choose_columns
from qdlaws.readers.columns.generic_names import is_step_name
from qdlaws.readers.columns.likelihoods import with_likelihoods
from qdlaws.readers.columns.tool_names import NO_ENTROPY, OURS, dialect_of
from qdlaws.readers.detect import FORMATS, Options, read_file
from qdlaws.readers.folder import read_folder
from qdlaws.readers.merge_files import join_tables, read_parts
from qdlaws.readers.table import Table, one_row_a_step
from qdlaws.readers.tracker_runs import is_tracker_run, read_tracker_run

__all__ = ["Where", "as_log", "as_logs", "example_log", "read", "read_many", "tools"]

Where = str | PathLike[str]
"""The path of a file or folder."""

EXAMPLE = Path(__file__).with_name("example_run.csv")
EXAMPLE_KINDS = {
    "quality": "score_all",
    "diversity": "pairwise_hamming",
    "entropy": "token_entropy",
}

CONTAINERS = {
    "trainer", "tensorboard", "wandb", "mlflow", "trackio", "jsonl", "json", "csv", "parquet",
    "wandb-export",
}  # fmt: skip
"""Containers that many tools write into: only the names of the columns tell which one."""


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
    """The log of one run. The tool that wrote it is recognised by the content of its files.

    Parameters
    ----------
    path : str, path or sequence of paths
        A file, a folder of a run, or several files of one run; or the address of a tracker's run,
        ``wandb:entity/project/run``, ``trackio:project/run``, ``mlflow:experiment/run``.
    quality, diversity, entropy, step : str, optional
        Names of columns, where the automatic choice is not the one you want.
    series : {"auto", "train", "eval"}
        The training rows or the evaluations; "auto" takes the evaluations where 20 of them,
        or 8 and one for every four training rows, have every quantity and their quality moves.
    run : str, optional
        The run to read, where a tracker's store or a file holds several; the error lists them.
    batch_size : int, optional
        Samples behind each logged mean; turns logged standard deviations into standard errors.
    kinds : mapping, optional
        The kind of a column where the log does not state it: ``{"entropy": "token_entropy"}``.

    Returns
    -------
    RunLog
        Its ``notes`` list the decisions made while reading, ``names`` the columns that were taken,
        ``kinds`` their kinds (``kinds["kl"]``: estimator, unit and reference). Other columns are in
        ``extra``; of our own trainer's runs they are the evaluation's (``n_samples``, ``kl_coef``)
        and, with the prefix ``train/``, those of the training step before it.

    Raises
    ------
    BadLog
        The file is no log of a supported tool, or is damaged beyond repair.
    MissingColumn
        A column that you named is not in the log.

    Examples
    --------
    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     path = Path(folder) / "log.csv"
    ...     _ = path.write_text("step,reward,entropy\\n1,0.2,1.9\\n2,0.3,1.7\\n4,0.5,1.1\\n")
    ...     log = read(path)
    >>> log.step, log.quality
    (array([1., 2., 4.]), array([0.2, 0.3, 0.5]))
    >>> log.names["quality"]
    'reward'
    """
    if series not in ("auto", "train", "eval"):
        raise BadLog(f"series={series!r}: 'auto', 'train' or 'eval' was needed")
    given = {"quality": quality, "diversity": diversity, "entropy": entropy}
    named = {role: name for role, name in given.items() if name}
    options = Options(run, {*named.values(), *([step] if step else [])})
    source, table = _table(path, options)
    _refuse_words(table, options.keep)
    if step is None and not any(map(is_step_name, table.frame.columns)):
        _refuse_words(table, filter(is_step_name, table.texts))
    columns = [str(name) for name in table.frame.columns]
    frame, step_note = with_step_column(table.frame, step, named.values())
    notes = (step_note, *table.notes) if step_note == NUMBERED else (*table.notes, step_note)
    table = one_row_a_step(replace(table, frame=frame, notes=()).with_notes(*notes))
    frame, signs = with_likelihoods(table.frame)
    table = replace(table, frame=frame).with_notes(signs)
    dialect = dialect_of(table.tool, columns)
    if dialect is OURS:
        if "eval/quality" in table.frame and series != "train" and not named:
            return _evaluations(table, source, kinds or {})
        named = {role: _column_of_ours(name, table.frame) for role, name in named.items()}
    choice = choose_columns(table.frame, dialect, series, named, table.kinds, batch_size)
    _refuse_words(table, choice.columns.values())
    if "entropy" not in choice.columns and dialect.tool in NO_ENTROPY:
        table = table.with_notes(f"no entropy in this log: {NO_ENTROPY[dialect.tool]}")
    tool = dialect.tool if table.tool in CONTAINERS and dialect.tool != "plain" else table.tool
    return _log(replace(table, tool=tool), choice, source, kinds or {})


def read_many(paths: Where | Iterable[Where], **options: Any) -> list[RunLog]:
    """The logs of all runs in a file or folder, or in several of them.

    Where :func:`read` refuses a file because it holds several runs, each of them is read by itself;
    its ``source`` is the path with the name of the run behind it.

    Parameters
    ----------
    paths : str, path or iterable of paths
        Each with one run or several.
    **options
        As of :func:`read`.

    Examples
    --------
    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> rows = [f"{run},{i},{i / 9},{2 - i / 9}" for run in "ab" for i in range(5)]
    >>> with TemporaryDirectory() as folder:
    ...     path = Path(folder) / "sweep.csv"
    ...     _ = path.write_text("\\n".join(["run,step,reward,entropy", *rows, ""]))
    ...     logs = read_many(path)
    >>> [len(log) for log in logs], logs[1].source.endswith("sweep.csv: b")
    ([5, 5], True)
    """
    if isinstance(paths, (str, PathLike)):
        return _every_run(paths, options)
    return [log for path in paths for log in _every_run(path, options)]


def _every_run(path: Where, options: Mapping[str, Any]) -> list[RunLog]:
    try:
        return [read(path, **options)]
    except SeveralRuns as several:
        if several.paths:
            return [log for inner in several.paths for log in _every_run(inner, options)]
        return [
            replace(read(path, **{**options, "run": key}), source=f"{path}: {name}")
            for key, name in several.runs
        ]


def example_log() -> RunLog:
    """The log of a small RL run that comes with the package: 101 evaluations over 500 steps.

    A tabular policy over strings of ten tokens is trained by REINFORCE; quality, diversity and
    entropy have their standard errors.

    Examples
    --------
    >>> import qdlaws as qd
    >>> qd.fit(qd.example_log())
    <LawFits of 101 checkpoints: rd concave, rh concave, hd linear>
    """
    return replace(read(EXAMPLE, kinds=EXAMPLE_KINDS), source="example run", tool="qdlaws")


def as_log(run: RunLog | Where) -> RunLog:
    """The log itself, or the log at a path: lets every question about a run take a path.

    Examples
    --------
    >>> log = example_log()
    >>> as_log(log) is log
    True
    """
    return read(run) if isinstance(run, (str, PathLike)) else run


Item = TypeVar("Item")


def as_logs(runs: Where | Sequence[Item | Where]) -> Sequence[Item | RunLog]:
    """The runs with those at paths read; a single path stands for all runs in it."""
    if isinstance(runs, (str, PathLike)):
        return read_many(runs)
    if not isinstance(runs, Iterable):  # one run by itself: the caller refuses it
        return runs
    return [read(run) if isinstance(run, (str, PathLike)) else run for run in runs]


def tools() -> dict[str, str]:
    """The formats that ``read`` supports: name → description."""
    folders = {
        "folder": "qdtrain run, checkpoints of TRL and transformers, W&B, TensorBoard, MLflow, "
        "several files of one run",
        "trackers": "wandb:ENTITY/PROJECT/RUN, trackio:PROJECT/RUN, mlflow:EXPERIMENT/RUN",
    }
    return {name: words for name, (words, _) in FORMATS.items()} | folders


def _table(path: Where | Sequence[Where], options: Options) -> tuple[str, Table]:
    if isinstance(path, (str, PathLike)):
        return str(path), _one(path, options)
    paths = list(path)
    if not paths:
        raise BadLog("no files given: a path, or several files of one run, was needed")
    name = ", ".join(map(str, paths))
    tables = read_parts((_one(p, options) for p in paths), name[:200])
    return name, join_tables(tables, [Path(p) for p in paths])


def _one(where: Where, options: Options) -> Table:
    if not str(where):
        raise BadLog("the path is empty: a file or folder was needed")
    if is_tracker_run(str(where)):
        return read_tracker_run(str(where), options.run)
    path = Path(where)
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


def _refuse_words(table: Table, columns: Iterable[str]) -> None:
    """BadLog where a wanted column holds words, with the line of the first one."""
    for name in columns:
        if name in table.texts:
            raise BadLog(table.texts[name])


def _evaluations(table: Table, source: str, stated: Mapping[str, str]) -> RunLog:
    """The log of our own trainer's evaluations, whose names need no guess."""
    log = evaluation_log(
        table.frame, table.kinds, source=source, marks=table.marks, notes=table.notes
    )
    note = f"evaluation series, {len(log)} points"
    kinds = {**log.kinds, **{column: str(kind) for column, kind in stated.items()}}
    return replace(log, kinds=kinds, notes=(*log.notes, note))


def _column_of_ours(name: str, frame: pd.DataFrame) -> str:
    """The column in a table of both phases by the name that it has in a log, or in its row."""
    if name in frame.columns:
        return name
    return next((p + name for p in (EVALUATION, TRAINING) if p + name in frame.columns), name)


def _log(table: Table, choice: ColumnChoice, source: str, stated: Mapping[str, str]) -> RunLog:
    frame, columns, marks = choice.frame, dict(choice.columns), table.marks
    if table.tool == OURS.tool:
        frame = with_plain_names(frame)
        columns = {role: plain_name(name) for role, name in columns.items()}
        marks = (*marks, *stages(frame))
    kl = columns.pop("kl", None)
    notes = (*table.notes, *choice.notes)
    if not {"quality", "diversity", "entropy"} & columns.keys():
        columns_there = listed_columns(frame)
        why = f" ({'; '.join(notes)})" if notes else ""
        raise MissingColumn(
            f"no quality, diversity or entropy column; found {columns_there}: name them, "
            f"e.g. quality='reward'{why}"
        )
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
        source=source,
        tool=table.tool,
        notes=notes,
    )
    return replace(log, names={**log.names, "kl": kl}) if kl else log
