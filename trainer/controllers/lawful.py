"""law_guided: holds a floor, an entropy or a price by the laws of :mod:`qdlaws`.

It acts on u = log(reward_scale/strength) at each evaluation. A floor on diversity needs measured
diversity alone (duplicates kept), one on entropy measured entropy, with the line H–D for a first
gain, and a price the law R–D; none waits for more. The step is that of
:func:`qdlaws.steer.steer_by_plant`: incremental, so nothing winds up.
"""

from __future__ import annotations

from math import isfinite

import numpy as np

from qdlaws.errors import BadData, MissingColumn, NotEnoughData
from qdlaws.fit import LawFits, fit
from qdlaws.goal import Goal
from qdlaws.runlog import RunLog
from qdlaws.steer import Steering
from qdlaws.targets import Targets, targets
from trainer.controllers.decision import Action, Controller, Decision
from trainer.controllers.dial import Dial
from trainer.knobs import Knobs

__all__ = ["law_guided"]


def law_guided(dial: Dial, goal: Goal, *, gain: float | None = None) -> Controller:
    """The controller for a goal with a floor or a price.

    ``gain`` is the prior of −dD/du (from ``plan`` or earlier runs); the run's own turns correct it.
    """
    if not goal.floors() and goal.price is None:
        raise BadData(
            "law_guided needs a goal it can steer by: min_diversity, min_entropy or price; "
            f"found {goal.words()}"
        )
    if gain is not None and not (isfinite(gain) and gain > 0):
        raise BadData(f"law_guided: gain is {gain!r}, a number above 0 was needed")

    def decide(log: RunLog, knobs: Knobs) -> Decision:
        goal.check(log)
        laws = _laws(log, goal)
        ratio = dial.history(log)
        aim = targets(log, laws, goal, gain, ratio, dial.ratio(knobs))
        return _decision(log, dial, goal, knobs, aim)

    return decide


def _laws(log: RunLog, goal: Goal) -> LawFits | None:
    """The laws that the goal needs; a floor on diversity needs none."""
    if goal.price is None and goal.min_entropy is None:
        return None
    try:
        return fit(log)
    except (NotEnoughData, MissingColumn):
        return None


def _decision(log: RunLog, dial: Dial, goal: Goal, knobs: Knobs, aim: Targets) -> Decision:
    unpriced = goal.price is not None and aim.p_price_met is None
    if aim.steered is None:
        why = (_no_price(log, goal), "not loosened")
        return Decision(knobs, "wait", why, {"u": dial.ratio(knobs), "du": 0.0})
    now = aim.steering[aim.steered]
    waits = not isfinite(aim.du)
    du = 0.0 if waits else min(aim.du, 0.0) if unpriced else aim.du
    after = dial.turned(knobs, du)
    turned = dial.ratio(after) - dial.ratio(knobs)
    action: Action = "wait" if waits or unpriced else "continue"
    if abs(turned) > 1e-12:
        action = "loosen" if turned > 0 else "tighten"
    reasons = _words(log, aim, now, waits)
    if unpriced:
        reasons += (_no_price(log, goal), "not loosened")
    reasons += _turn(dial, knobs, after, du, turned)
    return Decision(after, action, reasons, _figures(dial, after, turned, now))


def _no_price(log: RunLog, goal: Goal) -> str:
    column = goal.priced(log) or "diversity"
    return f"a price needs a concave law of quality on {column}, and there is none yet"


def _figures(dial: Dial, after: Knobs, turned: float, now: Steering) -> dict[str, float]:
    figures = {
        "u": dial.ratio(after),
        "du": turned,
        "level": now.level,
        "level_se": now.level_se,
        "slope": now.slope,
        "target": now.target,
        "p_below": now.p_below,
    }
    if now.plant is not None:
        figures |= {
            "settled": now.plant.settled,
            "settled_se": now.plant.settled_se,
            "gain": now.plant.gain,
            "gain_se": now.plant.gain_se,
            "lag": now.plant.lag,
            "scatter": now.plant.scatter,
        }
    return figures


def _words(log: RunLog, aim: Targets, now: Steering, waits: bool) -> tuple[str, ...]:
    column = str(aim.steered)
    if waits:
        n = int(np.isfinite(log.column(column)).sum())
        return (f"{n} readings of {column}, 3 are needed to steer by: not loosened",)
    words = f"{column} is {now.level:.3g} ± {now.level_se:.2g}"
    if now.plant is not None:
        words += f" and settles at {now.plant.settled:.3g} ± {now.plant.settled_se:.2g}"
    words += f"; the target is {now.target:.3g}"
    if not np.isfinite(log.column(column)[-1]):
        words += f"; the last reading of {column} is missing: not loosened"
    return (words, *aim.reasons)


def _turn(dial: Dial, before: Knobs, after: Knobs, du: float, turned: float) -> tuple[str, ...]:
    if abs(turned) > 1e-12:
        old, new = getattr(before, dial.turn), getattr(after, dial.turn)
        return (f"{dial.turn} {old:.4g} → {new:.4g}",)
    if du != 0:
        low, high = dial.range
        return (f"{dial.turn} is at the end of its range, u in [{low:.3g}, {high:.3g}]",)
    return ()
