"""Dial: the knob that carries the ratio u = log(reward scale / strength), and what it may turn."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from math import exp, isfinite, log
from typing import Literal, Protocol, get_args

from qdlaws.control.knobs import InForce, in_force
from qdlaws.core.runlog import RunLog
from qdlaws.errors import BadData
from trainer.knobs import Knobs

__all__ = [
    "KNOB_COLUMNS",
    "Dial",
    "Recipe",
    "Turn",
    "knob_columns",
    "make_dial",
    "refusal",
]

Turn = Literal["kl", "reward_scale", "entropy"]

KNOB_COLUMNS = {"kl": "kl_coef", "reward_scale": "reward_scale", "entropy": "entropy_coef"}
"""The column of each field of Knobs in an evaluation: as in force over the steps before it."""


class Recipe(Protocol):
    """The properties of a recipe that decide whether and how it can be steered."""

    @property
    def name(self) -> str: ...
    @property
    def live(self) -> Collection[str]: ...
    @property
    def plant(self) -> str | None: ...


def knob_columns(knobs: Knobs) -> dict[str, float]:
    """The knobs as an evaluation's line carries them."""
    return {column: float(getattr(knobs, field)) for field, column in KNOB_COLUMNS.items()}


@dataclass(frozen=True)
class Dial:
    """Turns u by one knob.

    ``against`` is the strength in u: the KL, or the entropy bonus where that is what is live.
    """

    turn: Turn
    against: Literal["kl", "entropy"]
    start: Knobs
    down: float = 4.0
    """How far below the u of the start it may go."""
    up: float = 5.0

    @property
    def range(self) -> tuple[float, float]:
        """The lowest and the highest u."""
        u = self.ratio(self.start)
        return u - self.down, u + self.up

    def ratio(self, knobs: Knobs) -> float:
        """u of these knobs; NaN where one of the two is not positive."""
        strength = getattr(knobs, self.against)
        if not (strength > 0 and knobs.reward_scale > 0):
            return float("nan")
        return log(knobs.reward_scale / strength)

    def with_ratio(self, u: float, knobs: Knobs) -> Knobs:
        """The knobs with u, held within the range, by turning the one knob."""
        low, high = self.range
        turned = min(max(u, low), high) - self.ratio(knobs)
        if turned == 0:
            return knobs
        factor = exp(turned if self.turn == "reward_scale" else -turned)
        return replace(knobs, **{self.turn: getattr(knobs, self.turn) * factor})

    def turned(self, knobs: Knobs, du: float) -> Knobs:
        """The knobs after a step of u; nothing moves for 0 or NaN, nor from an unknown u."""
        u = self.ratio(knobs) + du
        return self.with_ratio(u, knobs) if isfinite(u) and du != 0 else knobs

    def step(self, du: float | None) -> float | None:
        """The step of log(reward scale/KL) that a step of u is; None where u has no KL in it."""
        kl = self.against == "kl" and self.turn != "entropy"
        return du if kl and du is not None and isfinite(du) else None

    def words(self, before: Knobs, after: Knobs) -> tuple[str, ...]:
        """The turn as a reason; nothing where nothing was turned."""
        old, new = getattr(before, self.turn), getattr(after, self.turn)
        return () if old == new else (f"{self.turn} {old:.4g} → {new:.4g}",)

    def in_force(self, log: RunLog, now: Knobs) -> InForce:
        """The knobs of the log's rows, and those of this moment."""
        return in_force(
            log,
            self.start.reward_scale,
            getattr(self.start, self.against),
            name=KNOB_COLUMNS[self.against],
            now=self.ratio(now),
        )


def make_dial(recipe: Recipe, start: Knobs, turn: Turn | None = None) -> Dial:
    """The dial for a recipe; BadData with the remedy where it cannot be steered.

    Without ``turn``: the reward scale, because a weaker KL also slows the run; where the scale is
    dead (normalised away) the KL, then the entropy bonus.
    """
    if turn is not None and turn not in get_args(Turn):
        raise BadData(f"turn={turn!r}: {', '.join(get_args(Turn))} are the knobs there are")
    against: Literal["kl", "entropy"] = "kl"
    if turn == "entropy" or (turn != "kl" and "kl" not in recipe.live):
        against = "entropy" if "entropy" in recipe.live else "kl"
    order: tuple[Turn, ...] = ("reward_scale", "kl", "entropy")
    usual: Turn = next((name for name in order if name in recipe.live), "kl")
    knob = turn or usual
    reason = refusal(recipe, knob)
    if reason is not None:
        raise BadData(reason)
    for field in dict.fromkeys((knob, against, "reward_scale")):
        value = getattr(start, field)
        if not (isfinite(value) and value > 0):
            raise BadData(
                f"{recipe.name} starts with {field} = {value:g}: a controller turns "
                f"log(reward_scale/{against}), which needs both above 0; start from a small "
                f"{field} such as {1e-3 if field != 'reward_scale' else 1:g}"
            )
    return Dial(knob, against, start)


def refusal(recipe: Recipe, knob: str) -> str | None:
    """Why a controller cannot steer the recipe by this knob, with the remedy; None where it can."""
    if knob not in recipe.live:
        have = ", ".join(sorted(recipe.live)) or "none"
        return (
            f"{knob} is a dead knob of {recipe.name} (live: {have}): it does not turn the "
            "gradient; choose a live knob, or a recipe with a KL, such as rloo"
        )
    if recipe.plant in ("folded", "unsettled"):
        return (
            f"the state of {recipe.name} is {recipe.plant}: loosening can collapse it and "
            "tightening does not bring it back; put the KL in the reward and divide both by one "
            "scalar of the batch (kl_in_reward, then batch_normalised), not by the group's std"
        )
    if recipe.plant is None:
        return f"no knob of {recipe.name} moves the state it settles in; add a KL, as in rloo"
    return None
