"""Reward, group, count → advantage, all (B,).

What each does to the state that a run settles in (see :mod:`trainer.analysis.plant`): dividing by
nothing
keeps the tilt π_ref·exp(R/β); dividing by the group's spread makes the reward scale a dead knob,
and with a reverse KL folds the state. Where a fixed step size is wanted, divide the whole shaped
reward, its KL included, by one scalar of the raw scores:
:func:`trainer.algorithms.shaping.batch_normalised`.
"""

from __future__ import annotations

import torch
from torch import Tensor

from trainer.algorithms.declaration import declares
from trainer.algorithms.grouping import divided, group_mean, group_size, group_std, group_sum

__all__ = [
    "centred",
    "group_standardised",
    "leave_one_out",
    "pass_at_k",
    "raw",
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
    """A_i = (r_i − mean)/std within the group (GRPO, arXiv 2402.03300)."""
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


def _choose_ratio(few: Tensor, many: Tensor, k: int) -> Tensor:
    """C(few, k)/C(many, k) as a product, 0 where ``few`` < k."""
    ratio = torch.ones_like(many)
    for i in range(k):
        ratio = ratio * divided((few - i).clamp_min(0), many - i)
    return ratio
