"""The sampling engine: same distribution as generate, exact numbers, noise of the key alone."""

import numpy as np
import pytest
import torch
from scipy import stats
from tiny_policy import saved, tiny_policy

from qdlaws.errors import BadData, QdlawsError
from trainer.policy import LoraOptions, frozen_reference, load_policy, score
from trainer.sampling import Completions, mismatch, sample, sample_generate
from trainer.sampling.llama import LlamaStep

KINDS = ["llama", "qwen2", "gpt2", "gemma2", "bloom"]
PROMPTS = [[1], [1, 4, 5], [1], [1, 6, 7, 8, 9, 9, 9], [1, 4, 5], [1, 5], [1], [1, 4]]
KEYS = [(0, 0, 3, prompt, j) for j, prompt in enumerate([0, 1, 0, 2, 1, 3, 0, 4])]


def same(policy, one, other, atol):
    """The same tokens, and the same numbers up to rounding."""
    assert one.texts(policy) == other.texts(policy)
    width = min(one.tokens.shape[1], other.tokens.shape[1])
    assert torch.equal(one.mask[:, :width], other.mask[:, :width])
    assert torch.equal(one.truncated, other.truncated)
    torch.testing.assert_close(one.logp[:, :width], other.logp[:, :width], atol=atol, rtol=0)
    torch.testing.assert_close(one.entropy[:, :width], other.entropy[:, :width], atol=atol, rtol=0)


# Numbers


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("temperature", [1.0, 0.7])
def test_sampling_gives_what_scoring_gives(kind, temperature):
    """With prompts of one length (no padding) and of many (left padding)."""
    policy = tiny_policy(kind, spread=3.0)
    for prompts in (PROMPTS, [[1]] * 8, [[1, 5, 6]] * 8):
        said = sample(policy, prompts, KEYS, limit=20, temperature=temperature)
        scored = score(
            policy, prompts, said.tokens, said.mask, temperature=temperature, entropy=True
        )
        torch.testing.assert_close(said.logp, scored.logp, atol=1e-5, rtol=0)
        torch.testing.assert_close(said.entropy, scored.entropy, atol=1e-5, rtol=0)


@pytest.mark.parametrize("kind", ["llama", "qwen2", "gpt2"])
def test_in_float64_to_rounding(kind):
    policy = tiny_policy(kind, double=True, spread=3.0)
    said = sample(policy, PROMPTS, KEYS, limit=20)
    scored = score(policy, PROMPTS, said.tokens, said.mask, entropy=True)
    torch.testing.assert_close(said.logp, scored.logp, atol=1e-10, rtol=0)
    torch.testing.assert_close(said.entropy, scored.entropy, atol=1e-10, rtol=0)


@pytest.mark.parametrize("kind", KINDS)
def test_generate_gives_what_scoring_gives(kind):
    policy = tiny_policy(kind, spread=3.0)
    said = sample_generate(policy, PROMPTS, KEYS, limit=20, temperature=0.8)
    scored = score(policy, PROMPTS, said.tokens, said.mask, temperature=0.8, entropy=True)
    torch.testing.assert_close(said.logp, scored.logp, atol=1e-5, rtol=0)
    torch.testing.assert_close(said.entropy, scored.entropy, atol=1e-5, rtol=0)


def test_a_bfloat16_policy(tmp_path):
    """bfloat16 rounds logits of cached and of full passes differently, by up to 2⁻⁸ of them."""
    policy = load_policy(saved(tmp_path), dtype="bfloat16", device="cpu")
    said = sample(policy, PROMPTS, KEYS, limit=20)
    scored = score(policy, PROMPTS, said.tokens, said.mask, entropy=True)
    assert said.logp.dtype == torch.float32
    torch.testing.assert_close(said.logp, scored.logp, atol=0.03, rtol=0)


# Distribution


@pytest.mark.parametrize("sampler", [sample, sample_generate])
def test_sequences_come_with_their_probability(sampler):
    """χ² of all sequences of at most two tokens against exact sums, two prompts in turn."""
    policy = tiny_policy(spread=2.0)
    usable = policy.allowed.nonzero()[:, 0].tolist()
    letters = [token for token in usable if token != policy.eos]
    every = [[policy.eos, 0]] + [[a, b] for a in letters for b in usable]
    tokens = torch.tensor(every)
    mask = torch.ones_like(tokens).bool()
    mask[0, 1] = False
    n = 4000
    prompts = [[1], [1, 4, 9]] * (n // 2)
    said = sampler(policy, prompts, [(5, i) for i in range(n)], limit=2)
    for i in (0, 1):
        logp = score(policy, [prompts[i]] * len(every), tokens, mask).logp.sum(1).detach()
        expected = logp.double().exp().numpy() * n / 2
        assert expected.sum() == pytest.approx(n / 2, rel=1e-5)
        row = {tuple(pair): k for k, pair in enumerate(every)}
        drawn = [row[tuple(pair)] for pair in said.tokens[i::2].tolist()]
        seen = np.bincount(drawn, minlength=len(every))
        rare = expected < 5
        seen = np.append(seen[~rare], seen[rare].sum())
        expected = np.append(expected[~rare], expected[rare].sum())
        assert len(seen) > 20
        assert stats.chisquare(seen, expected * seen.sum() / expected.sum()).pvalue > 1e-3


def test_the_two_samplers_agree_in_lengths_and_entropy():
    """Two-sample tests at a limit where rows have left the batch, at another temperature."""
    policy = tiny_policy(spread=2.0)
    prompts = [[1], [1, 6, 7]] * 300
    keys = [(0, i) for i in range(600)]
    ours = sample(policy, prompts, keys, limit=20, temperature=0.8)
    theirs = sample_generate(policy, prompts, keys, limit=20, temperature=0.8)
    counts = [np.bincount(c.length.numpy(), minlength=21)[1:] for c in (ours, theirs)]
    assert stats.chi2_contingency(np.array(counts) + 1e-9).pvalue > 1e-3
    sums = [c.entropy.sum(1).numpy() for c in (ours, theirs)]
    assert stats.ks_2samp(*sums).pvalue > 1e-3


def test_special_tokens_are_never_said():
    policy = tiny_policy(vocab=20)
    with torch.no_grad():  # a policy that would say nothing else
        policy.model.lm_head.weight[~policy.allowed] += 10 * torch.randn(16)
    for sampler in (sample, sample_generate):
        said = sampler(policy, [[1]] * 200, [(0, i) for i in range(200)], limit=10)
        assert policy.allowed[said.tokens[said.mask]].all()


# Noise


@pytest.mark.parametrize("kind", KINDS)
def test_a_row_does_not_depend_on_its_batch(kind):
    """8 at once, 8 × 1, 3 + 5, in reverse order: the same rows."""
    double = kind not in ("gemma2", "bloom")  # these round to float32 within
    policy = tiny_policy(kind, double=double, spread=3.0)
    whole = sample(policy, PROMPTS, KEYS, limit=20)
    assert len(set(whole.length.tolist())) > 3  # so that rows do leave the batch
    atol = 1e-10 if kind in ("llama", "qwen2", "gpt2") else 1e-5
    same(policy, sample(policy, PROMPTS, KEYS, limit=20, batch_size=1), whole, atol)
    same(policy, sample(policy, PROMPTS, KEYS, limit=20, batch_size=3), whole, atol)
    halves = [
        sample(policy, PROMPTS[part], KEYS[part], limit=20) for part in (slice(3), slice(3, 8))
    ]
    same(policy, Completions.cat(halves), whole, atol)
    back = sample(policy, PROMPTS[::-1], KEYS[::-1], limit=20)
    same(policy, back.rows(torch.arange(7, -1, -1)), whole, atol)


def test_noise_does_not_depend_on_torch_s_generator_nor_touch_it():
    policy = tiny_policy()
    torch.manual_seed(1)
    one = sample(policy, PROMPTS, KEYS, limit=20)
    state = torch.random.get_rng_state()
    torch.manual_seed(2)
    assert torch.equal(sample(policy, PROMPTS, KEYS, limit=20).tokens, one.tokens)
    torch.manual_seed(1)
    sample_generate(policy, PROMPTS, KEYS, limit=20)
    assert torch.equal(torch.random.get_rng_state(), state)


def test_other_keys_give_other_rows():
    policy = tiny_policy()
    said = sample(policy, [[1]] * 50, [(0, i) for i in range(50)], limit=20)
    again = sample(policy, [[1]] * 50, [(1, i) for i in range(50)], limit=20)
    assert len(set(said.texts(policy))) > 30
    assert said.texts(policy) != again.texts(policy)


def test_a_longer_limit_only_adds():
    policy = tiny_policy(double=True)
    short = sample(policy, PROMPTS, KEYS, limit=5)
    long = sample(policy, PROMPTS, KEYS, limit=30)
    assert torch.equal(short.tokens[short.mask], long.tokens[:, :5][short.mask])
    assert torch.equal(short.truncated, long.length > 5)


def test_noise_is_made_in_pieces(monkeypatch):
    """Positions beyond the first piece, after rows have left."""
    from trainer.sampling import engine

    policy = tiny_policy(double=True)
    whole = sample(policy, PROMPTS, KEYS, limit=30)
    monkeypatch.setattr(engine, "AHEAD", 4)
    same(policy, sample(policy, PROMPTS, KEYS, limit=30), whole, 1e-12)


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
    scored = score(policy, PROMPTS, said.tokens, said.mask)
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
    scored = score(gpu, PROMPTS, said.tokens, said.mask, entropy=True)
    torch.testing.assert_close(said.logp, scored.logp, atol=1e-4, rtol=0)
    torch.testing.assert_close(said.entropy, scored.entropy, atol=1e-4, rtol=0)


def test_the_engine_sees_the_weights_of_now():
    policy = tiny_policy()
    sample(policy, PROMPTS, KEYS, limit=20)
    with torch.no_grad():
        for weight in policy.model.parameters():
            weight.add_(0.1 * torch.randn_like(weight))
    said = sample(policy, PROMPTS, KEYS, limit=20)
    scored = score(policy, PROMPTS, said.tokens, said.mask)
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
    logp = score(policy, PROMPTS, said.tokens, said.mask).logp
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
    scored = score(policy, PROMPTS, said.tokens, said.mask)
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
        score(p, [[1]] * len(every), every, every >= 0).logp[:, 0].double().detach()
        for p in (policy, other)
    )
    exact = float((logp.exp() * (logp - logq)).sum())
    trained = score(other, [[1]] * n, said.tokens, said.mask).logp
    gap = mismatch(said.logp, trained, said.mask)
    spread = float(((logp.exp() * (logp - logq) ** 2).sum() - exact**2).sqrt()) / np.sqrt(n)
    assert abs(gap.k1 - exact) < 4 * spread
    assert abs(gap.k3 - exact) < 4 * spread
    assert gap.k3 > 0
