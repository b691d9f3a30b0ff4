"""Stories: short open-ended texts of a small grammar, with no single right answer.

The prompt is ``a story about a fox in the forest:``. Quality is graded: how much of the text the
grammar derives, whether it hangs together, its length. Two stories mean the same where character,
goal, event and ending agree, whatever the words; the wording is measured beside it.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from functools import cached_property, lru_cache
from random import Random
from typing import TYPE_CHECKING, Literal

import numpy as np

from qdlaws.errors import QdlawsError
from trainer.tasks.scoring.user_rewards import weighted
from trainer.tasks.splits import check_share, hold_out
from trainer.tasks.stories.grammar import (
    CHARACTERS,
    PLACES,
    Plot,
    draw_plot,
    story_sentences,
    with_flaw,
)
from trainer.tasks.stories.reading import Reading, read
from trainer.tasks.task import Prompt, Scores

if TYPE_CHECKING:
    from qdlaws.measure import Estimate
    from trainer.types import Traits

__all__ = ["Stories", "make"]

WEIGHTS = {"grammar": 0.4, "coherence": 0.4, "length": 0.2}


def make(
    weights: Mapping[str, float] | None = None,
    min_words: int = 25,
    max_words: int = 45,
    eval_share: float = 0.2,
    template: str = "a story about {about}:",
    flawed: float = 0.8,
    invalid: Literal["zero", "nan"] = "zero",
) -> Stories:
    """The task of short stories about a thing, scored by rules.

    Parameters
    ----------
    weights : of the rewards grammar, coherence and length; None: .4, .4 and .2
    min_words : a text of so many words has the full reward for length
    max_words : and up to so many
    eval_share : the share of the subjects that is held out
    template : the prompt; ``{about}`` is the subject
    flawed : the share of stories in the corpus with something wrong, so that a prior has room to
        improve
    invalid : the score of a text that is no story: "zero", or "nan" (dropped and counted)
    """
    return Stories(
        {**WEIGHTS, **(weights or {})},
        min_words,
        max_words,
        eval_share,
        template,
        flawed,
        invalid,
    )


class Stories:
    """Write a short story about somebody: graded quality in [0, 1], many stories as good."""

    name = "stories"

    def __init__(
        self,
        weights: Mapping[str, float],
        min_words: int,
        max_words: int,
        eval_share: float,
        template: str,
        flawed: float,
        invalid: Literal["zero", "nan"],
    ) -> None:
        unknown = set(weights) - set(WEIGHTS)
        if unknown or min(weights.values()) < 0 or sum(weights.values()) <= 0:
            raise QdlawsError(
                f"stories: weights={dict(weights)}: non-negative weights of {', '.join(WEIGHTS)}"
            )
        if not 1 <= min_words <= max_words:
            raise QdlawsError(
                f"stories: min_words={min_words}, max_words={max_words}: "
                "1 <= min_words <= max_words was needed"
            )
        if "{about}" not in template:
            raise QdlawsError(f"stories: template={template!r}: it must contain {{about}}")
        if invalid not in ("zero", "nan"):
            raise QdlawsError(f"stories: invalid={invalid!r}: 'zero' or 'nan' was needed")
        self.weights = {k: w / sum(weights.values()) for k, w in weights.items()}
        self.min_words, self.max_words = min_words, max_words
        self._flawed = check_share("flawed", flawed)
        self._invalid = 0.0 if invalid == "zero" else float("nan")
        self._prompts = [
            Prompt(i, template.replace("{about}", _about(c, p)), {"character": c, "place": p})
            for i, (c, p) in enumerate((c, p) for c in CHARACTERS for p in (None, *PLACES))
        ]
        self._held = hold_out(
            (p.text for p in self._prompts), check_share("eval_share", eval_share)
        )
        self._read = lru_cache(maxsize=1 << 15)(read)

    @cached_property
    def traits(self) -> Traits:
        from trainer.types import Traits  # torch is loaded here, when a recipe asks

        return Traits(self.name, True, False, 0.0, 1.0, True)

    def prompts(self, split: str = "train") -> list[Prompt]:
        """A prompt for each character and place; "eval" holds other pairs than "train"."""
        if split not in ("train", "eval"):
            raise QdlawsError(f"stories has the splits train and eval, not {split!r}")
        if not self._held:
            return self._prompts
        return [p for p in self._prompts if (p.text in self._held) == (split == "eval")]

    def score(self, prompts: Sequence[Prompt], texts: Sequence[str]) -> Scores:
        """The weighted mean of grammar, coherence and length; nothing recognised: invalid."""
        readings = [self._read(text) for text in texts]
        valid = np.array([any(r.kinds) for r in readings], bool)
        parts = {
            "grammar": np.array([r.share_derived() for r in readings], float),
            "coherence": np.array(
                [
                    r.coherence(p.data["character"], p.data["place"])
                    for r, p in zip(readings, prompts, strict=True)
                ],
                float,
            ),
            "length": np.array([self._length(r) for r in readings], float),
        }
        score = np.where(valid, weighted(parts, self.weights, len(texts)), self._invalid)
        return Scores(score, valid, parts)

    def keys(self, prompts: Sequence[Prompt], texts: Sequence[str]) -> list[Hashable | None]:
        """(character, goal, event, ending) of each story, with None for a part that it lacks."""
        return [self._read(text).key for text in texts]

    def measure(self, prompts: Sequence[Prompt], texts: Sequence[str]) -> dict[str, Estimate]:
        """Diversity of meanings within a prompt, and of wordings (edit distance of words)."""
        from trainer.tasks.scoring.answer_metrics import (
            key_diversity,
            unique_keys,
            valid_share,
            wording_diversity,
        )

        numbers = [prompt.number for prompt in prompts]
        keys = self.keys(prompts, texts)
        return {
            "diversity": key_diversity(keys, numbers),
            "unique_share": unique_keys(keys, numbers),
            "diversity_wording": wording_diversity(texts, numbers),
            "diversity_wording_unique": wording_diversity(texts, numbers, unique=True),
            "valid_share": valid_share(self.score(prompts, texts).valid, numbers),
        }

    def corpus(self, n: int, seed: int) -> list[tuple[str, str]]:
        """n pairs of a prompt and a story; a share of ``flawed`` has one to three flaws."""
        rng = Random(f"stories corpus {seed}")
        pairs = []
        for _ in range(n):
            prompt = rng.choice(self._prompts)
            plot = draw_plot(rng, prompt.data["character"], prompt.data["place"])
            pairs.append((prompt.text, " ".join(self._write(plot, rng))))
        return pairs

    def close(self) -> None:
        """Nothing to give back."""

    # ------------------------------------------------------------------ helpers

    def _length(self, reading: Reading) -> float:
        words = len(reading.words)
        if words < self.min_words:
            return words / self.min_words
        return max(0.0, 1 - max(words - self.max_words, 0) / self.max_words)

    def _write(self, plot: Plot, rng: Random) -> list[str]:
        sentences = [f"{sentence}." for sentence in story_sentences(plot, rng)]
        if rng.random() < self._flawed:
            for _ in range(rng.choice((1, 1, 2, 3))):
                sentences = with_flaw(sentences, rng)
        return sentences


# ---------------------------------------------------------------------- helpers

_WHERE = {
    "forest": "in the forest",
    "sea": "by the sea",
    "castle": "in the castle",
    "village": "in the village",
    "desert": "in the desert",
    "mountain": "on the mountain",
}


def _about(character: str, place: str | None) -> str:
    article = "an" if character[0] in "aeiou" else "a"
    return f"{article} {character}" + (f" {_WHERE[place]}" if place else "")
