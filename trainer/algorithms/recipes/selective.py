"""Recipes that treat some tokens or samples apart: covariances, signs, the best of k."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from trainer.algorithms import advantage, divergence, shaping, surrogate, weighting
from trainer.algorithms.objective import Recipe, Term
from trainer.types import Knobs

__all__ = ["clip_cov", "kl_cov", "nsr", "pass_at_k", "psr", "w_reinforce"]

CLIPPED = partial(surrogate.clipped, low=0.2, high=0.2)


def clip_cov(
    share: float = 2e-4, low: float = 1.0, high: float = 5.0, percentiles: bool = False
) -> Recipe:
    """Clip-Cov: GRPO that silences a few tokens of high covariance; no KL.

    The published fractions and bounds are for a million tokens a batch: in small settings take
    ``share`` = .01 to .1 and ``percentiles=True``. Even so it did not keep the entropy of the
    bundled arithmetic prior as the paper shows for 7 and 32 billion weights
    (``benchmarks/results/covariance.md``). Covariances are those of the optimizer's batch; the
    released code takes them over a micro-batch.

    Parameters
    ----------
    share : share of the tokens that are silenced
    low : least covariance of a token that may be silenced
    high : largest covariance of one
    percentiles : read low and high as percentiles of the batch's covariances
    """
    pool = partial(
        weighting.covariance_band, share=share, low=low, high=high, percentiles=percentiles
    )
    return Recipe(
        name="clip_cov",
        paper="Cui et al. 2025, arXiv 2505.22617",
        shape=(shaping.scaled,),
        advantage=advantage.group_standardised,
        policy=partial(surrogate.clipped, low=1.0, high=1.0),
        reduce=weighting.token_mean,
        keep=(weighting.mixed_groups,),
        silence=pool,
    )


def kl_cov(share: float = 2e-3, beta: float = 1.0) -> Recipe:
    """KL-Cov: unclipped ratio, and a pull to π_old on the tokens of highest covariance.

    The pull vanishes on policy: it acts from the second update on the same rollouts onwards. The
    paper keeps ten times the entropy of GRPO with 7 billion weights and a ``share`` of 2e-3. Not so
    on the bundled arithmetic prior: the published share does nothing, and .2 slows the run, with
    no more entropy than GRPO has at the same reward (``benchmarks/results/covariance.md``).

    Parameters
    ----------
    share : share of the tokens that are held
    beta : strength of the pull to the sampler's policy, recipe.kl
    """
    top = partial(weighting.covariance_top, share=share)
    return Recipe(
        name="kl_cov",
        paper="Cui et al. 2025, arXiv 2505.22617",
        shape=(shaping.scaled,),
        advantage=advantage.group_standardised,
        policy=surrogate.importance,
        terms=(Term(divergence.old_distance, knob="kl", only=top),),
        reduce=weighting.token_mean,
        keep=(weighting.mixed_groups,),
        knobs=Knobs(kl=beta),
        live=frozenset({"kl"}),
    )


def _signed(name: str, positive: float, negative: float) -> Recipe:
    """±1 by correctness as the advantage: no baseline, no std, no KL."""
    return Recipe(
        name=name,
        paper="Zhu et al. 2025, arXiv 2506.01347",
        shape=(partial(shaping.signed, positive=positive, negative=negative), shaping.scaled),
        advantage=advantage.raw,
        policy=CLIPPED,
        reduce=weighting.token_mean,
        task_needs=frozenset({"binary"}),
    )


def psr(filtered: bool = False) -> Recipe:
    """PSR: learns from correct samples alone.

    The mean is over all samples, as in the paper's objective; ``filtered`` takes it over the
    correct ones, as the released code does, and the step then grows as they become few.

    Parameters
    ----------
    filtered : take the mean over the samples that are learnt from, as the released code does
    """
    recipe = _signed("psr", 1.0, 0.0)
    return replace(recipe, keep=(weighting.only_correct,)) if filtered else recipe


def nsr(filtered: bool = False) -> Recipe:
    """NSR: learns from wrong samples alone, by pushing them down; ``filtered`` as in :func:`psr`.

    Filtered, the step grows without bound as wrong samples become few: with a plain SGD that
    undoes what the method is for.

    Parameters
    ----------
    filtered : take the mean over the samples that are learnt from, as the released code does
    """
    recipe = _signed("nsr", 0.0, 1.0)
    return replace(recipe, keep=(weighting.only_wrong,)) if filtered else recipe


def w_reinforce(weight: float = 0.1) -> Recipe:
    """W-REINFORCE: PSR at the weight λ, and NSR.

    The configuration that the authors released keeps an entropy bonus of .001; here there is none.

    Parameters
    ----------
    weight : of right answers beside wrong ones
    """
    return _signed("w_reinforce", weight, 1.0)


def pass_at_k(k: int = 4) -> Recipe:
    """Pass@k training with the analytic advantage.

    Parameters
    ----------
    k : the number of answers of which the best counts
    """
    return Recipe(
        name="pass_at_k",
        paper="Chen et al. 2025, arXiv 2508.10751",
        shape=(shaping.correct,),
        advantage=partial(advantage.pass_at_k, k=k),
        policy=CLIPPED,
        reduce=weighting.token_mean,
        task_needs=frozenset({"many_prompts", "binary"}),
    )
