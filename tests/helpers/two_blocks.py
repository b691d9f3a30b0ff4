"""The bandit of two equal blocks of good actions, and what a policy makes of them."""

from __future__ import annotations

import torch
from torch import Tensor

from trainer.analysis.exact_bandit import decaying_bandit, entropy

BLOCKS = decaying_bandit()
GOOD = BLOCKS.reward[0] == 1
SECOND = torch.arange(100) >= 70


def second_block(policy: Tensor) -> float:
    """Share of the good actions' mass that lies on the second, rarer block."""
    return (policy[0, SECOND & GOOD].sum() / policy[0, GOOD].sum()).item()


def evenness(policy: Tensor) -> float:
    """Entropy over the good actions ÷ its largest value."""
    good = policy[0, GOOD] / policy[0, GOOD].sum()
    return (entropy(good) / torch.log(GOOD.sum().double())).item()
