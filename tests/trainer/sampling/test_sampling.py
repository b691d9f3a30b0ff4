"""Both samplers: the same distribution, exact numbers; the engine: random numbers by key alone."""

import numpy as np
import pytest
import torch
from scipy import stats

from tests.helpers.tiny_policy import KEYS, PROMPTS, same, saved, tiny_policy
from trainer.policy import load_policy, token_log_probs
from trainer.sampling import Completions, sample, sample_generate

KINDS = ["llama", "qwen2", "gpt2", "gemma2", "bloom"]

# Numbers


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("temperature", [1.0, 0.7])
def test_sampled_log_probs_and_entropies_are_those_of_scoring(kind, temperature):
    """With prompts of one length (no padding) and of many (left padding)."""
    policy = tiny_policy(kind, spread=3.0)
    for prompts in (PROMPTS, [[1]] * 8, [[1, 5, 6]] * 8):
        drawn = sample(policy, prompts, KEYS, limit=20, temperature=temperature)
        scored = token_log_probs(
            policy, prompts, drawn.tokens, drawn.mask, temperature=temperature, entropy=True
        )
        torch.testing.assert_close(drawn.logp, scored.logp, atol=1e-5, rtol=0)
        torch.testing.assert_close(drawn.entropy, scored.entropy, atol=1e-5, rtol=0)


@pytest.mark.parametrize("kind", ["llama", "qwen2", "gpt2"])
def test_in_float64_sampling_and_scoring_agree_to_rounding(kind):
    policy = tiny_policy(kind, double=True, spread=3.0)
    drawn = sample(policy, PROMPTS, KEYS, limit=20)
    scored = token_log_probs(policy, PROMPTS, drawn.tokens, drawn.mask, entropy=True)
    torch.testing.assert_close(drawn.logp, scored.logp, atol=1e-10, rtol=0)
    torch.testing.assert_close(drawn.entropy, scored.entropy, atol=1e-10, rtol=0)


@pytest.mark.parametrize("kind", KINDS)
def test_log_probs_of_generate_are_those_of_scoring(kind):
    policy = tiny_policy(kind, spread=3.0)
    drawn = sample_generate(policy, PROMPTS, KEYS, limit=20, temperature=0.8)
    scored = token_log_probs(
        policy, PROMPTS, drawn.tokens, drawn.mask, temperature=0.8, entropy=True
    )
    torch.testing.assert_close(drawn.logp, scored.logp, atol=1e-5, rtol=0)
    torch.testing.assert_close(drawn.entropy, scored.entropy, atol=1e-5, rtol=0)


def test_a_bfloat16_policy_is_sampled_in_float32(tmp_path):
    """bfloat16 rounds logits of cached and of full passes differently, by up to 2⁻⁸ of them."""
    policy = load_policy(saved(tmp_path), dtype="bfloat16", device="cpu")
    drawn = sample(policy, PROMPTS, KEYS, limit=20)
    scored = token_log_probs(policy, PROMPTS, drawn.tokens, drawn.mask, entropy=True)
    assert drawn.logp.dtype == torch.float32
    torch.testing.assert_close(drawn.logp, scored.logp, atol=0.03, rtol=0)


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
    drawn = sampler(policy, prompts, [(5, i) for i in range(n)], limit=2)
    for i in (0, 1):
        logp = token_log_probs(policy, [prompts[i]] * len(every), tokens, mask).logp.sum(1).detach()
        expected = logp.double().exp().numpy() * n / 2
        assert expected.sum() == pytest.approx(n / 2, rel=1e-5)
        row = {tuple(pair): k for k, pair in enumerate(every)}
        sequence = [row[tuple(pair)] for pair in drawn.tokens[i::2].tolist()]
        counted = np.bincount(sequence, minlength=len(every))
        rare = expected < 5
        counted = np.append(counted[~rare], counted[rare].sum())
        expected = np.append(expected[~rare], expected[rare].sum())
        assert len(counted) > 20
        assert stats.chisquare(counted, expected * counted.sum() / expected.sum()).pvalue > 1e-3


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


def test_special_tokens_are_never_drawn():
    policy = tiny_policy(vocab=20)
    with torch.no_grad():  # a policy that would say nothing else
        policy.model.lm_head.weight[~policy.allowed] += 10 * torch.randn(16)
    for sampler in (sample, sample_generate):
        drawn = sampler(policy, [[1]] * 200, [(0, i) for i in range(200)], limit=10)
        assert policy.allowed[drawn.tokens[drawn.mask]].all()


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


def test_other_keys_give_other_completions():
    policy = tiny_policy()
    drawn = sample(policy, [[1]] * 50, [(0, i) for i in range(50)], limit=20)
    again = sample(policy, [[1]] * 50, [(1, i) for i in range(50)], limit=20)
    assert len(set(drawn.texts(policy))) > 30
    assert drawn.texts(policy) != again.texts(policy)


def test_a_higher_limit_only_adds_tokens():
    policy = tiny_policy(double=True)
    short = sample(policy, PROMPTS, KEYS, limit=5)
    long = sample(policy, PROMPTS, KEYS, limit=30)
    assert torch.equal(short.tokens[short.mask], long.tokens[:, :5][short.mask])
    assert torch.equal(short.truncated, long.length > 5)


def test_random_numbers_made_in_blocks_are_the_same(monkeypatch):
    """Positions beyond the first piece, after rows have left."""
    from trainer.sampling import engine

    policy = tiny_policy(double=True)
    whole = sample(policy, PROMPTS, KEYS, limit=30)
    monkeypatch.setattr(engine, "AHEAD", 4)
    same(policy, sample(policy, PROMPTS, KEYS, limit=30), whole, 1e-12)
