"""turn(log, goal, knobs) -> Advice: how far to turn u = log(reward scale/KL) now.

What a controller does at an evaluation, whichever trainer it sits in. A floor on diversity needs
measured diversity alone (duplicates kept), one on entropy measured entropy, with the line H–D for a
first gain, and a price the law R–D; none waits for more. The step is that of
:func:`qdlaws.control.steering.steer_by_plant`: incremental, so nothing winds up.
"""

from __future__ import annotations

from dataclasses import replace
from math import isfinite

import numpy as np

from qdlaws.control.knobs import InForce, has_no_strength, sigma_in_force
from qdlaws.control.steering import Steering
from qdlaws.control.targets import Targets, targets
from qdlaws.core.advice import Action, Advice
from qdlaws.core.goal import Goal
from qdlaws.core.runlog import RunLog
from qdlaws.errors import BadData, MissingColumn, NotEnoughData
from qdlaws.laws.fit import fit
from qdlaws.laws.result import LawFits

__all__ = ["check_steerable", "steering_advice", "turn"]

HELD = "no knob is turned without it"
FLOOR_ALONE = "until then the floor alone is steered by"


def turn(
    log: RunLog,
    goal: Goal,
    knobs: InForce,
    *,
    gain: float | None = None,
    within: tuple[float, float] = (-np.inf, np.inf),
) -> Advice:
    """The turn for a goal with a floor or a price, ``du`` being 0 where the knobs stay.

    ``knobs`` are those in force at each row, ``gain`` is the prior of −dD/du, ``within`` the range
    that u is held in.
    """
    goal.check(log)
    aims = targets(log, _laws(log, goal), goal, gain, knobs)
    if aims.steered is None:
        reasons = (f"{aims.price_problem}; {HELD}",)
        advice = Advice(action="wait", step=float(log.step[-1]), reasons=reasons)
    else:
        advice = steering_advice(log, aims, knobs.now, within)
    du = advice.du or 0.0
    return replace(advice, figures={"u": knobs.now + du, "du": du} | dict(advice.figures))


def steering_advice(
    log: RunLog,
    aims: Targets,
    u: float = np.nan,
    within: tuple[float, float] | None = None,
) -> Advice:
    """The advice that follows from the targets of a goal, where one of them is steered by.

    ``u`` is the ratio now and ``within`` the range it is held in, where a controller holds it.
    """
    column = str(aims.steered)
    steering = aims.steering[column]
    wanted = min(steering.du, 0.0) if steering.falling else steering.du
    du = wanted
    if within is not None and wanted != 0 and isfinite(wanted):
        du = float(np.clip(u + wanted, *within)) - u
    action: Action = "continue" if du == 0 else "wait"
    if isfinite(du) and du != 0:
        action = "loosen" if du > 0 else "tighten"
    notes = list(aims.reasons)
    if aims.price_problem:
        notes.append(f"{aims.price_problem}; {FLOOR_ALONE}")
    if within is not None and wanted != 0 and du == 0:
        low, high = within
        notes.append(f"u = log(reward scale/KL) is at the end of its range [{low:.3g}, {high:.3g}]")
    if action in ("loosen", "tighten") and has_no_strength(log):
        return _without_knob(log, aims, steering, notes)
    if not isfinite(du):
        sentence = _too_few_words(log, column)
    else:
        sentence = _position(log, aims, steering) + _conclusion(log, aims, steering, du)
    return Advice(
        action=action,
        step=float(log.step[-1]),
        reasons=(sentence, *notes),
        confidence=_confidence(action, steering.p_below),
        diversity_target=aims.diversity,
        entropy_target=aims.entropy,
        du=None if action == "wait" else du,
        figures=_figures(steering),
    )


def _without_knob(log: RunLog, aims: Targets, steering: Steering, notes: list[str]) -> Advice:
    """The advice where no strength is in force: all that is left is to go on or to stop."""
    column = str(aims.steered)
    floor = aims.floors[column]
    broken = steering.level + steering.level_se < floor
    sentence = _position(log, aims, steering)
    if broken:
        sentence += (
            f": it is {floor - steering.level:.2g} too low, and this run has no knob to turn"
        )
    elif steering.falling or steering.slope < -steering.slope_se:
        left = (steering.level - floor) / -steering.slope
        sentence += f": it reaches the floor after about {left:.0f} more evaluations"
    else:
        sentence += ": it holds the floor"
    return Advice(
        action="stop" if broken else "continue",
        step=float(log.step[-1]),
        reasons=(sentence, *notes),
        diversity_target=aims.diversity,
        entropy_target=aims.entropy,
        figures=_figures(steering),
    )


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


def _confidence(action: Action, p_below: float) -> float | None:
    """The probability that the statement behind the action is true."""
    if action == "wait" or not isfinite(p_below):
        return None
    return p_below if action == "tighten" else 1 - p_below


# ---------------------------------------------------------------------- words


def _too_few_words(log: RunLog, column: str) -> str:
    n = int(np.isfinite(log.column(column)).sum())
    return f"steering needs 3 readings of {column}, there {'is' if n == 1 else 'are'} {n}"


def _position(log: RunLog, aims: Targets, steering: Steering) -> str:
    """Where the steered column is, where it goes, and what its target is made of."""
    column = str(aims.steered)
    words = f"{column} is {steering.level:.3g} ± {steering.level_se:.2g}"
    if steering.plant is not None:
        settled, error = steering.plant.settled, steering.plant.settled_se
        words += f" and would settle at {settled:.3g} ± {error:.2g} with the knobs as they are"
    elif np.isfinite(steering.slope):
        words += f", changing by {steering.slope:+.2g} per evaluation"
    floor = aims.floors[column]
    source = f"the best {column} at your price" if aims.from_price else "the floor"
    if steering.target > floor:
        words += f"; the target {steering.target:.3g} is {source}, {floor:.3g}, "
        words += "plus a margin for noise"
    else:
        words += f"; {source} is {floor:.3g}"
    if not np.isfinite(log.column(column)[-1]):
        words += f"; the last reading of {column} is missing, so no knob is loosened"
    if np.isfinite(steering.ceiling):
        words += (
            f"; it fell through the floor before, so u = log(reward scale/KL) stays below "
            f"{steering.ceiling:.3g}"
        )
    return words


def _conclusion(log: RunLog, aims: Targets, steering: Steering, du: float) -> str:
    """What follows from where the column is."""
    column = str(aims.steered)
    floor, level = aims.floors[column], steering.level
    if du < 0:
        if level < floor:
            return f": it is {floor - level:.2g} too low"
        if level < steering.target:
            return f": it is {level - floor:.2g} above {floor:.3g}, which is within the margin"
        settled = steering.target if steering.plant is None else steering.plant.settled
        if settled > steering.target and np.isfinite(steering.ceiling):
            return ""  # only the ratio that it fell at is a reason to tighten
        return ": with the knobs as they are it would come below the target"
    if steering.falling:
        return f": it is falling by {abs(steering.slope):.2g} per evaluation, no turn is needed"
    if steering.du > 0:
        spare = f": it is {level - floor:.2g} above {floor:.3g}"
        if du == 0:
            return spare
        knob = "the KL can be lowered or the reward scale raised"
        return f"{spare}, so {knob if sigma_in_force(log) is None else 'σ can be raised'}"
    missing = not np.isfinite(log.column(column)[-1])
    return "" if missing else ": near enough to the target, no turn is needed"


def _figures(steering: Steering) -> dict[str, float]:
    names = ("level", "level_se", "slope", "target", "p_below")
    figures = {name: float(getattr(steering, name)) for name in names}
    if steering.plant is not None:
        for name in ("settled", "settled_se", "gain", "gain_se", "lag", "scatter"):
            figures[name] = getattr(steering.plant, name)
    if np.isfinite(steering.ceiling):
        figures["ceiling"] = steering.ceiling
    return figures
