"""Samples of a model in training, through the rollout engine of the trainer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

__all__ = ["draw"]

PHASE = 9
"""The phase in the keys of the noise: no sample of a run shares its noise with these."""
BATCH = 512


def draw(
    model: Any, tokenizer: Any, prompts: Sequence[str], *, key: tuple[int, int, int], limit: int
) -> list[str]:
    """A completion of every prompt at temperature 1; the same key, the same completions.

    ``key`` = (seed, round, purpose) with the row's number names the noise of each row.
    """
    from trainer.policy import encode_prompts
    from trainer.policy.model import make_policy
    from trainer.sampling import sample

    policy = make_policy(model, tokenizer)
    seed, number, purpose = key
    keys = [(seed, PHASE, number, purpose, row) for row in range(len(prompts))]
    asked = encode_prompts(policy, prompts)
    return sample(policy, asked, keys, limit=limit, batch_size=BATCH).texts(policy)
