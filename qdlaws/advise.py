"""advise(fits, goal) -> Advice: stop or go on, which checkpoint to keep, how to turn the knobs.

What is said needs no more than it must: a floor on diversity rests on measured diversity alone, an
entropy target on the line H–D, a price on the law R–D. Statements that end a run are made by
e-processes (:mod:`qdlaws.anytime`), so asking at every step does not raise their error rate.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from qdlaws.anytime import Evidence, gain_below, level_above, level_below
from qdlaws.checkpoints import Choice, choose
from qdlaws.errors import BadData, MissingColumn, NotEnoughData
from qdlaws.fit import LawFits, fit
from qdlaws.goal import Goal
from qdlaws.law import Interval
from qdlaws.plain import plain
from qdlaws.rows import column_of, in_force
from qdlaws.runlog import RunLog
from qdlaws.targets import Targets, law_of, targets

__all__ = ["Action", "Advice", "Goal", "advise"]

Array = npt.NDArray[np.float64]
Action = Literal["continue", "stop", "wait", "tighten", "loosen"]

SURE = 0.95


@dataclass(frozen=True, eq=False)
class Advice:
    """What to do now, and why.

    Attributes
    ----------
    action : "continue" | "stop" | "wait" | "tighten" | "loosen"
    checkpoint : step of the checkpoint to keep, of those that exist
    step : the step at which the advice was given, the last of the log
    entropy_target, diversity_target : Interval or None
    kl_factor, reward_scale_factor : by which to multiply the KL strength *or* the reward scale, not
        both (only their ratio sets the target); None where nothing can be said
    confidence : probability that the statement behind the action is true; for a stop it holds over
        all the times that one asked; None for "wait"
    reasons : in words, the most important first
    choice : all that is known of the checkpoints
    anytime : a stop that holds however often one asked; False for any other action, and for a price
        that is met, which rests on the posterior of the law
    """

    action: Action
    checkpoint: float | None
    step: float
    entropy_target: Interval | None
    diversity_target: Interval | None
    kl_factor: float | None
    reward_scale_factor: float | None
    confidence: float | None
    reasons: tuple[str, ...]
    choice: Choice | None = field(default=None, repr=False)
    anytime: bool = False

    def to_dict(self) -> dict[str, Any]:
        """The advice as ``qdlaws advise --json`` prints it."""
        names = (
            *("action", "checkpoint", "step", "entropy_target", "diversity_target"),
            *("kl_factor", "reward_scale_factor", "confidence", "reasons"),
        )
        out: dict[str, Any] = plain({name: getattr(self, name) for name in names})
        for name in ("entropy_target", "diversity_target"):
            if out[name] is not None and out[name]["mid"] is None:
                out[name] = None
        return out

    def summary(self) -> str:
        """The advice in words."""
        sure = "" if self.confidence is None else f" (confidence {min(self.confidence, 0.999):.3g})"
        return "\n".join([f"{self.action}{sure}", *(f"- {r}" for r in self.reasons)])

    def __str__(self) -> str:
        return self.summary()


def advise(
    fits: LawFits | RunLog,
    goal: Goal | None = None,
    *,
    checkpoints: npt.ArrayLike | None = None,
    plant_gain: float | None = None,
    alpha: float = 0.05,
) -> Advice:
    """What to do now.

    Parameters
    ----------
    fits : the fitted laws of a run, or its log
    goal : what is wanted; none means the highest quality
    checkpoints : steps whose checkpoints exist (default: all measured steps)
    plant_gain : −dD/du, what one unit of u = log(reward scale/KL) costs of the column that is
        steered, where it is known (a controller identifies it on line); else the measured prior
    alpha : share of runs in which a stop may be advised wrongly, however often one asks

    Examples
    --------
    >>> import numpy as np, qdlaws as qd
    >>> diversity = np.linspace(.9, .6, 60)
    >>> log = qd.RunLog.from_arrays(range(60), quality=1 - diversity**2, diversity=diversity)
    >>> advise(log, Goal(min_diversity=.7)).action
    'stop'
    """
    goal = goal or Goal()
    log, laws = _parts(fits)
    goal.check(log)
    _refuse_contradiction(laws, goal)
    choice = choose(log, goal, at=checkpoints, fits=laws)
    knobs = None if column_of(log, "kl_coef") is None else in_force(log)
    aim = targets(log, laws, goal, plant_gain, knobs)
    (action, confidence, why), anytime = _decide(log, laws, goal, aim, choice, alpha)
    du = np.nan if action == "wait" else aim.du
    if action in ("stop", "continue") and np.isfinite(du):
        du = min(du, 0.0)  # who goes on as is turns nothing; who stops does not loosen
    turned = np.isfinite(du)
    reasons = [*why, *aim.reasons]
    if turned and du != 0:
        reasons.append(_turn_words(du, aim))
    reasons += _kept_words(choice)
    reasons += _warnings(log)
    return Advice(
        action=action,
        checkpoint=choice.step,
        step=float(log.step[-1]),
        entropy_target=aim.entropy,
        diversity_target=aim.diversity,
        kl_factor=float(np.exp(-du)) if turned else None,
        reward_scale_factor=float(np.exp(du)) if turned else None,
        confidence=confidence,
        reasons=tuple(dict.fromkeys(reasons)),
        choice=choice,
        anytime=anytime,
    )


def _parts(fits: LawFits | RunLog) -> tuple[RunLog, LawFits | None]:
    if isinstance(fits, LawFits):
        return fits.log, fits
    if not isinstance(fits, RunLog):
        raise BadData(f"advise needs LawFits or a RunLog, got {type(fits).__name__}")
    try:
        return fits, fit(fits)
    except (NotEnoughData, MissingColumn):
        return fits, None


def _refuse_contradiction(laws: LawFits | None, goal: Goal) -> None:
    """Raises where the law says that target and floor cannot both be had."""
    if goal.target_quality is None:
        return
    for column, floor in goal.floors().items():
        law = law_of(laws, column)
        if law is None or not law.supported or not law.range[0] <= floor <= law.range[1]:
            continue
        at = law.predict(floor, level=0.98).iloc[0]
        seen = np.max(law.y[law.x >= floor], initial=-np.inf)
        if max(at["high"], seen) < goal.target_quality:
            raise BadData(
                f"contradictory goals: at {column} {floor:g} the law of this run puts quality at "
                f"{at['mid']:.3g} [{at['low']:.3g}, {at['high']:.3g}], below the target of "
                f"{goal.target_quality:g}; lower one of the two"
            )


# ---------------------------------------------------------------------- the decision

Decision = tuple[Action, float | None, list[str]]


def _decide(
    log: RunLog, laws: LawFits | None, goal: Goal, aim: Targets, choice: Choice, alpha: float
) -> tuple[Decision, bool]:
    """The decision, and whether it is a stop that holds at every peek."""
    for rule in (_out_of_steps, _target_reached, _floor_broken, _gain_gone, _price_met):
        decision = rule(log, laws, goal, aim, alpha)
        if decision is not None:
            return decision, rule is not _price_met
    if aim.steered is not None:
        return _steered(laws, goal, aim), False
    if goal.price is not None:
        return ("wait", None, [_no_price(log, laws, goal)]), False
    last = _quality_only(log, laws, choice, alpha)
    return last, last[0] == "stop"


def _out_of_steps(
    log: RunLog, laws: LawFits | None, goal: Goal, aim: Targets, alpha: float
) -> Decision | None:
    if goal.budget_steps is None or log.step[-1] < goal.budget_steps:
        return None
    return "stop", 1.0, [f"the budget of {goal.budget_steps:g} steps is spent"]


def _target_reached(
    log: RunLog, laws: LawFits | None, goal: Goal, aim: Targets, alpha: float
) -> Decision | None:
    if goal.target_quality is None:
        return None
    found = level_above(log.step, log.column("quality"), goal.target_quality, log.quality_se)
    if not found.at_level(alpha):
        return None
    return _stop(found, f"quality is above the target of {goal.target_quality:g}")


def _floor_broken(
    log: RunLog, laws: LawFits | None, goal: Goal, aim: Targets, alpha: float
) -> Decision | None:
    """A floor that is surely broken and not being regained."""
    for column, floor in goal.floors().items():
        se = getattr(log, f"{column}_se")
        found = level_below(log.step, log.column(column), floor, se)
        now = aim.steering.get(column)
        # an e-process remembers; what counts is that the floor is still broken
        still = now is not None and now.level + now.level_se < floor
        still = still and now is not None and not now.slope > now.slope_se
        if found.at_level(alpha) and still and now is not None:
            words = f"{column} is {now.level:.3g}, below the floor of {floor:g}, and not recovering"
            return _stop(found, words)
    return None


def _gain_gone(
    log: RunLog, laws: LawFits | None, goal: Goal, aim: Targets, alpha: float
) -> Decision | None:
    if goal.min_gain_per_step is None:
        return None
    least = goal.min_gain_per_step
    found = gain_below(log.step, log.column("quality"), least, log.quality_se)
    if not found.at_level(alpha):
        return None
    return _stop(found, f"a step now brings less than {least:g} quality")


def _price_met(
    log: RunLog, laws: LawFits | None, goal: Goal, aim: Targets, alpha: float
) -> Decision | None:
    if aim.p_price_met is None or goal.price is None or aim.p_price_met < SURE:
        return None
    words = (
        f"the operating point is passed: one more unit of {goal.priced(log)} is worth "
        f"{goal.price:g} to you and costs less in quality than that only above it"
    )
    return "stop", aim.p_price_met, [words]


def _stop(found: Evidence, words: str) -> Decision:
    odds = f"{np.exp(found.log_e):.0f}" if found.log_e < np.log(1000) else "over 1000"
    sure = f"odds {odds} : 1 by a test that may be asked at every step"
    return "stop", found.confidence, [f"{words} ({sure})"]


def _steered(laws: LawFits | None, goal: Goal, aim: Targets) -> Decision:
    assert aim.steered is not None
    now = aim.steering[aim.steered]
    rests = [] if aim.from_law else _rests_on_readings(laws, aim.steered)
    if not np.isfinite(aim.du):
        return "wait", None, [f"fewer than 3 readings of {aim.steered}: too few to steer by"]
    where = f"{aim.steered} is {now.level:.3g} ± {now.level_se:.2g}"
    if np.isfinite(now.slope):
        where += f", changing by {now.slope:+.2g} an evaluation"
    where += f"; the target is {now.target:.3g}"
    if aim.du < 0:
        sure = now.p_below if np.isfinite(now.p_below) else None
        word = "missed now" if now.level < now.target else "left alone it would soon be missed"
        return "tighten", sure, [f"{where}: {word}", *rests]
    above = 1 - now.p_below
    if aim.du > 0 and not now.falling:
        return "loosen", above, [f"{where}: there is some to spend", *rests]
    word = "it falls towards it by itself" if now.falling else "near enough"
    return "continue", above, [f"{where}: {word}", *rests]


def _rests_on_readings(laws: LawFits | None, column: str) -> list[str]:
    law = law_of(laws, column)
    if law is None:
        return [f"no law of quality on {column}: this rests on measured {column} alone"]
    if not law.supported:
        return [
            f"quality on {column} is unsupported ({law.reasons[0]}): "
            f"this rests on measured {column} alone"
        ]
    return []


def _no_price(log: RunLog, laws: LawFits | None, goal: Goal) -> str:
    column = goal.priced(log) or "diversity"
    law = law_of(laws, column)
    if law is None:
        return f"a price needs a law of quality on {column}, and none could be fitted yet"
    why = f"{law.verdict}: {law.reasons[0]}" if law.reasons else law.verdict
    return f"a price needs a concave law of quality on {column}; this one is {why}"


def _quality_only(log: RunLog, laws: LawFits | None, choice: Choice, alpha: float) -> Decision:
    """No floor and no price: go on while quality rises, stop when it surely falls."""
    law = next((f for c in ("diversity", "entropy") if (f := law_of(laws, c)) is not None), None)
    verdict = (
        [f"quality on {law.x_name} is {law.verdict}" + "".join(f" ({r})" for r in law.reasons[:1])]
        if law is not None
        else ["no law could be fitted"]
    )
    if "quality" not in log.columns or choice.table["step"].size < 5:
        return "wait", None, ["too few readings of quality to say where it goes", *verdict]
    falling = gain_below(log.step, log.column("quality"), 0.0, log.quality_se)
    late = choice.step < log.step[-1]
    if falling.at_level(alpha) and late:
        return _stop(falling, "quality is falling")
    if choice.p_rising >= 0.9:
        return "continue", choice.p_rising, ["quality is still rising", *verdict]
    return "wait", None, ["whether quality still rises cannot be told from its noise", *verdict]


# ---------------------------------------------------------------------- words


def _turn_words(du: float, aim: Targets) -> str:
    way = "up" if du < 0 else "down"
    source = "as given" if aim.gain_known else "a prior from other runs, so small steps"
    gain, plant = aim.gain, aim.steering[str(aim.steered)].plant
    if plant is not None:
        gain, source = plant.gain, "from the turns that this run has made"
    return (
        f"multiply the KL strength by {np.exp(-du):.3g} ({way}) or the reward scale by "
        f"{np.exp(du):.3g}, not both; a unit of log(reward scale/KL) is taken to cost "
        f"{gain:.2g} {aim.steered} ({source})"
    )


def _kept_words(choice: Choice) -> list[str]:
    first, *rest = choice.reasons
    return [f"of the checkpoints that exist keep {choice.step:g}: {first}", *rest]


def _warnings(log: RunLog) -> list[str]:
    """Diversity without duplicates hides collapse: .67 was measured with 6 % unique."""
    names = ("unique_share", "unique", "diversity_unique_share", "unique_fraction")
    found = next((c for n in names if (c := column_of(log, n)) is not None), np.empty(0))
    known = found[np.isfinite(found)]
    if not len(known) or not 0 <= known[-1] < 0.5:
        return []
    hides = "a diversity that leaves duplicates out hides this collapse"
    return [f"only {known[-1]:.0%} of the samples are unique: {hides}"]
