"""The policy gradients: REINFORCE and REINVENT to GRPO, Dr.GRPO and DAPO."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Literal

from torch import Tensor

from qdlaws.errors import BadData
from trainer.algorithms import advantage, divergence, shaping, surrogate, weighting
from trainer.algorithms.objective import Recipe, Term
from trainer.types import FilterPlan, Knobs, NoveltyPlan, PenaltyCurve, ReplayPlan

__all__ = [
    "clip",
    "dapo",
    "dr_grpo",
    "entropy_bonus",
    "grpo",
    "reinforce",
    "reinvent",
    "reinvent_mara",
    "rloo",
]

FilterName = Literal["usual", "scaffold", "topological", "similar", "same", "none"]
CLIPPED = partial(surrogate.clipped, low=0.2, high=0.2)


def clip(low: float, high: float, dual: float | None = None) -> partial[Tensor]:
    """The clipped surrogate at these bounds, with dual clipping where it is asked for."""
    if dual is not None and not dual > 1:
        raise BadData(f"dual={dual:g}: a bound of the ratio above 1 was needed")
    plain = partial(surrogate.clipped, low=low, high=high)
    return plain if dual is None else partial(plain, dual=dual)


def reinforce() -> Recipe:
    """REINFORCE with the KL of whole completions in the reward."""
    return Recipe(
        name="reinforce",
        paper="Williams 1992; KL in the reward: Jaques et al. 2017, arXiv 1611.02796",
        shape=(shaping.scaled, shaping.kl_in_reward),
        advantage=advantage.raw,
        policy=surrogate.score_function,
        reduce=weighting.sequence_sum,
        knobs=Knobs(kl=0.05),
        live=frozenset({"kl", "reward_scale"}),
        plant="tilt",
    )


def reinvent(
    sigma: float = 128.0,
    filter: FilterName = "usual",
    bucket: int = 25,
    minscore: float = 0.4,
    similarity: float = 0.4,
    penalty: PenaltyCurve = "step",
    multiplier: float = 0.5,
    replay: bool = True,
    memory: int = 50,
    replayed: int = 10,
    seeds: str = "",
    novelty: bool = False,
    novelty_lr: float = 1e-4,
) -> Recipe:
    """REINVENT: regression of log π to log π_ref + σ·score, replay, diversity filter; β = 1/σ.

    Defaults are those of REINVENT4.

    Parameters
    ----------
    sigma : σ, the reward scale
    filter : which answers share a bucket of the diversity filter. ``usual``: scaffolds of
        molecules, answers of one meaning elsewhere; ``scaffold``: identical Murcko scaffolds;
        ``topological``: the same with all atoms and bonds made alike; ``similar``: scaffolds alike
        by Dice; ``same``: no buckets, every repeat is penalised; ``none``: no filter
    bucket : answers that count in full in a bucket; the next are worth nothing
    minscore : the score from which an answer counts in its bucket
    similarity : least similarity of two scaffolds in a bucket, of ``similar``
    penalty : how the worth of an answer falls as its bucket fills (REINVENT4's intrinsic penalty)
    multiplier : on the score of a repeat, of ``same``
    replay : whether the best answers so far join each batch (REINVENT4's inception)
    memory : how many of the best are kept, by filtered score
    replayed : how many of them, drawn at random, join each batch
    seeds : a file of answers, one a line, that are in the memory from the start
    novelty : whether answers that count in their bucket get a bonus from 0 to 1, the larger the
        worse a network that learns from them knows what a random network says of them (REINVENT4's
        random network distillation)
    novelty_lr : learning rate of that network
    """
    plan = FilterPlan(filter, bucket, minscore, similarity, penalty, multiplier)  # type: ignore[arg-type]
    filters = () if filter == "none" else (shaping.diversity_filter,)
    bonus = (shaping.novelty_bonus,) if novelty else ()
    return Recipe(
        name="reinvent",
        paper="Olivecrona et al. 2017, arXiv 1704.07555; defaults of REINVENT 4 (Loeffler 2024)",
        shape=(*filters, *bonus, shaping.scaled),
        advantage=advantage.raw,
        policy=surrogate.augmented_likelihood,
        reduce=weighting.sequence_sum,
        replay=ReplayPlan(memory, replayed, seeds) if replay else None,
        filter=plan if filters else None,
        novelty=NoveltyPlan(novelty_lr) if novelty else None,
        knobs=Knobs(kl=1.0, reward_scale=sigma),
        live=frozenset({"reward_scale"}),
        plant="tilt",
    )


def reinvent_mara(
    sigma: float = 128.0,
    threshold: float | None = 0.8,
    percentile: float = 90.0,
    filter: FilterName = "usual",
    bucket: int = 25,
    minscore: float = 0.4,
    similarity: float = 0.4,
    penalty: PenaltyCurve = "step",
    multiplier: float = 0.5,
    replay: bool = True,
    memory: int = 50,
    replayed: int = 10,
    seeds: str = "",
) -> Recipe:
    """REINVENT on MARA's reward, the paper's experiment on molecules: β = 1/σ.

    The augmented likelihood log π_ref(y) + σ·R(y) of every molecule that scores at least
    ``threshold`` is that of the anchor z, log π_ref(z) + σ·R(z). No code of the experiment was
    released; that a molecule which the diversity filter made worthless is not good, and that
    replayed molecules have an anchor of their own, is our reading.

    Parameters
    ----------
    sigma : σ, the reward scale
    threshold : the score from which a molecule is good; None: the batch's ``percentile``
    percentile : of the scores of a batch, where there is no threshold
    filter : which answers share a bucket of the diversity filter. ``usual``: scaffolds of
        molecules, answers of one meaning elsewhere; ``scaffold``: identical Murcko scaffolds;
        ``topological``: the same with all atoms and bonds made alike; ``similar``: scaffolds alike
        by Dice; ``same``: no buckets, every repeat is penalised; ``none``: no filter
    bucket : answers that count in full in a bucket; the next are worth nothing
    minscore : the score from which an answer counts in its bucket
    similarity : least similarity of two scaffolds in a bucket, of ``similar``
    penalty : how the worth of an answer falls as its bucket fills (REINVENT4's intrinsic penalty)
    multiplier : on the score of a repeat, of ``same``
    replay : whether the best answers so far join each batch (REINVENT4's inception)
    memory : how many of the best are kept, by filtered score
    replayed : how many of them, drawn at random, join each batch
    seeds : a file of answers, one a line, that are in the memory from the start
    """
    base = reinvent(
        sigma,
        filter,
        bucket,
        minscore,
        similarity,
        penalty,
        multiplier,
        replay,
        memory,
        replayed,
        seeds,
    )
    piece = shaping.mara if base.filter is None else shaping.mara_filtered
    raised = partial(piece, threshold=threshold, percentile=percentile, kl=1.0)
    return replace(
        base,
        name="reinvent_mara",
        paper="arXiv 2510.20817, Algorithm 1 in the loss of arXiv 1704.07555",
        shape=(*base.shape, raised),
        plant="monotone",
        threshold=threshold,
    )


def rloo(beta: float = 0.05) -> Recipe:
    """RLOO: REINFORCE with the mean of the other samples as baseline.

    The paper tries strengths of the KL around the default, which is that of TRL.

    Parameters
    ----------
    beta : strength of the KL to the reference, recipe.kl
    """
    return Recipe(
        name="rloo",
        paper="Ahmadian et al. 2024, arXiv 2402.14740",
        shape=(shaping.scaled, shaping.kl_in_reward),
        advantage=advantage.leave_one_out,
        policy=surrogate.score_function,
        reduce=weighting.sequence_sum,
        knobs=Knobs(kl=beta),
        live=frozenset({"kl", "reward_scale"}),
        plant="tilt",
    )


def grpo(beta: float = 0.04, dual: float | None = None) -> Recipe:
    """GRPO: group-standardised advantages, PPO clip, k3 (the forward-KL gradient) in the loss.

    Each completion weighs the same, as published; verl's default weighs each token the same.

    Parameters
    ----------
    beta : strength of the KL to the reference, recipe.kl
    dual : bound of the ratio where the advantage is negative (dual clipping, 3 in verl); None:
        none
    """
    return Recipe(
        name="grpo",
        paper="Shao et al. 2024, arXiv 2402.03300",
        shape=(shaping.scaled,),
        advantage=advantage.group_standardised,
        policy=clip(0.2, 0.2, dual),
        terms=(Term(divergence.forward, knob="kl"),),
        reduce=weighting.sequence_mean,
        knobs=Knobs(kl=beta),
        live=frozenset({"kl"}),
        plant="monotone",
    )


def dr_grpo() -> Recipe:
    """Dr.GRPO: neither the group's std nor the sample's length divides; no KL."""
    return Recipe(
        name="dr_grpo",
        paper="Liu et al. 2025, arXiv 2503.20783",
        shape=(shaping.scaled,),
        advantage=advantage.centred,
        policy=CLIPPED,
        reduce=weighting.fixed_length,
    )


def dapo(cache: float = 0.2, dual: float | None = None) -> Recipe:
    """DAPO: clip-higher, dynamic sampling, token mean, overlong shaping; no KL.

    The released code draws up to 10 rounds of prompts, here ``train.redraws`` (3), and rewards with
    ±1. The "DAPO" of DPH-RL's tables has a KL in the loss and no dynamic sampling: another thing.

    Parameters
    ----------
    cache : share of the limit within which the length is penalised
    dual : bound of the ratio where the advantage is negative (dual clipping, 3 in verl); None:
        none
    """
    return Recipe(
        name="dapo",
        paper="Yu et al. 2025, arXiv 2503.14476",
        shape=(shaping.scaled, partial(shaping.overlong, cache=cache)),
        advantage=advantage.group_standardised,
        policy=clip(0.2, 0.28, dual),
        reduce=weighting.token_mean,
        keep=(weighting.mixed_groups,),
        live=frozenset({"reward_scale"}),
    )


def entropy_bonus(weight: float = 0.01) -> Recipe:
    """REINFORCE with a bonus for the policy's entropy at every token; no reference.

    Parameters
    ----------
    weight : of the entropy, recipe.entropy
    """
    return Recipe(
        name="entropy_bonus",
        paper="Williams and Peng 1991; weight of Mnih et al. 2016, arXiv 1602.01783",
        shape=(shaping.scaled,),
        advantage=advantage.centred,
        policy=surrogate.score_function,
        terms=(Term(divergence.negative_entropy, knob="entropy"),),
        reduce=weighting.token_mean,
        knobs=Knobs(entropy=weight),
        live=frozenset({"entropy", "reward_scale"}),
        plant="monotone",
    )
