"""Rollouts → Rollouts with another reward: what is done to a score before it becomes an advantage.

Every piece has the form ``piece(rollouts, knobs, …options)``. Thresholds read ``rollouts.score``,
the raw score, so that no knob moves them.

>>> batch = Rollouts.of(
...     score=torch.tensor([0.9, 0.9, 0.0, 0.6]),
...     group=torch.tensor([0, 0, 0, 0]),
...     mask=torch.ones(4, 2, dtype=torch.bool),
...     old_logp=torch.tensor([[-1.0, -1], [-1, -1], [-2, -2], [-4, -4]]),
...     ref_logp=torch.full((4, 2), -2.0),
...     equivalent=torch.tensor([[1, 1, 0, 0], [1, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]]) > 0,
...     seen=torch.tensor([2, 2, 0, 0]),
...     filter_factor=torch.tensor([0.0, 1, 1, 1]),
...     novelty=torch.tensor([0.0, 1, 0, 0.2]),
... )
>>> knobs = Knobs(kl=0.1, reward_scale=2.0)
>>> def shown(shaped):
...     return [round(float(r), 2) for r in shaped.reward]
>>> shown(scaled(batch, knobs)), shown(kl_in_reward(batch, knobs))
([1.8, 1.8, 0.0, 1.2], [0.7, 0.7, 0.0, 1.0])
>>> shown(correct(batch, knobs)), shown(signed(batch, knobs, negative=0.5))
([1.0, 1.0, 0.0, 1.0], [1.0, 1.0, -0.5, 1.0])
>>> shown(darling(batch, knobs)), shown(diversity_filter(batch, knobs))
([0.6, 0.6, 0.0, 0.6], [0.0, 0.9, 0.0, 0.6])
>>> shown(novelty_bonus(batch, knobs))
[0.9, 1.9, 0.0, 0.8]
>>> shown(mara(batch, knobs, threshold=0.5)), shown(mara_filtered(batch, knobs, threshold=0.5))
([0.9, 0.9, 0.0, 0.9], [0.9, 0.9, 0.0, 0.9])
>>> mara_substituted(batch, knobs, threshold=0.5).ref_logp.sum(1).tolist()
[-4.0, -4.0, -4.0, -4.0]
>>> shown(unlikely(batch, knobs)), shown(inverse_probability(batch, knobs))
([0.79, 0.73, 0.0, 0.6], [1.8, 1.8, 0.0, 2.4])
>>> shown(rarely_seen_bonus(batch, knobs, bonus=0.1))
[0.96, 0.96, 0.1, 0.7]
>>> shown(repeated_penalty(batch, knobs, penalty=0.1))
[0.87, 0.87, 0.0, 0.6]
>>> shown(overlong(batch, knobs)), shown(batch_normalised(batch, knobs))
([-0.1, -0.1, -1.0, -0.4], [2.12, 2.12, 0.0, 1.41])
>>> distinctness(batch.equivalent, batch.group, batch.count).round(decimals=2).tolist()
[0.67, 0.67, 1.0, 1.0]
"""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

import torch
from torch import Tensor

from trainer.algorithms.declaration import declares
from trainer.algorithms.grouping import (
    divided,
    group_max,
    group_mean,
    group_size,
    group_std,
    weighted_quantile,
)
from trainer.types import Knobs, Rollouts

__all__ = [
    "batch_normalised",
    "correct",
    "darling",
    "distinctness",
    "diversity_filter",
    "inverse_probability",
    "kl_in_reward",
    "mara",
    "mara_filtered",
    "mara_substituted",
    "novelty_bonus",
    "overlong",
    "rarely_seen_bonus",
    "repeated_penalty",
    "scaled",
    "signed",
    "unlikely",
]


def scaled(rollouts: Rollouts, knobs: Knobs) -> Rollouts:
    """reward_scale · r."""
    return rollouts.rewarded(knobs.reward_scale * rollouts.reward)


@declares("reference_if_kl", kl_in_reward=True)
def kl_in_reward(rollouts: Rollouts, knobs: Knobs) -> Rollouts:
    """r − kl·(log π(y) − log π_ref(y)) of whole completions; log π is the sampler's."""
    old = torch.where(rollouts.mask, rollouts.old_logp, torch.zeros_like(rollouts.old_logp)).sum(1)
    gap = _counted(old - rollouts.sequence_ref_logp(), rollouts)
    return rollouts.rewarded(rollouts.reward - knobs.kl * gap)


@declares(divides_by="batch")
def batch_normalised(rollouts: Rollouts, knobs: Knobs) -> Rollouts:
    """r / std of the raw scores over the optimizer batch: one scalar for everything before it.

    Put it last, after :func:`kl_in_reward`. The settled state stays the tilt, and since raw scores
    still vary there, the step vanishes at it as it should. With the KL in the loss instead, only
    the reward would be divided, by a spread that shrinks as the policy narrows: on one prompt that
    folds. A batch of equal scores is left alone.
    """
    # a dropped row's score may be NaN, and NaN times its zero count is NaN
    score = torch.nan_to_num(_counted(rollouts.score, rollouts))
    spread = group_std(score, torch.zeros_like(rollouts.group), rollouts.count)
    return rollouts.rewarded(torch.where(spread > 0, rollouts.reward / spread, rollouts.reward))


def correct(rollouts: Rollouts, knobs: Knobs, threshold: float = 0.5) -> Rollouts:
    """1 where the raw score is above ``threshold``, else 0."""
    return rollouts.rewarded((rollouts.score > threshold).to(rollouts.reward))


def signed(
    rollouts: Rollouts,
    knobs: Knobs,
    positive: float = 1.0,
    negative: float = 1.0,
    threshold: float = 0.5,
) -> Rollouts:
    """+positive where the raw score is above ``threshold``, −negative elsewhere.

    PSR (1, 0), NSR (0, 1), W-REINFORCE (λ, 1); arXiv 2506.01347.
    """
    right = (rollouts.score > threshold).to(rollouts.reward)
    value = positive * right - negative * (1 - right)
    return rollouts.rewarded(_counted(value, rollouts))


def overlong(rollouts: Rollouts, knobs: Knobs, cache: float = 0.2) -> Rollouts:
    """r minus DAPO's length penalty (arXiv 2503.14476): 0 up to (1 − cache)·limit, then down to −1.

    The published cache is 4,096 of 20,480 tokens. Not scaled: so reward_scale is live here. The
    released rewards are ±1; beside rewards of 0 and 1 the penalty weighs double.
    """
    slack = cache * rollouts.limit
    penalty = ((rollouts.limit - slack - rollouts.length) / slack).clamp(-1, 0)
    cut = rollouts.truncated
    if cut is not None:
        penalty = torch.where(cut, -torch.ones_like(penalty), penalty)
    return rollouts.rewarded(rollouts.reward + penalty.to(rollouts.reward))


@declares("filter")
def diversity_filter(rollouts: Rollouts, knobs: Knobs) -> Rollouts:
    """r times the factor of REINVENT's diversity filter: less where its like came before.

    The factor is of :class:`trainer.algorithms.diversity_filter.FilterMemory`, by the recipe's
    plan.
    """
    if rollouts.filter_factor is None:
        return rollouts
    return rollouts.rewarded(rollouts.reward * rollouts.filter_factor)


@declares("novelty")
def novelty_bonus(rollouts: Rollouts, knobs: Knobs) -> Rollouts:
    """r + novelty, as REINVENT4 adds it behind its filter (:mod:`trainer.training.novelty`)."""
    if rollouts.novelty is None:
        return rollouts
    return rollouts.rewarded(rollouts.reward + rollouts.novelty)


# ── DARLING (arXiv 2509.02534) ────────────────────────────────────────────────────────────────


@declares("equivalence")
def darling(
    rollouts: Rollouts,
    knobs: Knobs,
    floor: float = 0.1,
    closure: bool = True,
    fusion: Literal["multiply", "add", "correct_only"] = "multiply",
    quality: Literal["raw", "group_min", "sigmoid"] = "raw",
    threshold: float = 0.5,
) -> Rollouts:
    """Reward fused with diversity, r·max(floor, Div); Div as in :func:`distinctness`.

    ``add`` standardises both within the prompt and adds them; the released code computes that sum
    and then overwrites it with r + Div. ``correct_only`` tells apart the answers above
    ``threshold``, and gives the floor to the others and where fewer than two are right, as the
    released ``partition_correct``. A negative r is *punished* for its diversity by the product:
    ``quality`` shifts it by the minimum of its prompt (the released ``add_bias`` takes that of the
    batch, at every token), or squashes it; the released sigmoid squashes the diversity instead.
    """
    if rollouts.equivalent is None:
        raise ValueError("darling needs rollouts.equivalent: who says the same thing")
    group, count = rollouts.group, rollouts.count
    same = rollouts.equivalent
    if fusion == "correct_only":
        right = rollouts.score > threshold
        count, same = count * right, same & right[:, None] & right[None, :]
    diversity = distinctness(same, group, count, closure).clamp_min(floor)
    if fusion == "correct_only":
        several = right & (group_size(group, count) > 1)
        diversity = torch.where(several, diversity, floor)
    r = _quality(rollouts, quality)
    if fusion != "add":
        return rollouts.rewarded(r * diversity)
    both = _standardised(r, group, count) + _standardised(diversity, group, count)
    return rollouts.rewarded(both)


def distinctness(same: Tensor, group: Tensor, count: Tensor, closure: bool = True) -> Tensor:
    """(n − s_i)/(n − 1): how much of the rest of its prompt says something else, (B,).

    With ``closure`` s_i is the size of i's cluster (equivalence made transitive, as in the released
    code); without, the number of samples equivalent to i, itself included: the mean of pairs of
    the paper. They differ where the relation is not transitive. A lone sample counts as distinct
    (the released code divides by zero there).
    """
    same = same & (group[:, None] == group[None, :]) & (count > 0)[:, None] & (count > 0)[None, :]
    if closure:
        label = _components(same)
        same = label[:, None] == label[None, :]
    n, alike = group_size(group, count), same.to(count) @ count
    return torch.where(n > 1, divided(n - alike, n - 1), torch.ones_like(n))


def _components(same: Tensor) -> Tensor:
    """A label for each row, equal where a chain of equivalent rows connects them, (B,)."""
    size = len(same)
    linked = same | same.T | torch.eye(size, dtype=torch.bool, device=same.device)
    label = torch.arange(size, device=same.device)
    while True:  # the smallest number in reach travels one link a round
        smaller = torch.where(linked, label[None, :], size).amin(1)
        if torch.equal(smaller, label):
            return label
        label = smaller


def _quality(rollouts: Rollouts, how: str) -> Tensor:
    r = rollouts.reward
    if how == "sigmoid":
        return torch.sigmoid(r)
    if how == "group_min":
        kept = torch.where(rollouts.count > 0, -r, -torch.inf)
        return r + torch.nan_to_num(group_max(kept, rollouts.group), neginf=0.0)
    return r


def _standardised(x: Tensor, group: Tensor, count: Tensor, eps: float = 1e-6) -> Tensor:
    return (x - group_mean(x, group, count)) / (group_std(x, group, count) + eps)


# ── what is common is worth less ──────────────────────────────────────────────────────────────


def unlikely(rollouts: Rollouts, knobs: Knobs, penalty: float = 0.25) -> Rollouts:
    """r·(1 − penalty·rank/n): the likeliest of n samples loses most (GRPO-Unlikeliness).

    The rank, 0 for the least likely, is by the mean log π_old of the tokens, within the prompt.
    """
    rank = _rank(rollouts.mean_old_logp(), rollouts.group, rollouts.count)
    n = group_size(rollouts.group, rollouts.count)
    return rollouts.rewarded(rollouts.reward * (1 - penalty * divided(rank, n)))


@declares("equivalence")
def inverse_probability(rollouts: Rollouts, knobs: Knobs) -> Rollouts:
    """r/p̂, p̂ the share of its prompt's samples that mean the same (IPS-GRPO, arXiv 2601.21669).

    E_π(r/p)·∇log π pulls each outcome by its reward alone, however frequent it is: without other
    forces the policy settles at π ∝ r.
    """
    share = _same_share(rollouts, itself=True)
    return rollouts.rewarded(divided(rollouts.reward, share))


@declares("outcomes")
def rarely_seen_bonus(rollouts: Rollouts, knobs: Knobs, bonus: float) -> Rollouts:
    """r + c/√N, N how often the prompt got this answer so far, now included (arXiv 2509.06941)."""
    if rollouts.seen is None:
        return rollouts
    visits = (rollouts.seen + 1).to(rollouts.reward)
    return rollouts.rewarded(rollouts.reward + bonus / visits.sqrt())


@declares("equivalence")
def repeated_penalty(rollouts: Rollouts, knobs: Knobs, penalty: float) -> Rollouts:
    """r − c·(share of the prompt's other samples with the same answer) (arXiv 2509.06941)."""
    share = _same_share(rollouts, itself=False)
    return rollouts.rewarded(rollouts.reward - penalty * share)


def _same_share(rollouts: Rollouts, itself: bool) -> Tensor:
    """The share of the samples of its prompt that mean what each means, (B,)."""
    if rollouts.equivalent is None:
        raise ValueError("this piece needs rollouts.equivalent: who says the same thing")
    group, count = rollouts.group, rollouts.count
    same = (rollouts.equivalent & (group[:, None] == group[None, :])).to(count)
    alike = same @ count
    alike = alike if itself else (alike - 1).clamp_min(0)
    return divided(alike, group_size(group, count))


def _rank(x: Tensor, group: Tensor, count: Tensor) -> Tensor:
    """How many samples of the group come before each row in the order of ``x``, (B,).

    Equal values rank in the order of their rows. A row of several samples has their mean rank.
    """
    order = torch.argsort(x, stable=True)
    order = order[torch.argsort(group[order], stable=True)]
    before = count[order].cumsum(0) - count[order]
    start = -group_max(-before, group[order])  # samples of earlier groups
    rank = before - start + (count[order] - 1).clamp_min(0) / 2
    return torch.empty_like(rank).scatter(0, order, rank)


# ── MARA (arXiv 2510.20817) ───────────────────────────────────────────────────────────────────


@declares("reference")
def mara(
    rollouts: Rollouts,
    knobs: Knobs,
    threshold: float | None = None,
    percentile: float = 90.0,
    kl: float | None = None,
) -> Rollouts:
    """Algorithm 1: r(z) + kl·(log π_ref(z) − log π_ref(y)) for every good sample y.

    The anchor z is the good sample of the prompt that the reference likes best; good is a raw
    score ≥ ``threshold``, or ≥ the batch's ``percentile`` where no threshold is given. Under the
    reverse KL the optimum is then flat on the good set. No good sample, no change. ``kl`` is the
    strength where no knob sets it, as 1 in REINVENT's loss.
    """
    strength = knobs.kl if kl is None else kl
    good, anchor_reward, anchor_ref = _anchor(rollouts, threshold, percentile)
    lifted = anchor_reward + strength * (anchor_ref - rollouts.sequence_ref_logp())
    return rollouts.rewarded(torch.where(good, lifted, rollouts.reward))


@declares("reference", "filter")
def mara_filtered(
    rollouts: Rollouts,
    knobs: Knobs,
    threshold: float | None = None,
    percentile: float = 90.0,
    kl: float | None = None,
) -> Rollouts:
    """Algorithm 1 of what the diversity filter left: good is a *filtered* score ≥ the threshold.

    Otherwise a repeated molecule that the filter made worthless would be lifted to the anchor.
    """
    score = rollouts.score
    if rollouts.filter_factor is not None:
        score = score * rollouts.filter_factor
    raised = mara(replace(rollouts, score=score), knobs, threshold, percentile, kl)
    return rollouts.rewarded(raised.reward)


@declares("reference")
def mara_substituted(
    rollouts: Rollouts, knobs: Knobs, threshold: float | None = None, percentile: float = 90.0
) -> Rollouts:
    """Algorithm 2: good samples take the anchor's reward *and* its reference log-probability.

    The form that is exact under the forward KL too, where Algorithm 1 over-corrects. The change of
    log π_ref is spread over the tokens; use it with divergences at sequence level.
    """
    good, anchor_reward, anchor_ref = _anchor(rollouts, threshold, percentile)
    shift = torch.where(good, anchor_ref - rollouts.sequence_ref_logp(), 0.0)
    per_token = (shift / rollouts.length.clamp_min(1))[:, None] * rollouts.mask
    assert rollouts.ref_logp is not None
    return replace(
        rollouts,
        reward=torch.where(good, anchor_reward, rollouts.reward),
        ref_logp=rollouts.ref_logp + per_token,
    )


def _anchor(
    rollouts: Rollouts, threshold: float | None, percentile: float
) -> tuple[Tensor, Tensor, Tensor]:
    """Who is good, and the reward and log π_ref of the anchor of each row's prompt, (B,) each."""
    if threshold is None:
        if not bool((rollouts.count > 0).any()):
            threshold = torch.inf
        else:
            threshold = float(weighted_quantile(rollouts.score, percentile / 100, rollouts.count))
    good = (rollouts.score >= threshold) & (rollouts.count > 0)
    ref = torch.where(good, rollouts.sequence_ref_logp(), -torch.inf)
    best = group_max(ref, rollouts.group)
    # equally likely anchors: the better rewarded one
    reward = torch.where(good & (ref == best), rollouts.reward, -torch.inf)
    return good, group_max(reward, rollouts.group), best


def _counted(x: Tensor, rollouts: Rollouts) -> Tensor:
    """``x`` with zeros in the rows that stand for no sample."""
    return torch.where(rollouts.count > 0, x, torch.zeros_like(x))
