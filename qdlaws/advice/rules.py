"""The rules behind an advice, tried in turn: the first that applies decides.

    out of steps → target reached → floor broken → gain gone → price met → steered → quality alone

Statements that end a run are e-processes (:mod:`qdlaws.inference.e_process`), valid however often
one looks.
"""

from __future__ import annotations

from dataclasses import replace
from math import exp, log

import numpy as np

from qdlaws.control.controller import steering_advice
from qdlaws.control.knobs import InForce
from qdlaws.control.targets import Targets, law_of
from qdlaws.core.advice import Advice, Choice
from qdlaws.core.goal import Goal
from qdlaws.core.runlog import RunLog
from qdlaws.inference.e_process import Evidence, gain_below, level_above, level_below
from qdlaws.laws.result import LawFits

__all__ = ["decide", "stop_under_control"]

P_PAST_OPTIMUM = 0.95
"""The probability of being past the optimum of the price that ends a run."""

P_RISING = 0.9
"""The probability that quality rises at which a run without floor or price goes on."""

MIN_READINGS = 5
"""Readings of quality below which its trend is not judged."""


def decide(
    run: RunLog,
    laws: LawFits | None,
    goal: Goal,
    aims: Targets,
    choice: Choice,
    alpha: float,
    knobs: InForce | None = None,
) -> Advice:
    """The advice for a run whose knobs a person turns: a stop, a turn, to go on, or to wait."""
    alpha = error_rate_per_test(goal, alpha, floors=True, falling=not goal.floors())
    stop = (
        _out_of_steps(run, goal)
        or _target_reached(run, goal, alpha)
        or _floor_broken(run, goal, aims, alpha)
        or _gain_gone(run, goal, alpha)
        or _price_met(run, laws, goal, aims)
    )
    if stop is None and aims.steered is not None:
        advice = steering_advice(run, aims, np.nan if knobs is None else knobs.now)
        basis = [] if aims.from_price or advice.du is None else _basis(laws, aims.steered)
        return replace(advice, reasons=(advice.reasons[0], *basis, *advice.reasons[1:]))
    advice = stop or _unsteered(run, laws, goal, aims, choice, alpha)
    return replace(
        advice,
        reasons=(*advice.reasons, *aims.reasons),
        diversity_target=aims.diversity,
        entropy_target=aims.entropy,
    )


def stop_under_control(run: RunLog, goal: Goal, choice: Choice, alpha: float) -> Advice | None:
    """The stop of a run under a controller; a floor or a price, which it holds, is no reason."""
    alpha = error_rate_per_test(goal, alpha, floors=False, falling=True)
    return (
        _out_of_steps(run, goal)
        or _target_reached(run, goal, alpha)
        or _gain_gone(run, goal, alpha)
        or _quality_falling(run, choice, alpha)
    )


def error_rate_per_test(goal: Goal, alpha: float, floors: bool, falling: bool) -> float:
    """α shared among the tests that a goal can raise, so that all of them together err in α."""
    tests = (goal.target_quality is not None) + (goal.min_gain_per_step is not None) + falling
    tests += len(goal.floors()) if floors else 0
    return alpha / max(tests, 1)


# ---------------------------------------------------------------------- stops


def _out_of_steps(run: RunLog, goal: Goal) -> Advice | None:
    if goal.budget_steps is None or run.step[-1] < goal.budget_steps:
        return None
    return _stop(run, f"the budget of {goal.budget_steps:g} steps is spent", 1.0)


def _target_reached(run: RunLog, goal: Goal, alpha: float) -> Advice | None:
    if goal.target_quality is None:
        return None
    test = level_above(run.step, run.column("quality"), goal.target_quality, run.quality_se)
    return _stop_by(test, alpha, run, f"quality is above the target of {goal.target_quality:g}")


def _floor_broken(run: RunLog, goal: Goal, aims: Targets, alpha: float) -> Advice | None:
    """A floor that is surely broken and not being regained."""
    for column, floor in goal.floors().items():
        steering = aims.steering.get(column)
        if steering is None:
            continue
        # an e-process remembers; what counts is that the floor is still broken
        broken = steering.level + steering.level_se < floor
        if not broken or steering.slope > steering.slope_se:
            continue
        test = level_below(run.step, run.column(column), floor, getattr(run, f"{column}_se"))
        sentence = f"{column} is {steering.level:.3g}, below the floor of {floor:g}"
        stop = _stop_by(test, alpha, run, f"{sentence}, and not recovering")
        if stop is not None:
            return stop
    return None


def _gain_gone(run: RunLog, goal: Goal, alpha: float) -> Advice | None:
    least = goal.min_gain_per_step
    if least is None:
        return None
    test = gain_below(run.step, run.column("quality"), least, run.quality_se)
    return _stop_by(test, alpha, run, f"a step now brings less than {least:g} quality")


def _price_met(run: RunLog, laws: LawFits | None, goal: Goal, aims: Targets) -> Advice | None:
    if aims.p_price_met is None or goal.price is None or aims.p_price_met < P_PAST_OPTIMUM:
        return None
    column = str(goal.priced(run))
    law = law_of(laws, column)
    where = "" if law is None else f" at a {column} of {law.path.mean[-1]:.3g}"
    words = f"the run is past the best {column} at your price{where}: it has gone too far"
    return _stop(run, words, aims.p_price_met, anytime=False)


def _quality_falling(run: RunLog, choice: Choice, alpha: float) -> Advice | None:
    if not _has_enough_readings(run) or not choice.step < run.step[-1]:
        return None
    test = gain_below(run.step, run.column("quality"), 0.0, run.quality_se)
    return _stop_by(test, alpha, run, "quality is falling")


def _has_enough_readings(run: RunLog) -> bool:
    return "quality" in run.columns and np.isfinite(run.column("quality")).sum() >= MIN_READINGS


def _stop_by(test: Evidence, alpha: float, run: RunLog, words: str) -> Advice | None:
    """The stop by an e-process where its evidence is enough."""
    if not test.at_level(alpha):
        return None
    odds = f"{exp(test.log_e):.0f}" if test.log_e < log(1000) else "over 1000"
    basis = f"odds {odds} : 1, by a test that stays valid however often one looks"
    return _stop(run, f"{words} ({basis})", test.confidence)


def _stop(run: RunLog, words: str, confidence: float, anytime: bool = True) -> Advice:
    return Advice(
        action="stop",
        step=float(run.step[-1]),
        reasons=(words,),
        confidence=confidence,
        anytime=anytime,
    )


# ---------------------------------------------------------------------- no stop


def _unsteered(
    run: RunLog,
    laws: LawFits | None,
    goal: Goal,
    aims: Targets,
    choice: Choice,
    alpha: float,
) -> Advice:
    """Neither floor nor optimum: on a price without a law wait, else go by quality alone."""
    step = float(run.step[-1])
    if goal.price is not None:
        return Advice(action="wait", step=step, reasons=(aims.price_problem,))
    stop = _quality_falling(run, choice, alpha)
    if stop is not None:
        return stop
    verdict = _verdict(laws)
    if not _has_enough_readings(run):
        words = "there are too few readings of quality to tell whether it rises"
        return Advice(action="wait", step=step, reasons=(words, verdict))
    if choice.p_rising >= P_RISING:
        return Advice(
            action="continue",
            step=step,
            reasons=("quality is still rising", verdict),
            confidence=choice.p_rising,
        )
    words = "the readings are too noisy to tell whether quality still rises"
    return Advice(action="wait", step=step, reasons=(words, verdict))


def _basis(laws: LawFits | None, column: str) -> list[str]:
    """That a floor is held by readings alone, where no law describes the run."""
    law = law_of(laws, column)
    if law is not None and law.supported:
        return []
    if law is None:
        problem = f"no law of quality on {column} could be fitted"
    else:
        problem = f"the law of quality on {column} is unsupported ({law.reasons[0]})"
    return [f"{problem}: this advice rests on measured {column} alone"]


def _verdict(laws: LawFits | None) -> str:
    """How quality depends on diversity, or else on entropy."""
    columns = ("diversity", "entropy")
    law = next((law for c in columns if (law := law_of(laws, c)) is not None), None)
    if law is None:
        return "no law could be fitted"
    return f"quality on {law.x_name} is {law.verdict}" + "".join(f" ({r})" for r in law.reasons[:1])
