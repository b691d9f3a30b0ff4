"""Adjustments of advantages: the unlikely right answers, the smoothed ones, the flow's target."""

import pytest
import torch

from tests.helpers.tiny_world import sampled
from trainer.algorithms import adjustment, surrogate
from trainer.algorithms.advantage import group_standardised
from trainer.algorithms.objective import credit, objective
from trainer.algorithms.recipes import flowrl
from trainer.types import Knobs, Rollouts


def batch_of(score, logp, group=None, length=1):
    """Rows of ``length`` tokens with this mean log-probability each."""
    logp = torch.tensor(logp, dtype=torch.float64)[:, None].expand(-1, length)
    score = torch.tensor(score, dtype=torch.float64)
    group = torch.zeros(len(score), dtype=torch.long) if group is None else torch.tensor(group)
    return Rollouts.of(score, group, torch.ones(logp.shape).bool(), logp, logp - 1)


def test_right_answers_share_what_they_had_and_the_unlikely_get_more():
    """q = .8 and .2 among two right ones: with τ = 1 they get 1/q/Σ 1/q, that is .2 and .8."""
    batch = batch_of([1.0, 1.0, 0.0], [-0.2231435513, -1.6094379124, -0.5], length=4)
    advantage = torch.tensor([0.6, 0.6, -1.2]).double()
    full = adjustment.uniform_correct(batch, advantage, Knobs(), tau=1.0)
    assert full.tolist() == pytest.approx([0.6 * 2 * 0.2, 0.6 * 2 * 0.8, -1.2])
    part = adjustment.uniform_correct(batch, advantage, Knobs(), tau=0.2)
    assert part.tolist() == pytest.approx([0.6 * (0.8 + 0.08), 0.6 * (0.8 + 0.32), -1.2])
    assert part.sum().item() == pytest.approx(advantage.sum().item())


def test_a_lone_right_answer_and_other_prompts_stay_as_they_are():
    batch = batch_of([1.0, 0.0, 1.0, 1.0], [-1.0, -2.0, -3.0, -3.0], group=[0, 0, 1, 1])
    advantage = torch.tensor([0.7, -0.7, 0.1, 0.1]).double()
    got = adjustment.uniform_correct(batch, advantage, Knobs(), tau=1.0)
    assert got.tolist() == pytest.approx(advantage.tolist())


def test_smoothing_pays_right_answers_and_charges_wrong_ones_for_being_unlikely():
    batch = batch_of([1.0, 0.0], [-1.0, -2.0], length=3)
    got = adjustment.differential_smoothing(
        batch, torch.tensor([1.0, -1.0]).double(), Knobs(), correct=0.1, wrong=0.2
    )
    assert got.tolist() == pytest.approx([1 + 0.1 * 3, -1 - 0.2 * 6])


def test_the_flow_at_its_target_loses_nothing_and_log_z_is_the_mean_gap():
    batch = sampled(3)
    advantage = group_standardised(batch.reward, batch.group, batch.count)
    target = adjustment.flow_target(batch, advantage, Knobs(reward_scale=15.0))
    mean_ref = batch.sequence_ref_logp() / batch.length
    residual = batch.mean_old_logp() - mean_ref - target
    for number in batch.group.unique():
        assert residual[batch.group == number].mean().item() == pytest.approx(0, abs=1e-9)
        free = (15 * advantage - target)[batch.group == number]
        assert free.std().item() == pytest.approx(0, abs=1e-9)


def test_the_loss_of_the_flow_is_the_mean_square_with_the_sequence_weight():
    batch, recipe, knobs = sampled(5), flowrl(), Knobs(reward_scale=2.0)
    rng = torch.Generator().manual_seed(0)
    noise = torch.randn(batch.old_logp.shape, generator=rng, dtype=torch.float64)
    logp = (batch.old_logp + 0.2 * noise).requires_grad_()
    credited = credit(recipe, batch, knobs)
    loss = objective(recipe, credited, logp, knobs)
    m = batch.mask
    gap = torch.where(m, logp - batch.ref_logp, 0.0).sum(1) / m.sum(1)
    w = torch.where(m, logp - batch.old_logp, 0.0).sum(1).exp().detach()
    want = (w * (gap - credited.advantage[:, 0]).square()).mean()
    assert loss.item() == pytest.approx(want.item())
    got = [torch.autograd.grad(x, logp, retain_graph=True)[0] for x in (loss, want)]
    torch.testing.assert_close(*got)


def test_a_clipped_weight_of_the_flow_is_bounded():
    from trainer.types import Step

    logp = torch.tensor([[0.0, 0.0], [-3.0, -3.0]], dtype=torch.float64)
    step = Step(
        logp, torch.full((2, 2), -1.0).double(), logp - 1, torch.zeros(2, 2), torch.ones(2, 2) > 0
    )
    free = surrogate.flow_balance(step).sum(1)
    held = surrogate.flow_balance(step, clip=0.2).sum(1)
    assert (held / free).tolist() == pytest.approx([1.2 / 7.389056, 0.8 / 0.018316], rel=1e-4)
