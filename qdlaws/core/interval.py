"""Intervals: the median of a posterior between two of its quantiles, and how it is printed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from qdlaws.core.types import Array

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Interval", "Params", "interval", "median", "quantiles", "show", "unknown"]


class Interval(NamedTuple):
    """An equal-tailed interval and the median between; NaN where nothing is known."""

    low: float
    mid: float
    high: float
    level: float

    @property
    def known(self) -> bool:
        """Is there a number?"""
        return bool(np.isfinite(self.mid))

    def __str__(self) -> str:
        if not self.known:
            return "unknown"
        return f"{self.mid:.4g} [{self.low:.4g}, {self.high:.4g}]"


class Params(dict[str, Interval]):
    """Intervals by name; ``params.c`` is ``params["c"]``."""

    def __getattr__(self, name: str) -> Interval:
        try:
            return self[name]
        except KeyError:
            raise AttributeError(f"no parameter {name!r}; there are {', '.join(self)}") from None

    def __repr__(self) -> str:
        return "; ".join(f"{name} {show(value)}" for name, value in self.items()) or "no parameter"

    def _repr_html_(self) -> str:
        rows = "".join(f"<tr><th>{k}</th><td>{show(v)}</td></tr>" for k, v in self.items())
        return f"<table>{rows}</table>"

    def to_frame(self) -> pd.DataFrame:
        """One row for each parameter: its name, low, mid, high, level."""
        import pandas as pd

        rows = [(name, *value) for name, value in self.items()]
        return pd.DataFrame(rows, columns=["parameter", "low", "mid", "high", "level"])


def unknown(level: float = 0.95) -> Interval:
    """The interval of something that is not known."""
    return Interval(np.nan, np.nan, np.nan, level)


def interval(draws: Array, level: float = 0.95, most_missing: float = 0.5) -> Interval:
    """The equal-tailed interval of draws in which NaN means "does not exist".

    Unknown when more than ``most_missing`` of the draws do not exist.
    """
    finite = draws[np.isfinite(draws)]
    if len(finite) == 0 or len(finite) < (1 - most_missing) * len(draws):
        return unknown(level)
    tail = (1 - level) / 2
    low, mid, high = quantiles(finite, (tail, 0.5, 1 - tail))
    return Interval(low, mid, high, level)


def quantiles(values: Array, levels: Sequence[float]) -> tuple[float, ...]:
    """The quantiles of finite numbers, linear between order statistics.

    As ``np.quantile``, without what that costs a call.
    """
    ordered, last = np.sort(values), len(values) - 1
    values_at = []
    for level in levels:
        below = int(level * last)
        low, high = float(ordered[below]), float(ordered[min(below + 1, last)])
        values_at.append(low + (high - low) * (level * last - below))
    return tuple(values_at)


def median(values: Array) -> float:
    """The median of finite numbers; as ``np.median``, without what that costs a call."""
    ordered, last = np.sort(values), len(values) - 1
    return float(ordered[last // 2] + ordered[(last + 1) // 2]) / 2


def show(value: Interval) -> str:
    """``mid [low, high]`` with as many digits as the width deserves."""
    if not value.known:
        return "unknown"
    width = value.high - value.low
    if not width > 0:
        return f"{value.mid:.6g}"
    decimals = int(np.clip(1 - np.floor(np.log10(width)), 0, 9))
    if max(abs(value.low), abs(value.high)) >= 1e6 or decimals > 5:
        return f"{value.mid:.4g} [{value.low:.4g}, {value.high:.4g}]"
    return f"{value.mid:.{decimals}f} [{value.low:.{decimals}f}, {value.high:.{decimals}f}]"
