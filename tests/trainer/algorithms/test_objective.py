"""What credit() decides and objective() adds up: equalities between recipes, and invariances."""

import math
from dataclasses import replace
from functools import partial

import pytest
import torch

from qdlaws.errors import BadData
from tests.helpers.tiny_world import LENGTH, MASK, SEQUENCES, entropies, sampled, tables, token_logp
from trainer.algorithms import advantage, surrogate
from trainer.algorithms import weighting as weigh
from trainer.algorithms.objective import Recipe, credit, objective
from trainer.algorithms.recipes import (
    RECIPES,
    dph_forward,
    grpo,
    illustrated,
    kl_cov,
    mara,
    nsr,
    psr,
    reinforce,
    reinvent,
    rloo,
    w_reinforce,
)
from trainer.types import Knobs, Rollouts

POLICY, REFERENCE = tables()


def gradient(recipe, rollouts, knobs, logits=POLICY, index=slice(None)):
    """Of the loss of sampled sequences ``index`` with respect to the tabular logits."""
    logp, h = token_logp(logits)[index], entropies(logits)[index]
    credited = credit(recipe, rollouts, knobs)
    (g,) = torch.autograd.grad(objective(recipe, credited, logp, knobs, h), logits)
    return g.flatten()


def on_policy(seed=0, batch=24, groups=3):
    """Sequences drawn from the policy, in groups, with uniform scores."""
    rng = torch.Generator().manual_seed(seed)
    p = token_logp(POLICY.detach()).sum(1).exp()
    index = torch.multinomial(p, batch, replacement=True, generator=rng)
    rollouts = Rollouts.of(
        score=torch.rand(batch, generator=rng, dtype=torch.float64),
        group=torch.arange(batch) % groups,
        mask=MASK[index],
        old_logp=token_logp(POLICY.detach())[index],
        ref_logp=token_logp(REFERENCE)[index],
    )
    return rollouts, index


# ── equalities ────────────────────────────────────────────────────────────────────────────────


def test_reinvent_is_twice_reinforce_with_scale_sigma_and_kl_one():
    rollouts, index = on_policy()
    knobs = Knobs(kl=1.0, reward_scale=128.0)
    ours = gradient(reinvent(sigma=128, replay=False), rollouts, knobs, index=index)
    theirs = gradient(reinforce(), rollouts, knobs, index=index)
    torch.testing.assert_close(ours, 2 * theirs)
    assert ours.abs().max() > 1


def test_reinvent_off_policy_is_its_published_loss():
    """Mean over samples of (log π_ref + σ·S − log π)², by plain differentiation."""
    rollouts, index = on_policy()
    other = tables(seed=5)[0]
    got = gradient(reinvent(sigma=20), rollouts, Knobs(reward_scale=20.0), other, index)
    logp, ref = token_logp(other)[index].sum(1), token_logp(REFERENCE)[index].sum(1)
    (want,) = torch.autograd.grad((ref + 20 * rollouts.score - logp).square().mean(), other)
    torch.testing.assert_close(got, want.flatten())


def test_on_policy_the_surrogates_are_one():
    rollouts, index = on_policy()
    one = {
        piece: gradient(replace(grpo(), policy=piece), rollouts, Knobs(), index=index)
        for piece in (surrogate.score_function, surrogate.importance, surrogate.clipped)
    }
    want = one.pop(surrogate.score_function)
    assert want.abs().max() > 0
    for got in one.values():
        torch.testing.assert_close(got, want)


def test_rloo_is_a_multiple_of_the_centred_one():
    rollouts, index = on_policy(groups=3)  # n = 8
    centred = replace(rloo(), advantage=advantage.centred)
    torch.testing.assert_close(
        gradient(rloo(), rollouts, Knobs(kl=0.1), index=index),
        8 / 7 * gradient(centred, rollouts, Knobs(kl=0.1), index=index),
    )


def test_reinforce_is_the_policy_gradient():
    """All 64 completions by their probability: ∇(E[R] − β·KL) by differentiating the exact sums."""
    p = token_logp(POLICY.detach()).sum(1).exp()
    score = torch.linspace(0, 1, len(SEQUENCES), dtype=torch.float64)
    rollouts = Rollouts.of(
        score,
        torch.zeros(len(p), dtype=torch.long),
        MASK,
        token_logp(POLICY),
        token_logp(REFERENCE),
        count=p,
    )
    logp, ref = token_logp(POLICY).sum(1), token_logp(REFERENCE).sum(1)
    value = (logp.exp() * (score - 0.3 * (logp - ref))).sum()
    (want,) = torch.autograd.grad(-value, POLICY)
    for make in (reinforce, rloo):
        exact = replace(rollouts, count=1e9 * p)
        got = gradient(make(), exact, Knobs(kl=0.3))
        torch.testing.assert_close(got, want.flatten(), rtol=1e-7, atol=1e-9)


def test_psr_and_nsr_move_logits_as_their_paper_says():
    """PSR lifts the sampled token by π(1 − π) and lowers the others by π·π; NSR the reverse."""
    z = torch.tensor([[0.5, 1.0, -0.3, 0.0]]).double().requires_grad_()
    logp = z.log_softmax(-1)
    p = logp.detach().exp()[0]
    for name, score, sign in (("psr", 1.0, 1.0), ("nsr", 0.0, -1.0)):
        batch = Rollouts.of(
            torch.tensor([score]), torch.tensor([0]), torch.ones(1, 1).bool(), logp[:, :1]
        )
        recipe = RECIPES[name]()
        loss = objective(recipe, credit(recipe, batch, Knobs()), logp[:, :1], Knobs())
        (g,) = torch.autograd.grad(loss * p[0], z, retain_graph=True)
        want = sign * torch.cat([p[:1] * (1 - p[0]), -p[1:] * p[0]])
        torch.testing.assert_close(-g[0], want)


def test_w_reinforce_is_psr_at_lambda_and_nsr():
    batch = sampled(2, levels=2)
    logp = (batch.old_logp - 0.1).requires_grad_()

    def g(recipe):
        loss = objective(recipe, credit(recipe, batch, Knobs()), logp, Knobs())
        return torch.autograd.grad(loss, logp)[0]

    torch.testing.assert_close(g(w_reinforce()), 0.1 * g(psr()) + g(nsr()))
    # the released code averages over the kept samples only: the same direction, a longer step
    wrong = batch.mask[batch.score < 0.5].sum() / batch.mask.sum()
    torch.testing.assert_close(g(nsr(filtered=True)), g(nsr()) / wrong)


# ── invariances ───────────────────────────────────────────────────────────────────────────────


def with_stored(batch):
    """The last three samples become stored samples of the reference."""
    stored = torch.arange(len(batch.score)) >= len(batch.score) - 3
    return replace(batch, stored=stored)


def off_policy(batch, seed=9):
    rng = torch.Generator().manual_seed(seed)
    noise = torch.randn(batch.old_logp.shape, generator=rng, dtype=torch.float64)
    return (batch.old_logp + 0.3 * noise).requires_grad_()


# groups of four here: k = 2 leaves pass_at_k something to say
ALL = [
    pytest.param(make(k=2) if name == "pass_at_k" else illustrated(name), id=name)
    for name, make in RECIPES.items()
] + [
    pytest.param(RECIPES["clip_cov"](share=0.2, percentiles=True, low=20, high=90), id="clip_cov+"),
    pytest.param(kl_cov(share=0.2), id="kl_cov+"),
    pytest.param(RECIPES["dph_js"](definition=True), id="dph_js+"),
    pytest.param(mara(threshold=None), id="mara+"),
    pytest.param(psr(filtered=True), id="psr+"),
]


@pytest.mark.parametrize("recipe", ALL)
def test_micro_batches_do_not_matter(recipe):
    """1 × 12 = 3 × 4 = 12 × 1, off policy, with lengths, groups and stored samples mixed."""
    rollouts = with_stored(sampled(1))
    knobs = Knobs(kl=0.3, reward_scale=2.0, entropy=0.1)
    logp = off_policy(rollouts)

    def accumulated(size):
        rng = torch.Generator().manual_seed(4)
        credited = credit(recipe, rollouts, knobs, logp, rng)
        total = torch.zeros_like(logp)
        for start in range(0, 12, size):
            rows = torch.arange(start, start + size)
            h = (-logp[rows]).square()  # any entropy that depends on the policy
            loss = objective(recipe, credited.rows(rows), logp[rows], knobs, h)
            total += torch.autograd.grad(loss, logp)[0]
        return total

    whole = accumulated(12)
    assert whole.abs().max() > 1e-6
    for size in (4, 1):
        torch.testing.assert_close(accumulated(size), whole, rtol=1e-12, atol=1e-14)


def test_taking_the_covariance_per_micro_batch_would_change_the_method():
    """The trap that credit() is there to avoid: KL-Cov chosen in four parts is another gradient."""
    recipe, knobs = kl_cov(share=0.1), Knobs(kl=1.0)
    rollouts = sampled(1)
    logp = off_policy(rollouts)

    def g(parts):
        total = torch.zeros_like(logp)
        for rows in torch.arange(12).view(parts, -1):
            part = Rollouts.of(
                rollouts.score[rows],
                rollouts.group[rows] * 0,
                rollouts.mask[rows],
                rollouts.old_logp[rows],
            )
            loss = objective(recipe, credit(recipe, part, knobs, logp[rows]), logp[rows], knobs)
            total += torch.autograd.grad(loss / parts, logp)[0]
        return total

    assert (g(1) - g(4)).norm() > 0.1 * g(1).norm()


@pytest.mark.parametrize("recipe", ALL)
def test_a_failed_score_is_as_if_it_had_not_been_sampled(recipe):
    rollouts = sampled(3)
    score = rollouts.score.clone()
    score[5] = math.nan
    kept = torch.arange(12) != 5
    knobs = Knobs(kl=0.3, entropy=0.1)

    def g(index):
        parts = {name: getattr(rollouts, name)[index] for name in ("group", "mask", "old_logp")}
        batch = Rollouts.of(
            score[index],
            **parts,
            ref_logp=rollouts.ref_logp[index],
            limit=LENGTH,
            equivalent=rollouts.equivalent[index][:, index],
        )
        logp = off_policy(rollouts)
        credited = credit(recipe, batch, knobs, logp[index], torch.Generator().manual_seed(0))
        loss = objective(recipe, credited, logp[index], knobs, (-logp[index]).square())
        return torch.autograd.grad(loss, logp)[0]

    got = g(torch.arange(12))
    torch.testing.assert_close(got, g(torch.arange(12)[kept]))
    assert got[5].abs().max() == 0


@pytest.mark.parametrize("recipe", ALL)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_policies_of_lower_precision(recipe, dtype):
    batch = with_stored(sampled(1))
    low = replace(batch, old_logp=batch.old_logp.to(dtype), ref_logp=batch.ref_logp.to(dtype))
    logp = off_policy(batch).detach().to(dtype).requires_grad_()
    knobs = Knobs(kl=0.1, entropy=0.1)
    loss = objective(recipe, credit(recipe, low, knobs, logp), logp, knobs, -logp)
    assert loss.dtype == dtype
    assert torch.isfinite(torch.autograd.grad(loss, logp)[0]).all()


def test_equal_scores_in_single_precision_leave_no_noise_in_grpo():
    batch = sampled(1)
    same = Rollouts.of(
        torch.full((12,), 0.7, dtype=torch.float32), batch.group, batch.mask, batch.old_logp.float()
    )
    recipe = replace(grpo(), terms=())
    assert credit(recipe, same, Knobs()).advantage.abs().max() < 1e-9


# ── rows and reference ────────────────────────────────────────────────────────────────────────


def test_stored_samples_touch_neither_advantage_nor_policy_loss():
    batch = with_stored(sampled(1))
    credited = credit(dph_forward(), batch, Knobs(kl=0.1))
    fresh = ~batch.stored
    assert credited.weight[batch.stored].abs().max() == 0
    assert credited.advantage[batch.stored].abs().max() == 0
    assert credited.term_weights[0][fresh].abs().max() == 0
    assert credited.term_weights[0].sum().item() == pytest.approx(1)
    n = fresh[batch.group == 0].sum()
    want = advantage.group_standardised(
        batch.score[fresh & (batch.group == 0)], torch.zeros(int(n)).long(), torch.ones(n).double()
    )
    torch.testing.assert_close(credited.advantage[fresh & (batch.group == 0)][:, 0], want)


def test_explored_samples_need_no_reference_in_dph_but_stored_ones_do():
    batch = with_stored(sampled(1))
    ref = torch.where(batch.stored[:, None], batch.ref_logp, math.nan)
    partly = replace(batch, ref_logp=ref)
    logp = off_policy(batch)
    knobs = Knobs(kl=0.1)
    loss = objective(dph_forward(), credit(dph_forward(), partly, knobs), logp, knobs)
    assert torch.isfinite(torch.autograd.grad(loss, logp)[0]).all()
    with pytest.raises(BadData, match="grpo needs ref_logp on fresh samples; 9 of 9"):
        credit(grpo(), partly, knobs)
    with pytest.raises(BadData, match="rloo: shaping left 9 of 9"):
        credit(rloo(), partly, knobs)
    with pytest.raises(BadData, match="the batch has none"):
        credit(grpo(), replace(batch, ref_logp=None), knobs)


def test_a_new_recipe_takes_a_few_lines():
    """RLOO with clip-higher and a token mean, from the pieces."""
    mine = Recipe(
        name="mine",
        paper="–",
        advantage=advantage.leave_one_out,
        policy=partial(surrogate.clipped, low=0.2, high=0.28),
        reduce=weigh.token_mean,
    )
    rollouts, index = on_policy()
    assert gradient(mine, rollouts, Knobs(), index=index).abs().max() > 0
