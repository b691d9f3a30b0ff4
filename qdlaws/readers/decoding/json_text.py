"""JSON from strangers: parsed without trust, flattened to named numbers."""

from __future__ import annotations

import json
from collections.abc import Mapping
from math import isfinite, nan
from typing import Any

from qdlaws.readers.decoding.number_text import number

__all__ = ["LONGEST", "flat", "parse"]

DEEPEST = 6  # levels of nesting that are looked into
LONGEST = 300  # characters of a name that is kept
WIDEST = 20_000  # values of one object that are looked at


def parse(text: str | bytes) -> Any:
    """The value of a JSON text; ValueError where it is none, or is nested beyond reason."""
    try:
        return json.loads(text)
    except (RecursionError, MemoryError) as error:
        raise ValueError("JSON nested too deeply") from error


def flat(row: Mapping[str, Any], join: str = "/") -> dict[str, float]:
    """The numbers of a nested object under the joined names of their keys.

    Booleans count as 0 and 1, null and the words for "unknown" as NaN; lists and other texts are
    left out. ValueError beyond 20,000 values.
    """
    found: dict[str, float] = {}
    _gather(row, "", join, DEEPEST, found)
    return found


def _gather(
    row: Mapping[str, Any], before: str, join: str, deeper: int, found: dict[str, float]
) -> None:
    for key, value in row.items():
        name = before + key if before else key
        if isinstance(value, float):  # by far the most, so first
            found[name] = value if isfinite(value) else nan
        elif isinstance(value, dict):
            if deeper:
                _gather(value, name + join, join, deeper - 1, found)
        elif value is None or isinstance(value, int):
            found[name] = number(value)
        elif isinstance(value, str) and (meant := number(value)) == meant:
            found[name] = meant  # a text that means no number is no measurement
    for name in [name for name in found if len(name) > LONGEST]:
        del found[name]
    if len(found) > WIDEST:
        raise ValueError(f"more than {WIDEST:,} values in one object")
