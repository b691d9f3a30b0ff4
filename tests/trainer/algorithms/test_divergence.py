"""Gradients of every divergence against exact sums on 4 tokens × length 3, at the stated level."""

from functools import partial

import pytest
import torch

from tests.helpers.tiny_world import STATES, step, tables, token_logp, visits
from trainer.algorithms import divergence

POLICY, REFERENCE = tables()


def kl(p, q):
    return (p * (p.log() - q.log())).sum(-1)


def f_reverse(p, r):
    return kl(p, r)


def f_forward(p, r):
    return kl(r, p)


def f_js2(p, r):
    return kl(p, (p + r) / 2) + kl(r, (p + r) / 2)  # twice the Jensen–Shannon divergence


def f_js_policy(p, r):
    return kl(p, (p + r) / 2) / 2


def f_js_reference(p, r):
    return kl(r, (p + r) / 2) / 2


def f_alpha(p, r, a=0.2):
    return ((p ** (1 - a) * r**a).sum(-1) - 1) / (a * (a - 1))


def gradient(scalar):
    (g,) = torch.autograd.grad(scalar, POLICY)
    return g.flatten()


def expected(piece, under):
    """Gradient of the sum over tokens, expected over the sequences of ``under``."""
    probability = token_logp(under.detach()).sum(1).exp()
    return gradient((probability[:, None] * piece(step(POLICY, REFERENCE))).sum())


def exact_tokens(divide, under):
    """Gradient of the conditional divergences at the states that ``under`` visits."""
    p, r = POLICY.softmax(-1), REFERENCE.softmax(-1)
    return gradient((visits(under) * divide(p, r)).sum())


def exact_sequences(divide):
    p, r = token_logp(POLICY).sum(1).exp(), token_logp(REFERENCE).sum(1).exp()
    return gradient(divide(p, r))


ON_POLICY = [
    (divergence.reverse, f_reverse),
    (divergence.reverse_weighted, f_reverse),
    (divergence.forward, f_forward),
    (divergence.js_policy_half, f_js_policy),
]
STORED = [
    (divergence.forward_stored, f_forward),
    (divergence.js_stored, f_js2),
    (divergence.js_reference_half, f_js_reference),
    (divergence.alpha_stored, f_alpha),
]


@pytest.mark.parametrize(("piece", "divide"), ON_POLICY)
def test_token_level_is_the_conditional_divergence_at_the_policys_own_states(piece, divide):
    torch.testing.assert_close(
        expected(piece, POLICY), exact_tokens(divide, POLICY), rtol=1e-9, atol=1e-12
    )


@pytest.mark.parametrize(("piece", "divide"), ON_POLICY)
def test_sequence_level_is_the_divergence_of_whole_completions(piece, divide):
    whole = partial(piece, level="sequence")
    torch.testing.assert_close(
        expected(whole, POLICY), exact_sequences(divide), rtol=1e-9, atol=1e-12
    )


@pytest.mark.parametrize(("piece", "divide"), STORED)
def test_stored_samples_give_the_divergence_at_the_references_states(piece, divide):
    torch.testing.assert_close(
        expected(piece, REFERENCE), exact_tokens(divide, REFERENCE), rtol=1e-9, atol=1e-12
    )


def test_the_forward_kl_on_stored_samples_is_that_of_whole_completions():
    # the chain rule of the KL holds in the direction whose states are fixed
    torch.testing.assert_close(
        expected(divergence.forward_stored, REFERENCE), exact_sequences(f_forward)
    )


def test_per_token_k2_and_k3_are_not_the_divergence_of_whole_completions():
    for piece, divide in ((divergence.reverse, f_reverse), (divergence.forward, f_forward)):
        turned = torch.cosine_similarity(expected(piece, POLICY), exact_sequences(divide), dim=0)
        assert 0.8 < turned < 0.999


def test_the_ratio_turns_k3_into_the_reverse_kl():
    """By plain differentiation of ρ·k3, as a trainer with a bias-corrected KL would do it."""

    def rho_k3(s):
        log_u = s.logp - s.ref_logp
        return s.ratio * (torch.exp(-log_u) + log_u - 1)

    torch.testing.assert_close(expected(rho_k3, POLICY), exact_tokens(f_reverse, POLICY))


def test_k1_in_a_loss_has_no_expected_gradient_at_sequence_level():
    zero = expected(lambda s: s.logp - s.ref_logp, POLICY)
    torch.testing.assert_close(zero, torch.zeros_like(zero), rtol=0, atol=1e-12)


@pytest.mark.parametrize(("piece", "divide"), STORED)
def test_values_on_stored_samples_are_the_divergence(piece, divide):
    # generators differ from the divergence by a multiple of u − 1, whose mean is zero
    if piece is divergence.forward_stored:
        piece = partial(piece, value_limit=torch.inf)
    probability = token_logp(REFERENCE).sum(1).exp()
    value = (probability[:, None] * piece(step(POLICY, REFERENCE))).sum()
    p, r = POLICY.softmax(-1), REFERENCE.softmax(-1)
    torch.testing.assert_close(value, (visits(REFERENCE) * divide(p, r)).sum())


@pytest.mark.parametrize("level", ["token", "sequence"])
def test_logged_values_of_k3_estimate_the_reverse_kl(level):
    probability = token_logp(POLICY).sum(1).exp()
    for piece in (divergence.forward, divergence.reverse_weighted):
        value = (probability[:, None] * piece(step(POLICY, REFERENCE), level=level)).sum()
        p, r = POLICY.softmax(-1), REFERENCE.softmax(-1)
        torch.testing.assert_close(value, (visits(POLICY) * f_reverse(p, r)).sum())


def test_alpha_runs_from_reverse_to_forward():
    one, zero = (partial(divergence.alpha_stored, alpha=a) for a in (1 - 1e-7, 1e-7))
    torch.testing.assert_close(
        expected(one, REFERENCE), expected(divergence.forward_stored, REFERENCE), rtol=1e-4, atol=0
    )
    reverse = exact_tokens(f_reverse, REFERENCE)
    torch.testing.assert_close(expected(zero, REFERENCE), reverse, rtol=1e-5, atol=1e-9)


def test_the_entropy_term_is_minus_the_entropy():
    probability = token_logp(POLICY.detach()).sum(1).exp()
    got = gradient(
        (probability[:, None] * divergence.negative_entropy(step(POLICY, REFERENCE))).sum()
    )
    p = POLICY.softmax(-1)
    want = gradient((visits(POLICY) * (p * p.log()).sum(-1)).sum())
    torch.testing.assert_close(got, want)


def test_a_forgotten_token_is_still_pulled_back():
    """u = e^-30: the clamped value is flat there, the pull must not be."""
    s = step(POLICY, REFERENCE)
    far = type(s)(
        logp=(s.ref_logp - 30.0).requires_grad_(),
        old_logp=s.old_logp,
        ref_logp=s.ref_logp,
        advantage=s.advantage,
        mask=s.mask,
    )
    (pull,) = torch.autograd.grad(divergence.forward_stored(far).sum(), far.logp)
    torch.testing.assert_close(pull, torch.full_like(pull, -1.0), rtol=0, atol=1e-8)


def test_a_divergence_without_a_reference_says_so():
    s = step(POLICY, REFERENCE)
    bare = type(s)(s.logp, s.old_logp, None, s.advantage, s.mask)
    with pytest.raises(ValueError, match="ref_logp"):
        divergence.reverse(bare)
    with pytest.raises(ValueError, match="entropy"):
        divergence.negative_entropy(bare)


def test_the_world_is_complete():
    assert token_logp(POLICY).sum(1).exp().sum().item() == pytest.approx(1)
    assert visits(POLICY).sum().item() == pytest.approx(3)
    assert len(visits(POLICY)) == STATES
