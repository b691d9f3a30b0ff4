"""The files beside the metrics in a run's folder: decisions, the plan, the last samples.

    advice.jsonl    every decision with its step, knobs, reasons and figures
    plan.json       the frontier of the reference's samples, as ``qdtrain plan --out`` writes it
    config.toml     the goal of the run
    samples/        the completions of evaluations

Any of them may be missing, cut short, or a stranger's: a part that cannot be read is left out,
never guessed, and what is handed on has the types and sizes that a page and a terminal can show.
"""

from __future__ import annotations

import csv
import io
import tomllib
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

from qdlaws.core.json_lines import parse, parse_lines
from qdlaws.core.number_text import number
from qdlaws.core.regular_file import open_regular, read_regular

__all__ = ["Drawn", "RunFiles", "last_decision", "run_files"]

MOST_BYTES = 64 << 20
"""Larger decisions and samples are not read for a page."""
MOST_SETTINGS = 8 << 20
"""Bytes of the largest plan or configuration that is read."""
MOST_DECISIONS, MOST_SAMPLES = 100_000, 20_000
"""The newest decisions and the first samples that are kept."""
TAIL = 1 << 20
"""Bytes at the end of a file that are searched for its last line."""
DEEPEST, LONGEST, MOST_ITEMS, LARGEST = 8, 2_000, 10_000, 1e300
"""Of what is handed on: levels, characters of a text, items of a list, largest number."""
_KNOB_NAMES = {"kl_coef": "kl", "entropy_coef": "entropy"}
"""Knobs that older lines of the TRL callback call by their column in ``metrics.jsonl``."""


def _are_texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) for item in value)


def _are_numbers(value: Any) -> bool:
    return isinstance(value, Mapping) and all(
        item is None or isinstance(item, int | float) for item in value.values()
    )


def _is_word(value: Any) -> bool:
    return isinstance(value, str) and bool(value.strip())


_TYPES: Mapping[str, Callable[[Any], bool]] = {
    "action": _is_word,
    "reasons": _are_texts,
    "knobs": _are_numbers,
    "figures": _are_numbers,
}
"""What the parts of a decision that are shown have to be; another one is left out."""


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
        decisions=tuple(deque(_decisions(_text(folder / "advice.jsonl")), MOST_DECISIONS)),
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
        with open_regular(path) as file:
            file.seek(max(file.seek(0, io.SEEK_END) - TAIL, 0))
            text = file.read(TAIL).decode("utf-8", errors="replace")
    except OSError:
        return None
    return next(iter(deque(_decisions(text), 1)), None)


def _text(path: Path, most: int = MOST_BYTES) -> str:
    """The text of a file; empty where it cannot be read or is too large."""
    try:
        return read_regular(path, most).decode("utf-8", errors="replace")
    except OSError:
        return ""


def _decisions(text: str) -> Iterator[Mapping[str, Any]]:
    """The decisions of a JSON-lines text: its whole objects that have a step."""
    for line in parse_lines(enumerate(io.StringIO(text, newline="\n"), 1)):
        row = _tidy(line.row or {})
        if isinstance(row.get("step"), int | float):
            decision = _one_decision(row)
            yield {k: v for k, v in decision.items() if k not in _TYPES or _TYPES[k](v)}


def _tidy(value: Any, depth: int = DEEPEST) -> Any:
    """The value without what no page can show; a number that is none or too large is None."""
    if isinstance(value, str):
        return value[:LONGEST]
    if isinstance(value, int | float) and not isinstance(value, bool):
        return value if abs(number(value)) <= LARGEST else None
    if isinstance(value, Mapping) and depth:
        items = list(value.items())[:MOST_ITEMS]
        return {str(key)[:LONGEST]: _tidy(item, depth - 1) for key, item in items}
    if isinstance(value, list) and depth:
        return [_tidy(item, depth - 1) for item in value[:MOST_ITEMS]]
    return value if isinstance(value, bool) else None


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
        value = parse(_text(path, MOST_SETTINGS) or "null")
    except ValueError:
        return None
    if not isinstance(value, dict):
        return None
    plan: dict[str, Any] = _tidy(value)
    return plan if _are_texts(plan.get("notes") or []) else {**plan, "notes": []}


def _floors(path: Path) -> dict[str, float]:
    try:
        control = tomllib.loads(_text(path, MOST_SETTINGS)).get("control")
    except (ValueError, RecursionError):
        return {}
    if not isinstance(control, dict):
        return {}
    names = ("diversity", "entropy")
    stated = {name: control.get(f"min_{name}") for name in names}
    floors = {k: number(v) for k, v in stated.items() if isinstance(v, int | float)}
    return {name: floor for name, floor in floors.items() if abs(floor) <= LARGEST}


def _table(path: Path) -> Iterator[dict[str, str]]:
    """The whole rows of a table, up to the first that cannot be read."""
    rows = csv.DictReader(io.StringIO(_text(path), newline=""), strict=True)
    try:
        yield from (row for row in rows if None not in row and None not in row.values())
    except csv.Error:
        return


def _molecules(path: Path) -> Iterator[Drawn]:
    """The molecules of the last step of a REINVENT4 table."""
    last: list[Drawn] = []
    step = None
    for row in _table(path):
        if not {"step", "SMILES", "Score"} <= set(row):
            return
        if row["step"] != step:
            step, last = row["step"], []
        if row["SMILES"] and len(last) < MOST_SAMPLES:
            last.append(Drawn(row["SMILES"][:LONGEST], number(row["Score"])))
    yield from last


def _texts(folder: Path) -> Iterator[Drawn]:
    """The completions of the last evaluation."""
    tables = sorted(folder.glob("step-*.csv")) if folder.is_dir() else []
    for row in islice(_table(tables[-1]) if tables else (), MOST_SAMPLES):
        if "completion" in row and "score" in row:
            text, prompt = row["completion"][:LONGEST], row.get("prompt", "")[:LONGEST]
            yield Drawn(text, number(row["score"]), prompt)
