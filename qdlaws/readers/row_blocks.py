"""Many rows of a JSON-lines log at once: rows with the same keys become columns together.

The table is that of row after row; Python's part of the work is done once a column of a block, not
once a value, so a log of a million rows is read three times as fast. A block with anything odd in
it, such as a line that is no object, is left to whoever reads row after row.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from qdlaws.core.json_lines import MAX_NAME, parse
from qdlaws.core.number_text import number
from qdlaws.core.run_rows import EVALUATION, TRAINING, is_ours
from qdlaws.core.types import Array
from qdlaws.readers.byte_source import Line
from qdlaws.readers.columns.generic_names import RUN_CODE, is_phase_name, is_run_name
from qdlaws.readers.run_labels import RunLabels

__all__ = ["column_block", "line_blocks", "parse_block"]

MOST_ROWS = 4096
MOST_CHARACTERS = 4 << 20
MOST_KEYS = 2_000
"""Keys of a row; wider ones are few, and their columns would be mostly empty."""
MOST_CELLS = 1 << 21
"""Values of a block with its empty ones; rows that share hardly any key go one by one."""

_TWO_OBJECTS = re.compile(r"\}[ \t\r]*,[ \t\r]*\{")
_NUMBERS = {float, int, bool, type(None)}
RowNumbers = Callable[[dict[str, Any]], Mapping[str, float]]


def line_blocks(lines: Iterable[Line], first: int) -> Iterator[list[Line]]:
    """Lines in blocks; the first ones, by which the tool is recognised, make a block."""
    block: list[Line] = []
    size = 0
    for line in lines:
        block.append(line)
        size += len(line.text)
        if len(block) == MOST_ROWS or size > MOST_CHARACTERS or line.number == first:
            yield block
            block, size = [], 0
    if block:
        yield block


def parse_block(lines: Sequence[Line]) -> list[dict[str, Any]] | None:
    """The objects of the lines, parsed in one go; None where a line holds anything else."""
    texts = [line.text for line in lines]
    if not all(text.startswith("{") and text.endswith("}") for text in texts):
        return None
    text = ",\n".join(texts)
    if _TWO_OBJECTS.search(text):  # else two lines and a line of two objects could even out
        return None
    try:
        rows = parse(f"[{text}]")
    except ValueError:
        return None
    whole = len(rows) == len(texts) and all(isinstance(row, dict) for row in rows)
    return rows if whole else None


def column_block(
    rows: Sequence[dict[str, Any]], runs: RunLabels, numbers_of: RowNumbers
) -> dict[str, Array] | None:
    """The columns of the rows, NaN where a row has no number; None where they go one by one.

    ``numbers_of`` gives the numbers of a row with nested values.
    """
    parts: list[tuple[list[int], dict[str, Array]]] = []
    nested: list[int] = []
    groups = _by_keys(rows)
    for (phase, *keys), index in groups.items():
        if len(keys) > MOST_KEYS:
            return None
        columns = _plain_columns([rows[i] for i in index], keys, phase)
        if columns is None:
            nested += index
        else:
            parts.append((index, columns))
    try:
        flat = {i: numbers_of(rows[i]) for i in sorted(nested)}
    except ValueError:
        return None
    parts += _flat_columns(flat)
    names = dict.fromkeys(name for _, columns in parts for name in columns)
    if len(names) * len(rows) > MOST_CELLS:
        return None
    block = {name: np.full(len(rows), np.nan) for name in names}
    for index, part in parts:
        for name, values in part.items():
            block[name][index] = values
    return block | _label_columns(
        rows, dict.fromkeys(key for _, *keys in groups for key in keys), runs
    )


def _by_keys(rows: Sequence[dict[str, Any]]) -> dict[tuple[str | None, ...], list[int]]:
    """The numbers of the rows that have the same keys, and phase, in the same order."""
    groups: dict[tuple[str | None, ...], list[int]] = {}
    for i, row in enumerate(rows):
        phase = row.get("phase")
        key = (phase if isinstance(phase, str) else None, *row)
        if key in groups:
            groups[key].append(i)
        else:
            groups[key] = [i]
    return groups


def _plain_columns(
    rows: Sequence[dict[str, Any]], keys: Sequence[str | None], phase: str | None
) -> dict[str, Array] | None:
    """The columns of rows that share their keys; None where a value is neither number nor word."""
    if "global_step/max_steps" in keys:
        return None
    prefix = ""
    if is_ours(rows[0]):
        prefix = EVALUATION if phase == "eval" else TRAINING
    columns = {}
    for key, values in zip(keys, zip(*(row.values() for row in rows), strict=True), strict=True):
        kinds = set(map(type, values))
        name = str(key)
        if len(name) > MAX_NAME and not kinds & {dict, list}:
            continue
        if kinds <= _NUMBERS:
            try:
                column = np.array(values, dtype=np.float64)
            except OverflowError:  # an integer beyond every float
                return None
            column[np.isinf(column)] = np.nan
        elif kinds == {str}:
            meanings = {word: number(word) for word in set(values)}
            if all(np.isnan(value) for value in meanings.values()):
                continue
            column = np.array([meanings[word] for word in values])
        else:
            return None
        columns[name if name == "step" else prefix + name] = column
    return columns


def _flat_columns(
    rows: Mapping[int, Mapping[str, float]],
) -> list[tuple[list[int], dict[str, Array]]]:
    """The columns of rows of numbers by their place in the block, those with the same names."""
    groups: dict[tuple[str, ...], list[int]] = {}
    for i, row in rows.items():
        groups.setdefault(tuple(row), []).append(i)
    parts = []
    for names, index in groups.items():
        values = np.array([list(rows[i].values()) for i in index], dtype=np.float64)
        parts.append((index, dict(zip(names, values.T, strict=True))))
    return parts


def _label_columns(
    rows: Sequence[dict[str, Any]], keys: Iterable[str | None], runs: RunLabels
) -> dict[str, Array]:
    """The labels of runs and phases, numbered in the order of the rows."""
    columns = {}
    for name in map(str, keys):
        of_run = is_run_name(name)
        if not (of_run or is_phase_name(name)):
            continue
        index = [i for i, r in enumerate(rows) if name in r and (of_run or type(r[name]) is str)]
        if index:
            column = np.full(len(rows), np.nan)
            column[index] = runs.codes(name, [rows[i][name] for i in index])
            columns[RUN_CODE + name] = column
    return columns
