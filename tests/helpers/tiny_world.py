"""Every completion of a 4-token, length-3 world, so that expectations are sums."""

from __future__ import annotations

import itertools

import torch
from torch import Tensor

from trainer.types import Rollouts, Step

TOKENS, LENGTH = 4, 3
SEQUENCES = torch.tensor(list(itertools.product(range(TOKENS), repeat=LENGTH)))  # (64, 3)
STATES = 1 + TOKENS + TOKENS**2
# the number of the state (the prefix) that each token of each sequence is drawn in
STATE_OF = torch.stack(
    [
        torch.zeros(len(SEQUENCES), dtype=torch.long),
        1 + SEQUENCES[:, 0],
        1 + TOKENS + TOKENS * SEQUENCES[:, 0] + SEQUENCES[:, 1],
    ],
    dim=1,
)
MASK = torch.ones(len(SEQUENCES), LENGTH, dtype=torch.bool)


def tables(seed: int = 0) -> tuple[Tensor, Tensor]:
    """Logits of a policy and of a reference, (states, tokens) each, float64."""
    rng = torch.Generator().manual_seed(seed)
    policy, reference = torch.randn(2, STATES, TOKENS, generator=rng, dtype=torch.float64)
    return policy.requires_grad_(), reference


def token_logp(logits: Tensor) -> Tensor:
    """log π of every token of every sequence, (64, 3)."""
    return logits.log_softmax(-1)[STATE_OF, SEQUENCES]


def entropies(logits: Tensor) -> Tensor:
    """Exact entropy in the state of every token of every sequence, (64, 3)."""
    logp = logits.log_softmax(-1)
    return -(logp.exp() * logp).sum(-1)[STATE_OF]


def visits(logits: Tensor) -> Tensor:
    """Probability of passing through each state, (states,), without gradient."""
    probability = token_logp(logits.detach()).sum(1).exp()
    reach = torch.zeros(STATES, dtype=torch.float64)
    for t in range(LENGTH):
        reach.index_add_(0, STATE_OF[:, t], probability)
    return reach


def step(logits: Tensor, reference: Tensor, advantage: Tensor | None = None) -> Step:
    """The Step of all sequences."""
    logp = token_logp(logits)
    advantage = torch.zeros(len(SEQUENCES), dtype=torch.float64) if advantage is None else advantage
    return Step(
        logp=logp,
        old_logp=logp.detach(),
        ref_logp=token_logp(reference),
        advantage=advantage[:, None].expand(-1, LENGTH),
        mask=MASK,
        entropy=entropies(logits),
    )


def sampled(seed: int, batch: int = 12, groups: int = 3, levels: int = 4) -> Rollouts:
    """A batch of random completions of unequal lengths with scores on a few levels in [0, 1]."""
    rng = torch.Generator().manual_seed(seed)
    length = torch.randint(1, LENGTH + 1, (batch,), generator=rng)
    meaning = torch.randint(0, 3, (batch,), generator=rng)
    logp = -torch.rand(2, batch, LENGTH, generator=rng, dtype=torch.float64) * 2
    return Rollouts.of(
        score=torch.randint(0, levels, (batch,), generator=rng).double() / (levels - 1),
        group=torch.arange(batch) % groups,
        mask=torch.arange(LENGTH)[None, :] < length[:, None],
        old_logp=logp[0],
        ref_logp=logp[1],
        equivalent=meaning[:, None] == meaning[None, :],
    )
