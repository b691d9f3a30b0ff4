"""The records of a decision: what to do now, which checkpoint to keep, what to measure next.

:class:`Advice` is the one record of what a run should do. A person gets it from
:func:`qdlaws.advise`, a run from its controller, and every line of ``advice.jsonl`` holds one.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from qdlaws.core.interval import Interval, show
from qdlaws.core.serialize import chance, plain
from qdlaws.core.summary import Result, Summary
from qdlaws.errors import BadData

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

__all__ = ["MEANINGS", "Action", "Advice", "Choice", "NextMeasurement"]

Action = Literal["continue", "stop", "wait", "tighten", "loosen"]

MEANINGS: Mapping[Action, str] = {
    "continue": "go on as it is",
    "stop": "end the run",
    "wait": "the log does not say enough yet",
    "tighten": "hold the policy closer to its reference",
    "loosen": "let the policy move farther from its reference",
}
"""What each action asks for."""


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class Advice(Result):
    """What to do now, and why. A stop turns no knob.

    Attributes
    ----------
    action : "continue" | "stop" | "wait" | "tighten" | "loosen"
    step : the step at which the advice was given, the last of the log
    reasons : in words, the most important first
    confidence : probability that the statement behind the action is true; for a stop it holds over
        all the times that one looked; None for "wait"
    checkpoint : step of the checkpoint to keep
    entropy_target, diversity_target : Interval or None
    du : the step of u = log(reward scale/KL); 0 where nothing is to be turned, None where nothing
        can be said, and for a stop
    figures : the numbers it rests on, such as level, slope, target, gain; NaN where unknown
    choice : the checkpoint to keep beside the others
    anytime : a stop that stays valid however often one looks; False for any other action, and for a
        price that is met, which rests on the posterior of the law
    """

    action: Action
    step: float
    reasons: tuple[str, ...]
    confidence: float | None = None
    checkpoint: float | None = None
    entropy_target: Interval | None = None
    diversity_target: Interval | None = None
    du: float | None = None
    figures: Mapping[str, float] = field(default_factory=dict)
    choice: Choice | None = None
    anytime: bool = False

    def __post_init__(self) -> None:
        if self.action == "stop" and self.du is not None:
            raise ValueError("advice to stop turns no knob")

    @property
    def kl_factor(self) -> float | None:
        """By which to multiply the KL strength, where the reward scale is left as it is."""
        return None if self.du is None else math.exp(-self.du)

    @property
    def reward_scale_factor(self) -> float | None:
        """By which to multiply the reward scale, where the KL strength is left as it is."""
        return None if self.du is None else math.exp(self.du)

    def to_dict(self) -> dict[str, Any]:
        """The advice as ``qdlaws advise --json`` prints it."""
        names = (
            *("action", "checkpoint", "step", "entropy_target", "diversity_target"),
            *("kl_factor", "reward_scale_factor", "confidence", "reasons"),
        )
        values: dict[str, Any] = plain({name: getattr(self, name) for name in names})
        for name in ("entropy_target", "diversity_target"):
            if values[name] is not None and values[name]["mid"] is None:
                values[name] = None
        return values

    def to_line(self, knobs: Mapping[str, float], stopped: bool) -> dict[str, Any]:
        """The line of ``advice.jsonl``, with the knobs from now on and whether the run ended."""
        rest: dict[str, Any] = {"figures": plain(self.figures), "knobs": plain(knobs)}
        return self.to_dict() | rest | {"stopped": stopped}

    def to_frame(self) -> pd.DataFrame:
        """One row; those of several decisions make a table of a run."""
        import pandas as pd

        values = self.to_dict() | {"reasons": "; ".join(self.reasons)}
        for name in ("entropy_target", "diversity_target"):
            target = getattr(self, name)
            values[name] = target.mid if target is not None else math.nan
        return pd.DataFrame([values | dict(self.figures)])

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
        if self.du:
            kl, scale = f"{self.kl_factor:.3g}", f"{self.reward_scale_factor:.3g}"
            rows.append(("turn", f"KL strength × {kl}, or reward scale × {scale}"))
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


@dataclass(frozen=True)
class NextMeasurement:
    """Which checkpoints to evaluate again, ``times`` over, with ``samples`` in all for each.

    ``p_wrong`` is the chance of choosing wrongly that would remain, on average; ``before`` is the
    chance now.
    """

    steps: tuple[float, ...]
    times: int
    samples: int | None
    p_wrong: float
    before: float

    def __str__(self) -> str:
        *first, last = (f"{s:g}" for s in self.steps)
        where = f"{', '.join(first)} and {last}" if first else last
        plural = "s" * (len(self.steps) > 1)
        if self.samples is not None:
            what = f"{self.samples} more evaluation samples at checkpoint{plural}"
        else:
            what = f"{self.times} more evaluation{'s' * (self.times > 1)} of checkpoint{plural}"
        cut = self.p_wrong / self.before
        effect = "halve" if 0.45 <= cut <= 0.55 else f"lower by {1 - cut:.0%}"
        return (
            f"{what} {where} would {effect} the chance of choosing wrongly "
            f"({chance(self.before)} → {chance(self.p_wrong)})"
        )


@dataclass(frozen=True, eq=False, repr=False)
class Choice(Result):
    """The checkpoint to keep, with the estimated true values of all candidates.

    Attributes
    ----------
    step : the checkpoint to keep
    quality, diversity, entropy : Interval of its true value; None where the goal is silent on it
    measured : its raw reading of quality
    p_goal : probability that it holds the floors (and the target); 1 where there are none
    meets : whether p_goal is high enough to rely on (.9)
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
        doubtful = t[~t["meets"]]
        ax.plot(
            doubtful["step"], doubtful["measured"], "x", c="tab:red", label="may break the goal"
        )
        ax.axvline(self.step, ls="--", c="k", label=f"keep {self.step:g}")
        ax.set(xlabel="step", ylabel="quality")
        ax.legend()
        return ax
