"""The last phase of a prior: a short RLOO run whose reward is validity alone.

Its optimum π·exp(valid/β) is, for a small β, the model's distribution given that the sample is
valid: the proportions among valid molecules, and so their diversity, hardly change.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from trainer.algorithms.objective import credit, objective
from trainer.algorithms.recipes import rloo
from trainer.policy import encode_prompts, frozen_reference, token_log_probs
from trainer.policy.model import make_policy
from trainer.sampling import sample
from trainer.types import Rollouts

__all__ = ["train_validity"]

PHASE = 10
ROWS = 128  # of a forward pass with gradient


def train_validity(
    model: Any,
    tokenizer: Any,
    is_valid: Callable[[list[str]], list[bool]],
    *,
    steps: int,
    batch: int,
    limit: int,
    seed: int,
    learning_rate: float,
    beta: float,
    on_step: Callable[[int, int, float], None],
) -> None:
    """Trains the model in place; ``on_step(step, steps, valid share)`` after each step."""
    policy = make_policy(model, tokenizer)
    reference, recipe = frozen_reference(policy), rloo(beta)
    optimizer = torch.optim.AdamW(model.parameters(), lr=learning_rate, weight_decay=0.0)
    ids = encode_prompts(policy, [""] * batch)
    group = torch.zeros(batch, dtype=torch.long)
    for step in range(steps):
        for part in optimizer.param_groups:
            part["lr"] = learning_rate * (1 - step / steps)
        keys = [(seed, PHASE, step, 0, row) for row in range(batch)]
        drawn = sample(policy, ids, keys, limit=limit)
        valid = is_valid(drawn.texts(policy))
        with torch.no_grad():
            ref = token_log_probs(reference, ids, drawn.tokens, drawn.mask).logp
        rollouts = Rollouts.of(
            torch.tensor(valid).double(), group, drawn.mask, drawn.logp.double(), ref.double()
        )
        credited = credit(recipe, rollouts, recipe.knobs)
        for first in range(0, batch, ROWS):
            rows = slice(first, first + ROWS)
            scored = token_log_probs(policy, ids[rows], drawn.tokens[rows], drawn.mask[rows])
            objective(recipe, credited.rows(rows), scored.logp.double(), recipe.knobs).backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        on_step(step + 1, steps, sum(valid) / batch)
    model.eval()
