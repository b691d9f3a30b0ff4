"""Plain values for JSON, where what is not known becomes None, never 0; and chances in words."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

__all__ = ["chance", "plain"]


def plain(value: Any) -> Any:
    """The value in terms of dict, list, str, int, float, bool and None; NaN and ±inf are None."""
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
    """A probability in per cent; no posterior makes it 0 % or 100 %."""
    if p > 0.99:
        return "over 99%"
    return "under 1%" if p < 0.01 else f"{p:.0%}"
