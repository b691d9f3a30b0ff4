"""The choice of columns for quality, diversity and entropy, and of training or evaluation."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd

from qdlaws.core.types import Array
from qdlaws.errors import MissingColumn
from qdlaws.readers.columns.candidates import ROLES, Candidate, candidates
from qdlaws.readers.columns.clock import listed_columns, missing_column
from qdlaws.readers.columns.dialect import AUXILIARY, Dialect, to_reference
from qdlaws.readers.columns.standard_errors import standard_error

__all__ = ["ROLES", "ColumnChoice", "Series", "choose_columns"]

Series = Literal["auto", "train", "eval"]
ENOUGH, FEWEST, ENOUGH_SHARE = 20, 8, 0.25
"""Evaluations from which their series is preferred, or fewer with a share of the training rows."""


@dataclass(frozen=True)
class ColumnChoice:
    """The columns chosen for each role, their kinds, and the frame cut to their rows."""

    frame: pd.DataFrame
    columns: Mapping[str, str]
    kinds: Mapping[str, str]
    notes: tuple[str, ...]


def choose_columns(
    frame: pd.DataFrame,
    dialect: Dialect,
    series: Series = "auto",
    named: Mapping[str, str] | None = None,
    kinds: Mapping[str, str] | None = None,
    batch_size: int | None = None,
) -> ColumnChoice:
    """The columns of one series of a frame that has one row a step.

    A named column is taken as it is; for the other roles the dialect lists the names. Evaluation is
    the default where its quality moves and it has 20 points, or 8 and one for every four training
    rows, at which every quantity of the training series has a value too; a quantity that was not
    evaluated is then taken from training at the nearest step.
    """
    named = named or {}
    for role, name in named.items():
        if name not in frame.columns:
            raise MissingColumn(missing_column(role, name, frame))
    (train, refused), (held_out, refused_too) = (
        candidates(frame, dialect, named, e) for e in (False, True)
    )
    chosen, rows, notes = _series(frame, series, train, held_out, dialect.evaluates)
    stated = kinds or {}
    role_kinds = {role: stated.get(c.column, c.kind) for role, c in chosen.items()}
    rows = rows.assign(**{c.column: c.values(rows) for c in chosen.values() if c.parts})
    columns = {role: c.column for role, c in chosen.items()}
    rows = rows[rows[list(columns.values())].notna().any(axis=1)] if columns else rows
    means = [f"{role} is the mean of {', '.join(c.parts)}" for role, c in chosen.items() if c.parts]
    for role in list(columns):
        rows, error = standard_error(rows, columns[role], batch_size)
        columns |= {f"{role}_se": error} if error else {}
    evaluation = any(c is held_out.get("quality") for c in chosen.values())
    rows, kl_names, kl_kinds = _kl(rows, dialect, evaluation, stated)
    notes = (*notes, *means, *_guesses(chosen), *dict.fromkeys((*refused, *refused_too)))
    return ColumnChoice(rows, columns | kl_names, role_kinds | kl_kinds, notes)


def _guesses(chosen: Mapping[str, Candidate]) -> tuple[str, ...]:
    """A note on the columns for which only the general sense of their names speaks."""
    guessed = {r: c for r, c in chosen.items() if c.guessed and c.column.rpartition("/")[2] != r}
    words = ", ".join(f"{role} is {c.column!r}" for role, c in guessed.items())
    return (f"guessed from the names of the columns: {words}",) if guessed else ()


# ---------------------------------------------------------------------- the series


Candidates = Mapping[str, Candidate]
SeriesChoice = tuple[dict[str, Candidate], pd.DataFrame, tuple[str, ...]]
"""The columns by role, the rows that belong to them, and notes on why."""


def _series(
    frame: pd.DataFrame, series: Series, train: Candidates, held_out: Candidates, evaluates: bool
) -> SeriesChoice:
    """Training or evaluation, as the caller wants it or as the log has enough evaluations."""
    if "quality" not in held_out:
        if series == "eval":
            columns = listed_columns(frame)
            raise MissingColumn(f"no evaluation series in this log; its columns: {columns}")
        return _training(frame, train, held_out if series == "auto" else {}, "")
    both = {**train, **held_out}
    rows = _evaluated_rows(frame, held_out, both)
    complete = int(np.logical_and.reduce([c.values(rows).notna() for c in both.values()]).sum())
    if series == "train":
        return _training(frame, train, {}, _other("evaluation", held_out, frame))
    if series == "auto" and "quality" in train:
        why = _why_not_evaluation(frame, train, held_out, complete, evaluates)
        if why:
            other = _other("evaluation", held_out, frame)
            return _training(frame, train, held_out, f"{why}; {other}")
    lent = [c.column for role, c in both.items() if role not in held_out]
    note = f"evaluation series, {complete} points"
    note = f"{note}; from training: {', '.join(lent)}" if lent else note
    others = (_other("training", train, frame),) if "quality" in train else ()
    return both, rows, (note, *others)


def _why_not_evaluation(
    frame: pd.DataFrame, train: Candidates, held_out: Candidates, complete: int, evaluates: bool
) -> str:
    """Why the training series is the better one; empty where the evaluations are."""
    quality = held_out["quality"]
    if quality.kind.startswith(AUXILIARY):
        return "the training series is used: only auxiliary evaluations in this log"
    values = quality.values(frame).dropna()
    if len(values) > 1 and values.min() == values.max():
        return f"the training series is used: every evaluation is {values.min():.4g}"
    rows = int(train["quality"].values(frame).notna().sum())
    if complete >= (1 if evaluates else min(ENOUGH, max(ENOUGH_SHARE * rows, FEWEST))):
        return ""
    return f"the training series is used: only {complete} evaluations have every column"


def _other(name: str, columns: Candidates, frame: pd.DataFrame) -> str:
    """The series that was not taken, with its count and how to get it."""
    quality = columns["quality"]
    points = int(quality.values(frame).notna().sum())
    option = "eval" if name == "evaluation" else "train"
    return f"the {name} series ({quality.column}, {points} points) is read with series={option!r}"


def _training(
    frame: pd.DataFrame, train: Candidates, held_out: Candidates, why: str
) -> SeriesChoice:
    """The training series; quantities that only evaluations measure stay at their steps."""
    lent = {role: c for role, c in held_out.items() if role not in train}
    names = ", ".join(c.column for c in lent.values())
    notes = [why] * bool(why) + [f"only evaluations measure {names}"] * bool(lent)
    return {**train, **lent}, frame, tuple(notes)


def _evaluated_rows(frame: pd.DataFrame, held_out: Candidates, both: Candidates) -> pd.DataFrame:
    """The rows with an evaluation; training values that are missing there come from the nearest
    step, at most one logging interval away."""
    evaluated = np.logical_or.reduce([c.values(frame).notna() for c in held_out.values()])
    rows = frame[evaluated].reset_index(drop=True)
    lent = {c.column: c.values(frame) for role, c in both.items() if role not in held_out}
    steps, targets = (np.asarray(f["step"], np.float64) for f in (frame, rows))
    near = {n: _nearest(steps, np.asarray(v, np.float64), targets) for n, v in lent.items()}
    return rows.assign(**near)


def _nearest(steps: Array, values: Array, targets: Array) -> Array:
    """For each target the value of the nearest step, NaN beyond one logging interval."""
    finite = np.isfinite(values)
    steps, values = steps[finite], values[finite]
    if not len(steps):
        return np.full(len(targets), np.nan)
    interval = float(np.median(np.diff(steps))) if len(steps) > 1 else 0.0
    after = np.clip(np.searchsorted(steps, targets), 0, len(steps) - 1)
    before = np.clip(after - 1, 0, len(steps) - 1)
    nearer = np.abs(steps[before] - targets) < np.abs(steps[after] - targets)
    best = np.where(nearer, before, after)
    return np.where(np.abs(steps[best] - targets) <= interval, values[best], np.nan)


# ---------------------------------------------------------------------- KL


def _kl(
    frame: pd.DataFrame, dialect: Dialect, evaluation: bool, stated: Mapping[str, str]
) -> tuple[pd.DataFrame, dict[str, str], dict[str, str]]:
    """The kinds of the KL columns; the first one against the reference is also called ``kl``."""
    names: dict[str, str] = {}
    kinds: dict[str, str] = {}
    patterns = [*(dialect.names("kl", True) if evaluation else ()), *dialect.names("kl", False)]
    for pattern, kind in patterns:
        for column in [c for c in frame.columns if re.fullmatch(pattern, c)]:
            kinds[column] = stated.get(column, kind)
            if "kl" not in names and to_reference(kind):
                names["kl"] = column
    if "kl" in names:
        kinds["kl"] = kinds.pop(names["kl"])
        if names["kl"] != "kl":
            frame = frame.drop(columns="kl", errors="ignore").rename(columns={names["kl"]: "kl"})
    return frame, names, kinds
