"""Settings of a TRL trainer with which steering cannot work: refused, each with the remedy."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from qdlaws.integrations.trl.preflight import setup_problems


def trainer(**options):
    """The attributes of TRL's GRPOTrainer that the checks read; by default it can be steered."""
    args = {"use_bias_correction_kl": False, "use_liger_loss": False, "sync_ref_model": False}
    settings = {"beta": 0.05, "scale_rewards": "none", "loss_type": "dapo", "_logs": {"prompt": []}}
    args |= {name: options.pop(name) for name in list(options) if name in args}
    return SimpleNamespace(**(settings | options), args=SimpleNamespace(**args))


def rloo_trainer(**options):
    """RLOO never divides the reward by a spread: it has no ``scale_rewards``."""
    made = trainer(**options)
    del made.scale_rewards
    return made


@pytest.mark.parametrize("turn", ["beta", "reward_scale"])
@pytest.mark.parametrize("mode", ["advise", "stop", "steer"])
def test_a_trainer_that_can_be_steered_has_no_problems(mode, turn):
    for made in (trainer(), rloo_trainer()):
        problems = setup_problems(made, mode, turn)
        assert problems.fatal == ()
        assert problems.warnings == ()


@pytest.mark.parametrize(
    ("options", "turn", "words"),
    [
        ({"beta": 0.0}, "beta", "small positive number"),
        ({"scale_rewards": True, "use_bias_correction_kl": True}, "beta", "folded"),
        (
            {"scale_rewards": "batch", "use_bias_correction_kl": True},
            "beta",
            "scale_rewards='none'",
        ),
        ({"scale_rewards": "group"}, "reward_scale", "divides a reward scale out"),
        (
            {"multi_objective_aggregation": "normalize_then_sum"},
            "reward_scale",
            "normalize_then_sum",
        ),
        ({"reward_clip_range": (-1, 1)}, "reward_scale", "clips the scaled reward"),
        ({"use_liger_loss": True}, "beta", "use_liger_loss=False"),
        ({"sync_ref_model": True}, "beta", "sync_ref_model=False"),
        ({"use_adaptive_entropy": True}, "beta", "two of them"),
    ],
)
def test_a_setting_that_cannot_be_steered_is_named_with_its_remedy(options, turn, words):
    fatal = setup_problems(trainer(**options), "steer", turn).fatal
    assert len(fatal) == 1
    assert words in fatal[0]
    assert "\n" not in fatal[0]
    assert setup_problems(trainer(**options), "advise", turn).fatal == ()


def test_a_setting_that_concerns_the_other_knob_alone_is_no_problem():
    assert setup_problems(trainer(scale_rewards="group"), "steer", "beta").fatal == ()
    assert setup_problems(trainer(use_liger_loss=True), "steer", "reward_scale").fatal == ()


def test_advice_without_a_kl_is_a_warning():
    (warning,) = setup_problems(trainer(beta=0.0), "advise", "beta").warnings
    assert "no KL is logged" in warning


def test_a_loss_whose_answer_is_unknown_is_a_warning():
    (warning,) = setup_problems(trainer(loss_type="luspo"), "steer", "beta").warnings
    assert "loss_type='luspo'" in warning


def test_a_trainer_of_another_kind_is_named():
    other = SimpleNamespace(beta=0.1)
    assert setup_problems(other, "advise", "beta").fatal == ()
    (reason,) = setup_problems(other, "steer", "beta").fatal
    assert "SimpleNamespace is no GRPOTrainer" in reason


def test_the_corrected_kl_has_the_gradient_of_the_reverse_kl():
    """Why use_bias_correction_kl folds: E[∇(ρ·k3)] = ∇KL(π‖π_ref), exactly, on policy."""
    torch = pytest.importorskip("torch")
    rng = torch.Generator().manual_seed(0)
    z = torch.randn(7, generator=rng, dtype=torch.float64, requires_grad=True)
    reference = torch.randn(7, generator=rng, dtype=torch.float64).log_softmax(-1)
    logp = z.log_softmax(-1)
    behaviour = logp.detach()
    k3 = (reference - logp).exp() - (reference - logp) - 1
    kl = (logp.exp() * (logp - reference)).sum()
    (exact,) = torch.autograd.grad(kl, z, retain_graph=True)
    for corrected in (True, False):
        term = k3 * (logp - behaviour).exp() if corrected else k3
        loss = (behaviour.exp() * term).sum()
        (gradient,) = torch.autograd.grad(loss, z, retain_graph=True)
        assert torch.allclose(gradient, exact, atol=1e-12) is corrected
