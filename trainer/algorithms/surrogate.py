"""Step → loss of the policy per token, (B, T). On policy the first three have one gradient.

>>> step = Step(
...     logp=torch.tensor([[-1.0, -1.0]]),
...     old_logp=torch.tensor([[-1.5, -1.0]]),
...     ref_logp=torch.tensor([[-2.0, -1.0]]),
...     advantage=torch.ones(1, 2),
...     mask=torch.ones(1, 2, dtype=torch.bool),
...     log_z=torch.zeros(1, 1),
... )
>>> losses = (
...     score_function, importance, clipped, sequence_clipped, weight_clipped, gated,
...     augmented_likelihood, flow_balance, flow_balance_with_head,
... )
>>> for loss in losses:
...     print(loss.__name__, [round(float(x), 2) for x in loss(step).flatten()])
score_function [1.0, 1.0]
importance [-1.65, -1.0]
clipped [-1.2, -1.0]
sequence_clipped [-1.0, -1.0]
weight_clipped [1.2, 1.0]
gated [-2.63, -2.0]
augmented_likelihood [0.0, 0.0]
flow_balance [0.21, 0.21]
flow_balance_with_head [0.21, 0.21]
"""

from __future__ import annotations

import torch
from torch import Tensor

from trainer.algorithms.declaration import declares
from trainer.types import Step

__all__ = [
    "augmented_likelihood",
    "clipped",
    "flow_balance",
    "flow_balance_with_head",
    "gated",
    "importance",
    "score_function",
    "sequence_clipped",
    "weight_clipped",
]


def score_function(step: Step) -> Tensor:
    """−A·log π (Williams 1992)."""
    return -step.advantage * step.logp


def importance(step: Step) -> Tensor:
    """−A·ρ, the ratio unclipped."""
    return -step.advantage * step.ratio


def clipped(step: Step, low: float = 0.2, high: float = 0.2, dual: float | None = None) -> Tensor:
    """−min(ρA, clip(ρ, 1 − low, 1 + high)·A) (PPO, arXiv 1707.06347).

    ``dual`` bounds the loss of a negative advantage by ``dual·abs(A)`` (Ye et al. 2020,
    arXiv 1912.09729).
    Recent verl, hence the code of DARLING, DPH and DAPO, has 3 there; on policy it changes nothing.
    """
    held = step.ratio.clamp(1 - low, 1 + high)
    loss = -torch.minimum(step.ratio * step.advantage, held * step.advantage)
    if dual is None:
        return loss
    return torch.where(step.advantage < 0, torch.minimum(loss, -dual * step.advantage), loss)


def sequence_clipped(step: Step, low: float = 3e-4, high: float = 4e-4) -> Tensor:
    """The clipped surrogate with one ratio for a sequence, s = exp(mean log ρ) (GSPO).

    arXiv 2507.18071. Every token carries s as its value and its own log π as its gradient, so that
    ``sequence_mean`` gives the gradient of s·A.
    """
    log_rho = torch.where(step.mask, step.logp.detach() - step.old_logp, 0.0)
    mean = log_rho.sum(1, keepdim=True) / step.mask.sum(1, keepdim=True).clamp_min(1)
    ratio = torch.exp((step.logp - step.logp.detach() + mean).clamp_max(10.0))
    held = ratio.clamp(1 - low, 1 + high)
    return -torch.minimum(ratio * step.advantage, held * step.advantage)


def weight_clipped(step: Step, low: float = 10.0, high: float = 0.2) -> Tensor:
    """−sg(clip(ρ, 1 − low, 1 + high))·A·log π: no token is without gradient (CISPO).

    arXiv 2506.13585; a ``low`` above 1 is no bound, as in verl's example.
    """
    weight = step.ratio.detach().clamp(1 - low, 1 + high)
    return -weight * step.advantage * step.logp


def gated(step: Step, positive: float = 1.0, negative: float = 1.05) -> Tensor:
    """−A·σ(τ(ρ − 1))·4/τ: a gate that closes smoothly where PPO clips (SAPO, arXiv 2511.20347).

    τ is ``positive`` where A > 0, else ``negative``. On policy its slope in ρ is 1.
    """
    up = torch.full_like(step.advantage, positive)
    tau = torch.where(step.advantage > 0, up, negative)
    return -step.advantage * torch.sigmoid(tau * (step.ratio - 1)) * 4 / tau


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


@declares("reference")
def flow_balance(step: Step, clip: float | None = None) -> Tensor:
    """w·(mean log(π/π_ref) − target)², w = sg(π(y)/π_old(y)), in equal parts on the tokens.

    FlowRL, arXiv 2509.15207; the target: :func:`trainer.algorithms.adjustment.flow_target`. The
    released code works out a weight clipped to 1 ± ``clip`` and then uses the unclipped one, as
    here by default.
    """
    return _flow(step, step.advantage, clip)


@declares("reference", "log_partition")
def flow_balance_with_head(step: Step, clip: float | None = None) -> Tensor:
    """w·(log Z + mean log(π/π_ref) − scale·Â)², log Z by the recipe's head (FlowRL as released).

    On policy its gradient on the policy is that of :func:`flow_balance` once the head is at its
    optimum, but for what flows back through the hidden states that the head reads.
    """
    if step.log_z is None:
        raise ValueError("flow_balance_with_head needs log_z, what the head says of the prompt")
    return _flow(step, step.advantage - step.log_z, clip)


def _flow(step: Step, target: Tensor, clip: float | None) -> Tensor:
    if step.ref_logp is None:
        raise ValueError("FlowRL's loss needs ref_logp")
    length = step.mask.sum(1, keepdim=True).clamp_min(1)
    gap = torch.where(step.mask, step.logp - step.ref_logp, 0.0).sum(1, keepdim=True) / length
    moved = torch.where(step.mask, step.logp.detach() - step.old_logp, 0.0).sum(1, keepdim=True)
    weight = moved.exp() if clip is None else moved.exp().clamp(1 - clip, 1 + clip)
    return weight * (gap - target).square() / length * step.mask
