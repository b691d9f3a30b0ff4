"""JSON of unknown quality: parsed without trust, line by line or whole, flattened to numbers.

Every JSON-lines file, of this project or of another tool, is read here.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from math import isfinite, nan
from os import PathLike
from typing import Any, NamedTuple

from qdlaws.core.number_text import number
from qdlaws.core.regular_file import read_regular

__all__ = ["MAX_NAME", "JsonLine", "JsonRows", "flat", "parse", "parse_lines", "read_json_lines"]

MAX_DEPTH = 6
"""Levels of nesting from which numbers are taken."""
MAX_NAME = 300
"""Characters of the longest name that is kept."""
SHORT = 32
"""Characters of a text whose number is remembered."""
MAX_VALUES = 20_000
"""Values of the largest object that is accepted."""
MOST_NAMED = 20
"""Line numbers that a note gives one by one."""

_SURROGATE = re.compile("[\ud800-\udfff]")
_SURROGATE_ESCAPE = re.compile(r"\\u[dD][89a-fA-F]")


class JsonLine(NamedTuple):
    """A line of a JSON-lines text: its number from 1, its object, or why it holds none."""

    number: int
    row: dict[str, Any] | None
    problem: str = ""


@dataclass(frozen=True)
class JsonRows:
    """The objects of a JSON-lines file, and the numbers of the lines that hold none."""

    rows: tuple[dict[str, Any], ...]
    skipped: tuple[int, ...] = ()

    @property
    def note(self) -> str:
        """The skipped lines in words; empty where there are none."""
        if not self.skipped:
            return ""
        rest = len(self.skipped) - MOST_NAMED
        lines = ", ".join(map(str, self.skipped[:MOST_NAMED]))
        return f"unreadable, left out: line {lines}" + (f" and {rest:,} more" if rest > 0 else "")


def parse(text: str | bytes) -> Any:
    """The value of a JSON text; ValueError where it is none, or is nested beyond reason.

    Half a surrogate pair, which JSON can escape but no file can hold, comes as U+FFFD.
    """
    if isinstance(text, bytes):
        text = text.decode("utf-8", "replace").removeprefix("\ufeff")
    try:
        value = json.loads(text)
        return _without_surrogates(value) if _SURROGATE_ESCAPE.search(text) else value
    except (RecursionError, MemoryError) as error:
        raise ValueError("JSON nested too deeply") from error
    except json.JSONDecodeError:
        raise
    except ValueError as error:  # Python converts no integer of more than some thousand digits
        raise ValueError("JSON with an integer of too many digits") from error


def _without_surrogates(value: Any) -> Any:
    if isinstance(value, str):
        return _SURROGATE.sub("\ufffd", value)
    if isinstance(value, list):
        return [_without_surrogates(item) for item in value]
    if isinstance(value, dict):
        return {_without_surrogates(k): _without_surrogates(v) for k, v in value.items()}
    return value


def parse_lines(lines: Iterable[tuple[int, str]]) -> Iterator[JsonLine]:
    """The objects of numbered lines, empty lines left out.

    A line that holds no object (a kill cuts the last one, a crash any) comes with the problem.
    """
    for line_number, text in lines:
        if not text.strip():
            continue
        try:
            row = parse(text)
        except ValueError as error:
            yield JsonLine(line_number, None, str(error))
            continue
        if isinstance(row, dict):
            yield JsonLine(line_number, row)
        else:
            yield JsonLine(line_number, None, "no JSON object")


def read_json_lines(path: str | PathLike[str]) -> JsonRows:
    """The objects of a JSON-lines file of this project, whose last line a kill may have cut."""
    text = read_regular(path).decode("utf-8", "replace")
    lines = list(parse_lines(enumerate(text.split("\n"), 1)))
    return JsonRows(
        tuple(line.row for line in lines if line.row is not None),
        tuple(line.number for line in lines if line.row is None),
    )


def flat(row: Mapping[str, Any]) -> dict[str, float]:
    """The numbers of a nested object under the names of their keys, joined by slashes.

    Booleans count as 0 and 1, null and the words for "unknown" as NaN; lists and other texts are
    left out. ValueError beyond 20,000 values.
    """
    numbers: dict[str, float] = {}
    _gather(row, "", MAX_DEPTH, numbers)
    return numbers


@lru_cache(maxsize=1024)
def _word(text: str) -> float:
    """The number that a short text means: the same few stand in every row."""
    return number(text)


def _gather(row: Mapping[str, Any], prefix: str, depth: int, numbers: dict[str, float]) -> None:
    for key, value in row.items():
        name = prefix + key if prefix else key
        if len(name) > MAX_NAME:
            continue
        if isinstance(value, float):  # by far the most, so first
            numbers[name] = value if isfinite(value) else nan
        elif isinstance(value, dict):
            if depth:
                _gather(value, f"{name}/", depth - 1, numbers)
        elif value is None or isinstance(value, int):
            numbers[name] = number(value)
        elif isinstance(value, str):
            meant = number(value) if len(value) > SHORT else _word(value)
            if meant == meant:  # a text that means no number is no measurement
                numbers[name] = meant
    if len(numbers) > MAX_VALUES:
        raise ValueError(f"more than {MAX_VALUES:,} values in one object")
