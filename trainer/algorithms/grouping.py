"""Sums and moments within groups, for rows that may stand for several samples or for none.

``count`` are frequency weights: 1 for a sample, 0 for a dropped one, n·π(y) where a small world
is summed exactly. All results have one entry a row, (B,).
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence

import torch
from torch import Tensor

__all__ = [
    "divided",
    "equal_keys",
    "group_max",
    "group_mean",
    "group_size",
    "group_std",
    "group_sum",
    "weighted_quantile",
]


def divided(x: Tensor, by: Tensor) -> Tensor:
    """x / by, and 0 where ``by`` is not positive: what nobody stands for has no share."""
    possible = by > 0
    return torch.where(possible, x / torch.where(possible, by, 1), 0)


def equal_keys(keys: Sequence[Hashable | None], group: Tensor) -> Tensor:
    """Which rows of a group have the same key (B, B); None, no meaning, equals only itself.

    A key is a canonical form: a SMILES, an expression, a result set.
    """
    number: dict[Hashable, int] = {}
    label = torch.tensor(
        [
            len(keys) + row if key is None else number.setdefault(key, len(number))
            for row, key in enumerate(keys)
        ],
        device=group.device,
    )
    return (label[:, None] == label[None, :]) & (group[:, None] == group[None, :])


def group_sum(x: Tensor, group: Tensor) -> Tensor:
    """Sum of ``x`` over each row's group."""
    names, index = torch.unique(group, return_inverse=True)
    return x.new_zeros(len(names)).index_add(0, index, x)[index]


def group_max(x: Tensor, group: Tensor) -> Tensor:
    """Largest ``x`` of each row's group."""
    names, index = torch.unique(group, return_inverse=True)
    return x.new_full((len(names),), -torch.inf).scatter_reduce(0, index, x, "amax")[index]


def group_size(group: Tensor, count: Tensor) -> Tensor:
    """Number n of samples in each row's group, dropped ones not counted."""
    return group_sum(count, group)


def group_mean(x: Tensor, group: Tensor, count: Tensor) -> Tensor:
    """Mean of ``x`` over each row's group; 0 where every sample was dropped."""
    return divided(group_sum(count * x, group), group_size(group, count))


def group_std(x: Tensor, group: Tensor, count: Tensor) -> Tensor:
    """Sample standard deviation (n − 1) of each row's group; 0 for a group of one."""
    n = group_size(group, count)
    squares = group_sum(count * (x - group_mean(x, group, count)).square(), group)
    return divided(squares, n - 1).sqrt()


def weighted_quantile(x: Tensor, q: float, count: Tensor) -> Tensor:
    """Smallest value of ``x`` with at least the share ``q`` of the counted samples at or below."""
    kept = count > 0
    values, order = x[kept].sort()
    share = count[kept][order].cumsum(0)
    # a hair below q·n, so that rounding in the sum cannot push an exact share to the next value
    position = torch.searchsorted(share, q * share[-1:] * (1 - 1e-12)).clamp_max(len(values) - 1)
    return values[position].squeeze(0)
