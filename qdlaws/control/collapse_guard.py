"""Guards against a collapse: a floor clearly broken, a steep drop, the ratio to stay below after.

Some rewards (a needle in a haystack, similarity to one query) give next to nothing for long and
then take most of the diversity within a few evaluations, at a ratio that seemed to cost nothing. A
filter that expects a gain learns of it too late. Then the last drop itself counts and, once a run
has collapsed, the ratio at which it did.
"""

from __future__ import annotations

import numpy as np

from qdlaws.control.plant_filter import scatter_of
from qdlaws.core.goal import Goal
from qdlaws.core.runlog import RunLog
from qdlaws.core.types import Array

__all__ = [
    "clear_breach",
    "collapse_share",
    "ratio_ceiling",
    "reversals",
    "steep_drop_end",
    "steep_rise_end",
]

DEPTH = 0.25
"""A fall through the floor is a collapse where it is deeper than this share of the way to it."""
FALL = 12
"""Evaluations that a collapse takes at most. A slower fall is one that the filter follows, and the
ratio at which the run stood high before it has long been left."""
SWING = 0.5
"""A movement of u that is no wobble: reversed, it counts as a swing."""
SWINGS_IN = 40
"""Evaluations in which swings are counted: a run that has settled is steered boldly again."""
DISTANCE = 1.0
"""How far below the ratio of the collapse u has to stay."""
BREACH_ROWS, BREACH_ERRORS = 3, 5.0
"""A floor is clearly broken after so many readings, each below it by so many standard errors."""
EASE = 0.01
"""By how much the ceiling rises at each evaluation since: curves change."""


def clear_breach(log: RunLog, goal: Goal) -> str:
    """In words, the floor that the last readings are clearly below; empty where there is none.

    The error of a reading is the stated one, else its scatter about a line through its neighbours.
    """
    for column, floor in goal.floors().items():
        y, se = log.column(column), getattr(log, f"{column}_se")
        measured = np.isfinite(y)
        last = y[measured][-BREACH_ROWS:]
        error = np.full(len(last), scatter_of(y))
        if se is not None:
            stated = se[measured][-BREACH_ROWS:]
            error = np.where(np.isfinite(stated), stated, error)
        if len(last) == BREACH_ROWS and (last + BREACH_ERRORS * error < floor).all():
            return (
                f"{column} is {last[-1]:.3g}, and its last {BREACH_ROWS} readings are all below "
                f"the floor of {floor:g} by more than {BREACH_ERRORS:g} standard errors"
            )
    return ""


def steep_drop_end(y: Array, scatter: float, ahead: float) -> float:
    """The level that the last drop leads to within ``ahead`` evaluations; NaN without a drop.

    ``scatter`` is that of the readings before it; three errors of a difference are granted.
    """
    if len(y) < 2 or not np.isfinite(y[-2:]).all():
        return np.nan
    drop = float(y[-2] - y[-1]) - 3 * np.sqrt(2) * scatter
    return float(y[-1]) - ahead * drop if drop > 0 else np.nan


def collapse_share(now: float, ahead: float, floor: float) -> float:
    """The share of the largest turn down that a drop from ``now`` to ``ahead`` asks for.

    ``ahead`` is below the floor. All of it where half of the way there, or less, leads to the
    floor. It does not rest on a gain: in a collapse diversity falls by itself, which looks like a
    gain so large that a small turn would do.
    """
    return 1.0 if now <= floor else min((floor - ahead) / (now - floor), 1.0)


def steep_rise_end(y: Array, scatter: float, ahead: float) -> float:
    """The level that the last rise leads to within ``ahead`` evaluations; NaN without a rise."""
    return -steep_drop_end(-y, scatter, ahead)


def reversals(u: Array) -> int:
    """How often u turned back by more than ``SWING`` over the last evaluations; it has no gaps."""
    count, way = 0, 0
    low = high = float(u[-SWINGS_IN:][0])
    for value in u[-SWINGS_IN:].tolist():
        low, high = min(low, value), max(high, value)
        if way >= 0 and high - value >= SWING:
            count, way, low = count + (way > 0), -1, value
        elif way <= 0 and value - low >= SWING:
            count, way, high = count + (way < 0), 1, value
    return count


def ratio_ceiling(y: Array, u: Array, floor: float) -> float:
    """The highest ratio allowed after a collapse; infinite where there has been none.

    The ratio to blame is the one in force when y was last in the upper quarter of the way from its
    best reading to the floor, at most ``FALL`` evaluations before. ``u`` has no gaps.
    """
    best, ceiling, last = -np.inf, np.inf, 0
    collapsed = False
    for k in np.flatnonzero(np.isfinite(y)).tolist():
        best = max(best, float(y[k]))
        way = best - floor
        if not collapsed and way > 0 and y[k] < floor - DEPTH * way:
            collapsed = True
            first = max(k - FALL, 0)
            high = first + np.flatnonzero(y[first : k + 1] >= floor + (1 - DEPTH) * way)
            if len(high):
                ceiling = min(ceiling + EASE * (k - last), float(u[high[-1]]) - DISTANCE)
                last = k
        elif collapsed and y[k] >= floor:
            collapsed = False
    return ceiling + EASE * (len(y) - 1 - last) if np.isfinite(ceiling) else np.inf
