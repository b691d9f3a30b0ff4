"""Training and evaluation under one name, told apart row by row.

Some loops write both into one file, ``{"type": "eval", "grpo_step": 20, "reward": 0.61}`` beside
``{"type": "rollout", "grpo_step": 20, "reward": 0.55}``. What an evaluation measured gets a name of
its own, ``eval/reward``, before the columns are chosen.
"""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pandas as pd

from qdlaws.core.run_rows import TOOL as OURS
from qdlaws.readers.columns.generic_names import (
    RUN_CODE,
    is_held_out,
    is_phase_name,
    is_step_name,
)
from qdlaws.readers.table import CLOCKS, Table

__all__ = ["with_phases_apart"]

Flags = npt.NDArray[np.bool_]

EVALUATION = re.compile(
    r"(?i)(?:.*[-_/ .])?(?:eval(?:uation)?s?|val(?:id(?:ation)?)?|test(?:ing)?|held[-_ ]?out)"
    r"(?:[-_/ .].*)?"
)
"""Words for a row of an evaluation, in a column ``type``, ``phase``, ``split`` …"""


def with_phases_apart(table: Table) -> Table:
    """The table with the values of evaluations in columns ``eval/…``, without columns of words."""
    coded = [c for c in table.frame.columns if c.startswith(RUN_CODE)]
    phases = [c for c in coded if is_phase_name(c.removeprefix(RUN_CODE))]
    frame = table.frame.drop(columns=phases)
    if table.tool == OURS:
        return replace(table, frame=frame)
    evaluated, words = _evaluated(table, phases)
    evaluated |= _by_evaluation_clock(frame)
    if not evaluated.any():
        return replace(table, frame=frame)
    named = {c: f"eval/{c}" for c in frame.columns if not _keeps_its_name(c)}
    measured = {c: new for c, new in named.items() if frame.loc[evaluated, c].notna().any()}
    apart = {}
    for column, new in measured.items():
        values = frame[column].where(evaluated)
        apart[new] = frame[new].fillna(values) if new in frame else values
    rest = frame.assign(**{c: frame[c].mask(evaluated) for c in measured})
    frame = pd.concat(
        [rest.drop(columns=[n for n in apart if n in rest]), pd.DataFrame(apart)], axis=1
    )
    shared = [c for c in measured if rest[c].notna().any()]
    if not shared:
        return replace(table, frame=frame.dropna(axis="columns", how="all"))
    where = f" ({words})" if words else ""
    note = (
        f"training and evaluation stand under one name in {', '.join(shared[:6])}: the "
        f"{int(evaluated.sum())} rows of evaluations{where} are read as eval/{shared[0]} …"
    )
    return replace(table, frame=frame).with_notes(note)


def _evaluated(table: Table, phases: list[str]) -> tuple[Flags, str]:
    """The rows whose word says evaluation, and the first such column and word."""
    evaluated, words = np.zeros(len(table.frame), bool), ""
    for column in phases:
        name = column.removeprefix(RUN_CODE)
        labels = dict(enumerate(table.labels.get(name, ())))
        codes = [code for code, label in labels.items() if EVALUATION.fullmatch(label)]
        rows = table.frame[column].isin(codes).to_numpy()
        if rows.any() and not words:
            words = f"{name} {labels[codes[0]]!r}"
        evaluated |= rows
    return evaluated, words


def _by_evaluation_clock(frame: pd.DataFrame) -> Flags:
    """The rows that state the step of an evaluation, ``eval_step``, and no other."""
    clocks = [c for c in frame.columns if is_step_name(c) and c not in ("_step", "epoch")]
    held_out = [c for c in clocks if is_held_out(c)]
    others = [c for c in clocks if not is_held_out(c)]
    if not held_out or not others:
        return np.zeros(len(frame), bool)
    states = frame[held_out].notna().any(axis=1) & frame[others].isna().all(axis=1)
    return states.to_numpy()


def _keeps_its_name(column: str) -> bool:
    return (
        column.startswith(RUN_CODE)
        or column in CLOCKS
        or is_step_name(column)
        or is_held_out(column)
    )
