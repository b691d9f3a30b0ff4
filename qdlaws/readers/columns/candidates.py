"""For each role the column that fits it by its name and its values."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

import pandas as pd

from qdlaws.readers.columns.dialect import Dialect
from qdlaws.readers.columns.generic_names import is_held_out, is_spread
from qdlaws.readers.columns.tool_names import PLAIN

__all__ = ["ROLES", "Candidate", "candidates"]

ROLES = ("quality", "diversity", "entropy")
NO_DIVERSITY = re.compile(
    r"(?i)(?:.*[/_. ])?(?:rewards?|bonus|penalty|loss|coef(?:ficient)?|weight|scale)(?:[/_. ].*)?"
    r"|.*(?:replay|buffer|bank|memory|archive).*"
)
"""Names of rewards for diversity, of knobs, and of stores of old samples: not the policy's own."""


@dataclass(frozen=True)
class Candidate:
    """A column that fits a role: its name, its kind, and the columns it is the mean of."""

    column: str
    kind: str
    parts: tuple[str, ...] = ()
    guessed: bool = False
    """Whether only the general sense of its name speaks for it."""

    def values(self, frame: pd.DataFrame) -> pd.Series[float]:
        """The values of the column, or the mean of its parts."""
        return frame[list(self.parts)].mean(axis=1) if self.parts else frame[self.column]


def candidates(
    frame: pd.DataFrame, dialect: Dialect, named: Mapping[str, str], evaluation: bool
) -> tuple[dict[str, Candidate], tuple[str, ...]]:
    """For each role the column that fits it in one series, and notes on columns that were refused.

    A named column fits its own series.
    """
    fits: dict[str, Candidate] = {}
    refused: list[str] = []
    for role in ROLES:
        if role not in named:
            if (match := _best_match(frame, dialect, role, evaluation, refused)) is not None:
                fits[role] = match
            continue
        name = named[role]
        guess = _best_match(frame[["step", name]], dialect, role, evaluation, [])
        if not evaluation or _is_evaluation(name, dialect):
            fits[role] = Candidate(name, guess.kind if guess else _bare_kind(role, name))
    if evaluation and "quality" in named and "quality" not in fits:
        return {}, ()  # the user wants a training quality: no evaluation series to prefer
    return fits, tuple(refused)


def _best_match(
    frame: pd.DataFrame, dialect: Dialect, role: str, evaluation: bool, refused: list[str]
) -> Candidate | None:
    """The column of the first name that has usable values; validation sets are averaged."""
    names = [(pattern, kind, dialect is PLAIN) for pattern, kind in dialect.names(role, evaluation)]
    if dialect is not PLAIN:
        names += [(pattern, kind, True) for pattern, kind in PLAIN.names(role, evaluation)]
    for pattern, kind, plain in names:
        fits = [(c, m) for c in frame.columns if (m := re.fullmatch(pattern, c)) and c != "step"]
        fits = [(c, m) for c, m in fits if frame[c].notna().sum() >= min(2, len(frame))]
        if plain:
            fits = [(c, m) for c, m in fits if is_held_out(c) == evaluation and not is_spread(c)]
        problems = {c: _problem(frame[c], role, c, plain) for c, _ in fits}
        refused += [
            f"{role}: {p}" for p in problems.values() if p and f"{role}: {p}" not in refused
        ]
        fits = [(c, m) for c, m in fits if not problems[c]]
        if not fits:
            continue
        fits.sort(key=lambda fit: frame[fit[0]].isna().sum())
        column, match = fits[0]
        kind = kind.format(*match.groups())
        alike = tuple(c for c, m in fits if m.groups() == match.groups())
        if evaluation and not plain and len(alike) > 1:
            return Candidate(f"{role}: mean of {len(alike)} sets", kind, alike)
        return Candidate(column, kind, guessed=plain)
    return None


def _problem(values: pd.Series[float], role: str, name: str, guessed: bool) -> str:
    """Why a column is not what its name promises; empty where it may be."""
    if role == "entropy" and (values.dropna() == 0).all():
        return f"{name!r} is 0 in every row: it was not measured"
    if role == "diversity" and guessed:
        if NO_DIVERSITY.fullmatch(name):
            return f"{name!r} is a reward, a setting or a store of old samples by its name"
        if (values < 0).any():
            return f"{name!r} falls below 0, which no diversity does"
    return ""


def _is_evaluation(name: str, dialect: Dialect) -> bool:
    names = (
        [p for role in ROLES for p, _ in dialect.names(role, True)] if dialect is not PLAIN else []
    )
    return is_held_out(name) or any(re.fullmatch(p, name) for p in names)


def _bare_kind(role: str, name: str) -> str:
    return "unknown" if role == "entropy" else name
