"""Surrogates: their values and gradients, on and off policy."""

import math

import pytest
import torch

from qdlaws.errors import BadData
from trainer.algorithms import surrogate
from trainer.algorithms.recipes import dapo, darling, dph_forward, grpo, reverse_kl
from trainer.types import Step


def step_of(log_ratio, advantage, old=0.0):
    """A step of single tokens (or rows of tokens) with these log ratios and advantages."""
    log_ratio = torch.tensor(log_ratio, dtype=torch.float64)
    log_ratio = log_ratio[:, None] if log_ratio.ndim == 1 else log_ratio
    old_logp = torch.full_like(log_ratio, old)
    logp = (old_logp + log_ratio).requires_grad_()
    wide = torch.tensor(advantage, dtype=torch.float64)[:, None].expand(log_ratio.shape)
    return Step(logp, old_logp, None, wide, torch.ones(log_ratio.shape, dtype=torch.bool))


def slope(loss, step):
    (gradient,) = torch.autograd.grad(loss.sum(), step.logp)
    return gradient


def test_dual_clipping_bounds_the_loss_of_a_negative_advantage():
    """Ratios 1.1, 2, 4, 9 with A = −2: the loss ends at 3·2; a positive advantage is as before."""
    ratios = [math.log(r) for r in (1.1, 2.0, 4.0, 9.0)]
    step = step_of(ratios, [-2.0] * 4)
    loss = surrogate.clipped(step, dual=3.0)
    assert loss.flatten().tolist() == pytest.approx([2.2, 4.0, 6.0, 6.0])
    assert slope(loss, step).flatten().tolist() == pytest.approx([2.2, 4.0, 0.0, 0.0])
    up = step_of(ratios, [2.0] * 4)
    torch.testing.assert_close(surrogate.clipped(up, dual=3.0), surrogate.clipped(up))


def test_on_policy_dual_clipping_changes_nothing():
    step = step_of([0.0, 0.0, 0.0], [-2.0, 1.0, 0.0])
    loss, plain = surrogate.clipped(step, dual=3.0), surrogate.clipped(step)
    assert torch.equal(loss, plain)
    assert torch.equal(slope(loss, step), slope(plain, step))


def test_the_recipes_whose_released_code_clips_twice_take_the_option():
    for make in (grpo, dapo, darling, dph_forward, reverse_kl):
        assert make(dual=3.0).policy.keywords["dual"] == 3.0
        assert "dual" not in make().policy.keywords
        with pytest.raises(BadData, match="above 1"):
            make(dual=0.5)


def test_a_ratio_of_the_sequence_is_the_geometric_mean_of_its_tokens():
    step = step_of([[0.0004, -0.0002], [0.003, 0.001]], [1.0, 1.0])
    loss = surrogate.sequence_clipped(step)
    means = [math.exp(0.0001), 1 + 4e-4]  # the second is clipped
    assert loss[:, 0].tolist() == pytest.approx([-m for m in means])
    gradient = slope(loss, step)
    assert gradient[0].tolist() == pytest.approx([-means[0]] * 2)
    assert gradient[1].tolist() == [0.0, 0.0]


def test_a_clipped_weight_leaves_every_token_a_gradient():
    step = step_of([math.log(3.0), math.log(0.1), 0.0], [1.0, -1.0, 2.0], old=-1.0)
    gradient = slope(surrogate.weight_clipped(step), step).flatten()
    assert gradient.tolist() == pytest.approx([-1.2, 0.1, -2.0])


def test_the_gate_has_slope_one_on_policy_and_closes_sooner_on_negative_advantages():
    step = step_of([0.0, 0.0, math.log(4.0), math.log(4.0)], [1.0, -1.0, 1.0, -1.0])
    gradient = slope(surrogate.gated(step), step).flatten()
    assert gradient[:2].tolist() == pytest.approx([-1.0, 1.0])
    gate = 1 / (1 + math.exp(-3))
    assert gradient[2].item() == pytest.approx(-4 * gate * (1 - gate) * 4)
    assert gradient[3] < -gradient[2]
