"""Step → loss of the policy per token, (B, T). On policy the first three have one gradient."""

from __future__ import annotations

import torch
from torch import Tensor

from trainer.algorithms.declaration import declares
from trainer.types import Step

__all__ = ["augmented_likelihood", "clipped", "importance", "score_function"]


def score_function(step: Step) -> Tensor:
    """−A·log π (Williams 1992)."""
    return -step.advantage * step.logp


def importance(step: Step) -> Tensor:
    """−A·ρ, the ratio unclipped."""
    return -step.advantage * step.ratio


def clipped(step: Step, low: float = 0.2, high: float = 0.2, dual: float | None = None) -> Tensor:
    """−min(ρA, clip(ρ, 1 − low, 1 + high)·A) (PPO, arXiv 1707.06347).

    ``dual`` bounds the loss of a negative advantage by dual·|A| (Ye et al. 2020, arXiv 1912.09729).
    Recent verl, hence the code of DARLING, DPH and DAPO, has 3 there; on policy it changes nothing.
    """
    held = step.ratio.clamp(1 - low, 1 + high)
    loss = -torch.minimum(step.ratio * step.advantage, held * step.advantage)
    if dual is None:
        return loss
    return torch.where(step.advantage < 0, torch.minimum(loss, -dual * step.advantage), loss)


@declares("reference")
def augmented_likelihood(step: Step) -> Tensor:
    """(log π_ref(y) + r − log π(y))², r = σ·score, in equal parts on the tokens of y (REINVENT).

    Olivecrona et al. 2017. The advantage must be the reward itself. On policy its gradient is
    twice that of REINFORCE with the reward r and the KL in the reward at strength 1.
    """
    if step.ref_logp is None:
        raise ValueError("augmented_likelihood needs ref_logp")
    gap = torch.where(step.mask, step.logp - step.ref_logp, torch.zeros_like(step.logp))
    miss = step.advantage - gap.sum(1, keepdim=True)
    return miss.square() / step.mask.sum(1, keepdim=True).clamp_min(1) * step.mask
