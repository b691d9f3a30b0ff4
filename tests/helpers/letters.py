"""A task of one's own for the tests: write the letter of the prompt, as often as you can."""

from collections.abc import Hashable, Sequence

import numpy as np

from qdlaws import measure
from trainer.tasks.task import Prompt, Scores
from trainer.types import Traits


class Letters:
    """Score: the share of a text that is the letter asked for; ``binary``: at least half of it."""

    name = "letters"
    sample_files = ("all.csv",)

    def __init__(self, letters: str = "abcd", binary: bool = False, fail: float = 0.0) -> None:
        self.letters, self.binary, self.fail = letters, binary, fail
        self.asked = 0
        self.traits = Traits("letters", len(letters) > 1, binary, 0.0, 1.0, True)

    def prompts(self, split: str = "train") -> Sequence[Prompt]:
        return [Prompt(i, f"{letter}:") for i, letter in enumerate(self.letters)]

    def score(self, prompts: Sequence[Prompt], texts: Sequence[str]) -> Scores:
        self.asked += len(texts)
        share = np.array(
            [t.count(q.text[0]) / max(len(t), 1) for q, t in zip(prompts, texts, strict=True)],
            float,
        )
        value = (share >= 0.5).astype(float) if self.binary else share
        failing = [hash_of(t) < self.fail for t in texts]
        value[failing] = np.nan
        return Scores(value, np.array([bool(t) for t in texts]), {"share": share})

    def keys(self, prompts: Sequence[Prompt], texts: Sequence[str]) -> list[Hashable | None]:
        return ["".join(sorted(t)) or None for t in texts]

    def measure(self, prompts: Sequence[Prompt], texts: Sequence[str]) -> dict:
        labels = [q.number for q in prompts]
        some = [i for i in range(len(texts)) if labels[i] == labels[0]]
        kept = [texts[i] for i in some]
        return {"diversity": measure.distinct_classes(kept, measure.exact(), reading="pairwise")}

    def corpus(self, n: int, seed: int) -> list[tuple[str, str]]:
        rng = np.random.default_rng(seed)
        return [
            (f"{q}:", "".join(rng.choice(list("abcd"), 5))) for q in rng.choice(list("abcd"), n)
        ]

    def write_samples(self, folder, step: int, found) -> None:
        with (folder / "all.csv").open("a") as file:
            file.writelines(f"{step},{text}\n" for text in found.texts)

    def state_dict(self) -> dict[str, int]:
        return {"asked": self.asked}

    def load_state(self, state: dict[str, int]) -> None:
        self.asked = state["asked"]

    def close(self) -> None:
        pass


def hash_of(text: str) -> float:
    """A number in [0, 1) that the text decides."""
    return (sum(map(ord, text)) * 2654435761 % 2**32) / 2**32


def make(**options: object) -> Letters:
    return Letters(**options)  # type: ignore[arg-type]
