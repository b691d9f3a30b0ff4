"""A task of mine: write a sum of many terms that equals the number in the prompt.

    qdtrain run arithmetic --set task.name=examples.my_task:make --out runs/sums

A task says which prompts there are, what an answer is worth, which answers mean the same and how
diverse they are. Nothing has to be inherited; ``make`` takes the options of the ``[task]`` table.
"""

from __future__ import annotations

import re
from collections.abc import Hashable, Sequence

import numpy as np

from qdlaws import measure
from trainer import Prompt, Scores
from trainer.types import Traits


def terms(text: str) -> list[int] | None:
    """The terms of a sum such as 3+4+9; None where the text is none."""
    if re.fullmatch(r"\d{1,3}(\+\d{1,3})*", text) is None:
        return None
    return [int(term) for term in text.split("+")]


def meaning(text: str) -> str | None:
    """Sums of the same terms in another order mean the same."""
    numbers = terms(text)
    return None if numbers is None else "+".join(map(str, sorted(numbers)))


class LongSums:
    """1 for a right sum of ``most`` terms or more, less for a shorter one, 0 for a wrong one."""

    name = "long sums"
    traits = Traits(
        name, many_prompts=True, binary=False, lowest=0.0, highest=1.0, equivalence=True
    )

    def __init__(self, most: int) -> None:
        self.most = most

    def prompts(self, split: str = "train") -> Sequence[Prompt]:
        """The numbers from 5 to 40; those that 4 divides are held out."""
        numbers = [n for n in range(5, 41) if (n % 4 == 0) == (split == "eval")]
        return [Prompt(n, f"{n}=", {"target": n}) for n in numbers]

    def score(self, prompts: Sequence[Prompt], texts: Sequence[str]) -> Scores:
        """The score of each text as an answer to its prompt."""
        worth = np.zeros(len(texts))
        valid = np.zeros(len(texts), bool)
        for i, (prompt, text) in enumerate(zip(prompts, texts, strict=True)):
            numbers = terms(text)
            valid[i] = numbers is not None
            if numbers is not None and sum(numbers) == prompt.data["target"]:
                worth[i] = min(len(numbers) / self.most, 1.0)
        return Scores(worth, valid)

    def keys(self, prompts: Sequence[Prompt], texts: Sequence[str]) -> list[Hashable | None]:
        """What each text means; None where it means nothing."""
        return [meaning(text) for text in texts]

    def measure(
        self, prompts: Sequence[Prompt], texts: Sequence[str]
    ) -> dict[str, measure.Estimate]:
        """Diversity: how likely two answers to one prompt say different sums."""
        same = measure.by_key("terms", meaning)
        labels = [prompt.number for prompt in prompts]
        return {"diversity": diversity_within(texts, labels, same)}


def diversity_within(
    texts: Sequence[str], labels: Sequence[int], same: measure.Equivalence
) -> measure.Estimate:
    """The diversity of the answers of each prompt, and its mean over prompts."""
    each = []
    for number in dict.fromkeys(labels):
        answers = [t for t, label in zip(texts, labels, strict=True) if label == number]
        if len(answers) > 1:
            each.append(measure.distinct_classes(answers, same, reading="pairwise").value)
    return measure.mean_score(each)


def make(most: int = 4) -> LongSums:
    """The task; ``most`` is an option of the ``[task]`` table."""
    return LongSums(most)
