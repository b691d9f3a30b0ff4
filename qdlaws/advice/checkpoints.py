"""Choosing among the checkpoints that exist, by the posterior of their true values.

The checkpoint with the highest reading is mostly a lucky one (the winner's curse). Here every
checkpoint's true quality is inferred from all readings (:mod:`qdlaws.inference.true_values`), the
one with the
highest posterior mean is kept, and the value stated for it is its posterior, which has no curse.
A floor is met with a stated probability, not by a reading.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from qdlaws.advice.next_measurement import DOUBTFUL, NextMeasurement, what_next
from qdlaws.core.goal import Goal
from qdlaws.core.interval import Interval, show
from qdlaws.core.runlog import RunLog
from qdlaws.core.serialize import chance, plain
from qdlaws.core.summary import Result, Summary
from qdlaws.errors import BadData, NotEnoughData
from qdlaws.inference.true_values import TrueValues, true_values

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from qdlaws.laws.result import LawFits

__all__ = ["Choice", "NextMeasurement", "choose"]

Array = npt.NDArray[np.float64]

SURE = 0.9
"""The probability with which a checkpoint must hold the floors."""

MARGIN = 0.05
"""Wrongly chosen: worse than the best by more than this share of the range of the true values."""


@dataclass(frozen=True, eq=False, repr=False)
class Choice(Result):
    """The checkpoint to keep, with the estimated true values of all candidates.

    Attributes
    ----------
    step : the checkpoint to keep
    quality, diversity, entropy : Interval of its true value; None where the goal is silent on it
    measured : its raw reading of quality
    p_goal : probability that it holds the floors (and the target); 1 where there are none
    meets : p_goal ≥ .9
    p_wrong : probability that another checkpoint that holds the floors is better by more than 5 %
        of the range of the true values
    regret : expected quality lost against the truly best
    p_rising : probability that the true value rose over the last fifth of the run
    measure : what to measure next; None where nothing would help
    table : DataFrame with a row for each candidate
    reasons : in words
    """

    step: float
    quality: Interval | None
    diversity: Interval | None
    entropy: Interval | None
    measured: float
    p_goal: float
    meets: bool
    p_wrong: float
    regret: float
    p_rising: float
    measure: NextMeasurement | None
    table: pd.DataFrame
    reasons: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        names = (
            *("step", "quality", "diversity", "entropy", "measured", "p_goal", "meets"),
            *("p_wrong", "regret", "reasons"),
        )
        values: dict[str, Any] = plain({name: getattr(self, name) for name in names})
        if self.measure is None:
            return values | {"measure": None}
        fields = ("steps", "times", "samples", "p_wrong")
        return values | {"measure": plain({name: getattr(self.measure, name) for name in fields})}

    def to_frame(self) -> pd.DataFrame:
        """A row for each candidate: its reading, estimated true value, chances."""
        return self.table.copy()

    def summary(self) -> Summary:
        """The choice in words and numbers."""
        rows = [
            (name, show(value))
            for name in ("quality", "diversity", "entropy")
            if (value := getattr(self, name)) is not None
        ]
        if self.p_goal < 1:
            rows.append(("meets the goal", f"with probability {chance(self.p_goal)}"))
        if len(self.table) > 1:
            rows.append(("another is better", f"with probability {chance(self.p_wrong)}"))
        return Summary(f"Keep checkpoint {self.step:g}", rows=tuple(rows), remarks=self.reasons)

    def plot(self, ax: Axes | None = None) -> Axes:
        """Readings, estimated true values with their band, and the checkpoint to keep."""
        import matplotlib.pyplot as plt

        ax = ax or plt.subplots()[1]
        t = self.table
        ax.plot(t["step"], t["measured"], ".", c="grey", alpha=0.6, label="measured")
        ax.plot(t["step"], t["mean"], label="estimated true value")
        ax.fill_between(t["step"], t["low"], t["high"], alpha=0.2)
        refused = t[t["p_goal"] < SURE]
        ax.plot(refused["step"], refused["measured"], "x", c="tab:red", label="goal not sure")
        ax.axvline(self.step, ls="--", c="k", label=f"keep {self.step:g}")
        ax.set(xlabel="step", ylabel="quality")
        ax.legend()
        return ax


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
    """
    goal = goal or Goal()
    goal.check(log)
    main = "quality" if "quality" in log.columns else log.columns[0]
    rows = np.isfinite(log.column(main))
    for column in (*goal.floors(), *filter(None, [goal.priced(log)])):
        rows &= np.isfinite(log.column(column))
    if not rows.any():
        raise NotEnoughData("no checkpoint has all that the goal speaks of")
    log = log.take(rows)
    truths = {c: _truth_of(log, c, fits) for c in _needed(log, goal, main)}
    kept = _existing(log.step, at)
    return _choice(log, goal, truths, main, kept, level)


def _needed(log: RunLog, goal: Goal, main: str) -> tuple[str, ...]:
    """The columns that the goal speaks of; with a target, the diversity that is to be kept too."""
    columns = {main, *goal.floors(), *filter(None, [goal.priced(log)])}
    if goal.target_quality is not None:
        columns |= {c for c in ("diversity", "entropy") if c in log.columns}
    return tuple(c for c in log.columns if c in columns)


def _existing(step: Array, at: npt.ArrayLike | None) -> npt.NDArray[np.intp]:
    if at is None:
        return np.arange(len(step))
    kept = np.flatnonzero(np.isin(step, np.asarray(at, float)))
    if not len(kept):
        raise BadData(
            f"none of the given checkpoints is among the measured steps {step[0]:g}…{step[-1]:g}"
        )
    return kept


def _truth_of(log: RunLog, name: str, fits: LawFits | None) -> TrueValues:
    """The true values of a column, NaN readings filled in by the others."""
    y, se = log.column(name), getattr(log, f"{name}_se")
    known = np.isfinite(y)
    if not known.all():  # not what is chosen by; a goal's columns have no gaps here
        y = np.interp(log.step, log.step[known], y[known]) if known.any() else np.zeros(len(y))
    if se is not None:
        good = np.isfinite(se) & (se > 0)
        se = np.where(good, se, np.median(se[good])) if good.any() else None
    column = _law_column(log, fits) if name == "quality" else None
    return true_values(log.step, y, se, column)


def _law_column(log: RunLog, fits: LawFits | None) -> Array | None:
    """The shape of quality as the law of another column has it."""
    from qdlaws.laws.fitted import mean_curve
    from qdlaws.laws.result import LawFit

    for law in (fits.rd, fits.rh) if fits is not None else ():
        if not isinstance(law, LawFit) or not law.supported or law.x_name not in log.columns:
            continue
        inside = np.isfinite(law.path.mean)
        x = np.interp(log.step, law.step[inside], law.path.mean[inside])
        return mean_curve(law.draws, x)
    return None


def _choice(
    log: RunLog,
    goal: Goal,
    truths: dict[str, TrueValues],
    main: str,
    kept: npt.NDArray[np.intp],
    level: float,
) -> Choice:
    draws = {c: t.draws[:, kept] for c, t in truths.items()}
    met = np.ones_like(draws[main], dtype=bool)
    for column, floor in goal.floors().items():
        met &= draws[column] >= floor
    worth = draws[main]
    if goal.target_quality is not None:
        met &= draws["quality"] >= goal.target_quality
        # enough quality is enough: of those that have it, the most diverse
        worth = draws.get("diversity", draws.get("entropy", worth))
    priced = goal.priced(log)
    if priced is not None and goal.price is not None:
        worth = worth + goal.price * draws[priced]
    p_goal = met.mean(0)
    good = p_goal >= SURE
    if good.any():
        best = int(np.argmax(np.where(good, worth.mean(0), -np.inf)))
    else:
        best = int(np.argmax(p_goal))
    among = good if good.any() else np.ones(len(kept), bool)
    margin = MARGIN * float(np.ptp(worth.mean(0)))
    noise = truths[main].noise[kept]
    p_best, p_wrong, regret = _doubt(worth, among, best, margin)
    measurable = goal.target_quality is None and good.any()
    measure = what_next(log, kept, worth, draws[main], noise, among, margin) if measurable else None
    table = _table(log, kept, main, draws, p_goal, p_best, level)
    intervals = {c: _interval(d[:, best], level) for c, d in draws.items()}
    reasons = _reasons(
        log, goal, truths, main, kept[best], intervals, p_goal[best], good, p_wrong, margin
    )
    return Choice(
        step=float(log.step[kept[best]]),
        quality=intervals.get("quality"),
        diversity=intervals.get("diversity"),
        entropy=intervals.get("entropy"),
        measured=float(log.column(main)[kept[best]]),
        p_goal=float(p_goal[best]),
        meets=bool(good[best]),
        p_wrong=p_wrong,
        regret=regret,
        p_rising=_p_rising(log.step, truths[main].draws),
        measure=measure,
        table=table,
        reasons=(*reasons, *([str(measure)] if measure else [])),
    )


def _interval(draws: Array, level: float) -> Interval:
    low, high = np.quantile(draws, [(1 - level) / 2, (1 + level) / 2])
    return Interval(float(low), float(draws.mean()), float(high), level)


def _doubt(
    worth: Array, among: npt.NDArray[np.bool_], best: int, margin: float
) -> tuple[Array, float, float]:
    """P(each is the best), P(the chosen is worse by more than the margin), expected regret."""
    masked = np.where(among, worth, -np.inf)
    p_best = np.bincount(masked.argmax(1), minlength=worth.shape[1]) / len(worth)
    lost = np.maximum(masked.max(1) - worth[:, best], 0.0)
    return p_best, float((lost > margin).mean()), float(lost.mean())


def _p_rising(step: Array, draws: Array) -> float:
    """P(the mean true value of the last tenth of the run exceeds that of the tenth before)."""
    share = (step - step[0]) / max(step[-1] - step[0], 1e-300)
    last, before = share > 0.9, (share > 0.8) & (share <= 0.9)
    if not last.any() or not before.any():
        last, before = np.arange(len(step)) == len(step) - 1, np.arange(len(step)) == len(step) - 2
    if not before.any():
        return np.nan
    return float((draws[:, last].mean(1) > draws[:, before].mean(1)).mean())


# ---------------------------------------------------------------------- words


def _table(
    log: RunLog,
    kept: npt.NDArray[np.intp],
    main: str,
    draws: dict[str, Array],
    p_goal: Array,
    p_best: Array,
    level: float,
) -> pd.DataFrame:
    low, high = np.quantile(draws[main], [(1 - level) / 2, (1 + level) / 2], axis=0)
    return pd.DataFrame(
        {
            "step": log.step[kept],
            "measured": log.column(main)[kept],
            "low": low,
            "mean": draws[main].mean(0),
            "high": high,
            "p_goal": p_goal,
            "p_best": p_best,
        }
    )


def _reasons(
    log: RunLog,
    goal: Goal,
    truths: dict[str, TrueValues],
    main: str,
    row: np.intp,
    intervals: dict[str, Interval],
    p_goal: float,
    good: npt.NDArray[np.bool_],
    p_wrong: float,
    margin: float,
) -> list[str]:
    value, reading = intervals[main], float(log.column(main)[row])
    words = [
        f"{main} there is {value.mid:.4g} [{value.low:.4g}, {value.high:.4g}] "
        f"(measured {reading:.4g})"
    ]
    top = int(np.nanargmax(log.column(main)))
    if top != row and good.all() and goal.price is None and goal.target_quality is None:
        words.append(
            f"the highest reading, {log.column(main)[top]:.4g} at step {log.step[top]:g}, "
            f"is partly luck: expected there is {truths[main].mean[top]:.4g}"
        )
    if goal.floors() or goal.target_quality is not None:
        if good.any():
            words.append(f"it meets the goal ({goal.words()}) with probability {chance(p_goal)}")
        else:
            words.append(
                f"no checkpoint meets the goal ({goal.words()}) with 90 % probability; "
                f"this one comes nearest, with {chance(p_goal)}"
            )
    if margin > 0 and p_wrong >= DOUBTFUL:
        words.append(
            f"with probability {chance(p_wrong)} another is better by more than {margin:.2g}"
        )
    if not truths[main].known_noise and len(log) >= 4:
        words.append(f"no standard errors of {main}: all scatter was taken for noise of measuring")
    return words
