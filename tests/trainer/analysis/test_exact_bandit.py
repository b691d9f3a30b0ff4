"""Closed forms of the exact bandit are optima, and have the numbers of the papers."""

import pytest
import torch

from tests.helpers.two_blocks import BLOCKS, evenness, second_block
from trainer.analysis.exact_bandit import (
    Bandit,
    forward_optimum,
    mara_forward_optimum,
    mara_optimum,
    random_bandit,
    tilt,
)


@pytest.mark.parametrize("beta", [0.01, 0.1, 1.0])
def test_optima_of_the_two_blocks(beta):
    vanilla, ours = tilt(BLOCKS, beta), mara_optimum(BLOCKS, beta, 1.0)
    assert second_block(vanilla) == pytest.approx(0.039, abs=1e-3)
    assert evenness(vanilla) == pytest.approx(0.85, abs=5e-3)
    assert second_block(ours) == pytest.approx(0.5, abs=1e-9)
    assert evenness(ours) == pytest.approx(1.0, abs=1e-9)
    forward = mara_forward_optimum(BLOCKS, beta, 1.0)
    assert second_block(forward) == pytest.approx(0.5, abs=1e-6)


@pytest.mark.parametrize("beta", [0.05, 0.5])
def test_closed_forms_are_optima(beta):
    """No small move along the simplex does better, checked by the gradient of the objective."""
    bandit = random_bandit(prompts=3, actions=9)
    reference = bandit.reference

    def reverse(p):
        return (p * bandit.reward - beta * p * (p / reference).log()).sum()

    def forward(p):
        return (p * bandit.reward - beta * reference * (reference / p).log()).sum()

    optimum = forward_optimum(bandit.reward, reference, beta)
    for objective, policy in ((reverse, tilt(bandit, beta)), (forward, optimum)):
        z = policy.log().requires_grad_()
        (g,) = torch.autograd.grad(objective(z.softmax(-1)), z)
        assert g.abs().max() < 1e-9


def test_mara_ratios_of_the_paper():
    """Rewards .75 and 1, log π_ref −4.05 and −5.95: the better one overtakes below β = .132."""
    bandit = Bandit(
        reward=torch.tensor([[0.75, 1.0]]).double(),
        ref_logits=torch.tensor([[-4.05, -5.95]]).double(),
        length=torch.ones(2, dtype=torch.long),
        meaning=torch.arange(2),
    )
    for beta, second_wins in ((0.10, True), (0.131, True), (0.132, False), (0.15, False)):
        assert bool(tilt(bandit, beta)[0, 1] > tilt(bandit, beta)[0, 0]) is second_wins
