"""token_log_probs: the softmax over the allowed tokens, its entropy and their gradients."""

import pytest
import torch

from qdlaws.errors import BadData
from tests.helpers.tiny_policy import tiny_policy
from trainer.policy import token_log_probs

PROMPTS = [[1], [1, 4, 5, 6], [1, 7]]
TOKENS = torch.tensor([[4, 5, 6, 2, 0], [7, 2, 0, 0, 0], [9, 9, 8, 4, 13]])
MASK = torch.tensor([[1, 1, 1, 1, 0], [1, 1, 0, 0, 0], [1, 1, 1, 1, 1]]).bool()


def by_hand(policy, temperature=1.0):
    """One row at a time, the definition written out: Σ over the allowed tokens only."""
    logp = torch.zeros(TOKENS.shape, dtype=policy.dtype)
    entropy = torch.zeros_like(logp)
    allowed = policy.allowed.nonzero()[:, 0]
    for i, prompt in enumerate(PROMPTS):
        completion = TOKENS[i][MASK[i]].tolist()
        logits = policy.model(torch.tensor([prompt + completion])).logits[0]
        for t, token in enumerate(completion):
            weight = torch.exp(logits[len(prompt) + t - 1, allowed] / temperature)
            p = weight / weight.sum()
            logp[i, t] = p[allowed.tolist().index(token)].log()
            entropy[i, t] = -(p * p.log()).sum()
    return logp, entropy


@pytest.mark.parametrize("kind", ["llama", "gpt2", "qwen2", "gemma2", "bloom"])
@pytest.mark.parametrize("temperature", [1.0, 0.6])
def test_it_is_the_definition(kind, temperature):
    policy = tiny_policy(kind, spread=2.0)
    scored = token_log_probs(policy, PROMPTS, TOKENS, MASK, temperature=temperature, entropy=True)
    logp, entropy = by_hand(policy, temperature)
    torch.testing.assert_close(scored.logp, logp, atol=1e-5, rtol=0)
    torch.testing.assert_close(scored.entropy, entropy, atol=1e-5, rtol=0)


def test_in_float64_to_rounding_and_so_are_the_gradients():
    """By autograd of the definition; both gradients, with the micro-batches of 2 + 1 rows."""
    policy = tiny_policy(double=True, spread=2.0)
    weights = list(policy.model.parameters())
    coefficient = torch.randn(2, *TOKENS.shape, dtype=torch.float64)
    logp, entropy = by_hand(policy)
    expected = torch.autograd.grad((coefficient * torch.stack([logp, entropy])).sum(), weights)
    parts = []
    for rows in (slice(0, 2), slice(2, 3)):
        scored = token_log_probs(policy, PROMPTS[rows], TOKENS[rows], MASK[rows], entropy=True)
        torch.testing.assert_close(scored.logp, logp[rows], atol=1e-10, rtol=0)
        torch.testing.assert_close(scored.entropy, entropy[rows], atol=1e-10, rtol=0)
        both = coefficient[:, rows] * torch.stack([scored.logp, scored.entropy])
        parts.append(torch.autograd.grad(both.sum(), weights))
    for one, two, whole in zip(*parts, expected, strict=True):
        torch.testing.assert_close(one + two, whole, atol=1e-10, rtol=1e-8)


def test_large_vocabularies_are_read_in_pieces(monkeypatch):
    """Pieces of three tokens, recomputed in backward: the same numbers and gradients."""
    import sys

    policy = tiny_policy(double=True)
    weights = list(policy.model.parameters())

    def run():
        scored = token_log_probs(policy, PROMPTS, TOKENS, MASK, entropy=True)
        total = (scored.logp * torch.arange(5)).sum() + scored.entropy.pow(2).sum()
        return scored, torch.autograd.grad(total, weights)

    whole, gradient = run()
    monkeypatch.setattr(sys.modules["trainer.policy.likelihood"], "CHUNK", 3 * 14)
    pieces, gradient_of_pieces = run()
    torch.testing.assert_close(pieces.logp, whole.logp, atol=1e-12, rtol=0)
    torch.testing.assert_close(pieces.entropy, whole.entropy, atol=1e-12, rtol=0)
    for one, other in zip(gradient, gradient_of_pieces, strict=True):
        torch.testing.assert_close(one, other, atol=1e-12, rtol=1e-10)


def test_what_is_off_the_mask_does_not_matter():
    policy = tiny_policy()
    plain = token_log_probs(policy, PROMPTS, TOKENS, MASK, entropy=True)
    junk = TOKENS.masked_fill(~MASK, 11)
    wide = torch.nn.functional.pad(junk, (0, 7), value=5)
    other = token_log_probs(
        policy, PROMPTS, wide, torch.nn.functional.pad(MASK, (0, 7)), entropy=True
    )
    assert torch.equal(other.logp[:, :5], plain.logp)
    assert torch.equal(other.entropy[:, :5], plain.entropy)
    assert not other.logp[:, 5:].any()
    assert not plain.logp[~MASK].any()


def test_a_row_or_a_batch_without_tokens():
    policy = tiny_policy()
    empty = MASK.clone()
    empty[1] = False
    plain = token_log_probs(policy, PROMPTS, TOKENS, MASK)
    assert torch.equal(
        token_log_probs(policy, PROMPTS, TOKENS, empty).logp[[0, 2]], plain.logp[[0, 2]]
    )
    assert plain.entropy is None
    nothing = token_log_probs(policy, PROMPTS, TOKENS, torch.zeros_like(MASK), entropy=True)
    assert not nothing.logp.any()
    none = token_log_probs(policy, [], TOKENS[:0], MASK[:0])
    assert none.logp.shape == (0, 5)


def test_a_special_token_cannot_have_been_said():
    """Over the allowed set its probability is 0, whatever the model thinks."""
    policy = tiny_policy()
    tokens = TOKENS.clone()
    tokens[0, 1] = 3
    logp = token_log_probs(policy, PROMPTS, tokens, MASK).logp
    assert logp[0, 1] == -torch.inf
    assert torch.isfinite(logp[0, 2:]).all()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"prompts": PROMPTS[:2]}, "2 prompts"),
        ({"mask": MASK[:, :4]}, "do not fit"),
        ({"prompts": [[1], [], [1]]}, "prompt 1 has no tokens"),
        ({"prompts": [[1], [1] * 60, [1]]}, "60 tokens and a completion of 5 .* 64 tokens"),
        ({"temperature": 0.0}, "temperature is 0.0"),
    ],
)
def test_bad_requests_are_one_line(change, words):
    request = {"prompts": PROMPTS, "tokens": TOKENS, "mask": MASK, **change}
    with pytest.raises(BadData, match=words) as caught:
        token_log_probs(tiny_policy(), **request)
    assert "\n" not in str(caught.value)
