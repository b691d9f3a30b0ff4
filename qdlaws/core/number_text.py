"""Numbers from text, as people and spreadsheets write them.

A comma may stand before decimals or between thousands, and so may a point. ``0,46`` and ``1.5`` say
which by themselves, ``1,460`` does not: what the other cells of its table say decides, and where
they say nothing it is no number at all.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from math import isfinite, nan
from typing import Literal

import numpy as np

from qdlaws.core.types import Array

__all__ = ["DecimalMark", "decimal_mark", "is_ambiguous", "is_unknown", "number", "numbers"]

DecimalMark = Literal["point", "comma", "unclear"]
"""The sign before the decimals of a table's numbers."""

_UNKNOWN = {"", "nan", "na", "n/a", "null", "none", "-", "--", "inf", "infinity"}
_BOOLEAN = {"true": 1.0, "false": 0.0}
_SPACES = "'_ \u00a0\u202f"
_EXPONENT = r"(?:[eE][+-]?\d+)?"


def _grouped(separators: str, mark: str) -> re.Pattern[str]:
    """Digits in threes behind one to three others, the first no zero; decimals may follow."""
    return re.compile(rf"[+-]?[1-9]\d{{0,2}}([{separators}])\d{{3}}(?:\1\d{{3}})*(?:{mark}\d*)?")


_POINT_GROUPED, _COMMA_GROUPED = _grouped("," + _SPACES, r"\."), _grouped(r"\." + _SPACES, ",")
_DECIMAL_COMMA = re.compile(rf"[+-]?\d*,\d+{_EXPONENT}")
_DECIMAL_POINT = re.compile(rf"[+-]?(?:\d+\.\d*|\.\d+){_EXPONENT}")
_AMBIGUOUS = re.compile(r"[+-]?[1-9]\d{0,2}[.,]\d{3}")


def is_unknown(text: str) -> bool:
    """Whether the text is one of the words for a missing value."""
    return text.strip().lstrip("+-").lower() in _UNKNOWN or text.strip() == "-"


def is_ambiguous(text: str) -> bool:
    """Whether the comma of the text may stand before decimals or between thousands."""
    return "," in text and _AMBIGUOUS.fullmatch(text.strip()) is not None


def decimal_mark(cells: Iterable[str]) -> DecimalMark:
    """The decimal mark that the cells of a table show; unclear where they contradict each other."""
    marks: set[DecimalMark | None] = set()
    for cell in cells:
        if "," in cell or ("." in cell and "point" not in marks):
            marks.add(_shown_mark(cell.strip()))
    marks.discard(None)
    return (marks.pop() or "unclear") if len(marks) == 1 else "unclear"


def _shown_mark(cell: str) -> DecimalMark | None:
    """The decimal mark of a number that leaves no doubt about it."""
    if _AMBIGUOUS.fullmatch(cell):
        return None
    if _DECIMAL_POINT.fullmatch(cell) or ("," in cell and _POINT_GROUPED.fullmatch(cell)):
        return "point"
    comma = _DECIMAL_COMMA.fullmatch(cell) or ("." in cell and _COMMA_GROUPED.fullmatch(cell))
    return "comma" if comma else None


def number(text: object, mark: DecimalMark = "unclear") -> float:
    """The number that a text means; NaN where it means none, an infinite one, or one of two."""
    if not isinstance(text, str):
        return _plain(text)
    text = text.strip()
    if text.lower() in _BOOLEAN:
        return _BOOLEAN[text.lower()]
    if mark == "comma":
        if _COMMA_GROUPED.fullmatch(text) or _DECIMAL_COMMA.fullmatch(text):
            return _plain(re.sub(rf"[.{_SPACES}]", "", text).replace(",", "."))
        return nan if "." in text else _plain(text)
    if _POINT_GROUPED.fullmatch(text) and (mark == "point" or not _AMBIGUOUS.fullmatch(text)):
        return _plain(re.sub(rf"[,{_SPACES}]", "", text))
    return _plain(text)


def numbers(texts: Sequence[str], mark: DecimalMark = "unclear") -> Array:
    """The numbers that the texts mean; NaN where they mean none."""
    try:
        if mark == "comma" and any("." in text for text in texts):
            raise ValueError("points stand between thousands here")
        values = np.array(texts, dtype=np.float64)
    except (ValueError, TypeError):
        values = np.array([number(text, mark) for text in texts], dtype=np.float64)
    values[np.isinf(values)] = np.nan
    return values


def _plain(value: object) -> float:
    try:
        result = float(value)  # type: ignore[arg-type]
    except (ValueError, TypeError, OverflowError):
        return nan
    return result if isfinite(result) else nan
