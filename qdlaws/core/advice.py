"""The records of a decision: what to do now, which checkpoint to keep, what to measure next.

:class:`Advice` is the one record of what a run should do. A person gets it from
:func:`qdlaws.advise`, a run from its controller, and every line of ``advice.jsonl`` holds one.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from qdlaws.core.interval import Interval, show
from qdlaws.core.serialize import chance, plain
from qdlaws.core.summary import Result, Summary
from qdlaws.errors import BadData

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

__all__ = ["MEANINGS", "Action", "Advice", "Alarm", "AlarmKind", "Choice", "NextMeasurement"]

Action = Literal["continue", "stop", "wait", "tighten", "loosen"]

MEANINGS: Mapping[Action, str] = {
    "continue": "go on as it is",
    "stop": "end the run",
    "wait": "the log does not say enough yet",
    "tighten": "hold the policy closer to its reference",
    "loosen": "let the policy move farther from its reference",
}
"""What each action asks for."""

Strength = Literal["likely", "certain"]

AlarmKind = Literal[
    "quality fell", "entropy collapsed", "entropy runs away", "diversity collapsed",
    "groups without spread", "end of the scale",
]  # fmt: skip


@dataclass(frozen=True)
class Alarm:
    """A fault of the run that needs no goal to be one; ``text`` says it with its numbers.

    ``rollback`` is the step to go back to, where that mends it.
    """

    kind: AlarmKind
    text: str
    rollback: float | None = None

    def __str__(self) -> str:
        return self.text


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
    anytime : a stop that stays valid however often one looks; what ends a run unattended
    alarms : faults of the run that need no goal to be faults
    notes : the decisions made while the log was read
    sigma : the σ of a run of REINVENT, its one weight of reward against prior; NaN where its log
        does not say it, None for other runs
    clock : what a step of the log is called, "step" or "epoch"

    Examples
    --------
    >>> from qdlaws import Goal, advise, example_log
    >>> advice = advise(example_log(), Goal(min_diversity=0.5))
    >>> advice.action, advice.strength
    ('stop', 'certain')
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
    alarms: tuple[Alarm, ...] = ()
    notes: tuple[str, ...] = ()
    sigma: float | None = None
    clock: str = "step"

    def __post_init__(self) -> None:
        if self.action == "stop" and self.du is not None:
            raise ValueError("advice to stop turns no knob")

    @property
    def strength(self) -> Strength | None:
        """How strong the statement is; None for "wait".

        "certain": by a test that is wrong in at most α of runs, however often one looks.
        "likely": by forecast or posterior, calibrated on real runs, for a person to act on.
        """
        if self.action == "wait":
            return None
        return "certain" if self.anytime else "likely"

    @property
    def kl_factor(self) -> float | None:
        """By which to multiply the KL strength, where the reward scale is left as it is."""
        return None if self.du is None else math.exp(-self.du)

    @property
    def reward_scale_factor(self) -> float | None:
        """By which to multiply the reward scale, where the KL strength is left as it is."""
        return None if self.du is None else math.exp(self.du)

    @property
    def turn_words(self) -> str:
        """The turn by the knobs that the run has; empty where none is to be turned."""
        if not self.du:
            return ""
        factor = f"× {self.reward_scale_factor:.3g}"
        if self.sigma is None:
            return f"KL strength × {self.kl_factor:.3g}, or reward scale {factor}"
        change = f"σ {factor}"
        if math.isfinite(self.sigma):
            change += f" ({self.sigma:.4g} → {self.sigma * math.exp(self.du):.4g})"
        return change

    def to_dict(self) -> dict[str, Any]:
        """The advice as ``qdlaws advise --json`` prints it."""
        names = (
            *("action", "checkpoint", "step", "entropy_target", "diversity_target"),
            *("kl_factor", "reward_scale_factor", "confidence", "strength", "reasons"),
        )
        values: dict[str, Any] = plain({name: getattr(self, name) for name in names})
        for name in ("entropy_target", "diversity_target"):
            if values[name] is not None and values[name]["mid"] is None:
                values[name] = None
        values["alarms"] = [plain(asdict(alarm)) for alarm in self.alarms]
        return values

    def to_line(self, knobs: Mapping[str, float], stopped: bool) -> dict[str, Any]:
        """The line of ``advice.jsonl``, with the knobs from now on and whether the run ended."""
        rest: dict[str, Any] = {"figures": plain(self.figures), "knobs": plain(knobs)}
        return self.to_dict() | rest | {"stopped": stopped}

    def to_frame(self) -> pd.DataFrame:
        """One row; those of several decisions make a table of a run."""
        import pandas as pd

        values = self.to_dict() | {"reasons": "; ".join(self.reasons)}
        values["alarms"] = "; ".join(map(str, self.alarms))
        for name in ("entropy_target", "diversity_target"):
            target = getattr(self, name)
            values[name] = target.mid if target is not None else math.nan
        return pd.DataFrame([values | dict(self.figures)])

    def summary(self) -> Summary:
        """The advice in words and numbers."""
        sure = "" if self.confidence is None else f" ({chance(self.confidence)} sure)"
        rows: list[tuple[str, str]] = []
        if self.checkpoint is not None:
            saved = self.choice is None or self.choice.saved
            label = "keep checkpoint" if saved else "best row"
            alike = 0 if self.choice is None else len(self.choice.alike)
            others = f", or any of {alike} that are alike" if alike > 1 else ""
            rows.append((label, f"{'' if saved else f'{self.clock} '}{self.checkpoint:g}{others}"))
        for name, target in (
            ("diversity target", self.diversity_target),
            ("entropy target", self.entropy_target),
        ):
            if target is not None and target.known:
                rows.append((name, show(target)))
        if words := self.turn_words:
            rows.append(("turn", words))
        return Summary(
            f"Advice at {self.clock} {self.step:g}",
            verdict=f"{self.action}: {MEANINGS[self.action]}{sure}",
            rows=tuple(rows),
            remarks=(
                *(f"ALARM: {alarm}" for alarm in self.alarms),
                *self.reasons,
                *(f"the log: {note}" for note in self.notes),
            ),
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
    measure : what to measure next; None where nothing would help
    table : DataFrame with a row for each candidate
    reasons : in words
    saved : whether the candidates are checkpoints that exist; else they are rows of the log
    alike : the steps of the candidates that cannot be told apart from the chosen one
    range : the range of the true values over the run
    peak : the step of the best row of the whole log, saved or not
    fall, fall_se : the true value at ``peak`` less that of the last row, and its standard error
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
    measure: NextMeasurement | None
    table: pd.DataFrame
    reasons: tuple[str, ...]
    saved: bool = False
    alike: tuple[float, ...] = ()
    range: float = math.nan
    peak: float = math.nan
    fall: float = 0.0
    fall_se: float = math.nan
    clock: str = "step"

    @property
    def noun(self) -> str:
        """What is kept: a checkpoint that exists, or else a row of the log."""
        return "checkpoint" if self.saved else f"the row of {self.clock}"

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        names = (
            *("step", "quality", "diversity", "entropy", "measured", "p_goal", "meets"),
            *("p_wrong", "regret", "reasons", "saved", "alike"),
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
        if self.alike:
            rows.append(("cannot be told apart", alike_words(self.alike, len(self.table))))
        elif len(self.table) > 1:
            rows.append(("another is better", f"with probability {chance(self.p_wrong)}"))
        return Summary(f"Keep {self.noun} {self.step:g}", rows=tuple(rows), remarks=self.reasons)

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
        ax.set(xlabel=self.clock, ylabel="quality")
        ax.legend()
        return ax


def alike_words(steps: tuple[float, ...], count: int) -> str:
    """Which of the candidates cannot be told apart, in a few words."""
    if len(steps) <= 4:
        return ", ".join(f"{step:g}" for step in steps)
    return f"{len(steps)} of {count}, steps {steps[0]:g} to {steps[-1]:g}"
