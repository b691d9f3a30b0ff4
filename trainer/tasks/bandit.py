"""The exact bandit as a task for a language model: a prompt is a context, an answer one token.

Contexts read "c0", "c1", … and actions "a0", "a1", …; a policy whose tokens these are, with
completions of one token, is the categorical policy whose optima
:mod:`trainer.analysis.exact_bandit` computes.
"""

from __future__ import annotations

import re
from collections.abc import Hashable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from qdlaws.errors import BadData
from trainer.analysis.exact_bandit import Bandit, decaying_bandit, random_bandit
from trainer.tasks.task import Prompt, Scores, nearest
from trainer.types import Traits

if TYPE_CHECKING:
    from qdlaws.measure import Estimate

__all__ = ["BanditTask", "make"]

KINDS = ("random", "decaying")


def make(
    kind: str = "random",
    *,
    contexts: int = 8,
    actions: int = 50,
    levels: int | None = 2,
    decay: float = 20.3,
    seed: int = 0,
) -> BanditTask:
    """The bandit: one token answers each context.

    Parameters
    ----------
    kind : "random" rewards, or the two "decaying" blocks
    contexts : the number of prompts
    actions : the number of answers of each
    levels : random rewards lie on so many steps; None: on any value
    decay : rate at which the rewards of the decaying blocks fall
    seed : seed of the rewards
    """
    if kind not in KINDS:
        raise BadData(f"found kind {kind!r}{nearest(kind, KINDS)}; have {', '.join(KINDS)}")
    if kind == "decaying":
        return BanditTask(decaying_bandit(actions, decay))
    if contexts < 1 or actions < 2 or (levels is not None and levels < 2):
        raise BadData("a bandit needs a context, two actions and two levels at least")
    return BanditTask(random_bandit(contexts, actions, levels=levels, seed=seed))


class BanditTask:
    """The task that :func:`make` makes; ``bandit`` is the exact one."""

    name = "bandit"

    def __init__(self, bandit: Bandit) -> None:
        self.bandit = bandit
        self._reward = bandit.reward.numpy()
        self._meaning = bandit.meaning.tolist()
        low, high = float(self._reward.min()), float(self._reward.max())
        binary = bool(np.isin(self._reward, (0.0, 1.0)).all())
        many = len(self._reward) > 1
        self.traits = Traits(self.name, many, binary, min(low, 0.0), max(high, 0.0), True)

    @property
    def actions(self) -> list[str]:
        """The tokens a policy needs, in the order of the bandit's actions."""
        return [f"a{i}" for i in range(self._reward.shape[1])]

    def prompts(self, split: str = "train") -> Sequence[Prompt]:
        """One prompt for each context."""
        if split not in ("train", "eval"):
            raise BadData(f"bandit has no split {split!r}; have train, eval")
        return [Prompt(i, f"c{i}") for i in range(len(self._reward))]

    def score(self, prompts: Sequence[Prompt], texts: Sequence[str]) -> Scores:
        """The reward of each action in its context; 0 for a text that is no action."""
        chosen = [self._action(text) for text in texts]
        pairs = zip(prompts, chosen, strict=True)
        score = [0.0 if a is None else float(self._reward[p.number, a]) for p, a in pairs]
        return Scores(np.array(score, float), np.array([a is not None for a in chosen], bool))

    def keys(self, prompts: Sequence[Prompt], texts: Sequence[str]) -> list[Hashable | None]:
        """The meaning of each action."""
        chosen = (self._action(text) for text in texts)
        return [None if a is None else self._meaning[a] for a in chosen]

    def measure(self, prompts: Sequence[Prompt], texts: Sequence[str]) -> dict[str, Estimate]:
        """The chance that two actions of one context mean different things, and the valid share."""
        from qdlaws.measure import by_key, distinct_classes
        from qdlaws.measure.standard_errors import clustered_mean, mean_of_units

        groups: dict[int, list[str]] = {}
        keys = self.keys(prompts, texts)
        for prompt, key in zip(prompts, keys, strict=True):
            if key is not None:
                groups.setdefault(prompt.number, []).append(str(key))
        same = by_key("meaning", str)
        each = [
            distinct_classes(meanings, same, reading="pairwise")
            for meanings in groups.values()
            if len(meanings) > 1
        ]
        valid = np.array([key is not None for key in keys], bool)
        return {
            "diversity": each[0]
            if len(each) == 1
            else clustered_mean([e.value for e in each], kind="distinct_pairs_within_prompt"),
            "valid_share": mean_of_units(valid, kind="valid_share", share=True),
        }

    def corpus(self, n: int, seed: int) -> list[tuple[str, str]]:
        """Draws of the reference: contexts in turn, actions by π_ref."""
        rng = np.random.default_rng(seed)
        reference = self.bandit.reference.numpy()
        contexts, actions = reference.shape
        pairs = []
        for i in range(n):
            action = rng.choice(actions, p=reference[i % contexts])
            pairs.append((f"c{i % contexts}", f"a{action}"))
        return pairs

    def close(self) -> None:
        """Nothing to give back."""

    def _action(self, text: str) -> int | None:
        match = re.fullmatch(r"a(\d+)", text.strip())
        number = int(match[1]) if match else -1
        return number if 0 <= number < self._reward.shape[1] else None
