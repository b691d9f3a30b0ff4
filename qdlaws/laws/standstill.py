"""The stretch of a run in which it moves, apart from a flat, finished or collapsed one.

Where x and quality both stand still there is nothing to learn about a law, and where both jump
into such a stretch the run has collapsed. Readings there crowd at one place, with a noise of their
own, and would weigh as much as all the rest: a law is fitted to the stretch that moves, and the
other one is reported with its steps. Nothing is cut by quality alone: that would choose readings by
their errors.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from qdlaws.core.interval import median
from qdlaws.core.types import Array, Flags

__all__ = ["LeftOut", "MovingRows", "moving_rows"]

LEAST_SHARE = 0.4
"""The share of the rows that a stretch without movement has at least."""

FEWEST = 8
"""Rows that a stretch has at least, the one that moves as well."""

STILL_X, COLLAPSED_X = 0.04, 0.1
"""How far x may wander in a stretch without movement, and after a collapse, in ranges."""

STILL_Y = 0.1
"""How far means of quality may wander there, in ranges."""

NOISE = 3.0
"""Standard errors that means of quality may differ by in a stretch that stands still."""

MARGIN = (0.1, 0.25)
"""Rows that are left to the law: shares of the stretch without movement, and of the other one."""

COLLAPSE_Y, COLLAPSE_X = 1 / 3, 0.1
"""The least fall of quality, and change of x, in a collapse, in ranges."""

COLLAPSE_ROWS = 0.25
"""The share of the rows before it that a collapse takes at most."""


class LeftOut(NamedTuple):
    """Readings that a law was not fitted to, since x and quality stand still or have collapsed."""

    step: Array
    x: Array
    y: Array
    why: str

    def to_dict(self) -> dict[str, Any]:
        """The first and last step without the law, their number, and why."""
        first, last = float(self.step[0]), float(self.step[-1])
        return {"from": first, "to": last, "n": len(self.step), "why": self.why}


class MovingRows(NamedTuple):
    """The rows that a law is fitted to, and why the others are left out ("": there are none)."""

    rows: Flags
    why: str


def moving_rows(step: Array, x: Array, y: Array, names: tuple[str, str]) -> MovingRows:
    """The rows of the stretch in which x, a smooth path, or y moves; ``names`` are theirs."""
    n, rows = len(y), np.ones(len(y), bool)
    x_name, y_name = names
    both = f"{x_name} and {y_name} stand still"
    end = n - _still_rows(x, y, COLLAPSED_X)
    fall = _collapse_rows(x, y, end) if end < n else None
    if fall is not None:
        rows[end - fall :] = False
        both = f"{y_name} has collapsed, {x_name} jumped, and both stand still"
    elif still := _still_rows(x, y, STILL_X):
        rows[n - still + _margin(still, n) :] = False
    elif still := _still_rows(x[::-1], y[::-1], STILL_X):
        rows[: still - _margin(still, n)] = False
    if rows.all() or rows.sum() < FEWEST:
        return MovingRows(np.ones(n, bool), "")
    first, last = np.flatnonzero(rows)[[0, -1]]
    when = f"up to step {step[first - 1]:g}" if first else f"from step {step[last + 1]:g} on"
    return MovingRows(rows, f"{when} {both}: the law is that of the other {rows.sum()} of {n} rows")


def _margin(still: int, n: int) -> int:
    return int(min(MARGIN[0] * still, MARGIN[1] * (n - still)))


def _still_rows(x: Array, y: Array, wander: float) -> int:
    """The length of the stretch at the end in which neither x nor y moves; 0: none long enough."""
    n = len(y)
    if n < 2 * FEWEST:
        return 0
    highest, lowest = np.maximum.accumulate(x[::-1]), np.minimum.accumulate(x[::-1])
    start = n - int((highest - lowest <= wander * np.ptp(x)).sum())
    least = max(LEAST_SHARE * n, FEWEST)
    if n - start < least:
        return 0
    scale, noise = float(np.ptp(_running_medians(y))), _white_noise(y)
    while n - start >= least:
        means = [part.mean() for part in np.array_split(y[start:], 4)]
        error = NOISE * noise * np.sqrt(8 / (n - start))
        if np.ptp(means) <= min(STILL_Y * scale, max(error, STILL_Y / 5 * scale)):
            return n - start
        start += max((n - start) // 10, 1)
    return 0


def _collapse_rows(x: Array, y: Array, start: int) -> int | None:
    """The rows that a jump of x and a fall of y into the stretch from ``start`` on take, if any."""
    level, place = float(y[start:].mean()), float(x[start:].mean())
    smooth, longest = _running_medians(y[:start]), max(int(COLLAPSE_ROWS * start), 4)
    high = np.flatnonzero(smooth > (level + np.quantile(smooth, 0.9)) / 2)
    if not len(high):
        return None
    last = int(high[-1]) + 1
    fall = median(y[max(last - longest, 0) : last]) - level
    least = max(COLLAPSE_Y * float(np.ptp(y)), NOISE * _white_noise(y))
    jump = np.abs(x[max(last - 3, 0) : last] - place).min()
    collapsed = start - last <= longest and fall >= least and jump >= COLLAPSE_X * np.ptp(x)
    return start - last if collapsed else None


def _white_noise(y: Array) -> float:
    """The standard deviation of white noise, from the differences of neighbours."""
    return median(np.abs(np.diff(y))) / 0.954


def _running_medians(y: Array) -> Array:
    """Medians of three."""
    padded = np.pad(y, 1, mode="edge")
    return np.asarray(np.median(np.lib.stride_tricks.sliding_window_view(padded, 3), axis=1))
