"""Alarms: faults of a run that need no goal to be faults.

Quality fell from its best by more than noise allows; entropy or diversity collapsed, or entropy
runs away; most groups have no spread, so they give no gradient; the reward sits at the end of its
scale. An alarm says what is wrong, with its numbers. The thresholds are coarse on purpose: no run
of those that rose to their end may ring one (benchmarks/advice_real.py).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from qdlaws.core.advice import Alarm, Choice
from qdlaws.core.run_rows import extra_column
from qdlaws.core.runlog import RunLog
from qdlaws.core.types import Array

__all__ = ["alarms"]

FALL_SHARE = 0.25
"""A fall is an alarm from this share of the range that quality has had …"""
FALL_ERRORS = 2.5
"""… and from so many standard errors of the fall on."""

LEAST = 5
"""Readings that a level is the median of, at least."""

COLLAPSED = {"entropy": 0.1, "diversity": 0.25}
"""Collapsed: below this share of the level at the start."""

RUN_AWAY = 3.0
"""Running away: above this multiple of the level at the start."""

NO_SPREAD = ("frac_reward_zero_std", "reward/frac_zero_std", "groups_without_spread")
"""Columns that say which share of the groups has equal rewards (TRL's is the first)."""
MOST_WITHOUT_SPREAD = 0.8

SCALES = ((0.0, 1.0), (-1.0, 1.0))
END = 0.005
"""At the end of the scale: nearer to it than this share of its length."""


def alarms(log: RunLog, choice: Choice | None) -> tuple[Alarm, ...]:
    """The alarms that ring now, the gravest first."""
    fell = None if choice is None else _fell(log, choice)
    ringing = [
        fell,
        *(_collapsed(log, column) for column in COLLAPSED),
        _runs_away(log),
        _no_spread(log),
        _end_of_scale(log),
    ]
    return tuple(alarm for alarm in ringing if alarm is not None)


def _fell(log: RunLog, choice: Choice) -> Alarm | None:
    """Quality is below its best by a quarter of its range and more than noise allows."""
    if "quality" not in log.columns or choice.quality is None or not choice.range > 0:
        return None
    least = max(FALL_SHARE * choice.range, FALL_ERRORS * choice.fall_se)
    if not choice.fall >= least or not np.isfinite(choice.fall_se):
        return None
    text = (
        f"quality fell by {choice.fall:.3g} ± {choice.fall_se:.2g} from its best at {choice.clock} "
        f"{choice.peak:g}, {min(choice.fall / choice.range, 1):.0%} of the range it has had"
    )
    return Alarm("quality fell", text, choice.step)


def _ends(values: Array, level: Callable[[Array], Any] = np.median) -> tuple[float, float] | None:
    """The levels at the start and at the end of a column: medians of a tenth of its readings."""
    values = values[np.isfinite(values)]
    rows = max(LEAST, len(values) // 10)
    if len(values) < 2 * rows:
        return None
    return float(level(values[:rows])), float(level(values[-rows:]))


def _collapsed(log: RunLog, column: str) -> Alarm | None:
    if column not in log.columns or (ends := _ends(log.column(column))) is None:
        return None
    start, now = ends
    if not 0 <= now < COLLAPSED[column] * start:
        return None
    readings = log.column(column)  # a collapse within the first tenth began higher than its median
    first = max(start, float(np.median(readings[np.isfinite(readings)][:LEAST])))
    text = f"{column} has collapsed from {first:.3g} to {now:.2g}"
    kind = "entropy collapsed" if column == "entropy" else "diversity collapsed"
    return Alarm(kind, text)  # type: ignore[arg-type]


def _runs_away(log: RunLog) -> Alarm | None:
    if "entropy" not in log.columns or (ends := _ends(log.column("entropy"))) is None:
        return None
    start, now = ends
    if not 0 < RUN_AWAY * start < now:
        return None
    return Alarm("entropy runs away", f"entropy runs away: {start:.3g} at the start, {now:.3g} now")


def _no_spread(log: RunLog) -> Alarm | None:
    shares = next((c for name in NO_SPREAD if (c := extra_column(log, name)) is not None), None)
    # a mean: with one group a step each reading is 0 or 1
    if shares is None or (ends := _ends(shares, np.mean)) is None or ends[1] < MOST_WITHOUT_SPREAD:
        return None
    text = f"{ends[1]:.0%} of the groups have equal rewards: they give no gradient"
    return Alarm("groups without spread", text)


def _end_of_scale(log: RunLog) -> Alarm | None:
    if "quality" not in log.columns or (ends := _ends(log.column("quality"))) is None:
        return None
    readings, now = log.column("quality"), ends[1]
    for low, high in SCALES:
        if low <= np.nanmin(readings) and np.nanmax(readings) <= high:
            near = END * (high - low)
            if now <= low + near:
                text = f"quality is {now:.3g}, the bottom of its scale: nothing is rewarded"
                return Alarm("end of the scale", text)
            if now >= high - near:
                text = f"quality is {now:.4g}, the top of its scale: nothing is left to gain"
                return Alarm("end of the scale", text)
            return None
    return None
