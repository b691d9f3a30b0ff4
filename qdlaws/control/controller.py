"""turn(log, goal): how far to turn u = log(reward scale/KL) now, where the log has the knobs.

What a controller does at an evaluation, whichever trainer it sits in. A floor on diversity needs
measured diversity alone (duplicates kept), one on entropy measured entropy, with the line H–D for a
first gain, and a price the law R–D; none waits for more. The step is that of
:func:`qdlaws.control.steering.steer_by_plant`: incremental, so nothing winds up.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import isfinite
from typing import Literal

import numpy as np

from qdlaws.control.knobs import InForce
from qdlaws.control.steering import Steering
from qdlaws.control.targets import Targets, targets
from qdlaws.core.goal import Goal
from qdlaws.core.runlog import RunLog
from qdlaws.errors import BadData, MissingColumn, NotEnoughData
from qdlaws.laws.fit import fit
from qdlaws.laws.result import LawFits

__all__ = ["Action", "Turn", "check_steerable", "turn"]

Action = Literal["continue", "wait", "tighten", "loosen"]


@dataclass(frozen=True)
class Turn:
    """The step of u with its reasons and the figures it rests on; ``du`` is 0 where it holds."""

    du: float
    action: Action
    reasons: tuple[str, ...]
    figures: Mapping[str, float] = field(default_factory=dict)


def turn(
    log: RunLog,
    goal: Goal,
    knobs: InForce,
    *,
    gain: float | None = None,
    within: tuple[float, float] = (-np.inf, np.inf),
) -> Turn:
    """The turn for a goal with a floor or a price.

    ``knobs`` are those in force at each row, ``gain`` is the prior of −dD/du, ``within`` the range
    that u is held in.
    """
    goal.check(log)
    now = knobs.now
    aim = targets(log, _laws(log, goal), goal, gain, knobs)
    unpriced = goal.price is not None and aim.p_price_met is None
    if aim.steered is None:
        return Turn(0.0, "wait", (_no_price(log, goal), "not loosened"), {"u": now, "du": 0.0})
    seen = aim.steering[aim.steered]
    waits = not isfinite(aim.du)
    wanted = 0.0 if waits else min(aim.du, 0.0) if unpriced else aim.du
    du = float(np.clip(now + wanted, *within)) - now if wanted else 0.0
    action: Action = "wait" if waits or unpriced else "continue"
    if du != 0:
        action = "loosen" if du > 0 else "tighten"
    reasons = _words(log, aim, seen, waits)
    if unpriced:
        reasons += (_no_price(log, goal), "not loosened")
    if wanted != 0 and du == 0:
        reasons += (f"u is at the end of its range [{within[0]:.3g}, {within[1]:.3g}]",)
    return Turn(du, action, reasons, _figures(now + du, du, seen))


def check_steerable(goal: Goal, gain: float | None = None) -> None:
    """Raises where the goal, or the gain, gives nothing to steer by."""
    if not goal.floors() and goal.price is None:
        raise BadData(
            f"steering needs a goal with min_diversity, min_entropy or price; found {goal.words()}"
        )
    if gain is not None and not (isfinite(gain) and gain > 0):
        raise BadData(f"gain is {gain!r}, a number above 0 was needed")


def _laws(log: RunLog, goal: Goal) -> LawFits | None:
    """The laws that the goal needs; a floor on diversity needs none."""
    if goal.price is None and goal.min_entropy is None:
        return None
    try:
        return fit(log)
    except (NotEnoughData, MissingColumn):
        return None


def _no_price(log: RunLog, goal: Goal) -> str:
    column = goal.priced(log) or "diversity"
    return f"a price needs a concave law of quality on {column}, and there is none yet"


def _words(log: RunLog, aim: Targets, seen: Steering, waits: bool) -> tuple[str, ...]:
    column = str(aim.steered)
    if waits:
        n = int(np.isfinite(log.column(column)).sum())
        return (f"{n} readings of {column}, 3 are needed to steer by: not loosened",)
    words = f"{column} is {seen.level:.3g} ± {seen.level_se:.2g}"
    if seen.plant is not None:
        words += f" and settles at {seen.plant.settled:.3g} ± {seen.plant.settled_se:.2g}"
    words += f"; the target is {seen.target:.3g}"
    if not np.isfinite(log.column(column)[-1]):
        words += f"; the last reading of {column} is missing: not loosened"
    if np.isfinite(seen.ceiling):
        words += f"; it fell through the floor before: u stays below {seen.ceiling:.3g}"
    return (words, *aim.reasons)


def _figures(u: float, du: float, seen: Steering) -> dict[str, float]:
    figures = {"u": u, "du": du}
    for name in ("level", "level_se", "slope", "target", "p_below"):
        figures[name] = getattr(seen, name)
    if seen.plant is not None:
        for name in ("settled", "settled_se", "gain", "gain_se", "lag", "scatter"):
            figures[name] = getattr(seen.plant, name)
    if np.isfinite(seen.ceiling):
        figures["ceiling"] = seen.ceiling
    return figures
