"""A needle-like reward: the squared match with the nearest of six hidden words, and a prior for it.

Ten letters out of eight; reward = max over the six of (letters in place / 10)². What is gained by the
first matches is next to nothing, so quality bends the other way: R = b − a·exp(c·D) with c < 0.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from qdlaws.measure import Estimate
from trainer import Prompt, Scores
from trainer.types import Traits

__all__ = ["LENGTH", "LETTERS", "Motifs", "make", "save_prior"]

LETTERS, LENGTH, COUNT = "abcdefgh", 10, 6


class Motifs:
    """See the module."""

    name = "motifs"
    traits = Traits("motifs", False, False, 0.0, 1.0, True)

    def __init__(self, seed: int = 0) -> None:
        rng = np.random.default_rng(seed)
        self.motifs = rng.integers(len(LETTERS), size=(COUNT, LENGTH))

    def prompts(self, split: str = "train") -> list[Prompt]:
        return [Prompt(0, ":")]

    def score(self, prompts: Sequence[Prompt], texts: Sequence[str]) -> Scores:
        found = self._letters(texts)
        match = (found[:, None] == self.motifs[None]).mean(2).max(1)
        return Scores(match**2, (found >= 0).all(1))

    def keys(self, prompts: Sequence[Prompt], texts: Sequence[str]) -> list[Hashable | None]:
        return [text or None for text in texts]

    def distances(self, prompts: Sequence[Prompt], texts: Sequence[str]) -> npt.NDArray[np.float64]:
        """Share of places in which two texts differ."""
        found = self._letters(texts)
        apart: npt.NDArray[np.float64] = np.mean(found[:, None] != found[None], axis=2)
        return apart

    def measure(self, prompts: Sequence[Prompt], texts: Sequence[str]) -> dict[str, Estimate]:
        """Mean distance of two independent texts, by place: 1 − Σ p², unbiased, with its error."""
        found = self._letters(texts)
        n = len(found)
        counts = np.array([(found == a).sum(0) for a in range(-1, len(LETTERS))])  # (9, places)
        value = 1 - (counts * (counts - 1)).sum(0) / (n * (n - 1))
        each = 1 - np.take_along_axis(counts, found + 1, 0) / n  # a text's distance to the others
        error = 2 * each.mean(1).std(ddof=1) / np.sqrt(n)
        return {"diversity": Estimate(float(value.mean()), float(error), n, n, "hamming")}

    def corpus(self, n: int, seed: int) -> list[tuple[str, str]]:
        return []

    def close(self) -> None:
        """Nothing is open."""

    def _letters(self, texts: Sequence[str]) -> npt.NDArray[np.int64]:
        """(n, 10) numbers of the letters; −1 where a text is shorter."""
        out = np.full((len(texts), LENGTH), -1)
        for row, text in zip(out, texts, strict=True):
            known = [LETTERS.find(letter) for letter in text[:LENGTH]]
            row[: len(known)] = known
        return out


def make() -> Motifs:
    """The task."""
    return Motifs()


def save_prior(folder: Path) -> Path:
    """A small Llama that writes ten random letters: 300 steps on such texts."""
    import torch
    from torch.nn.functional import cross_entropy
    from transformers import LlamaConfig, LlamaForCausalLM

    from trainer.policy.tokenizer import character_tokenizer

    torch.manual_seed(0)
    tokenizer = character_tokenizer([LETTERS + ":"])
    special: dict[str, Any] = {
        f"{name}_token_id": getattr(tokenizer, f"{name}_token_id") for name in ("bos", "eos", "pad")
    }
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=48,
        intermediate_size=96,
        num_hidden_layers=2,
        num_attention_heads=4,
        max_position_embeddings=32,
        tie_word_embeddings=False,
        **special,
    )
    model = LlamaForCausalLM(config)
    letters = torch.tensor(tokenizer.convert_tokens_to_ids(list(LETTERS)))
    first = torch.tensor([tokenizer.bos_token_id, tokenizer.convert_tokens_to_ids(":")])
    last = torch.tensor([tokenizer.eos_token_id])
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    for _ in range(300):
        text = letters[torch.randint(len(LETTERS), (64, LENGTH))]
        row = torch.cat([first.expand(64, 2), text, last.expand(64, 1)], 1)
        logits = model(row[:, :-1]).logits[:, 1:]
        loss = cross_entropy(logits.flatten(0, 1), row[:, 2:].flatten())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder
