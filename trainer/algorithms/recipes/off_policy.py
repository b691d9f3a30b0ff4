"""GRPO with other surrogates, for rollouts that many updates use: GSPO, CISPO, SAPO.

On policy all of them have the gradient of GRPO without a KL; what differs begins with the second
update on the same rollouts (``train.epochs``, ``train.minibatches``).
"""

from __future__ import annotations

from functools import partial

from trainer.algorithms import advantage, shaping, surrogate, weighting
from trainer.algorithms.objective import PerToken, Recipe, Reduce

__all__ = ["cispo", "gspo", "sapo"]


def gspo(low: float = 3e-4, high: float = 4e-4) -> Recipe:
    """GSPO: one clipped ratio for a sequence, whose bounds are a thousandth of a token's.

    Parameters
    ----------
    low : the ratio is clipped below 1 - low
    high : the ratio is clipped above 1 + high
    """
    policy = partial(surrogate.sequence_clipped, low=low, high=high)
    paper = "Zheng et al. 2025, arXiv 2507.18071; defaults of verl's script"
    return _grpo_with("gspo", policy, paper, weighting.sequence_mean)


def cispo(low: float = 10.0, high: float = 0.2) -> Recipe:
    """CISPO: the ratio is a bounded weight of log π, so that no token is left without gradient.

    Parameters
    ----------
    low : the ratio is clipped below 1 - low
    high : the ratio is clipped above 1 + high
    """
    policy = partial(surrogate.weight_clipped, low=low, high=high)
    paper = "MiniMax 2025, arXiv 2506.13585; defaults of verl's script"
    return _grpo_with("cispo", policy, paper, weighting.token_mean)


def sapo(positive: float = 1.0, negative: float = 1.05) -> Recipe:
    """SAPO: a smooth gate on the ratio instead of a clip, closing sooner on negative advantages.

    Parameters
    ----------
    positive : steepness of the gate where the advantage is positive
    negative : and where it is negative
    """
    policy = partial(surrogate.gated, positive=positive, negative=negative)
    paper = "Gao et al. 2025, arXiv 2511.20347; defaults of verl"
    return _grpo_with("sapo", policy, paper, weighting.sequence_mean)


def _grpo_with(name: str, policy: PerToken, paper: str, reduce: Reduce) -> Recipe:
    return Recipe(
        name=name,
        paper=paper,
        shape=(shaping.scaled,),
        advantage=advantage.group_standardised,
        policy=policy,
        reduce=reduce,
    )
