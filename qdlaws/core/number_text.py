"""Numbers from text, as people and spreadsheets write them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from math import isfinite, nan

import numpy as np

from qdlaws.core.types import Array

__all__ = ["is_unknown", "number", "numbers"]

_UNKNOWN = {"", "nan", "na", "n/a", "null", "none", "-", "--", "inf", "infinity"}
_THOUSANDS = re.compile(r"[+-]?\d{1,3}(?:[,'_  \u202f]\d{3})+(?:\.\d*)?")
_DECIMAL_COMMA = re.compile(r"[+-]?\d+(?:\.\d{3})*,\d+(?:[eE][+-]?\d+)?")
_BOOLEAN = {"true": 1.0, "false": 0.0}


def is_unknown(text: str) -> bool:
    """Whether the text is one of the words for a missing value."""
    return text.strip().lstrip("+-").lower() in _UNKNOWN or text.strip() == "-"


def number(text: object, decimal_comma: bool = False) -> float:
    """The number that a text means; NaN where it means none, or an infinite one."""
    if not isinstance(text, str):
        return _plain(text)
    text = text.strip()
    if decimal_comma and _DECIMAL_COMMA.fullmatch(text):
        text = text.replace(".", "").replace(",", ".")
    elif _THOUSANDS.fullmatch(text):
        text = re.sub(r"[^\d.+-]", "", text)
    return _BOOLEAN[text.lower()] if text.lower() in _BOOLEAN else _plain(text)


def numbers(texts: Sequence[str], decimal_comma: bool = False) -> Array:
    """The numbers that the texts mean; NaN where they mean none."""
    try:
        values = np.array(texts, dtype=np.float64)
    except (ValueError, TypeError):
        values = np.array([number(text, decimal_comma) for text in texts], dtype=np.float64)
    values[np.isinf(values)] = np.nan
    return values


def _plain(value: object) -> float:
    try:
        result = float(value)  # type: ignore[arg-type]
    except (ValueError, TypeError, OverflowError):
        return nan
    return result if isfinite(result) else nan
