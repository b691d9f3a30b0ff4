"""Rollouts, advantage, knobs → advantage, (B,): what needs more than rewards to be worked out.

These pieces act after the advantage of :mod:`trainer.algorithms.advantage`, and read what was
sampled: how likely the sampler found each completion, and which of them are right.
"""

from __future__ import annotations

import torch
from torch import Tensor

from trainer.algorithms.declaration import declares
from trainer.algorithms.grouping import divided, group_max, group_mean, group_sum
from trainer.types import Knobs, Rollouts

__all__ = ["differential_smoothing", "flow_target", "scaled_advantage", "uniform_correct"]


def uniform_correct(
    rollouts: Rollouts, advantage: Tensor, knobs: Knobs, tau: float = 0.2, threshold: float = 0.5
) -> Tensor:
    """A_i·n_c·((1 − τ)/n_c + τ·q_i⁻¹/Σ q⁻¹) for right answers (UCPO, arXiv 2605.00365).

    n_c right answers of the prompt share what they had together, in part τ in proportion to 1/q, q
    the softmax over them of the mean log π_old of their tokens: the unlikely ones get more. q is
    floored at a millionth of the likeliest one's; the released code floors it at a millionth.
    """
    right = (rollouts.score > threshold) & (rollouts.count > 0)
    logp, group = rollouts.mean_old_logp().double(), rollouts.group
    top = group_max(torch.where(right, logp, -torch.inf), group)
    likely = torch.exp(torch.where(right, logp - top, 0.0)).clamp_min(1e-6)
    inverse = torch.where(right, 1 / likely, 0.0)  # 1/q up to a factor that a prompt shares
    count = rollouts.count * right
    several = group_sum(count, group)
    share = divided(inverse, group_sum(count * inverse, group))
    factor = (1 - tau) + tau * several * share
    return torch.where(right & (several > 1), factor * advantage, advantage)


def differential_smoothing(
    rollouts: Rollouts,
    advantage: Tensor,
    knobs: Knobs,
    correct: float,
    wrong: float,
    threshold: float = 0.5,
) -> Tensor:
    """A − γ⁺·log π_old(y) for right answers, A + γ⁻·log π_old(y) for wrong ones (arXiv 2511.19942).

    γ⁺ = ``correct`` pays right answers for being unlikely, γ⁻ = ``wrong`` charges wrong ones for
    it; log π_old is of the whole completion. A third party's code leaves a prompt's only right or
    only wrong answer as it is; here it is treated as the others.
    """
    logp = rollouts.mean_old_logp() * rollouts.length
    right = rollouts.score > threshold
    return advantage + torch.where(right, -correct * logp, wrong * logp).to(advantage)


def scaled_advantage(rollouts: Rollouts, advantage: Tensor, knobs: Knobs) -> Tensor:
    """scale·Â: FlowRL's log reward, where a head says log Z."""
    return knobs.reward_scale * advantage


@declares("reference")
def flow_target(rollouts: Rollouts, advantage: Tensor, knobs: Knobs) -> Tensor:
    """What the mean log ratio to the reference should be: scale·Â − log Z of the prompt (FlowRL).

    log Z is the mean over the prompt's samples of scale·Â − (mean log π_old − mean log π_ref): the
    constant that leaves the least squares, as a head would find it (VarGrad).
    """
    gap = rollouts.mean_old_logp() - rollouts.sequence_ref_logp() / rollouts.length.clamp_min(1)
    wanted = knobs.reward_scale * advantage
    free = torch.where(rollouts.count > 0, wanted - gap, 0.0)
    return wanted - group_mean(free, rollouts.group, rollouts.count)
