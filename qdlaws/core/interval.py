"""Intervals: the median of a posterior between two of its quantiles, and how it is printed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from qdlaws.core.serialize import plain
from qdlaws.core.summary import Result, Summary
from qdlaws.core.types import Array

__all__ = ["Interval", "Params", "interval", "median", "quantiles", "show", "unknown"]


class Interval(NamedTuple):
    """An equal-tailed interval and the median between; NaN where nothing is known.

    Attributes
    ----------
    low, mid, high : float
        The two ends and the median; all NaN where the quantity is unknown.
    level : float
        The probability that the interval holds, e.g. 0.95.

    Examples
    --------
    >>> import qdlaws as qd
    >>> qd.Interval(0.401, 0.512, 0.633, level=0.95)
    Interval(0.51 [0.40, 0.63], 95%)
    """

    low: float
    mid: float
    high: float
    level: float

    @property
    def known(self) -> bool:
        """Whether there is a number at all."""
        return bool(np.isfinite(self.mid))

    def to_dict(self) -> dict[str, float | None]:
        """low, mid, high and level as JSON values; an unknown number is None."""
        values: dict[str, float | None] = plain(self)
        return values

    def __repr__(self) -> str:
        return f"Interval({show(self)}, {100 * self.level:.4g}%)"

    def __str__(self) -> str:
        if not self.known:
            return "unknown"
        return f"{self.mid:.4g} [{self.low:.4g}, {self.high:.4g}]"


def unknown(level: float = 0.95) -> Interval:
    """The interval of a quantity that the data do not identify."""
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

    As ``np.quantile``, with less overhead a call.
    """
    ordered, last = np.sort(values), len(values) - 1
    results = []
    for level in levels:
        below = int(level * last)
        low, high = float(ordered[below]), float(ordered[min(below + 1, last)])
        results.append(low + (high - low) * (level * last - below))
    return tuple(results)


def median(values: Array) -> float:
    """The median of finite numbers; as ``np.median``, with less overhead a call."""
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


class Params(dict[str, Interval], Result):
    """Intervals by name; ``params.c`` is ``params["c"]``.

    Examples
    --------
    >>> import qdlaws as qd
    >>> from qdlaws.core.interval import Params
    >>> params = Params(c=qd.Interval(1.9, 2.5, 3.1, level=0.95))
    >>> params.c.mid
    2.5
    """

    def __getattr__(self, name: str) -> Interval:
        try:
            return self[name]
        except KeyError:
            raise AttributeError(f"no parameter {name!r}; there are {', '.join(self)}") from None

    def summary(self) -> Summary:
        """One row for each parameter: mid [low, high]."""
        levels = sorted({f"{value.level:.0%}" for value in self.values()})
        rows = tuple((name, show(value)) for name, value in self.items())
        return Summary(f"parameters, {' and '.join(levels)} intervals", "", rows)

    def to_dict(self) -> dict[str, Any]:
        """Each parameter's low, mid, high and level; an unknown number is None."""
        values: dict[str, Any] = plain(dict(self))
        return values

    def to_frame(self) -> pd.DataFrame:
        """One row for each parameter: parameter, low, mid, high, level."""
        rows = [(name, *value) for name, value in self.items()]
        return pd.DataFrame(rows, columns=["parameter", "low", "mid", "high", "level"])

    def __repr__(self) -> str:
        return "; ".join(f"{name} {show(value)}" for name, value in self.items()) or "no parameter"
