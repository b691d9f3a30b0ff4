"""Guards against a collapse: where a steep drop leads, and the ratio to stay below after one.

Some rewards (a needle in a haystack, similarity to one query) give next to nothing for long and
then take most of the diversity within a few evaluations, at a ratio that seemed to cost nothing. A
filter that expects a gain learns of it too late. Then the last drop itself counts and, once a run
has collapsed, the ratio at which it did.
"""

from __future__ import annotations

import numpy as np

from qdlaws.core.types import Array

__all__ = ["ratio_ceiling", "steep_drop_end"]

DEPTH = 0.25
"""A fall through the floor is a collapse where it is deeper than this share of the way to it."""
DISTANCE = 1.0
"""How far below the ratio of the collapse u has to stay."""
EASE = 0.01
"""By how much the ceiling rises at each evaluation since: curves change."""


def steep_drop_end(y: Array, scatter: float, ahead: float) -> float:
    """The level that the last drop leads to within ``ahead`` evaluations; NaN without a drop.

    ``scatter`` is that of the readings before it; three errors of a difference are granted.
    """
    if len(y) < 2 or not np.isfinite(y[-2:]).all():
        return np.nan
    drop = float(y[-2] - y[-1]) - 3 * np.sqrt(2) * scatter
    return float(y[-1]) - ahead * drop if drop > 0 else np.nan


def ratio_ceiling(y: Array, u: Array, floor: float) -> float:
    """The highest ratio allowed after a collapse; infinite where there has been none.

    The ratio to blame is the one in force when y was last in the upper quarter of the way from its
    best reading to the floor. ``u`` has no gaps.
    """
    best, ceiling, last = -np.inf, np.inf, 0
    collapsed = False
    for k in np.flatnonzero(np.isfinite(y)).tolist():
        best = max(best, float(y[k]))
        way = best - floor
        if not collapsed and way > 0 and y[k] < floor - DEPTH * way:
            collapsed = True
            high = np.flatnonzero(y[: k + 1] >= floor + (1 - DEPTH) * way)
            ceiling = min(ceiling + EASE * (k - last), float(u[high[-1]]) - DISTANCE)
            last = k
        elif collapsed and y[k] >= floor:
            collapsed = False
    return ceiling + EASE * (len(y) - 1 - last) if np.isfinite(ceiling) else np.inf
