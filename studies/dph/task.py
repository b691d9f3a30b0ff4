"""Numbers as sums and as differences: some easy for the prior, some hard, in two notations.

``24=`` asks for a sum and is what RL trains on; ``24:`` asks for a difference and is never trained
on. The corpus is right in 97 % of the pairs of even numbers and in 30 % of those of odd ones, so
the prior knows the ones and mostly misses the others; the corpus has nine right answers to each.

    python -c "from studies.dph.task import make_prior; make_prior()"
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from random import Random

from trainer.tasks.arithmetic.task import Arithmetic
from trainer.tasks.splits import hold_out
from trainer.tasks.task import Prompt

LOW, HIGH = 10, 39
RIGHT = {"known": 0.97, "hard": 0.3, "across": 0.6}
"""The share of right pairs in the corpus: of even sums, of odd sums, of differences."""
HELD_OUT = 0.3
"""Of the odd numbers."""
PRIOR = Path(__file__).resolve().parent / "prior"


class TwoNotations(Arithmetic):
    """Arithmetic with the splits ``train``, ``eval`` (odd, held out), ``known`` and ``across``."""

    name = "sums-and-differences"

    def prompts(self, split: str = "train") -> Sequence[Prompt]:
        """Numbers to train on, odd ones held out, even ones, or all in the other notation."""
        if split == "across":
            return [Prompt(1000 + p.number, f"{p.data['target']}:", p.data) for p in self._prompts]
        odd = [p for p in self._prompts if p.data["target"] % 2]
        if split == "known":
            return [p for p in self._prompts if p not in odd]
        held = hold_out([str(p.data["target"]) for p in odd], HELD_OUT)
        out = [p for p in odd if str(p.data["target"]) in held]
        return out if split == "eval" else [p for p in self._prompts if p not in out]

    def corpus(self, n: int, seed: int) -> list[tuple[str, str]]:
        """n pairs of a prompt of either notation and an answer, right as often as RIGHT says."""
        rng = Random(f"two notations {seed}")
        differences = self.prompts("across")
        pairs = []
        for _ in range(n):
            across = rng.random() < 0.3
            prompt = rng.choice(differences if across else self._prompts)
            target = shown = prompt.data["target"]
            kind = "across" if across else "hard" if target % 2 else "known"
            while rng.random() >= RIGHT[kind] and shown == target:
                shown = rng.randint(LOW, HIGH)
            pairs.append((prompt.text, _difference(shown, rng) if across else _sum(shown, rng)))
        return pairs


def make() -> TwoNotations:
    """The task; it has no options."""
    return TwoNotations(LOW, HIGH, "+-", 2, 16, 0.0, "{n}=", 1.0, "zero")


def _sum(n: int, rng: Random) -> str:
    """A digit and the rest, in either order: nine right answers, in two wordings each."""
    digit = rng.randint(1, 9)
    return f"{digit}+{n - digit}" if rng.random() < 0.5 else f"{n - digit}+{digit}"


def _difference(n: int, rng: Random) -> str:
    """A larger number less a digit: nine right answers."""
    digit = rng.randint(1, 9)
    return f"{n + digit}-{digit}"


def make_prior(out: Path = PRIOR, examples: int = 20_000, epochs: float = 6) -> Path:
    """The prior of the study, by the project's own pre-training."""
    from trainer.pretrain import PretrainOptions, pretrain

    return pretrain(
        PretrainOptions(
            out=out,
            texts=make().corpus(examples, 0),
            size="64-2-4-160",
            longest=32,
            epochs=epochs,
            batch_tokens=640,
            threads=1,
        )
    )
