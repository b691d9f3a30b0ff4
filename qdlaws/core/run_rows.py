"""Rows of ``metrics.jsonl``, as qdtrain writes it, as a RunLog; every reader of it uses these.

A row is an object with ``step`` and ``phase`` (docs/steering.md). An evaluation carries
``quality``, ``diversity``, ``entropy``, their ``_se``, ``kl`` and the knobs that were in force over
the steps before it (``kl_coef``, ``reward_scale``, ``entropy_coef``).

As trackers name them, a table of both phases has columns ``eval/NAME`` and ``train/NAME``. In a
RunLog an evaluation's column is plainly ``NAME``, a training column stays ``train/NAME``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import pandas as pd

from qdlaws.core.json_lines import flat
from qdlaws.core.kinds import EntropyKind
from qdlaws.core.runlog import COLUMNS, RunLog
from qdlaws.core.types import Array
from qdlaws.errors import NotEnoughData

__all__ = [
    "EVALUATION",
    "KL_KIND",
    "TOOL",
    "TRAINING",
    "evaluation_log",
    "extra_column",
    "is_ours",
    "latest_by_step",
    "plain_name",
    "row_kinds",
    "row_numbers",
    "run_log",
    "stages",
    "with_plain_names",
    "without_abandoned",
]

TOOL = "qdtrain"
EVALUATION, TRAINING = "eval/", "train/"
KL_KIND = "k1, per completion, against the reference"
UNSTATED_KINDS = {
    "quality": "eval_quality",
    "diversity": "diversity",
    "entropy": str(EntropyKind.UNKNOWN),
    "kl": KL_KIND,
}
"""What an evaluation's column is, where its row does not say."""


def run_log(rows: Iterable[Mapping[str, Any]], source: str = "") -> RunLog:
    """The log of the evaluations among the rows; a row that states no phase is an evaluation.

    It equals ``qdlaws.read`` of the file that holds the rows. null is NaN. Training rows add
    columns ``train/NAME`` to the evaluations of the same step.
    """
    rows = [row for row in ({"phase": "eval", **row} for row in rows) if is_ours(row)]
    kinds: dict[str, str] = {}
    for row in rows:
        kinds |= row_kinds(row)
    frame = pd.DataFrame([row_numbers(row) for row in rows], dtype=float)
    if "step" not in frame or not any(str(c).startswith(EVALUATION) for c in frame):
        raise NotEnoughData("no evaluation among the rows: a log needs at least one")
    frame, note = without_abandoned(frame[np.isfinite(frame["step"])])
    return evaluation_log(latest_by_step(frame), kinds, source=source, notes=(note,) * bool(note))


def is_ours(row: Mapping[str, Any]) -> bool:
    """Whether a row has the shape of a row of ``metrics.jsonl``."""
    return row.get("phase") in ("train", "eval") and "step" in row


def row_numbers(row: Mapping[str, Any]) -> dict[str, float]:
    """The numbers of a row as columns ``step``, ``eval/NAME`` and ``train/NAME``."""
    prefix = EVALUATION if row["phase"] == "eval" else TRAINING
    return {k if k == "step" else prefix + k: v for k, v in flat(row).items()}


def row_kinds(row: Mapping[str, Any]) -> dict[str, str]:
    """The kinds that a row states: ``"kinds": {"entropy": …}`` or ``"entropy_kind": …``."""
    stated = row.get("kinds")
    kinds = dict(stated) if isinstance(stated, dict) else {}
    for key in row:
        if key.endswith("_kind"):
            kinds[key.removesuffix("_kind")] = row[key]
    if not kinds:
        return {}
    prefix = {"eval": EVALUATION, "train": TRAINING}.get(str(row.get("phase")), "")
    return {f"{prefix}{k}": v for k, v in kinds.items() if isinstance(v, str)}


def latest_by_step(frame: pd.DataFrame) -> pd.DataFrame:
    """One row a step: of each column the last value that was written."""
    return frame.groupby("step", sort=True).last().reset_index()


def without_abandoned(frame: pd.DataFrame) -> tuple[pd.DataFrame, str]:
    """The rows without the steps that a resumed run has not reached again, and a note on them.

    After a restart from step 150 of a run that had come to 200, the old 151…200 describe a policy
    that is gone; a step is overwritten as the new branch reaches it, what lies beyond is cut.
    """
    steps = frame["step"].to_numpy()
    backwards = np.flatnonzero(np.diff(steps) < 0)
    if not len(backwards):
        return frame, ""
    restart = backwards[-1] + 1
    reached = steps[restart:].max()
    abandoned = (np.arange(len(steps)) < restart) & (steps > reached)
    note = f"the log goes back to step {steps[restart]:g}: the last value of each step counts"
    # one late row is a logger out of order, several are a run that was resumed
    if len(np.unique(steps[restart:])) < 2 or not abandoned.any():
        return frame, note
    return frame[~abandoned], f"{note}; steps after {reached:g} of the abandoned branch left out"


def evaluation_log(
    frame: pd.DataFrame,
    kinds: Mapping[str, str],
    *,
    source: str = "",
    marks: Iterable[float] = (),
    notes: Iterable[str] = (),
) -> RunLog:
    """The log of the evaluations in a table of both phases that has one row a step.

    ``kinds`` are those of the table's columns. Where a run entered a new stage its evaluation
    carries ``mark`` = 1; these steps are marked beside ``marks``.
    """
    evaluated = [c for c in frame.columns if str(c).startswith(EVALUATION)]
    frame = with_plain_names(frame[frame[evaluated].notna().any(axis=1)])
    errors = frame.columns.intersection([f"{c}_se" for c in COLUMNS])
    frame = frame.assign(**{c: frame[c].where(frame[c] >= 0) for c in errors})
    stated = {plain_name(name): kind for name, kind in kinds.items()}
    return RunLog.from_frame(
        frame,
        marks=(*marks, *stages(frame)),
        kinds={c: kind for c, kind in {**UNSTATED_KINDS, **stated}.items() if c in frame.columns},
        source=source,
        tool=TOOL,
        notes=notes,
    )


def stages(frame: pd.DataFrame) -> tuple[float, ...]:
    """The steps at which a run entered a new stage."""
    if "mark" not in frame.columns:
        return ()
    return tuple(map(float, frame["step"][frame["mark"] == 1]))


def plain_name(name: str) -> str:
    """A column's name in a RunLog: ``eval/kl`` is ``kl``."""
    return name.removeprefix(EVALUATION)


def with_plain_names(frame: pd.DataFrame) -> pd.DataFrame:
    """The table with its evaluation columns under the names that they have in a RunLog."""
    plain = {c: plain_name(c) for c in map(str, frame.columns) if c.startswith(EVALUATION)}
    hidden = [c for c in set(plain.values()) if c in frame.columns]
    return frame.drop(columns=hidden).rename(columns=plain)


def extra_column(log: RunLog, name: str) -> Array | None:
    """An extra column as numbers; None where the log has none.

    Tables that were saved from logs of earlier versions call an evaluation's column ``eval/NAME``.
    """
    for column in (name, f"{EVALUATION}{name}"):
        if column in log.extra:
            return log.extra[column].to_numpy(float)
    return None
