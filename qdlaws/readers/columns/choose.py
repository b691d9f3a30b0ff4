"""Which logged columns are quality, diversity, entropy; which series, training or evaluation."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Literal

import numpy as np
import pandas as pd

from qdlaws.core.number_text import Array
from qdlaws.errors import MissingColumn
from qdlaws.readers.columns.generic_names import is_held_out, is_spread
from qdlaws.readers.columns.standard_errors import standard_error
from qdlaws.readers.columns.tool_names import AUXILIARY, CLOCK, PLAIN, Dialect, to_reference

__all__ = ["ROLES", "Choice", "Series", "choose", "clocked"]

Series = Literal["auto", "train", "eval"]
ROLES = ("quality", "diversity", "entropy")
ENOUGH = 8  # evaluation points from which the evaluation series is preferred


@dataclass(frozen=True)
class Choice:
    """The columns chosen for each role, what they are, and the frame cut to their rows."""

    frame: pd.DataFrame
    columns: Mapping[str, str]
    kinds: Mapping[str, str]
    notes: tuple[str, ...]


@dataclass(frozen=True)
class Found:
    """A column that fits a role: its name, its kind, and the columns it is the mean of."""

    column: str
    kind: str
    parts: tuple[str, ...] = ()

    def values(self, frame: pd.DataFrame) -> pd.Series[float]:
        """The values of the column, or the mean of its parts."""
        return frame[list(self.parts)].mean(axis=1) if self.parts else frame[self.column]


def clocked(frame: pd.DataFrame, step: str | None) -> tuple[pd.DataFrame, str]:
    """The frame with its step in a column ``step``, and a note on where it was taken from."""
    if step is not None:
        if step not in frame.columns:
            raise MissingColumn(_missing("step", step, frame))
        return _with_step(frame, [step]), ""
    for pattern in CLOCK:
        names = [c for c in frame.columns if re.fullmatch(pattern, c) and frame[c].notna().any()]
        if names:
            names.sort(key=lambda c: frame[c].isna().sum())
            return _with_step(frame, names), f"step is {names[0]}" if names[0] != "step" else ""
    numbered = frame.assign(step=np.arange(len(frame), dtype=float))
    return numbered, "no step column: the rows are numbered from 0"


def _with_step(frame: pd.DataFrame, names: list[str]) -> pd.DataFrame:
    steps = frame[names].bfill(axis=1).iloc[:, 0].astype(float)
    return frame.drop(columns=[*names, "step"], errors="ignore").assign(step=steps)


def choose(
    frame: pd.DataFrame,
    dialect: Dialect,
    series: Series = "auto",
    named: Mapping[str, str | None] | None = None,
    kinds: Mapping[str, str] | None = None,
    batch_size: int | None = None,
) -> Choice:
    """The columns of one series of a frame that has one row a step.

    A named column is taken as it is; of the rest the dialect knows the names. Evaluation is the
    default where it has at least 8 points at which all that the training series offers is known
    too; a quantity that was not evaluated is then taken from training at the nearest step.
    """
    asked = {role: name for role, name in (named or {}).items() if name}
    for role, name in asked.items():
        if name not in frame.columns:
            raise MissingColumn(_missing(role, name, frame))
    train, held = (_found_all(frame, dialect, asked, e) for e in (False, True))
    least = 1 if dialect.evaluates else ENOUGH
    found, cut, why = _series(frame, series, train, held, least)
    words = {role: f.kind for role, f in found.items()}
    given = kinds or {}
    words |= {role: given[f.column] for role, f in found.items() if f.column in given}
    cut = cut.assign(**{f.column: f.values(cut) for f in found.values() if f.parts})
    cut = cut[cut[[f.column for f in found.values()]].notna().any(axis=1)] if found else cut
    means = [f"{role} is the mean of {', '.join(f.parts)}" for role, f in found.items() if f.parts]
    columns = {role: f.column for role, f in found.items()}
    for role in list(columns):
        cut, error = standard_error(cut, columns[role], batch_size)
        columns |= {f"{role}_se": error} if error else {}
    evaluation = any(f is held.get("quality") for f in found.values())
    cut, kl_names, kl_words = _kl(cut, dialect, evaluation, given)
    return Choice(cut, columns | kl_names, words | kl_words, (*why, *means))


# ---------------------------------------------------------------------- the series


def _series(
    frame: pd.DataFrame,
    series: Series,
    train: dict[str, Found],
    held: dict[str, Found],
    least: int = ENOUGH,
) -> tuple[dict[str, Found], pd.DataFrame, tuple[str, ...]]:
    """The columns of the series to take, the rows it has, and why."""
    if series == "train":
        return train, frame, ("training series",) if held else ()
    if "quality" not in held:
        if series == "eval":
            raise MissingColumn(f"no evaluation series here; found {_listed(frame)}")
        return _training(frame, train, held, "")
    if series == "auto" and "quality" in train and held["quality"].kind.startswith(AUXILIARY):
        return _training(frame, train, held, "training series: only auxiliary evaluations here")
    both = {**train, **held}
    cut = _at_evaluations(frame, held, both)
    usable = int(np.logical_and.reduce([f.values(cut).notna() for f in both.values()]).sum())
    if series == "auto" and usable < least and "quality" in train:
        few = f"training series: evaluation has {usable} usable points only"
        return _training(frame, train, held, few)
    lent = [f.column for role, f in both.items() if role not in held]
    note = f"evaluation series, {usable} points"
    return both, cut, (f"{note}; from training: {', '.join(lent)}" if lent else note,)


def _training(
    frame: pd.DataFrame, train: dict[str, Found], held: dict[str, Found], why: str
) -> tuple[dict[str, Found], pd.DataFrame, tuple[str, ...]]:
    """The training series, and what only evaluations measure, at the steps where they did."""
    lent = {r: f for r, f in held.items() if r not in train}
    notes = [why] * bool(why)
    notes += [f"only evaluations measure {', '.join(f.column for f in lent.values())}"] * bool(lent)
    return {**train, **lent}, frame, tuple(notes)


def _at_evaluations(
    frame: pd.DataFrame, held: Mapping[str, Found], both: Mapping[str, Found]
) -> pd.DataFrame:
    """The rows with an evaluation; training values that are missing there come from the nearest
    step, at most one logging interval away."""
    there = np.logical_or.reduce([f.values(frame).notna() for f in held.values()])
    cut = frame[there].reset_index(drop=True)
    lent = {f.column: f.values(frame) for role, f in both.items() if role not in held}
    steps, at = (np.asarray(f["step"], np.float64) for f in (frame, cut))
    near = {n: _nearest(steps, np.asarray(v, np.float64), at) for n, v in lent.items()}
    return cut.assign(**near)


def _nearest(steps: Array, values: Array, at: Array) -> Array:
    known = np.isfinite(values)
    steps, values = steps[known], values[known]
    if not len(steps):
        return np.full(len(at), np.nan)
    interval = float(np.median(np.diff(steps))) if len(steps) > 1 else 0.0
    after = np.clip(np.searchsorted(steps, at), 0, len(steps) - 1)
    before = np.clip(after - 1, 0, len(steps) - 1)
    best = np.where(np.abs(steps[before] - at) < np.abs(steps[after] - at), before, after)
    return np.where(np.abs(steps[best] - at) <= interval, values[best], np.nan)


# ---------------------------------------------------------------------- the columns


def _found_all(
    frame: pd.DataFrame, dialect: Dialect, asked: Mapping[str, str], evaluation: bool
) -> dict[str, Found]:
    """For each role the column that fits it in one series; named columns fit their own series."""
    found: dict[str, Found] = {}
    for role in ROLES:
        if role in asked:
            guess = _found(frame[["step", asked[role]]], dialect, role, evaluation)
            kind = guess.kind if guess else _bare_kind(role, asked[role])
            if not evaluation or _is_evaluation(asked[role], dialect):
                found[role] = Found(asked[role], kind)
        elif (fit := _found(frame, dialect, role, evaluation)) is not None:
            found[role] = fit
    if evaluation and "quality" in asked and "quality" not in found:
        return {}  # the user wants a training quality: no evaluation series to prefer
    return found


def _found(frame: pd.DataFrame, dialect: Dialect, role: str, evaluation: bool) -> Found | None:
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
            return Found(f"{role}: mean of {len(alike)} sets", kind, alike)
        return Found(column, kind)
    return None


def _is_evaluation(name: str, dialect: Dialect) -> bool:
    names = (
        [p for role in ROLES for p, _ in dialect.names(role, True)] if dialect is not PLAIN else []
    )
    return is_held_out(name) or any(re.fullmatch(p, name) for p in names)


def _bare_kind(role: str, name: str) -> str:
    return "unknown" if role == "entropy" else name


def _kl(
    frame: pd.DataFrame, dialect: Dialect, evaluation: bool, given: Mapping[str, str]
) -> tuple[pd.DataFrame, dict[str, str], dict[str, str]]:
    """The KL columns in words; the first one against the reference is also called ``kl``."""
    names: dict[str, str] = {}
    words: dict[str, str] = {}
    patterns = [*(dialect.names("kl", True) if evaluation else ()), *dialect.names("kl", False)]
    for pattern, kind in patterns:
        for column in [c for c in frame.columns if re.fullmatch(pattern, c)]:
            words[column] = given.get(column, kind)
            if "kl" not in names and to_reference(kind):
                names["kl"] = column
    if "kl" in names:
        words["kl"] = words.pop(names["kl"])
        if names["kl"] != "kl":
            frame = frame.drop(columns="kl", errors="ignore").rename(columns={names["kl"]: "kl"})
    return frame, names, words


def _missing(role: str, name: str, frame: pd.DataFrame) -> str:
    near = get_close_matches(name, map(str, frame.columns), n=3, cutoff=0.5)
    hint = f"did you mean {', '.join(near)}?" if near else f"found {_listed(frame)}"
    return f"no column {name!r} for {role}; {hint}"


def _listed(frame: pd.DataFrame, most: int = 12) -> str:
    names = [str(c) for c in frame.columns if c != "step"]
    return ", ".join(names[:most]) + (f", … ({len(names)} in all)" if len(names) > most else "")
