"""Completions: their masks, joining and selecting; the mismatch of sampler and trainer."""

import numpy as np
import pytest
import torch

from tests.helpers.tiny_policy import KEYS, PROMPTS, tiny_policy
from trainer.policy import token_log_probs
from trainer.sampling import Completions, mismatch, sample


def test_masks_end_with_eos_and_truncated_rows_do_not():
    policy = tiny_policy()
    drawn = sample(policy, [[1]] * 60, [(0, i) for i in range(60)], limit=12)
    assert 0 < int(drawn.truncated.sum()) < 60
    for i, length in enumerate(drawn.length.tolist()):
        row = drawn.tokens[i, :length].tolist()
        assert drawn.mask[i].tolist() == [True] * length + [False] * (drawn.mask.shape[1] - length)
        assert (row[-1] == policy.eos) != bool(drawn.truncated[i])
        assert policy.eos not in row[:-1]
        assert (drawn.tokens[i, length:] == policy.pad).all()
        assert drawn.texts(policy)[i] == policy.tokenizer.decode(row, skip_special_tokens=True)
    assert not drawn.logp[~drawn.mask].any()
    assert not drawn.entropy[~drawn.mask].any()


def test_joined_parts_are_the_whole_and_rows_select_from_it():
    policy = tiny_policy()
    drawn = sample(policy, PROMPTS, KEYS, limit=20)
    index = torch.tensor([3, 1])
    assert drawn.rows(index).texts(policy) == [drawn.texts(policy)[i] for i in (3, 1)]
    parts = [sample(policy, PROMPTS[i : i + 1], KEYS[i : i + 1], limit=20) for i in range(8)]
    whole = Completions.cat(parts)
    assert len(whole) == 8
    assert (whole.tokens[~whole.mask] == policy.pad).all()
    assert torch.equal(whole.tokens, drawn.tokens)


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
    drawn = sample(policy, [[1]] * n, [(0, i) for i in range(n)], limit=1)
    every = policy.allowed.nonzero()
    logp, logq = (
        token_log_probs(p, [[1]] * len(every), every, every >= 0).logp[:, 0].double().detach()
        for p in (policy, other)
    )
    exact = float((logp.exp() * (logp - logq)).sum())
    trained = token_log_probs(other, [[1]] * n, drawn.tokens, drawn.mask).logp
    gap = mismatch(drawn.logp, trained, drawn.mask)
    spread = float(((logp.exp() * (logp - logq) ** 2).sum() - exact**2).sqrt()) / np.sqrt(n)
    assert abs(gap.k1 - exact) < 4 * spread
    assert abs(gap.k3 - exact) < 4 * spread
    assert gap.k3 > 0
