"""The files beside the metrics in a run's folder: decisions, the plan, the last samples.

    advice.jsonl    every decision with its step, knobs, reasons and figures
    plan.json       the frontier of the reference's samples, as ``qdtrain plan --out`` writes it
    config.toml     the goal of the run
    samples/        the completions of evaluations

Any of them may be missing or cut short: a part that cannot be read is left out, never guessed.
"""

from __future__ import annotations

import csv
import io
import math
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from qdlaws.core.json_lines import parse, parse_lines

__all__ = ["Drawn", "RunFiles", "last_decision", "run_files"]

MOST_BYTES = 64 << 20
"""Larger files are not read for a page."""
TAIL = 1 << 20
"""Bytes at the end of a file that are searched for its last line."""
_KNOB_NAMES = {"kl_coef": "kl", "entropy_coef": "entropy"}
"""Knobs that older lines of the TRL callback call by their column in ``metrics.jsonl``."""


@dataclass(frozen=True)
class Drawn:
    """One sample of the last evaluation; ``score`` is NaN where it failed."""

    text: str
    score: float
    prompt: str = ""


@dataclass(frozen=True)
class RunFiles:
    """The files of one run beside its metrics."""

    decisions: tuple[Mapping[str, Any], ...] = ()
    plan: Mapping[str, Any] | None = None
    floors: Mapping[str, float] = field(default_factory=dict)
    """The goal's floors on ``diversity`` and ``entropy``."""
    drawn: tuple[Drawn, ...] = ()
    molecules: bool = False
    """Whether the texts of ``drawn`` are SMILES."""


def run_files(source: str) -> RunFiles:
    """The files beside the log at ``source``, a run's folder or its ``metrics.jsonl``."""
    path = Path(source)
    folder = path if path.is_dir() else path.parent
    if not (folder / "metrics.jsonl").is_file():
        return RunFiles()
    smiles = tuple(_molecules(folder / "samples" / "reinvent_1.csv"))
    return RunFiles(
        decisions=tuple(_decisions(_text(folder / "advice.jsonl"))),
        plan=_object(folder / "plan.json"),
        floors=_floors(folder / "config.toml"),
        drawn=smiles or tuple(_texts(folder / "samples")),
        molecules=bool(smiles),
    )


def last_decision(source: str | Path) -> Mapping[str, Any] | None:
    """The newest whole line of ``advice.jsonl`` beside the log at ``source``."""
    path = Path(source)
    path = (path if path.is_dir() else path.parent) / "advice.jsonl"
    try:
        with path.open("rb") as file:
            file.seek(max(path.stat().st_size - TAIL, 0))
            text = file.read().decode("utf-8", errors="replace")
    except OSError:
        return None
    return next(reversed(_decisions(text)), None)


def _text(path: Path) -> str:
    if not path.is_file() or path.stat().st_size > MOST_BYTES:
        return ""
    return path.read_text(encoding="utf-8", errors="replace")


def _decisions(text: str) -> list[Mapping[str, Any]]:
    """The decisions of a JSON-lines text: its whole objects that have a step."""
    rows = (line.row for line in parse_lines(enumerate(text.split("\n"), 1)))
    return [_one_decision(row) for row in rows if row and isinstance(row.get("step"), (int, float))]


def _one_decision(row: Mapping[str, Any]) -> Mapping[str, Any]:
    """A line as it is written today; older ones had the advice and the turn, or the stop, apart."""
    stopping, turn = row.get("stopping"), row.get("turn")
    if isinstance(stopping, Mapping):  # the trainer's
        rest = {key: value for key, value in row.items() if key != "stopping"}
        return rest | {"checkpoint": stopping.get("checkpoint")}
    if isinstance(turn, Mapping):  # the TRL callback's
        rest = {key: value for key, value in row.items() if key not in ("turn", "mode")}
        knobs = turn.get("knobs")
        knobs = knobs if isinstance(knobs, Mapping) else {}
        knobs = {_KNOB_NAMES.get(name, name): value for name, value in knobs.items()}
        return rest | dict(turn) | {"action": _action(row, turn), "knobs": knobs}
    return row


def _action(row: Mapping[str, Any], turn: Mapping[str, Any]) -> Any:
    """Stop where the run was stopped, else the action of the controller's turn."""
    return row.get("action") if row.get("stopped") else turn.get("action")


def _object(path: Path) -> Mapping[str, Any] | None:
    try:
        value = parse(_text(path) or "null")
    except ValueError:
        return None
    return value if isinstance(value, dict) else None


def _floors(path: Path) -> dict[str, float]:
    try:
        control = tomllib.loads(_text(path)).get("control")
    except (tomllib.TOMLDecodeError, RecursionError):
        return {}
    if not isinstance(control, dict):
        return {}
    names = ("diversity", "entropy")
    floors = {name: control.get(f"min_{name}") for name in names}
    return {name: float(v) for name, v in floors.items() if isinstance(v, (int, float))}


def _table(path: Path) -> list[dict[str, str]]:
    text = _text(path)
    try:
        return list(csv.DictReader(io.StringIO(text, newline=""), strict=True))
    except csv.Error:
        return []


def _molecules(path: Path) -> Iterator[Drawn]:
    """The molecules of the last step of a REINVENT4 table."""
    rows = _table(path)
    if not rows or not {"step", "SMILES", "Score"} <= set(rows[0]):
        return
    last = rows[-1]["step"]
    for row in rows:
        if row["step"] == last and row["SMILES"]:
            yield Drawn(row["SMILES"], _number(row["Score"]))


def _texts(folder: Path) -> Iterator[Drawn]:
    """The completions of the last evaluation."""
    tables = sorted(folder.glob("step-*.csv")) if folder.is_dir() else []
    for row in _table(tables[-1]) if tables else []:
        if row.get("completion") is not None and row.get("score") is not None:
            yield Drawn(row["completion"], _number(row["score"]), row.get("prompt") or "")


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan
