"""Recipes of 2025 and 2026 that keep right answers many: by rank, share, risk, quantile or flow.

Each says what it rests on; ``provisional`` marks those of which neither the paper's text nor code
of its authors was read. A strength of the KL that nothing is known of is 0, a knob to be turned.
"""

from __future__ import annotations

from functools import partial
from typing import Literal

from trainer.algorithms import adjustment, advantage, divergence, shaping, surrogate, weighting
from trainer.algorithms.objective import Recipe, Term
from trainer.types import HeadPlan, Knobs

__all__ = [
    "differential_smoothing",
    "flowrl",
    "grpo_unlikeliness",
    "ips_grpo",
    "outcome_exploration",
    "qae",
    "rs_grpo",
    "ucpo",
]

CLIPPED = partial(surrogate.clipped, low=0.2, high=0.2)
KL = Term(divergence.forward, knob="kl")


def grpo_unlikeliness(penalty: float = 0.25, beta: float = 0.1) -> Recipe:
    """GRPO whose reward is less for the likelier samples of a prompt; the released defaults.

    The baseline of DARLING and MARA. As ranks jump when two samples change places, the state never
    quite rests (plant ``unsettled``). The released runs take two passes over the same rollouts
    (``train.epochs = 2``).

    Parameters
    ----------
    penalty : what the likeliest answer of a prompt loses, as a share
    beta : strength of the KL to the reference, recipe.kl
    """
    return Recipe(
        name="grpo_unlikeliness",
        paper="He et al. 2025, arXiv 2506.02355; code of AndreHe02/rewarding-unlikely-release",
        shape=(partial(shaping.unlikely, penalty=penalty), shaping.scaled),
        advantage=advantage.group_standardised,
        policy=CLIPPED,
        terms=(KL,),
        reduce=weighting.token_mean,
        knobs=Knobs(kl=beta),
        live=frozenset({"kl"}),
        plant="unsettled",
        task_needs=frozenset({"nonnegative", "many_prompts"}),
    )


def rs_grpo(risk: float = 2.0, beta: float = 0.0) -> Recipe:
    """RS-GRPO: the gradient of (1/β)·log E exp(β·r) instead of the mean reward; β = ``risk``.

    The released code holds the advantage; the KL around it is not known: ``beta`` is its strength.

    Parameters
    ----------
    risk : towards 0 the mean reward, large the best one
    beta : strength of the KL to the reference, recipe.kl
    """
    return Recipe(
        name="rs_grpo",
        paper="Jiang et al. 2025, arXiv 2509.24261; code of Jackory/RS-GRPO",
        shape=(shaping.scaled,),
        advantage=partial(advantage.risk_sensitive, risk=risk),
        policy=CLIPPED,
        terms=(KL,),
        reduce=weighting.token_mean,
        knobs=Knobs(kl=beta),
        live=frozenset({"kl", "reward_scale"}),
        plant="monotone",
    )


def qae(quantile: float = 0.4) -> Recipe:
    """QAE: DAPO's clip, dynamic sampling and token mean with a quantile for the baseline.

    About four fifths of the samples get no advantage. Read in the abstract and a third party's
    code.

    Parameters
    ----------
    quantile : prompts with a larger share of right answers than 1 - quantile learn from failures
    """
    return Recipe(
        name="qae",
        paper="Wu et al. 2025, arXiv 2509.22611",
        shape=(shaping.correct,),
        advantage=partial(advantage.quantile_baseline, quantile=quantile),
        policy=partial(surrogate.clipped, low=0.2, high=0.28),
        reduce=weighting.token_mean,
        keep=(weighting.mixed_groups,),
        task_needs=frozenset({"binary"}),
        provisional=True,
    )


def ucpo(tau: float = 0.2, beta: float = 0.0) -> Recipe:
    """UCPO: what the right answers of a prompt win together goes in part to the unlikely ones.

    MARA's aim without a KL; the released scripts have the KL in the loss, at strength 0.

    Parameters
    ----------
    tau : the part of their advantage that right answers share by 1/probability
    beta : strength of the KL to the reference, recipe.kl
    """
    return Recipe(
        name="ucpo",
        paper="Lochab et al. 2026, arXiv 2605.00365; code of AnamikaLochab/UCPO",
        shape=(shaping.scaled,),
        advantage=advantage.group_standardised,
        adjust=(partial(adjustment.uniform_correct, tau=tau),),
        policy=CLIPPED,
        terms=(KL,),
        reduce=weighting.token_mean,
        knobs=Knobs(kl=beta),
        live=frozenset({"kl"}),
        plant="monotone",
        task_needs=frozenset({"binary", "many_prompts"}),
    )


def ips_grpo(beta: float = 0.0) -> Recipe:
    """IPS-GRPO: the reward over the outcome's share of its prompt, then GRPO; π ∝ r at rest.

    Read in the abstract: clips and baseline are GRPO's. Which outcomes are one is
    ``task.equivalence``; p̂ is as good as the group is large. Without a KL the policy rests at the
    rewards themselves, spread wider than most priors: here a weaker KL makes answers more diverse.

    Parameters
    ----------
    beta : strength of the KL to the reference, recipe.kl
    """
    return Recipe(
        name="ips_grpo",
        paper="Sinha et al. 2026, arXiv 2601.21669",
        shape=(shaping.inverse_probability, shaping.scaled),
        advantage=advantage.group_standardised,
        policy=CLIPPED,
        terms=(KL,),
        reduce=weighting.token_mean,
        knobs=Knobs(kl=beta),
        live=frozenset({"kl"}),
        plant="folded",
        task_needs=frozenset({"nonnegative"}),
        provisional=True,
    )


def flowrl(scale: float = 15.0, head: bool = False, layers: int = 3) -> Recipe:
    """FlowRL: the mean log ratio to the reference is matched to 15·Â − log Z of the prompt.

    ``scale`` is the reward scale, a knob. log Z is what the prompt's samples say of it, the mean of
    their gaps (VarGrad): on policy that is a head at its optimum. ``head`` learns it as published,
    by a network of ``layers`` on the mean hidden state of the prompt; its weights are trained with
    the policy's and checkpoints carry them. The released head drops .1 of its units; this one none,
    so that a resumed run is the same. As Â is divided by the group's spread, which shrinks as the
    policy narrows, the state folds: on the exact bandit it collapses at scales of 3 and more.

    Parameters
    ----------
    scale : weight of the advantage beside the reference, recipe.reward_scale
    head : learn log Z by a network instead of taking it from the prompt's samples
    layers : of that network
    """
    return Recipe(
        name="flowrl",
        paper="Zhu et al. 2025, arXiv 2509.15207; code of Xuekai-Zhu/FlowRL",
        advantage=advantage.group_standardised,
        adjust=(adjustment.scaled_advantage if head else adjustment.flow_target,),
        policy=surrogate.flow_balance_with_head if head else surrogate.flow_balance,
        reduce=weighting.sequence_sum,
        head=HeadPlan(layers) if head else None,
        knobs=Knobs(reward_scale=scale),
        live=frozenset({"reward_scale"}),
        plant="folded",
    )


def differential_smoothing(correct: float, wrong: float, beta: float = 0.0) -> Recipe:
    """Differential smoothing: GRPO that pays right answers for being unlikely, and charges wrong.

    γ⁺ = ``correct`` and γ⁻ = ``wrong`` must be chosen: the formula is known at second hand only,
    and no value of theirs. log π of a whole completion grows with its length, so they are small.

    Parameters
    ----------
    correct : what right answers are paid for each nat of unlikeliness
    wrong : what wrong answers are charged for each nat of it
    beta : strength of the KL to the reference, recipe.kl
    """
    return Recipe(
        name="differential_smoothing",
        paper="Gai et al. 2025, arXiv 2511.19942",
        shape=(shaping.scaled,),
        advantage=advantage.group_standardised,
        adjust=(partial(adjustment.differential_smoothing, correct=correct, wrong=wrong),),
        policy=CLIPPED,
        terms=(KL,),
        reduce=weighting.token_mean,
        knobs=Knobs(kl=beta),
        live=frozenset({"kl"}),
        plant="monotone",
        task_needs=frozenset({"binary"}),
        provisional=True,
    )


def outcome_exploration(
    weight: float, how: Literal["historical", "batch"] = "batch", beta: float = 0.0
) -> Recipe:
    """Outcome-based exploration: GRPO with a bonus for answers that are rare.

    ``historical`` adds c/√N, N how often the prompt got this answer in the whole run; ``batch``
    subtracts c·(share of the prompt's other samples with the same answer). c = ``weight`` must be
    chosen: the abstract gives none.

    Parameters
    ----------
    weight : of the bonus; none is published
    how : rare in the whole run, or among the prompt's other samples
    beta : strength of the KL to the reference, recipe.kl
    """
    bonus = partial(shaping.rarely_seen_bonus, bonus=weight)
    penalty = partial(shaping.repeated_penalty, penalty=weight)
    return Recipe(
        name="outcome_exploration",
        paper="Song et al. 2025, arXiv 2509.06941",
        shape=(shaping.scaled, bonus if how == "historical" else penalty),
        advantage=advantage.group_standardised,
        policy=CLIPPED,
        terms=(KL,),
        reduce=weighting.token_mean,
        knobs=Knobs(kl=beta),
        live=frozenset({"kl", "reward_scale"}) if how == "batch" else frozenset({"kl"}),
        plant="monotone",
        provisional=True,
    )
