"""Values as JSON, where an unknown number is None, never 0; and text as a terminal may show it."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

__all__ = ["chance", "plain", "printable", "printable_json"]

_UNPRINTABLE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]"
)
"""Control characters, which a terminal obeys; signs that turn the order of letters; surrogates."""


def plain(value: Any) -> Any:
    """The value made of dict, list, str, int, float, bool and None; NaN and ±inf become None.

    Examples
    --------
    >>> import numpy as np
    >>> plain({"steps": np.arange(3), "gain": float("nan")})
    {'steps': [0, 1, 2], 'gain': None}
    """
    if hasattr(value, "_asdict"):
        return plain(value._asdict())
    if isinstance(value, Mapping):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple) or getattr(value, "ndim", False):
        return [plain(v) for v in value]
    if isinstance(value, bool | int | str) or value is None:
        return value
    if hasattr(value, "item"):
        return plain(value.item())
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return str(value)


def printable(text: str) -> str:
    """The text with an escape for every character that a terminal would obey or cannot show.

    Line ends and tabs stay. :func:`printable_json` is the same for a JSON text: its values stay.

    Examples
    --------
    >>> print(printable("reward\\x1b[2J"))
    reward\\x1b[2J
    """
    return _UNPRINTABLE.sub(_escape, text)


def printable_json(text: str) -> str:
    """A JSON text of the same values without such characters."""
    return _UNPRINTABLE.sub(lambda match: f"\\u{ord(match[0]):04x}", text)


def _escape(match: re.Match[str]) -> str:
    code = ord(match[0])
    return f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}"


def chance(p: float) -> str:
    """A probability in per cent, from "under 1%" to "over 99%": no posterior makes it 0 or 1."""
    if p > 0.99:
        return "over 99%"
    return "under 1%" if p < 0.01 else f"{p:.0%}"
