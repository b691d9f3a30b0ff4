"""Falls that no gain explains: an accelerating drop, and where to stop the next time.

Some rewards (a needle in a haystack, similarity to one query) give next to nothing for long and
then take most of the diversity within a few evaluations, at a ratio that seemed to cost nothing. A
filter that expects a gain learns of it too late: what counts there is the last drop itself, and,
once it has happened, not to go to the same place again.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

__all__ = ["ceiling", "steep"]

Array = npt.NDArray[np.float64]

DEPTH = 0.25
"""A fall through the floor is a runaway where it is deeper than this share of the way to it."""
BACK = 1.0
"""How far below the ratio of the fall the next one has to stay."""
EASE = 0.01
"""By how much the ceiling rises at each evaluation since: curves change."""


def steep(y: Array, scatter: float, ahead: float) -> float:
    """Where the last drop leads within so many evaluations; NaN where there is none to speak of.

    ``scatter`` is that of the readings before it; three errors of a difference are granted.
    """
    if len(y) < 2 or not np.isfinite(y[-2:]).all():
        return np.nan
    drop = float(y[-2] - y[-1]) - 3 * np.sqrt(2) * scatter
    return float(y[-1]) - ahead * drop if drop > 0 else np.nan


def ceiling(y: Array, u: Array, floor: float) -> float:
    """The highest ratio after a runaway; infinite where there has been none.

    The ratio to blame is the one in force when y was last in the upper quarter of the way from its
    best reading to the floor. ``u`` has no gaps.
    """
    best, out, last = -np.inf, np.inf, 0
    falling = False
    for k in np.flatnonzero(np.isfinite(y)).tolist():
        best = max(best, float(y[k]))
        way = best - floor
        if not falling and way > 0 and y[k] < floor - DEPTH * way:
            falling = True
            high = np.flatnonzero(y[: k + 1] >= floor + (1 - DEPTH) * way)
            out = min(out + EASE * (k - last), float(u[high[-1]]) - BACK)
            last = k
        elif falling and y[k] >= floor:
            falling = False
    return out + EASE * (len(y) - 1 - last) if np.isfinite(out) else np.inf
