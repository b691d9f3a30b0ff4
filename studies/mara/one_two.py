"""The 1–2 task: write 1 or 2. Both are worth 1; the prior writes 1 in 80 % and 2 in 15 %.

python -c "from studies.mara.one_two import make_prior; make_prior()"
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from qdlaws.measure import Estimate
from trainer.tasks.scoring.answer_metrics import key_diversity
from trainer.tasks.task import Prompt, Scores

if TYPE_CHECKING:
    from trainer.types import Traits

PRIOR = Path(__file__).resolve().parent / "prior"
SHARES = {"1": 800, "2": 150, "3": 10, "7": 10, "12": 10, "21": 10, "0": 10}


class OneTwo:
    """1 where the text is "1" or "2", else 0."""

    name = "one-two"

    @property
    def traits(self) -> Traits:
        from trainer.types import Traits

        return Traits(self.name, False, True, 0.0, 1.0, True)

    def prompts(self, split: str = "train") -> Sequence[Prompt]:
        """The only prompt."""
        return [Prompt(0, "n=")]

    def score(self, prompts: Sequence[Prompt], texts: Sequence[str]) -> Scores:
        """1 for "1" and for "2"."""
        valid = np.array([text in ("1", "2") for text in texts])
        return Scores(valid.astype(float), valid)

    def keys(self, prompts: Sequence[Prompt], texts: Sequence[str]) -> list[Hashable | None]:
        """The text itself."""
        return list(texts)

    def measure(self, prompts: Sequence[Prompt], texts: Sequence[str]) -> dict[str, Estimate]:
        """The chance that two answers differ."""
        return {"diversity": key_diversity(self.keys(prompts, texts), [0] * len(texts))}


def make() -> OneTwo:
    """The task; it has no options."""
    return OneTwo()


def bits(texts: Sequence[str]) -> float:
    """Entropy of 1 against 2 among the right answers, in bits; 1 where they are even."""
    ones, twos = texts.count("1"), texts.count("2")
    if not ones or not twos:
        return 0.0
    p = ones / (ones + twos)
    return -p * math.log2(p) - (1 - p) * math.log2(1 - p)


def make_prior(out: Path = PRIOR) -> Path:
    """The prior of the task, by the project's own pre-training."""
    from trainer.pretrain import PretrainOptions, pretrain

    pairs = [("n=", text) for text, count in SHARES.items() for _ in range(count)]
    options = PretrainOptions(
        out=out,
        texts=pairs * 20,
        size="24-1-2-64",
        held_out=0.0,
        epochs=1,
        learning_rate=0.01,
        batch_tokens=256,
        threads=1,
    )
    return pretrain(options)
