"""A task is prompts, the score of an answer, which answers mean the same, and how diverse they are.

A task of one's own is one small class with the members of :class:`Task`; nothing has to be
inherited. What it may offer beside them is in :mod:`trainer.tasks.capabilities`.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import numpy.typing as npt

from qdlaws.errors import BadData

if TYPE_CHECKING:
    from qdlaws.measure import Estimate
    from trainer.types import Traits

__all__ = ["Prompt", "Scores", "Task", "nearest"]


@dataclass(frozen=True)
class Prompt:
    """One question: its number in the task, the text a policy sees, what the reward may need."""

    number: int
    text: str
    data: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Scores:
    """What the task says of n answers.

    ``score`` is float64, NaN where scoring failed, ran out of time or was over the budget;
    ``parts`` are the components it was made of, each (n,). ``over_budget`` marks the answers that
    an oracle was not asked about because its budget was spent; None: there is no budget.
    """

    score: npt.NDArray[np.float64]
    valid: npt.NDArray[np.bool_]
    parts: dict[str, npt.NDArray[np.float64]] = field(default_factory=dict)
    over_budget: npt.NDArray[np.bool_] | None = None
    spent: bool = False
    """The budget of oracle calls is used up: a new answer would not be scored."""
    failure: str = ""
    """Why scoring failed for the first time in this run; "" where it never did or nobody knows."""

    def __post_init__(self) -> None:
        n = len(self.score)
        rows = {"valid": self.valid, **self.parts}
        if self.over_budget is not None:
            rows["over_budget"] = self.over_budget
        for name, values in rows.items():
            if np.shape(values) != (n,):
                raise BadData(f"found {name} of shape {np.shape(values)} for {n} scores")

    def __len__(self) -> int:
        return len(self.score)

    @property
    def capped(self) -> int:
        """Answers not scored because the budget was spent."""
        return 0 if self.over_budget is None else int(self.over_budget.sum())

    @property
    def failed(self) -> int:
        """Answers whose scoring failed or timed out; those over the budget are not among them."""
        return int((~np.isfinite(self.score)).sum()) - self.capped


class Task(Protocol):
    """What every task has; rows of ``prompts`` and ``texts`` belong together.

    Optional members, each with its default, are in :mod:`trainer.tasks.capabilities`: ``buckets``,
    ``distances``, ``central``, ``score_for``, ``report``, ``write_samples``, ``sample_files``,
    ``state_dict`` and ``load_state``, ``corpus``, ``close``.
    """

    name: str
    traits: Traits

    def prompts(self, split: str = "train") -> Sequence[Prompt]:
        """The prompts of a split: "train", "eval" or one of the task's own."""
        ...

    def score(self, prompts: Sequence[Prompt], texts: Sequence[str]) -> Scores:
        """Each text scored as an answer to its prompt."""
        ...

    def keys(self, prompts: Sequence[Prompt], texts: Sequence[str]) -> list[Hashable | None]:
        """The canonical meaning of each text; None where it has none (invalid)."""
        ...

    def measure(self, prompts: Sequence[Prompt], texts: Sequence[str]) -> dict[str, Estimate]:
        """``diversity`` (duplicates kept) and whatever else is worth logging, with errors."""
        ...


def nearest(name: str, names: Iterable[str]) -> str:
    """`` (did you mean 'qed'?)``, for messages about a wrong name; "" where none is near."""
    near = get_close_matches(name, list(names), n=1, cutoff=0.5)
    return f" (did you mean {near[0]!r}?)" if near else ""
