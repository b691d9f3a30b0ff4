"""The rules behind an advice, tried in turn: the first that applies decides.

    out of steps → target reached → floor broken → gain gone → price met → steered → quality alone

A stop is *certain* by an e-process (:mod:`qdlaws.inference.e_process`), which is wrong in at most α
of runs however often one looks, and *likely* by the forecast of quality
(:mod:`qdlaws.advice.gain_ahead`) or by a posterior, as calibrated on real runs.
"""

from __future__ import annotations

from dataclasses import replace
from math import exp, log

import numpy as np

from qdlaws.advice.gain_ahead import GainAhead, gain_ahead
from qdlaws.advice.slowdown import probability_slowed
from qdlaws.control.controller import steering_advice
from qdlaws.control.knobs import InForce
from qdlaws.control.targets import Targets, law_of
from qdlaws.core.advice import Advice, Alarm, Choice
from qdlaws.core.goal import Goal
from qdlaws.core.runlog import RunLog
from qdlaws.core.serialize import chance
from qdlaws.inference.e_process import Evidence, gain_below, level_above, level_below
from qdlaws.laws.result import LawFits

__all__ = ["decide", "gain_has_shrunk", "stop_under_control"]

P_PAST_OPTIMUM = 0.95
"""The probability of being past the optimum of the price that ends a run."""

P_NOTHING_LEFT = 0.05
"""A run without a goal has saturated where a gain worth having is less probable than this: of real
runs stopped so at half their length, one in ten or fewer gave up half a standard deviation."""

P_RISES = 0.9
"""Quality is said to rise where it exceeds its best so far with this probability, and where its
80 % interval rises or a gain of a tenth has …"""
P_SURE_GAIN = 0.75
"""… this one."""

P_CLEAR_GAIN = 0.5
"""It goes on where quality gains a tenth of its range more with this probability."""

P_SLOWED = 0.998
"""The probability that the run has slowed with which the forecast may end it at a cost …"""

ODDS_OF_A_LIKELY_STOP = 2.0
"""… or else the e-value against "a step has brought the cost all along".

The forecast alone cannot: it expects trends to fade, and a slow error looks like a lost gain, so it
stops up to all runs that gain their cost evenly. One of the two is asked for beside it. Looked at
after every third reading, runs that gain just their cost are then stopped falsely in a few of a
hundred where errors last longest (benchmarks/stopping.py)."""

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
    alarms: tuple[Alarm, ...] = (),
) -> Advice:
    """The advice for a run whose knobs a person turns: a stop, a turn, to go on, or to wait."""
    gain = gain_ahead(run, goal, choice) if _has_enough_readings(run) else None
    alpha = error_rate_per_test(goal, alpha, floors=True, falling=not goal.floors())
    stop = (
        _out_of_steps(run, goal)
        or _target_reached(run, goal, alpha)
        or _floor_broken(run, goal, aims, alpha)
        or _gain_gone(run, goal, alpha)
        or _gain_below_cost(run, goal, gain)
        or _price_met(run, laws, goal, aims)
    )
    if stop is None and aims.steered is not None and gain is not None:
        stop = _fallen(run, gain, alarms)
    if stop is None and aims.steered is not None:
        advice = steering_advice(run, aims, np.nan if knobs is None else knobs.now)
        basis = [] if aims.from_price or advice.du is None else _basis(laws, aims.steered)
        return replace(advice, reasons=(advice.reasons[0], *basis, *advice.reasons[1:]))
    advice = stop or _unsteered(run, laws, goal, aims, choice, alpha, gain, alarms)
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
    return _stop(run, f"the budget of {goal.budget_steps:g} {run.clock}s is spent", 1.0)


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
    return _stop_by(test, alpha, run, f"{_a(run)} now brings less than {least:g} quality")


def _gain_below_cost(run: RunLog, goal: Goal, gain: GainAhead | None) -> Advice | None:
    """Further steps are not worth their cost, by the forecast."""
    cost = goal.min_gain_per_step
    if cost is None or gain is None or gain.worth_of_going_on(cost)[0] > 0:
        return None
    if not gain_has_shrunk(run, cost):
        return None
    words = (
        f"further {run.clock}s are not worth {cost:g} quality each: {_change_words(run, gain)}, "
        "and the chance of more is too small"
    )
    return _stop(run, words, 1 - gain.probability(cost * gain.horizon), anytime=False)


def gain_has_shrunk(run: RunLog, cost: float) -> bool:
    """Whether the readings, not the forecast alone, show that a step brings less than this cost."""
    quality, errors = run.column("quality"), run.quality_se
    if probability_slowed(run.step, quality, errors) >= P_SLOWED:
        return True
    return gain_below(run.step, quality, cost, errors).at_level(1 / ODDS_OF_A_LIKELY_STOP)


def _price_met(run: RunLog, laws: LawFits | None, goal: Goal, aims: Targets) -> Advice | None:
    price = aims.price
    if price is None or not price.supported or price.p_rate_below < P_PAST_OPTIMUM:
        return None
    return _stop(run, f"{price.rate_words()}: the run has gone too far", price.p_rate_below, False)


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
    basis = (
        f"odds {odds} : 1, by a test that is wrong in at most {alpha:.2g} of runs however often "
        "one looks"
    )
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
    gain: GainAhead | None,
    alarms: tuple[Alarm, ...],
) -> Advice:
    """Neither floor nor optimum: by the price where the law answers it, else by quality alone."""
    step = float(run.step[-1])
    if goal.price is not None:
        return _by_price(step, aims, _verdict(run, laws))
    stop = _quality_falling(run, choice, alpha)
    if stop is not None:
        return stop
    verdict = _verdict(run, laws)
    if not _has_enough_readings(run):
        words = "there are too few readings of quality to tell whether it rises"
        return Advice(action="wait", step=step, reasons=(words, verdict))
    if gain is None:
        value = np.nanmax(run.column("quality"))
        words = f"quality has been {value:.4g} at every reading: nothing shows how it may change"
        return Advice(action="wait", step=step, reasons=(words, verdict))
    return _by_quality(run, goal, gain, alarms, verdict)


def _by_quality(
    run: RunLog, goal: Goal, gain: GainAhead, alarms: tuple[Alarm, ...], verdict: str
) -> Advice:
    """Go back after a fall, stop where nothing is left to gain, go on at a clear gain, or wait."""
    step, change = float(run.step[-1]), _change_words(run, gain)
    if goal.min_gain_per_step is not None:
        worth, ahead, mean = gain.worth_of_going_on(goal.min_gain_per_step)
        steps = f"{_count(run, ahead)} {run.clock}s"
        words = f"no reason to stop at this cost yet: {mean:+.2g} is expected in {steps}"
        if worth <= 0:
            words = (
                f"the forecast does not bring this cost ({mean:+.2g} in {steps}), "
                f"but the readings so far do not yet show that {_a(run)} brings less"
            )
        return Advice(action="continue", step=step, reasons=(words, change, verdict))
    stop = _fallen(run, gain, alarms)
    if stop is not None:
        return stop
    small = gain.probability(gain.worth_having)
    odds = (
        f"more than {gain.worth_having:.2g} above the best so far has a probability of "
        f"{chance(small)}"
    )
    if small <= P_NOTHING_LEFT:
        words = f"quality has stopped rising: {change}; {odds}"
        return _stop(run, words, 1 - small, anytime=False)
    if not gain.has_moved:
        words = (
            f"quality has hardly moved in {_count(run, gain.length)} {run.clock}s: its level "
            f"stayed within {gain.range:.2g}, and means of a twentieth of the readings scatter by "
            f"{gain.noise:.2g}"
        )
        return Advice(
            action="wait", step=step, reasons=(words, change, _settles(run, gain), verdict)
        )
    clear, some = gain.probability(gain.tenth), gain.probability(0.0)
    rising = some >= P_RISES and (gain.change.low > 0 or clear >= P_SURE_GAIN)
    if rising or clear >= P_CLEAR_GAIN:
        words = f"quality {'is still rising' if rising else 'probably gains more'}: {change}"
        if clear >= P_CLEAR_GAIN:
            odds = (
                f"at some time in them it exceeds the best so far by {gain.tenth:.2g} with "
                f"probability {chance(clear)}"
            )
        return Advice(
            action="continue",
            step=step,
            reasons=(words, odds, verdict),
            confidence=some if rising else clear,
        )
    words = f"a further gain is neither clear nor ruled out: {change}; {odds}"
    return Advice(action="wait", step=step, reasons=(words, _settles(run, gain), verdict))


def _fallen(run: RunLog, gain: GainAhead, alarms: tuple[Alarm, ...]) -> Advice | None:
    """Quality fell from its best, and the forecast does not bring it back."""
    alarm = next((alarm for alarm in alarms if alarm.kind == "quality fell"), None)
    back = gain.probability(0.0)
    if alarm is None or back >= P_CLEAR_GAIN:
        return None
    words = f"quality fell and is not coming back: {_change_words(run, gain)}"
    return _stop(run, words, 1 - back, anytime=False)


def _by_price(step: float, aims: Targets, verdict: str) -> Advice:
    price = aims.price
    if price is None:
        return Advice(action="wait", step=step, reasons=(aims.price_problem,))
    if price.supported and price.p_rate_below <= 1 - P_PAST_OPTIMUM:
        words = f"{price.rate_words()}: going on pays"
        return Advice(
            action="continue",
            step=step,
            reasons=(words, verdict),
            confidence=1 - price.p_rate_below,
        )
    words = f"{price.rate_words()}: which way pays is open"
    if not price.supported:
        words, verdict = aims.price_problem, price.rate_words()
    return Advice(action="wait", step=step, reasons=(words, verdict))


def _change_words(run: RunLog, gain: GainAhead) -> str:
    """The expected change of quality in so many steps, with its interval."""
    change = gain.change
    return (
        f"{change.mid:+.2g} [{change.low:+.2g}, {change.high:+.2g}] in the next "
        f"{_count(run, gain.horizon)} {run.clock}s"
    )


def _count(run: RunLog, steps: float) -> str:
    """A number of steps, whole where the log counts whole ones; a clock in epochs has fractions."""
    whole = bool((run.step % 1 == 0).all())
    return f"{steps:.0f}" if whole or steps >= 10 else f"{steps:.2g}"


def _a(run: RunLog) -> str:
    return "an epoch" if run.clock == "epoch" else "a step"


def _settles(run: RunLog, gain: GainAhead) -> str:
    """What would settle whether quality still rises."""
    _, error = gain.level
    later = run.step[-1] + gain.horizon
    if 2 * error > gain.tenth:
        readings = max(int(np.ceil((2 * error / gain.tenth) ** 2)), 2)
        return (
            f"what would settle it: the present level is known to ± {error:.2g} only; "
            f"{min(readings, 20)}{' or more' * (readings > 20)} evaluations of the newest "
            f"checkpoint, or a look again at {run.clock} {_count(run, later)}"
        )
    return f"what would settle it: a look again at {run.clock} {_count(run, later)}"


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


def _verdict(run: RunLog, laws: LawFits | None) -> str:
    """How quality depends on diversity, or else on entropy."""
    columns = ("diversity", "entropy")
    law = next((law for c in columns if (law := law_of(laws, c)) is not None), None)
    if law is None:
        measured = {"diversity", "entropy"} & set(run.columns)
        return "no law could be fitted" if measured else "no diversity, no entropy, hence no law"
    return f"quality on {law.x_name} is {law.verdict}" + "".join(f" ({r})" for r in law.reasons[:1])
