"""The quality that the rest of a run may bring over the checkpoint that would be kept today.

    gain(t) = quality forecast at t, without the noise of a reading  −  quality of that checkpoint

The forecast (:mod:`qdlaws.forecasting.column`) answers two questions: how probable a gain is that
is worth having at any time within a horizon, and whether further steps are worth what they cost.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from qdlaws.core.advice import Choice
from qdlaws.core.goal import Goal
from qdlaws.core.interval import Interval
from qdlaws.core.runlog import RunLog
from qdlaws.core.types import Array
from qdlaws.forecasting.column import NOMINAL, ColumnForecast, clock

__all__ = ["GainAhead", "gain_ahead"]

PATHS = (np.arange(40) + 0.5) / 40
"""Quantiles of the forecast that stand for it where a mean is taken."""

LENGTHS = np.array([0.1, 0.2, 0.35, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0])
"""How far ahead the steps to come are valued, in lengths of the run so far."""

QUARTER = 0.25
"""The horizon where no budget is given, in lengths of the run so far."""

TENTH = 0.1
"""A gain worth having, as a share of the range that quality has had, where the goal names none."""

OPTION = 1.25
"""The factor on the expected gain where it is set against its cost.

E[gain₊] at one time ahead is the worth of running on *blindly* until then; the chance to look again
and stop is an option that is worth more (Dixit & Pindyck 1994). The readings that must show a
slowdown beside it wait already, so little is left of it: with a factor of 1 one in twelve simulated
runs that saturate is stopped while it still gains its cost, with this one none of 36
(benchmarks/stopping.py). On real runs any from .75 to 1.5 does as well
(benchmarks/advice_real.py)."""


@dataclass(frozen=True, eq=False)
class GainAhead:
    """The forecast of quality against the checkpoint that is kept.

    Attributes
    ----------
    course : the forecast of quality
    kept : quality of the checkpoint that would be kept
    length : steps of the run so far
    horizon : steps that are looked ahead
    range : the range that the true quality has had
    left : steps that the budget leaves
    """

    course: ColumnForecast
    kept: float
    length: float
    horizon: float
    range: float
    left: float = np.inf

    @cached_property
    def level(self) -> tuple[float, float]:
        """The filtered present level and its standard error."""
        now = self._paths(np.zeros(1))[0]
        return float(np.median(now)), float(now.std())

    @property
    def tenth(self) -> float:
        """A tenth of the range that quality has had."""
        return TENTH * self.range

    @cached_property
    def noise(self) -> float:
        """The scatter of the mean of a twentieth of the readings, by differences of neighbours."""
        y = self.course.data.y
        return float(np.diff(y).std() / np.sqrt(2 * max(len(y) / 20, 1)))

    @property
    def has_moved(self) -> bool:
        """Whether the level of quality has moved by more than such means scatter.

        Of runs of white noise alone about nine in ten have not.
        """
        return self.range > self.noise

    @property
    def worth_having(self) -> float:
        """δ: a tenth of the range that quality has had, or what can be told from noise if more."""
        return max(self.tenth, 2 * self.level[1])

    @cached_property
    def change(self) -> Interval:
        """The change of the level until the horizon."""
        now, _ = self.level
        tail = (1 - NOMINAL) / 2
        low, mid, high = np.quantile(
            self._paths(np.array([self.horizon]))[0] - now, [tail, 0.5, 1 - tail]
        )
        return Interval(float(low), float(mid), float(high), NOMINAL)

    def probability(self, amount: float) -> float:
        """P(quality exceeds that of the kept checkpoint by this amount within the horizon).

        A path that wanders passes a level about twice as often on its way as it is above it at the
        end (the reflection principle): p of the end becomes 1 − (1 − p)². Of real runs a share of
        about this size does gain so much (benchmarks/advice_real.py).
        """
        course, value = self.course, self.kept + amount
        if not self.horizon > 0 or value > course.bounds[1]:
            return 0.0
        steps = course.step + self.horizon * np.array([0.2, 0.4, 0.6, 0.8, 1.0])
        return float(1 - course.probability_below(value, steps).min() ** 2)

    def worth_of_going_on(self, cost: float) -> tuple[float, float, float]:
        """The most that further steps at this cost may be worth; at most 0 is a reason to stop.

        Beside it, the steps ahead at which it is reached and the expected gain there.
        """
        steps = LENGTHS * self.length
        if self.left < np.inf:
            steps = np.append(steps[steps < self.left], self.left)
        gain = np.maximum(self._paths(steps) - self.kept, 0).mean(1)
        worth = OPTION * gain - cost * steps
        best = int(worth.argmax())
        return float(worth[best]), float(steps[best]), float(gain[best])

    def _paths(self, ahead: Array) -> Array:
        """Quantiles of the level so many steps ahead. (T, P)"""
        return self.course.quantiles(self.course.step + ahead, PATHS)


def gain_ahead(log: RunLog, goal: Goal, choice: Choice) -> GainAhead | None:
    """The gain that the steps to come may bring; None where quality has never moved.

    Raises NotEnoughData below five readings of quality.
    """
    course = clock(log, "quality")
    if not course.moves or choice.quality is None:
        return None
    kept = choice.quality.mid
    if goal.target_quality is not None:  # who aims at a target may keep a lower quality
        kept = max(kept, float(choice.table["mean"].max()))
    length = course.step - course.data.origin
    if goal.budget_steps is None:
        return GainAhead(course, kept, length, QUARTER * length, choice.range)
    left = max(goal.budget_steps - course.step, 0.0)
    return GainAhead(course, kept, length, left, choice.range, left)
