"""Reward, group, count → advantage, all (B,).

What each does to the state that a run settles in (see :mod:`trainer.analysis.plant`): dividing by
nothing
keeps the tilt π_ref·exp(R/β); dividing by the group's spread makes the reward scale a dead knob,
and with a reverse KL folds the state. Where a fixed step size is wanted, divide the whole shaped
reward, its KL included, by one scalar of the raw scores:
:func:`trainer.algorithms.shaping.batch_normalised`.

>>> reward = torch.tensor([1.0, 0, 0, 1, 1, 0], dtype=torch.float64)
>>> group, count = torch.tensor([0, 0, 0, 1, 1, 1]), torch.ones_like(reward)
>>> raw(reward, group, count).tolist()
[1.0, 0.0, 0.0, 1.0, 1.0, 0.0]
>>> centred(reward, group, count).round(decimals=2).tolist()
[0.67, -0.33, -0.33, 0.33, 0.33, -0.67]
>>> leave_one_out(reward, group, count).round(decimals=2).tolist()
[1.0, -0.5, -0.5, 0.5, 0.5, -1.0]
>>> group_standardised(reward, group, count).round(decimals=2).tolist()
[1.15, -0.58, -0.58, 0.58, 0.58, -1.15]
>>> risk_sensitive(reward, group, count).round(decimals=2).tolist()
[0.68, -0.34, -0.34, 0.2, 0.2, -0.4]
>>> pass_at_k(reward, group, count, k=2).round(decimals=2).tolist()
[0.71, -0.35, -0.35, 0.0, 0.0, 0.0]
>>> quantile_baseline(reward, group, count).round(decimals=2).tolist()
[2.12, 0.0, 0.0, 0.0, 0.0, -2.12]
"""

from __future__ import annotations

import torch
from torch import Tensor

from trainer.algorithms.declaration import declares
from trainer.algorithms.grouping import (
    divided,
    group_max,
    group_mean,
    group_size,
    group_std,
    group_sum,
)

__all__ = [
    "centred",
    "group_standardised",
    "leave_one_out",
    "pass_at_k",
    "quantile_baseline",
    "raw",
    "risk_sensitive",
]


def raw(reward: Tensor, group: Tensor, count: Tensor) -> Tensor:
    """The reward itself (Williams 1992)."""
    return reward


def centred(reward: Tensor, group: Tensor, count: Tensor) -> Tensor:
    """A_i = r_i − mean of the group (Dr.GRPO, arXiv 2503.20783)."""
    return reward - group_mean(reward, group, count)


def leave_one_out(reward: Tensor, group: Tensor, count: Tensor) -> Tensor:
    """A_i = r_i − mean of the others = n/(n − 1)·centred (RLOO, arXiv 2402.14740).

    A sample without companions has no baseline and gives no signal.
    """
    n = group_size(group, count)
    return divided(n, n - 1) * centred(reward, group, count)


@declares(divides_by="group")
def group_standardised(reward: Tensor, group: Tensor, count: Tensor, eps: float = 1e-6) -> Tensor:
    """A_i = (r_i − mean)/std within the group (GRPO, arXiv 2402.03300).

    std with n − 1 and ε as in verl. A lone sample has A = 0; verl gives it A = r.
    """
    return centred(reward, group, count) / (group_std(reward, group, count) + eps)


def pass_at_k(
    reward: Tensor, group: Tensor, count: Tensor, k: int = 4, eps: float = 1e-6
) -> Tensor:
    """Analytic advantage of pass@k training for 0/1 rewards (arXiv 2508.10751).

    With N rollouts, N⁻ of them wrong: R̄ = 1 − C(N⁻,k)/C(N,k), σ = √(R̄(1 − R̄)),
    A⁺ = (1 − R̄)/σ, A⁻ = (1 − R̄ − C(N⁻−1,k−1)/C(N−1,k−1))/σ.
    A group with fewer than k wrong answers, or fewer than k answers, gives no gradient.
    """
    right = reward > 0.5
    n = group_size(group, count)
    wrong = n - group_sum(count * right, group)
    fail = _choose_ratio(wrong, n, k)
    success = 1 - fail
    above = torch.where(right, fail, fail - _choose_ratio(wrong - 1, n - 1, k - 1))
    advantage = above / ((success * fail).clamp_min(0).sqrt() + eps)
    return torch.where(n >= k, advantage, torch.zeros_like(advantage))


def risk_sensitive(reward: Tensor, group: Tensor, count: Tensor, risk: float = 2.0) -> Tensor:
    """A_i = (exp(β·r_i)/mean of exp(β·r) − 1)/β, β = ``risk`` (RS-GRPO, arXiv 2509.24261).

    The gradient of (1/β)·log E exp(β·r): the mean reward as β → 0, the best one as β → ∞.
    A lone sample has A = 0.
    """
    top = group_max(torch.where(count > 0, reward, -torch.inf), group)
    weight = torch.where(count > 0, torch.exp(risk * (reward - top)), 0.0)
    return (divided(weight, group_mean(weight, group, count)) - 1) / risk


@declares(divides_by="group")
def quantile_baseline(
    reward: Tensor, group: Tensor, count: Tensor, quantile: float = 0.4, eps: float = 1e-6
) -> Tensor:
    """A_i = (r_i − b)/√(p(1 − p)) for 0/1 rewards, b their ``quantile`` K (QAE, arXiv 2509.22611).

    With p the share of right answers b is 0 where p ≤ 1 − K, so that hard prompts learn from their
    few successes alone, and 1 elsewhere, so that easy ones learn from their few failures alone.
    """
    right = (reward > 0.5).to(reward)
    p = group_mean(right, group, count)
    baseline = (p > 1 - quantile).to(reward)
    spread = (p * (1 - p)).clamp_min(0).sqrt()
    # in a group of equal rewards r − b is 0 already
    return (right - baseline) / (spread + eps)


def _choose_ratio(few: Tensor, many: Tensor, k: int) -> Tensor:
    """C(few, k)/C(many, k) as a product, 0 where ``few`` < k."""
    ratio = torch.ones_like(many)
    for i in range(k):
        ratio = ratio * divided((few - i).clamp_min(0), many - i)
    return ratio
