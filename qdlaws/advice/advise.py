"""advise(fits, goal) -> Advice: stop or go on, which checkpoint to keep, how to turn the knobs.

What is said needs no more than it must: a floor on diversity rests on measured diversity alone, an
entropy target on the line H–D, a price on the law R–D. Statements that end a run are made by
e-processes (:mod:`qdlaws.inference.e_process`), so asking at every step does not raise their error
rate.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from qdlaws.advice.checkpoints import Choice, choose
from qdlaws.advice.rules import Action, decide
from qdlaws.control.knobs import in_force
from qdlaws.control.targets import Targets, law_of, targets
from qdlaws.core.goal import Goal
from qdlaws.core.interval import Interval, show
from qdlaws.core.run_rows import extra_column
from qdlaws.core.runlog import RunLog
from qdlaws.core.serialize import chance, plain
from qdlaws.core.summary import Result, Summary
from qdlaws.errors import BadData, MissingColumn, NotEnoughData
from qdlaws.laws.fit import fit
from qdlaws.laws.result import LawFits

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

__all__ = ["MEANINGS", "Action", "Advice", "Goal", "advise"]

MEANINGS: Mapping[Action, str] = {
    "continue": "go on as it is",
    "stop": "end the run",
    "wait": "the log does not say enough yet",
    "tighten": "hold the policy closer to its reference",
    "loosen": "let the policy move farther from its reference",
}
"""What each action asks for."""


@dataclass(frozen=True, eq=False, repr=False)
class Advice(Result):
    """What to do now, and why. A stop turns no knob.

    Attributes
    ----------
    action : "continue" | "stop" | "wait" | "tighten" | "loosen"
    checkpoint : step of the checkpoint to keep, of those that exist
    step : the step at which the advice was given, the last of the log
    entropy_target, diversity_target : Interval or None
    kl_factor, reward_scale_factor : by which to multiply the KL strength *or* the reward scale, not
        both (only their ratio sets the target); None where nothing can be said, and for a stop
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
    choice: Choice | None = None
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

    def to_frame(self) -> pd.DataFrame:
        """One row; those of several decisions make a table of a run."""
        import pandas as pd

        values = self.to_dict() | {"reasons": "; ".join(self.reasons)}
        for name in ("entropy_target", "diversity_target"):
            target = getattr(self, name)
            values[name] = target.mid if target is not None else math.nan
        return pd.DataFrame([values])

    def summary(self) -> Summary:
        """The advice in words and numbers."""
        sure = "" if self.confidence is None else f" ({chance(self.confidence)} sure)"
        rows: list[tuple[str, str]] = []
        if self.checkpoint is not None:
            rows.append(("keep checkpoint", f"{self.checkpoint:g}"))
        for name, target in (
            ("diversity target", self.diversity_target),
            ("entropy target", self.entropy_target),
        ):
            if target is not None and target.known:
                rows.append((name, show(target)))
        return Summary(
            f"Advice at step {self.step:g}",
            verdict=f"{self.action}: {MEANINGS[self.action]}{sure}",
            rows=tuple(rows),
            remarks=self.reasons,
        )

    def plot(self, ax: Axes | None = None) -> Axes:
        """The checkpoints with their estimated quality, and the one to keep."""
        if self.choice is None:
            raise BadData("this advice compared no checkpoints, so there is nothing to draw")
        ax = self.choice.plot(ax)
        ax.set_title(f"{self.action}: {MEANINGS[self.action]}")
        return ax


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
    knobs = None if extra_column(log, "kl_coef") is None else in_force(log)
    aim = targets(log, laws, goal, plant_gain, knobs)
    (action, confidence, why), anytime = decide(log, laws, goal, aim, choice, alpha)
    du = np.nan if action in ("wait", "stop") else aim.du  # a run that ends has no knob to turn
    if action == "continue" and np.isfinite(du):
        du = min(du, 0.0)  # who goes on as is turns nothing
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
    found = next((c for n in names if (c := extra_column(log, n)) is not None), np.empty(0))
    known = found[np.isfinite(found)]
    if not len(known) or not 0 <= known[-1] < 0.5:
        return []
    hides = "a diversity that leaves duplicates out hides this collapse"
    return [f"only {known[-1]:.0%} of the samples are unique: {hides}"]
