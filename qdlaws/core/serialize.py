"""Values as JSON: an unknown number is None, never 0. And probabilities in words."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

__all__ = ["chance", "plain"]


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


def chance(p: float) -> str:
    """A probability in per cent, from "under 1%" to "over 99%": no posterior makes it 0 or 1."""
    if p > 0.99:
        return "over 99%"
    return "under 1%" if p < 0.01 else f"{p:.0%}"
