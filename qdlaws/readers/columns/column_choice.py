"""The choice of columns for quality, diversity and entropy, and of training or evaluation."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Literal

import numpy as np
import pandas as pd

from qdlaws.core.runlog import NUMBERED
from qdlaws.core.types import Array
from qdlaws.errors import MissingColumn
from qdlaws.readers.columns.generic_names import is_held_out, is_spread
from qdlaws.readers.columns.standard_errors import standard_error
from qdlaws.readers.columns.tool_names import (
    AUXILIARY,
    CLOCK,
    PLAIN,
    PREFIXED,
    Dialect,
    is_measured,
    to_reference,
)

__all__ = ["ROLES", "ColumnChoice", "Series", "choose_columns", "is_step_name", "with_step_column"]

Series = Literal["auto", "train", "eval"]
ROLES = ("quality", "diversity", "entropy")
MOSTLY = 0.9
"""Share of rows, or of steps of a counter, from which a clock is as good as a full one."""
ENOUGH = 8  # evaluation points from which the evaluation series is preferred


@dataclass(frozen=True)
class ColumnChoice:
    """The columns chosen for each role, their kinds, and the frame cut to their rows."""

    frame: pd.DataFrame
    columns: Mapping[str, str]
    kinds: Mapping[str, str]
    notes: tuple[str, ...]


@dataclass(frozen=True)
class Candidate:
    """A column that fits a role: its name, its kind, and the columns it is the mean of."""

    column: str
    kind: str
    parts: tuple[str, ...] = ()

    def values(self, frame: pd.DataFrame) -> pd.Series[float]:
        """The values of the column, or the mean of its parts."""
        return frame[list(self.parts)].mean(axis=1) if self.parts else frame[self.column]


def is_step_name(name: str) -> bool:
    """Whether a column of this name counts the steps."""
    return any(re.fullmatch(pattern, name) for pattern in CLOCK)


def with_step_column(
    frame: pd.DataFrame, step: str | None, named: Iterable[str] = ()
) -> tuple[pd.DataFrame, str]:
    """The frame with its step in a column ``step``, and a note on the column it came from.

    Of several clocks the first in the order of ``CLOCK`` is taken that has a value in about as many
    of the rows with a quality, diversity or entropy (or a named column) as the best of them.
    """
    if step is not None:
        if step not in frame.columns:
            raise MissingColumn(_missing("step", step, frame))
        return _with_step(frame, [step]), ""
    measured = [c for c in frame.columns if is_measured(c) or c in set(named)]
    rows = frame[frame[measured].notna().any(axis=1)] if measured else frame
    rows = rows if len(rows) else frame
    clocks = [names for pattern in CLOCK if (names := _clock(frame, rows, pattern))]
    if not clocks:
        return frame.assign(step=np.arange(len(frame), dtype=float)), NUMBERED
    shares = [float(rows[names].notna().any(axis=1).mean()) for names in clocks]
    names = next(c for c, s in zip(clocks, shares, strict=True) if s >= MOSTLY * max(shares))
    note = "" if names[0] == "step" else f"the step is column {names[0]!r}"
    if names[0] != "step" and "step" in frame:
        note += f": column 'step' is in {rows['step'].notna().mean():.0%} of the measured rows only"
    return _with_step(frame, names), note


def _clock(frame: pd.DataFrame, rows: pd.DataFrame, pattern: str) -> list[str]:
    """The columns of one kind of clock, the fullest first; they must count alike to be one."""
    names = [c for c in frame.columns if re.fullmatch(pattern, c) and frame[c].notna().any()]
    if pattern == PREFIXED:
        names = [c for c in names if _counts(frame[c])]
    names.sort(key=lambda c: rows[c].isna().sum())
    ends = {c: float(frame[c].max()) for c in names}
    return [c for c in names if pattern != PREFIXED or 0.9 <= ends[c] / ends[names[0]] <= 1.1]


def _counts(values: pd.Series[float]) -> bool:
    """Whether a column holds whole numbers that mostly rise: a counter, not a duration."""
    counted = values.dropna().to_numpy(dtype=np.float64)
    rises = np.diff(counted) >= 0
    return bool(
        (counted >= 0).all()
        and (counted == np.floor(counted)).all()
        and counted.max() > counted.min()
        and rises.mean() >= MOSTLY
    )


def _with_step(frame: pd.DataFrame, names: list[str]) -> pd.DataFrame:
    steps = frame[names].bfill(axis=1).iloc[:, 0].astype(float)
    return frame.drop(columns=[*names, "step"], errors="ignore").assign(step=steps)


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
    the default where it has at least 8 points at which every quantity of the training series has a
    value too; a quantity that was not evaluated is then taken from training at the nearest step.
    """
    named = named or {}
    for role, name in named.items():
        if name not in frame.columns:
            raise MissingColumn(_missing(role, name, frame))
    train, held_out = (_candidates(frame, dialect, named, e) for e in (False, True))
    least = 1 if dialect.evaluates else ENOUGH
    chosen, rows, notes = _series(frame, series, train, held_out, least)
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
    return ColumnChoice(rows, columns | kl_names, role_kinds | kl_kinds, (*notes, *means))


# ---------------------------------------------------------------------- the series


Candidates = Mapping[str, Candidate]
SeriesChoice = tuple[dict[str, Candidate], pd.DataFrame, tuple[str, ...]]
"""The columns by role, the rows that belong to them, and notes on why."""


def _series(
    frame: pd.DataFrame, series: Series, train: Candidates, held_out: Candidates, least: int
) -> SeriesChoice:
    """Training or evaluation, as the caller wants it or as the log has enough evaluations."""
    if series == "train":
        return dict(train), frame, ("the training series is used",) if held_out else ()
    if "quality" not in held_out:
        if series == "eval":
            raise MissingColumn(f"no evaluation series in this log; its columns: {_listed(frame)}")
        return _training(frame, train, held_out, "")
    if series == "auto" and "quality" in train and held_out["quality"].kind.startswith(AUXILIARY):
        why = "the training series is used: only auxiliary evaluations in this log"
        return _training(frame, train, held_out, why)
    both = {**train, **held_out}
    rows = _evaluated_rows(frame, held_out, both)
    complete = int(np.logical_and.reduce([c.values(rows).notna() for c in both.values()]).sum())
    if series == "auto" and complete < least and "quality" in train:
        why = f"the training series is used: only {complete} evaluations have every column"
        return _training(frame, train, held_out, why)
    lent = [c.column for role, c in both.items() if role not in held_out]
    note = f"evaluation series, {complete} points"
    return both, rows, (f"{note}; from training: {', '.join(lent)}" if lent else note,)


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


# ---------------------------------------------------------------------- the columns


def _candidates(
    frame: pd.DataFrame, dialect: Dialect, named: Mapping[str, str], evaluation: bool
) -> dict[str, Candidate]:
    """For each role the column that fits it in one series; a named column fits its own series."""
    candidates: dict[str, Candidate] = {}
    for role in ROLES:
        if role not in named:
            if (match := _best_match(frame, dialect, role, evaluation)) is not None:
                candidates[role] = match
            continue
        name = named[role]
        guess = _best_match(frame[["step", name]], dialect, role, evaluation)
        if not evaluation or _is_evaluation(name, dialect):
            candidates[role] = Candidate(name, guess.kind if guess else _bare_kind(role, name))
    if evaluation and "quality" in named and "quality" not in candidates:
        return {}  # the user wants a training quality: no evaluation series to prefer
    return candidates


def _best_match(
    frame: pd.DataFrame, dialect: Dialect, role: str, evaluation: bool
) -> Candidate | None:
    """The column of the first name that has values; validation sets are averaged."""
    names = [(pattern, kind, dialect is PLAIN) for pattern, kind in dialect.names(role, evaluation)]
    if dialect is not PLAIN:
        names += [(pattern, kind, True) for pattern, kind in PLAIN.names(role, evaluation)]
    for pattern, kind, plain in names:
        fits = [(c, m) for c in frame.columns if (m := re.fullmatch(pattern, c)) and c != "step"]
        fits = [(c, m) for c, m in fits if frame[c].notna().sum() >= min(2, len(frame))]
        if plain:
            fits = [(c, m) for c, m in fits if is_held_out(c) == evaluation and not is_spread(c)]
        if not fits:
            continue
        fits.sort(key=lambda fit: frame[fit[0]].isna().sum())
        column, match = fits[0]
        kind = kind.format(*match.groups())
        alike = tuple(c for c, m in fits if m.groups() == match.groups())
        if evaluation and not plain and len(alike) > 1:
            return Candidate(f"{role}: mean of {len(alike)} sets", kind, alike)
        return Candidate(column, kind)
    return None


def _is_evaluation(name: str, dialect: Dialect) -> bool:
    names = (
        [p for role in ROLES for p, _ in dialect.names(role, True)] if dialect is not PLAIN else []
    )
    return is_held_out(name) or any(re.fullmatch(p, name) for p in names)


def _bare_kind(role: str, name: str) -> str:
    return "unknown" if role == "entropy" else name


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


def _missing(role: str, name: str, frame: pd.DataFrame) -> str:
    near = get_close_matches(name, map(str, frame.columns), n=3, cutoff=0.5)
    hint = f"did you mean {', '.join(near)}?" if near else f"its columns: {_listed(frame)}"
    return f"no column {name!r} for {role} in this log; {hint}"


def _listed(frame: pd.DataFrame, most: int = 12) -> str:
    names = [str(c) for c in frame.columns if c != "step"]
    return ", ".join(names[:most]) + (f", … ({len(names)} in all)" if len(names) > most else "")
