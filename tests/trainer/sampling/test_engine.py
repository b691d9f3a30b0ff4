"""How the engine goes about it: quick steps, rows that leave, what comes out, what is refused."""

import numpy as np
import pytest
import torch

from qdlaws.errors import BadData, QdlawsError
from tests.helpers.tiny_policy import KEYS, PROMPTS, same, saved, tiny_policy
from trainer.policy import LoraOptions, frozen_reference, load_policy, token_log_probs
from trainer.sampling import Completions, mismatch, sample, sample_generate
from trainer.sampling.llama import LlamaStep

# The engine's own ways


@pytest.mark.parametrize("options", [{}, {"tie_word_embeddings": True}, {"head_dim": 6}])
@pytest.mark.parametrize("padded", [False, True])
def test_the_quick_llama_step_is_transformers_step(monkeypatch, options, padded):
    policy = tiny_policy(spread=3.0, **options)
    prompts = PROMPTS if padded else [[1]] * 8
    used = []
    step = LlamaStep.__call__
    monkeypatch.setattr(LlamaStep, "__call__", lambda self, *a: used.append(1) or step(self, *a))
    quick = sample(policy, prompts, KEYS, limit=20)
    assert used
    monkeypatch.setattr("trainer.sampling.decoder.fits", lambda *_: False)
    same(policy, quick, sample(policy, prompts, KEYS, limit=20), 1e-5)


@pytest.mark.parametrize(
    "options",
    [
        {"attention_bias": True},
        {"mlp_bias": True},
        {"hidden_act": "gelu"},
        {"rope_parameters": {"rope_type": "dynamic", "factor": 2.0, "rope_theta": 1e4}},
    ],
)
def test_other_llamas_take_transformers_step(monkeypatch, options):
    monkeypatch.setattr(LlamaStep, "__init__", None)  # would fail if it were made
    policy = tiny_policy(spread=3.0, **options)
    said = sample(policy, PROMPTS, KEYS, limit=10)
    scored = token_log_probs(policy, PROMPTS, said.tokens, said.mask)
    torch.testing.assert_close(said.logp, scored.logp, atol=1e-5, rtol=0)


@pytest.mark.parametrize("kind", ["llama", "qwen2", "gpt2"])
@pytest.mark.parametrize("padded", [False, True])
def test_the_step_that_graphs_record(kind, padded):
    """The CPU twin of recording: the same step over the static cache, rows leaving, unrecorded."""
    policy = tiny_policy(kind, double=True, spread=3.0)
    prompts = PROMPTS if padded else [[1]] * 8
    plain = sample(policy, prompts, KEYS, limit=20)
    same(policy, sample(policy, prompts, KEYS, limit=20, graphs=True), plain, 1e-10)


def test_caches_that_cannot_be_recorded_are_one_line():
    with pytest.raises(BadData, match="without graphs"):
        sample(tiny_policy("gemma2"), PROMPTS, KEYS, limit=5, graphs=True)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")
@pytest.mark.parametrize("graphs", [False, True])
def test_on_a_gpu(tmp_path, graphs):
    """The same tokens as on a CPU, up to the rare one that rounding tips over."""
    saved(tmp_path)
    cpu, gpu = (load_policy(tmp_path, device=device) for device in ("cpu", "cuda"))
    plain = sample(cpu, PROMPTS, KEYS, limit=20)
    said = sample(gpu, PROMPTS, KEYS, limit=20, graphs=graphs)
    assert sum(a != b for a, b in zip(plain.texts(cpu), said.texts(gpu), strict=True)) <= 1
    scored = token_log_probs(gpu, PROMPTS, said.tokens, said.mask, entropy=True)
    torch.testing.assert_close(said.logp, scored.logp, atol=1e-4, rtol=0)
    torch.testing.assert_close(said.entropy, scored.entropy, atol=1e-4, rtol=0)


def test_the_engine_sees_the_weights_of_now():
    policy = tiny_policy()
    sample(policy, PROMPTS, KEYS, limit=20)
    with torch.no_grad():
        for weight in policy.model.parameters():
            weight.add_(0.1 * torch.randn_like(weight))
    said = sample(policy, PROMPTS, KEYS, limit=20)
    scored = token_log_probs(policy, PROMPTS, said.tokens, said.mask)
    torch.testing.assert_close(said.logp, scored.logp, atol=1e-5, rtol=0)


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
    said = sample(policy, PROMPTS, KEYS, limit=10)
    assert not said.logp.requires_grad
    logp = token_log_probs(policy, PROMPTS, said.tokens, said.mask).logp
    (torch.exp(logp - said.logp) * said.entropy).sum().backward()
    assert all(weight.grad is not None for weight in policy.model.parameters())


def test_sampling_with_gradient_checkpointing(tmp_path):
    policy = load_policy(saved(tmp_path), device="cpu", gradient_checkpointing=True)
    policy.model.train()
    said = sample(policy, PROMPTS, KEYS, limit=10)
    assert policy.model.training
    plain = sample(load_policy(tmp_path, device="cpu"), PROMPTS, KEYS, limit=10)
    assert torch.equal(said.tokens, plain.tokens)


@pytest.mark.peers
def test_sampling_with_adapters_and_from_the_reference_below(tmp_path):
    pytest.importorskip("peft")
    plain = load_policy(saved(tmp_path), device="cpu")
    policy = load_policy(tmp_path, device="cpu", lora=LoraOptions(rank=2))
    torch.manual_seed(0)
    with torch.no_grad():
        for weight in policy.model.parameters():
            if weight.requires_grad:
                weight.add_(torch.randn_like(weight))
    said = sample(policy, PROMPTS, KEYS, limit=20)
    scored = token_log_probs(policy, PROMPTS, said.tokens, said.mask)
    torch.testing.assert_close(said.logp, scored.logp, atol=1e-5, rtol=0)
    base = sample(plain, PROMPTS, KEYS, limit=20)
    assert said.texts(policy) != base.texts(plain)
    same(plain, sample(frozen_reference(policy), PROMPTS, KEYS, limit=20), base, 1e-5)


# What comes out


def test_masks_end_with_eos_and_truncated_rows_do_not():
    policy = tiny_policy()
    said = sample(policy, [[1]] * 60, [(0, i) for i in range(60)], limit=12)
    assert 0 < int(said.truncated.sum()) < 60
    for i, length in enumerate(said.length.tolist()):
        row = said.tokens[i, :length].tolist()
        assert said.mask[i].tolist() == [True] * length + [False] * (said.mask.shape[1] - length)
        assert (row[-1] == policy.eos) != bool(said.truncated[i])
        assert policy.eos not in row[:-1]
        assert (said.tokens[i, length:] == policy.pad).all()
        assert said.texts(policy)[i] == policy.tokenizer.decode(row, skip_special_tokens=True)
    assert not said.logp[~said.mask].any()
    assert not said.entropy[~said.mask].any()


def test_cat_and_rows_are_inverse():
    policy = tiny_policy()
    said = sample(policy, PROMPTS, KEYS, limit=20)
    index = torch.tensor([3, 1])
    assert said.rows(index).texts(policy) == [said.texts(policy)[i] for i in (3, 1)]
    parts = [sample(policy, PROMPTS[i : i + 1], KEYS[i : i + 1], limit=20) for i in range(8)]
    whole = Completions.cat(parts)
    assert len(whole) == 8
    assert (whole.tokens[~whole.mask] == policy.pad).all()
    assert torch.equal(whole.tokens, said.tokens)


@pytest.mark.parametrize("sampler", [sample, sample_generate])
def test_nothing_asked_for_nothing_sampled(sampler):
    said = sampler(tiny_policy(), [], [], limit=5)
    assert len(said) == 0
    assert said.tokens.shape == said.logp.shape == (0, 0)


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
def test_bad_requests_are_one_line(sampler, change, words):
    request = {"prompts": PROMPTS, "keys": KEYS, "limit": 5, **change}
    with pytest.raises(BadData, match=words):
        sampler(tiny_policy(), **request)


def test_a_policy_that_has_overflowed_is_found_out():
    policy = tiny_policy()
    with torch.no_grad():
        policy.model.lm_head.weight.fill_(float("nan"))
    with pytest.raises(BadData, match="not finite"):
        sample(policy, PROMPTS, KEYS, limit=5)


def test_a_model_without_a_cache_is_one_line():
    from transformers import XLNetConfig, XLNetLMHeadModel

    from trainer.policy.model import make_policy

    config = XLNetConfig(vocab_size=14, d_model=8, n_layer=1, n_head=2, d_inner=8, eos_token_id=2)
    policy = make_policy(XLNetLMHeadModel(config), tiny_policy().tokenizer)
    with pytest.raises(QdlawsError, match="no key-value cache"):
        sample(policy, PROMPTS, KEYS, limit=5)


# Mismatch


def test_mismatch_by_hand():
    mask = torch.tensor([[True, True, False]])
    sampled = torch.log(torch.tensor([[0.5, 0.25, 0.1]]))
    trained = torch.log(torch.tensor([[0.25, 0.5, 0.9]]))
    gap = mismatch(sampled, trained, mask)
    assert gap.mean == pytest.approx(np.log(2))
    assert gap.largest == pytest.approx(np.log(2))
    assert gap.k1 == pytest.approx(0, abs=1e-7)
    assert gap.k3 == pytest.approx(((0.5 - 1 + np.log(2)) + (2 - 1 - np.log(2))) / 2, rel=1e-6)
    assert np.isnan(mismatch(sampled, trained, mask & False).mean)


def test_k1_and_k3_estimate_the_kl_to_another_policy():
    """On 4,000 sampled tokens both are near the exact KL(sampler ‖ trainer), k3 nearer."""
    policy, other = tiny_policy(spread=2.0), tiny_policy(spread=2.0)
    with torch.no_grad():
        other.model.lm_head.weight.add_(0.1 * torch.randn(14, 16))
    n = 4000
    said = sample(policy, [[1]] * n, [(0, i) for i in range(n)], limit=1)
    every = policy.allowed.nonzero()
    logp, logq = (
        token_log_probs(p, [[1]] * len(every), every, every >= 0).logp[:, 0].double().detach()
        for p in (policy, other)
    )
    exact = float((logp.exp() * (logp - logq)).sum())
    trained = token_log_probs(other, [[1]] * n, said.tokens, said.mask).logp
    gap = mismatch(said.logp, trained, said.mask)
    spread = float(((logp.exp() * (logp - logq) ** 2).sum() - exact**2).sqrt()) / np.sqrt(n)
    assert abs(gap.k1 - exact) < 4 * spread
    assert abs(gap.k3 - exact) < 4 * spread
    assert gap.k3 > 0
