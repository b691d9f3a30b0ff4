"""Which samples and tokens count, and how much: reductions, row keepers and token selectors.

A reduction is a weight: (mask, count, limit) → (B, T), taken once over the optimizer batch, so
that the loss of a micro-batch is ``(per_token * weight).sum()`` and gradients cannot depend on
how the batch was cut. A keeper, Rollouts → (B,) bool, drops samples before the reduction counts
them. A selector, (Step, rng) → (B, T) bool, picks tokens of the whole optimizer batch.

>>> mask = torch.tensor([[True, True, True, True], [True, True, False, False]])
>>> count = torch.ones(2)
>>> token_mean(mask, count, 8)[0, 0].item(), sequence_mean(mask, count, 8)[0, 0].item()
(0.1666666716337204, 0.125)
>>> sequence_sum(mask, count, 8)[0, 0].item(), fixed_length(mask, count, 8)[0, 0].item()
(0.5, 0.0625)

Which samples and tokens count:

>>> batch = Rollouts.of(torch.tensor([1.0, 0.0]), torch.tensor([0, 0]), mask, -mask.float())
>>> mixed_groups(batch).tolist(), only_correct(batch).tolist(), only_wrong(batch).tolist()
([True, True], [True, False], [False, True])
>>> logp = -torch.arange(8.0).reshape(2, 4)
>>> step = Step(logp, logp, None, torch.tensor([[1.0], [-1.0]]).expand(2, 4), mask)
>>> covariance(step).shape
torch.Size([2, 4])
>>> covariance_top(step, None, share=0.2).sum().item()
1
>>> covariance_band(step, torch.Generator().manual_seed(0), share=0.2).shape
torch.Size([2, 4])
"""

from __future__ import annotations

import torch
from torch import Tensor

from trainer.algorithms.declaration import declares
from trainer.algorithms.grouping import group_max
from trainer.types import Rollouts, Step

__all__ = [
    "covariance",
    "covariance_band",
    "covariance_top",
    "fixed_length",
    "mixed_groups",
    "only_correct",
    "only_wrong",
    "sequence_mean",
    "sequence_sum",
    "token_mean",
]

# ── reductions ────────────────────────────────────────────────────────────────────────────────


def token_mean(mask: Tensor, count: Tensor, limit: int) -> Tensor:
    """Every token of the batch weighs the same (DAPO)."""
    weight = count[:, None] * mask
    return weight / _positive(weight.sum())


def sequence_mean(mask: Tensor, count: Tensor, limit: int) -> Tensor:
    """Mean over samples of the mean over their tokens (GRPO as published)."""
    share = count / _positive(count.sum())
    return (share / mask.sum(1).clamp_min(1))[:, None] * mask


def sequence_sum(mask: Tensor, count: Tensor, limit: int) -> Tensor:
    """Mean over samples of the sum over their tokens: the policy gradient itself."""
    return (count / _positive(count.sum()))[:, None] * mask


def fixed_length(mask: Tensor, count: Tensor, limit: int) -> Tensor:
    """Mean over samples of the sum over tokens ÷ the longest allowed length (Dr.GRPO)."""
    return sequence_sum(mask, count, limit) / limit


def _positive(total: Tensor) -> Tensor:
    """The total, or 1 where nothing counts: a batch of nothing has no gradient, not a NaN."""
    return torch.where(total > 0, total, torch.ones_like(total))


# ── keepers ───────────────────────────────────────────────────────────────────────────────────


@declares("redraws")
def mixed_groups(rollouts: Rollouts) -> Tensor:
    """Samples of prompts whose raw scores are not all equal (dynamic sampling of DAPO)."""
    counted = rollouts.count > 0
    top = group_max(torch.where(counted, rollouts.score, -torch.inf), rollouts.group)
    bottom = -group_max(torch.where(counted, -rollouts.score, -torch.inf), rollouts.group)
    return top > bottom


def only_correct(rollouts: Rollouts, threshold: float = 0.5) -> Tensor:
    """Samples with a raw score above ``threshold``."""
    return rollouts.score > threshold


def only_wrong(rollouts: Rollouts, threshold: float = 0.5) -> Tensor:
    """Samples with a raw score at or below ``threshold``."""
    return rollouts.score <= threshold


# ── selectors (Entropy Mechanism, arXiv 2505.22617) ───────────────────────────────────────────


def covariance(step: Step) -> Tensor:
    """(log π − mean log π)·(A − mean A) per token, means over the valid tokens of the batch."""
    logp, advantage = step.logp.detach(), step.advantage
    n = step.mask.sum().clamp_min(1)
    mean_logp = torch.where(step.mask, logp, 0.0).sum() / n
    mean_advantage = torch.where(step.mask, advantage, 0.0).sum() / n
    return (logp - mean_logp) * (advantage - mean_advantage)


def covariance_band(
    step: Step,
    rng: torch.Generator | None,
    share: float = 2e-4,
    low: float = 1.0,
    high: float = 5.0,
    percentiles: bool = False,
    clip_low: float = 1.0,
    clip_high: float = 1.0,
) -> Tensor:
    """Clip-Cov: ⌊share·N⌋ tokens (at least 1) at random among those with low < covariance < high.

    Tokens that the PPO rule clips already are not in the pool; a pool smaller than the quota is
    taken whole. The bounds 1 and 5 assume the log-probabilities of a large model: ``percentiles``
    reads ``low`` and ``high`` as percentiles of the batch's covariances instead.
    """
    cov = covariance(step)
    if not bool(step.mask.any()):
        return torch.zeros_like(step.mask)
    if percentiles:
        bounds = torch.tensor([low, high], dtype=cov.dtype, device=cov.device) / 100
        low, high = (float(b) for b in torch.quantile(cov[step.mask], bounds))
    pool = step.mask & (cov > low) & (cov < high) & ~step.is_clipped(clip_low, clip_high)
    quota = max(1, int(share * int(step.mask.sum())))
    places = pool.flatten().nonzero().squeeze(1)
    order = torch.randperm(len(places), generator=rng)[:quota]
    chosen = torch.zeros_like(pool).flatten()
    chosen[places[order.to(places.device)]] = True
    return chosen.view_as(pool)


def covariance_top(step: Step, rng: torch.Generator | None, share: float = 2e-3) -> Tensor:
    """KL-Cov: the ⌊share·N⌋ tokens (at least 1) with the largest covariance."""
    if not bool(step.mask.any()):
        return torch.zeros_like(step.mask)
    cov = torch.where(step.mask, covariance(step), -torch.inf).flatten()
    quota = max(1, int(share * int(step.mask.sum())))
    chosen = torch.zeros_like(cov, dtype=torch.bool)
    chosen[cov.topk(quota).indices] = True
    return chosen.view_as(step.mask)
