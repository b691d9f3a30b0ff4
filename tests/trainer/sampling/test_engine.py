"""The sampling engine: current weights, shared prompts, adapters, and refusals in one line."""

import pytest
import torch

from qdlaws.errors import BadData, QdlawsError
from tests.helpers.tiny_policy import KEYS, PROMPTS, same, saved, shake, tiny_policy
from trainer.policy import LoraOptions, frozen_reference, load_policy, token_log_probs
from trainer.sampling import sample, sample_generate
from trainer.sampling.engine import draw, draw_blockwise


def test_sampling_uses_the_present_weights():
    policy = tiny_policy()
    sample(policy, PROMPTS, KEYS, limit=20)
    with torch.no_grad():
        for weight in policy.model.parameters():
            weight.add_(0.1 * torch.randn_like(weight))
    drawn = sample(policy, PROMPTS, KEYS, limit=20)
    scored = token_log_probs(policy, PROMPTS, drawn.tokens, drawn.mask)
    torch.testing.assert_close(drawn.logp, scored.logp, atol=1e-5, rtol=0)


def test_a_prompt_is_read_once_for_all_its_samples():
    policy = tiny_policy("qwen2")
    read = []
    policy.model.register_forward_pre_hook(
        lambda _, args, kwargs: read.append(kwargs["input_ids"].shape), with_kwargs=True
    )
    prompts = [[1, 4, 5]] * 6 + [[1, 7]] * 6
    sample(policy, prompts, [(0, i) for i in range(12)], limit=10)
    assert read[0] == (2, 3)
    assert read[1] == (12, 1) or read[1][0] < 12
    assert read[-1][0] < 12  # rows have left


def test_completions_can_be_trained_on():
    """Sampled numbers are ordinary tensors, and sampling leaves the model fit for training."""
    policy = tiny_policy()
    drawn = sample(policy, PROMPTS, KEYS, limit=10)
    assert not drawn.logp.requires_grad
    logp = token_log_probs(policy, PROMPTS, drawn.tokens, drawn.mask).logp
    (torch.exp(logp - drawn.logp) * drawn.entropy).sum().backward()
    assert all(weight.grad is not None for weight in policy.model.parameters())


def test_sampling_with_gradient_checkpointing(tmp_path):
    policy = load_policy(saved(tmp_path), device="cpu", gradient_checkpointing=True)
    policy.model.train()
    drawn = sample(policy, PROMPTS, KEYS, limit=10)
    assert policy.model.training
    plain = sample(load_policy(tmp_path, device="cpu"), PROMPTS, KEYS, limit=10)
    assert torch.equal(drawn.tokens, plain.tokens)


@pytest.mark.peers
def test_sampling_with_adapters_and_from_the_reference_below(tmp_path):
    pytest.importorskip("peft")
    plain = load_policy(saved(tmp_path), device="cpu")
    policy = load_policy(tmp_path, device="cpu", lora=LoraOptions(rank=2))
    torch.manual_seed(0)
    shake(policy)
    drawn = sample(policy, PROMPTS, KEYS, limit=20)
    scored = token_log_probs(policy, PROMPTS, drawn.tokens, drawn.mask)
    torch.testing.assert_close(drawn.logp, scored.logp, atol=1e-5, rtol=0)
    base = sample(plain, PROMPTS, KEYS, limit=20)
    assert drawn.texts(policy) != base.texts(plain)
    same(plain, sample(frozen_reference(policy), PROMPTS, KEYS, limit=20), base, 1e-5)


@pytest.mark.parametrize("sampler", [sample, sample_generate])
def test_no_prompts_give_no_completions(sampler):
    drawn = sampler(tiny_policy(), [], [], limit=5)
    assert len(drawn) == 0
    assert drawn.tokens.shape == drawn.logp.shape == (0, 0)


@pytest.mark.parametrize("sampler", [sample, sample_generate])
@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"keys": KEYS[:5]}, "8 prompts but 5 keys"),
        ({"keys": [*KEYS[:7], (1,)]}, "same number of parts"),
        ({"limit": 0}, "limit is 0"),
        ({"limit": 60}, "64 tokens that the model reads"),
        ({"temperature": -1.0}, "temperature is -1.0"),
        ({"prompts": [*PROMPTS[:7], []]}, "prompt 7 has no tokens"),
    ],
)
def test_bad_requests_are_refused_in_one_line(sampler, change, words):
    request = {"prompts": PROMPTS, "keys": KEYS, "limit": 5, **change}
    with pytest.raises(BadData, match=words):
        sampler(tiny_policy(), **request)


def test_logits_that_are_not_finite_are_refused():
    policy = tiny_policy()
    with torch.no_grad():
        policy.model.lm_head.weight.fill_(float("nan"))
    with pytest.raises(BadData, match="not finite"):
        sample(policy, PROMPTS, KEYS, limit=5)


def test_a_model_without_a_cache_is_refused_in_one_line():
    from transformers import XLNetConfig, XLNetLMHeadModel

    from trainer.policy.model import make_policy

    config = XLNetConfig(vocab_size=14, d_model=8, n_layer=1, n_head=2, d_inner=8, eos_token_id=2)
    policy = make_policy(XLNetLMHeadModel(config), tiny_policy().tokenizer)
    with pytest.raises(QdlawsError, match="no key-value cache"):
        sample(policy, PROMPTS, KEYS, limit=5)


@pytest.mark.parametrize("size", [64, 1000, 8191])
def test_a_large_vocabulary_summed_in_blocks_gives_the_same_tokens(size):
    """At edges too: u of almost 0 and 1, closed first and last tokens, a chance of nearly 1."""
    torch.manual_seed(size)
    edges = torch.tensor([0.0, 1e-16, 1 - 2**-53, 1 - 1e-12], dtype=torch.float64)
    logits = 4 * torch.randn(600, size)
    logits[:50, size // 2] += 60.0
    closed = torch.zeros(size, dtype=torch.float64)
    closed[torch.randperm(size)[: size // 3]] = -torch.inf
    closed[[0, size - 1]] = -torch.inf
    u = torch.rand(600, 1, dtype=torch.float64)
    u[:4, 0] = u[60:64, 0] = edges
    for temperature in (1.0, 0.7):
        token, p, entropy = draw(logits, closed, temperature, u)
        quick, quick_p, quick_entropy = draw_blockwise(logits, closed, temperature, u)
        assert (closed[quick] == 0).all()
        assert (quick_p > 0).all()
        assert (token == quick)[64:].float().mean() > 0.995  # some u lie within 1e-7 of an edge
        agree = token == quick
        torch.testing.assert_close(quick_p[agree], p[agree], rtol=1e-4, atol=0)
        torch.testing.assert_close(quick_entropy, entropy, rtol=1e-5, atol=1e-6)


def test_a_policy_with_a_large_vocabulary_is_drawn_in_blocks(monkeypatch):
    policy = tiny_policy(spread=2.0)
    plain = sample(policy, PROMPTS, KEYS, limit=20)
    monkeypatch.setattr("trainer.sampling.engine.LARGE", 10)
    same(policy, sample(policy, PROMPTS, KEYS, limit=20), plain, 1e-5)
