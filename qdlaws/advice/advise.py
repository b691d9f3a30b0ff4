"""advise(fits, goal) -> Advice: stop or go on, which checkpoint to keep, how to turn the knobs.

Each advice rests on as little as it needs: a floor on diversity on measured diversity alone, an
entropy target on the line H–D, a price on the law R–D. A run is ended by e-processes
(:mod:`qdlaws.inference.e_process`), so looking at every step does not raise their error rate.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from qdlaws.advice.alarms import alarms
from qdlaws.advice.checkpoints import choose
from qdlaws.advice.rules import decide, stop_under_control
from qdlaws.advice.saved_checkpoints import saved_steps
from qdlaws.control.knobs import in_force, sigma_in_force
from qdlaws.control.targets import Targets, law_of, targets
from qdlaws.core.advice import Action, Advice, Choice
from qdlaws.core.goal import Goal
from qdlaws.core.run_rows import extra_column
from qdlaws.core.runlog import RunLog
from qdlaws.errors import BadData, MissingColumn, NotEnoughData
from qdlaws.laws.fit import fit
from qdlaws.laws.result import LawFits
from qdlaws.readers.reading import Where, as_log

__all__ = ["Action", "Advice", "advise", "advise_run"]


def advise(
    fits: LawFits | RunLog | Where,
    goal: Goal | None = None,
    *,
    checkpoints: npt.ArrayLike | None = None,
    plant_gain: float | None = None,
    alpha: float = 0.05,
) -> Advice:
    """What to do now.

    Parameters
    ----------
    fits : the fitted laws of a run, or its log; a path is read with :func:`qdlaws.read`
    goal : what is wanted; none means the highest quality
    checkpoints : steps whose checkpoints exist; by default those in the folder that the log was
        read from, where there are none the rows of the log
    plant_gain : −dD/du, what one unit of u = log(reward scale/KL) costs of the column that is
        steered (a controller identifies it on line); without it that of other runs
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
    log, laws = _log_and_laws(fits)
    goal.check(log)
    _refuse_contradiction(laws, goal)
    try:
        choice = choose(log, goal, at=_existing(log, checkpoints), fits=laws)
    except NotEnoughData:
        return Advice(action="wait", step=float(log.step[-1]), reasons=(_unread(log, goal),))
    ringing = alarms(log, choice)
    knobs = None if extra_column(log, "kl_coef") is None else in_force(log)
    aims = targets(log, laws, goal, plant_gain, knobs)
    advice = decide(log, laws, goal, aims, choice, alpha, knobs, ringing)
    advice = replace(advice, sigma=sigma_in_force(log), clock=log.clock)
    if advice.du:
        advice = replace(advice, reasons=(*advice.reasons, _turn_words(advice, aims)))
    return _with_checkpoint(replace(advice, alarms=ringing, notes=log.notes), log, choice)


def advise_run(
    log: RunLog,
    goal: Goal,
    turn: Advice | None = None,
    *,
    checkpoints: npt.ArrayLike | None = None,
    may_stop: bool = False,
    plant_gain: float | None = None,
    alpha: float = 0.05,
) -> Advice:
    """The one decision at an evaluation of a run that is running.

    Without a controller it is that of :func:`advise`. Under a controller it is the ``turn`` that
    this decided on, or, where the run may stop and a test says so, a stop, which turns nothing.
    A problem with the goal or the log is a reason to wait, never an error that ends a run.
    """
    try:
        if turn is None:
            return advise(log, goal, checkpoints=checkpoints, plant_gain=plant_gain, alpha=alpha)
        _, laws = _log_and_laws(log)
        choice = choose(log, goal, at=checkpoints, fits=laws)
    except (NotEnoughData, MissingColumn, BadData) as problem:  # no advice is a reason to end a run
        return turn or Advice(action="wait", step=float(log.step[-1]), reasons=(str(problem),))
    stop = stop_under_control(log, goal, choice, alpha) if may_stop else None
    return _with_checkpoint(stop or turn, log, choice)


def _existing(log: RunLog, checkpoints: npt.ArrayLike | None) -> npt.ArrayLike | None:
    """The steps whose checkpoints exist, as given or as they lie beside the log."""
    if checkpoints is not None:
        return checkpoints
    saved = saved_steps(log)
    measured = saved[np.isin(saved, log.step)]
    return measured if len(measured) else None


def _unread(log: RunLog, goal: Goal) -> str:
    """Why there is nothing to go by: the columns without a reading, or never read together."""
    columns = {c: np.isfinite(log.column(c)) for c in (*log.columns, *goal.floors())}
    empty = [c for c, read in columns.items() if not read.any()]
    if not empty:
        return f"no row has a reading of each of {', '.join(columns)}"
    return f"{' and '.join(empty)}: no reading yet in {len(log)} rows; nothing can be said"


def _with_checkpoint(advice: Advice, log: RunLog, choice: Choice) -> Advice:
    first, *others = choice.reasons
    fell = any(alarm.rollback is not None for alarm in advice.alarms)
    verb = "Go back to" if fell and advice.action == "stop" else "Keep"
    kept = (f"{verb} {choice.noun} {choice.step:g}: {first}", *others)
    reasons = tuple(dict.fromkeys((*advice.reasons, *kept, *_warnings(log))))
    return replace(advice, reasons=reasons, checkpoint=choice.step, choice=choice)


def _log_and_laws(fits: LawFits | RunLog | Where) -> tuple[RunLog, LawFits | None]:
    if isinstance(fits, LawFits):
        return fits.log, fits
    log = as_log(fits)
    if not isinstance(log, RunLog):
        raise BadData(f"advise needs LawFits, a RunLog or a path, got {type(log).__name__}")
    try:
        return log, fit(log)
    except (NotEnoughData, MissingColumn):
        return log, None


def _refuse_contradiction(laws: LawFits | None, goal: Goal) -> None:
    """Raises where the law says that target and floor cannot both be had."""
    if goal.target_quality is None:
        return
    for column, floor in goal.floors().items():
        law = law_of(laws, column)
        if law is None or not law.supported or not law.range[0] <= floor <= law.range[1]:
            continue
        quality = law.predict(floor, level=0.98).iloc[0]
        measured = np.max(law.y[law.x >= floor], initial=-np.inf)
        if max(quality["high"], measured) < goal.target_quality:
            raise BadData(
                f"contradictory goals: at {column} {floor:g} the law of this run puts quality at "
                f"{quality['mid']:.3g} [{quality['low']:.3g}, {quality['high']:.3g}], below the "
                f"target of {goal.target_quality:g}; lower one of the two"
            )


# ---------------------------------------------------------------------- words


def _turn_words(advice: Advice, aims: Targets) -> str:
    """The turn as a person makes it, and the gain that its size rests on."""
    plant, gain = aims.steering[str(aims.steered)].plant, aims.gain
    if aims.gain_source == "this run" and plant is not None:
        gain, source = plant.gain, "estimated from the turns that this run has made"
    elif aims.gain_source == "given":
        source = "as given"
    else:
        source = "a prior from other runs, so the step is small"
    factor, inverse = (float(np.exp(sign * (advice.du or 0.0))) for sign in (1, -1))
    if advice.sigma is None:
        way, doubt = "down" if factor > 1 else "up", "halving the KL strength"
        turn = (
            f"multiply the KL strength by {inverse:.3g} ({way}) or the reward scale by "
            f"{factor:.3g}, not both"
        )
    else:
        way, doubt = "up" if factor > 1 else "down", "doubling σ"
        change = f": {advice.sigma:.4g} → {advice.sigma * factor:.4g}" * bool(
            np.isfinite(advice.sigma)
        )
        turn = f"multiply σ by {factor:.3g} ({way}{change})"
    return f"{turn}; assumed: {doubt} lowers {aims.steered} by {gain * np.log(2):.2g} ({source})"


def _warnings(log: RunLog) -> list[str]:
    """Diversity without duplicates hides collapse: .67 was measured with 6 % unique."""
    names = ("unique_share", "unique", "diversity_unique_share", "unique_fraction")
    shares = next((c for n in names if (c := extra_column(log, n)) is not None), np.empty(0))
    shares = shares[np.isfinite(shares)]
    if not len(shares) or not 0 <= shares[-1] < 0.5:
        return []
    hides = "a diversity that leaves duplicates out hides this collapse"
    return [f"only {shares[-1]:.0%} of the samples are unique: {hides}"]
