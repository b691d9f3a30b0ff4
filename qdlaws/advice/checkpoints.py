"""Choosing among the checkpoints that exist, by the posterior of their true values.

The checkpoint with the highest reading is mostly a lucky one (the winner's curse). Here the true
quality of every checkpoint is inferred from all readings (:mod:`qdlaws.inference.true_values`), the
checkpoint with the highest posterior mean is kept, and the value stated for it is its posterior,
which has no curse. A floor is met with a stated probability, not by a reading.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import pandas as pd

from qdlaws.advice.next_measurement import P_WRONG_WORTH_A_WORD, next_measurement
from qdlaws.core.advice import Choice, alike_words
from qdlaws.core.goal import Goal
from qdlaws.core.interval import Interval
from qdlaws.core.runlog import RunLog
from qdlaws.core.serialize import chance
from qdlaws.core.types import Array, Flags, Rows
from qdlaws.errors import BadData, NotEnoughData
from qdlaws.inference.true_values import TrueValues, true_values
from qdlaws.laws.fitted import mean_curve
from qdlaws.laws.result import LawFit, LawFits

__all__ = ["Choice", "choose"]

P_MEETS = 0.9
"""The probability with which a checkpoint must hold the floors."""

P_BETTER = 0.9
"""The probability of being better from which two checkpoints are distinguished."""

P_ALIKE = 0.5
"""A chance of choosing wrongly from which the checkpoints are said to be alike."""

MOST_ROWS = 2000
"""A longer log is judged by the means of blocks of its rows; a saved checkpoint ends a block."""

MARGIN = 0.05
"""Wrongly chosen: worse than the best by more than this share of the range of the true values."""


def choose(
    log: RunLog,
    goal: Goal | None = None,
    *,
    at: npt.ArrayLike | None = None,
    fits: LawFits | None = None,
    level: float = 0.9,
) -> Choice:
    """The checkpoint to keep.

    Parameters
    ----------
    log : RunLog
    goal : floors, a price or a target; none means the highest quality
    at : the steps whose checkpoints exist (default: every row with a reading)
    fits : fitted laws; a supported law of quality helps to tell true values from noise
    level : level of the stated intervals

    Examples
    --------
    >>> import qdlaws as qd
    >>> choice = qd.choose(qd.example_log(), qd.Goal(min_diversity=0.4))
    >>> choice.step
    165.0
    """
    goal = goal or Goal()
    goal.check(log)
    main = "quality" if "quality" in log.columns else log.columns[0]
    complete = np.isfinite(log.column(main))
    for column in (*goal.floors(), *filter(None, [goal.priced(log)])):
        complete &= np.isfinite(log.column(column))
    if not complete.any():
        raise NotEnoughData("no checkpoint has all that the goal speaks of")
    log = log.take(complete).in_blocks(MOST_ROWS, () if at is None else at)
    estimates = {c: _estimate(log, c, fits) for c in _needed(log, goal, main)}
    candidates = _Candidates(log, goal, main, estimates, _existing(log.step, at))
    return _choice(candidates, level, saved=at is not None)


@dataclass(frozen=True, eq=False)
class _Candidates:
    """The checkpoints to choose from, with joint draws of their true values."""

    log: RunLog
    goal: Goal
    main: str
    """The column that is chosen by: quality where there is one."""
    estimates: dict[str, TrueValues]
    rows: Rows
    """The rows of the log whose checkpoints exist."""

    def draws(self, column: str) -> Array:
        """True values of a column. (draws, checkpoints)"""
        return self.estimates[column].draws[:, self.rows]

    def meets(self) -> Flags:
        """Whether a draw holds the floors and reaches the target. (draws, checkpoints)"""
        met = np.ones_like(self.draws(self.main), dtype=bool)
        for column, floor in self.goal.floors().items():
            met &= self.draws(column) >= floor
        if self.goal.target_quality is not None:
            met &= self.draws("quality") >= self.goal.target_quality
        return met

    def worth(self) -> Array:
        """What is to be as large as possible. (draws, checkpoints)"""
        worth = self.draws(self.main)
        if self.goal.target_quality is not None:
            # enough quality is enough: of those that have it, the most diverse
            diverse = next((c for c in ("diversity", "entropy") if c in self.estimates), self.main)
            worth = self.draws(diverse)
        priced = self.goal.priced(self.log)
        if priced is not None and self.goal.price is not None:
            worth = worth + self.goal.price * self.draws(priced)
        return worth


def _needed(log: RunLog, goal: Goal, main: str) -> tuple[str, ...]:
    """The columns that the goal speaks of; with a target, the diversity that is to be kept too."""
    columns = {main, *goal.floors(), *filter(None, [goal.priced(log)])}
    if goal.target_quality is not None:
        columns |= {c for c in ("diversity", "entropy") if c in log.columns}
    return tuple(c for c in log.columns if c in columns)


def _existing(step: Array, checkpoints: npt.ArrayLike | None) -> Rows:
    if checkpoints is None:
        return np.arange(len(step))
    rows = np.flatnonzero(np.isin(step, np.asarray(checkpoints, float)))
    if not len(rows):
        raise BadData(
            f"none of the given checkpoints is among the measured steps {step[0]:g}…{step[-1]:g}"
        )
    return rows


def _estimate(log: RunLog, name: str, fits: LawFits | None) -> TrueValues:
    """The true values of a column, missing readings interpolated."""
    y, se = log.column(name), getattr(log, f"{name}_se")
    finite = np.isfinite(y)
    if not finite.all():  # not what is chosen by; a goal's columns have no gaps here
        y = np.interp(log.step, log.step[finite], y[finite]) if finite.any() else np.zeros(len(y))
    if se is not None:
        good = np.isfinite(se) & (se > 0)
        se = np.where(good, se, np.median(se[good])) if good.any() else None
    return true_values(log.step, y, se, _law_column(log, fits) if name == "quality" else None)


def _law_column(log: RunLog, fits: LawFits | None) -> Array | None:
    """Quality as the law of another column has it."""
    for law in (fits.rd, fits.rh) if fits is not None else ():
        if not isinstance(law, LawFit) or not law.supported or law.x_name not in log.columns:
            continue
        if law.left_out is not None:  # it says nothing of checkpoints after a collapse
            continue
        inside = np.isfinite(law.path.mean)
        x = np.interp(log.step, law.step[inside], law.path.mean[inside])
        return mean_curve(law.draws, x)
    return None


def _choice(candidates: _Candidates, level: float, saved: bool) -> Choice:
    log, rows, main = candidates.log, candidates.rows, candidates.main
    worth, p_goal = candidates.worth(), candidates.meets().mean(0)
    meets = p_goal >= P_MEETS
    if meets.any():
        best = int(np.argmax(np.where(meets, worth.mean(0), -np.inf)))
    else:
        nearest = np.round(p_goal, 2) == np.round(p_goal.max(), 2)
        short = next(iter(candidates.goal.floors()), main)  # of equals the one that lacks least
        best = int(np.argmax(np.where(nearest, candidates.draws(short).mean(0), -np.inf)))
    among = meets if meets.any() else np.ones(len(rows), bool)
    margin = MARGIN * float(np.ptp(worth.mean(0)))
    p_best, p_wrong, regret = _risk(worth, among, best, margin)
    measure = None
    if candidates.goal.target_quality is None and meets.any():
        noise = candidates.estimates[main].noise[rows]
        measure = next_measurement(log, rows, worth, candidates.draws(main), noise, among, margin)
    values = {c: _interval(candidates.draws(c)[:, best], level) for c in candidates.estimates}
    several = meets.any() and p_wrong >= P_ALIKE and margin > 0
    alike = _alike(worth, among, best) if several else np.empty(0, int)
    alike_steps = tuple(float(step) for step in log.step[rows[alike]])
    reasons = _reasons(candidates, best, values[main], p_goal, p_wrong, margin, alike_steps)
    peak, fall = _fall(candidates, meets.any())
    return Choice(
        clock=log.clock,
        step=float(log.step[rows[best]]),
        quality=values.get("quality"),
        diversity=values.get("diversity"),
        entropy=values.get("entropy"),
        measured=float(log.column(main)[rows[best]]),
        p_goal=float(p_goal[best]),
        meets=bool(meets[best]),
        p_wrong=p_wrong,
        regret=regret,
        measure=measure,
        table=_table(candidates, p_goal, p_best, level),
        reasons=(*reasons, *([str(measure)] if measure else [])),
        saved=saved,
        alike=alike_steps,
        range=float(np.ptp(candidates.estimates[main].mean)),
        peak=float(log.step[peak]),
        fall=float(fall.mean()),
        fall_se=float(fall.std()),
    )


def _alike(worth: Array, among: Flags, best: int) -> Rows:
    """The candidates that the chosen one is not surely better than, itself among them."""
    better = (worth[:, best, None] > worth).mean(0)
    return np.flatnonzero(among & (better < P_BETTER))


def _fall(candidates: _Candidates, some_meet: bool) -> tuple[int, Array]:
    """The best row of the whole log that meets the goal, and draws of what was lost since."""
    every = replace(candidates, rows=np.arange(len(candidates.log)))
    worth = every.worth()
    mean, values = worth.mean(0), every.draws(every.main)
    if candidates.goal.price is not None:  # quality given up for diversity is no loss
        values = worth
    if some_meet:
        mean = np.where(every.meets().mean(0) >= P_MEETS, mean, -np.inf)
    peak = int(mean.argmax())
    return peak, values[:, peak] - values[:, -1]


def _interval(draws: Array, level: float) -> Interval:
    low, high = np.quantile(draws, [(1 - level) / 2, (1 + level) / 2])
    return Interval(float(low), float(draws.mean()), float(high), level)


def _risk(worth: Array, among: Flags, best: int, margin: float) -> tuple[Array, float, float]:
    """P(each is the best), P(the chosen is worse by more than the margin), expected regret."""
    masked = np.where(among, worth, -np.inf)
    p_best = np.bincount(masked.argmax(1), minlength=worth.shape[1]) / len(worth)
    lost = np.maximum(masked.max(1) - worth[:, best], 0.0)
    return p_best, float((lost > margin).mean()), float(lost.mean())


def _table(candidates: _Candidates, p_goal: Array, p_best: Array, level: float) -> pd.DataFrame:
    draws = candidates.draws(candidates.main)
    low, high = np.quantile(draws, [(1 - level) / 2, (1 + level) / 2], axis=0)
    return pd.DataFrame(
        {
            "step": candidates.log.step[candidates.rows],
            "measured": candidates.log.column(candidates.main)[candidates.rows],
            "low": low,
            "mean": draws.mean(0),
            "high": high,
            "p_goal": p_goal,
            "meets": p_goal >= P_MEETS,
            "p_best": p_best,
        }
    )


def _reasons(
    candidates: _Candidates,
    best: int,
    value: Interval,
    p_goal: Array,
    p_wrong: float,
    margin: float,
    alike: tuple[float, ...],
) -> list[str]:
    """Why this checkpoint, in words."""
    log, goal, main = candidates.log, candidates.goal, candidates.main
    estimate, readings, row = candidates.estimates[main], log.column(main), candidates.rows[best]
    words = [
        f"{main} there is {value.mid:.4g} [{value.low:.4g}, {value.high:.4g}] "
        f"(measured {readings[row]:.4g})"
    ]
    top = int(np.nanargmax(readings))
    good = p_goal >= P_MEETS
    if top != row and good.all() and goal.price is None and goal.target_quality is None:
        words.append(
            f"the highest reading, {readings[top]:.4g} at {log.clock} {log.step[top]:g}, is partly "
            f"luck: its true value is about {estimate.mean[top]:.4g}"
        )
    if goal.floors() or goal.target_quality is not None:
        if good.any():
            words.append(
                f"it meets the goal ({goal.words(log.clock)}) with probability "
                f"{chance(p_goal[best])}"
            )
        else:
            words.append(
                f"no checkpoint meets the goal ({goal.words(log.clock)}) with 90 % probability; "
                f"this one comes nearest, with {chance(p_goal[best])}"
            )
    if alike:
        apart = f"{alike_words(alike, len(candidates.rows))} cannot be told apart by these readings"
        if len(alike) == len(candidates.rows) > 2:
            apart = "no checkpoint can be told from the others by these readings"
        words.append(f"{apart}: the one named has the best estimate, any of them will do")
    elif margin > 0 and p_wrong >= P_WRONG_WORTH_A_WORD:
        words.append(
            f"another checkpoint is better by more than {margin:.2g} with probability "
            f"{chance(p_wrong)}"
        )
    if not estimate.known_noise and len(log) >= 4:
        words.append(f"{main} has no standard errors: all its scatter is taken for noise")
    return words
