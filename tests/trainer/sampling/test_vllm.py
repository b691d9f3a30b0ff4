"""Rollouts by vLLM, against a stand-in with the signatures of vLLM 0.32."""

import sys
from inspect import signature

import pytest
import torch

from qdlaws.errors import BadData
from tests.helpers.small_run import config_of, rows, save_model
from tests.helpers.stand_in_vllm import stand_in
from tests.helpers.tiny_policy import PROMPTS, shake, tiny_policy
from trainer.loop import train
from trainer.policy import token_log_probs
from trainer.sampling.vllm import VllmSampler

KEYS = [(0, 1, 0, i) for i in range(len(PROMPTS))]


@pytest.fixture
def engine(monkeypatch):
    module = stand_in()
    monkeypatch.setitem(sys.modules, "vllm", module)
    return module.LLM


@pytest.fixture
def policy(tmp_path):
    policy = tiny_policy(spread=2.0)
    policy.model.save_pretrained(tmp_path)
    return policy


def test_completions_come_with_the_log_probabilities_of_the_policy(engine, policy, tmp_path):
    sampler = VllmSampler(str(tmp_path))
    drawn = sampler(policy, PROMPTS, KEYS, limit=12, temperature=0.8)
    scored = token_log_probs(policy, PROMPTS, drawn.tokens, drawn.mask, temperature=0.8).logp
    torch.testing.assert_close(drawn.logp, scored.detach(), atol=1e-5, rtol=0)
    assert policy.allowed[drawn.tokens[drawn.mask]].all()
    assert drawn.entropy[drawn.mask].isnan().all()
    ended = (drawn.tokens == policy.eos).any(1) & drawn.mask.any(1)
    assert torch.equal(drawn.truncated, ~ended)
    again = sampler(policy, PROMPTS, KEYS, limit=12, temperature=0.8)
    assert torch.equal(drawn.tokens, again.tokens)


def test_changed_weights_are_given_to_the_engine_once_and_its_cache_is_emptied(
    engine, policy, tmp_path
):
    sampler = VllmSampler(str(tmp_path))
    for _ in range(2):
        sampler(policy, PROMPTS, KEYS, limit=5)
    (made,) = engine.made
    assert made.model.loads == made.resets == 1
    shake(policy)
    drawn = sampler(policy, PROMPTS, KEYS, limit=5)
    assert made.model.loads == made.resets == 2
    scored = token_log_probs(policy, PROMPTS, drawn.tokens, drawn.mask).logp
    torch.testing.assert_close(drawn.logp, scored.detach(), atol=1e-4, rtol=0)


def test_a_run_logs_the_mismatch_and_corrects_it(engine, monkeypatch, tmp_path):
    monkeypatch.setattr(engine, "error", 0.125)
    model = save_model(tmp_path / "model")
    train(config_of(model, "sampler=vllm", "steps=2"), tmp_path / "run")
    trained = [row for row in rows(tmp_path / "run") if row["phase"] == "train"]
    for row in trained:
        assert row["mismatch"] == pytest.approx(0.125, abs=1e-4)
        assert row["importance"] == pytest.approx(2.718281828**0.125, rel=1e-3)
        assert row["train_entropy"] > 0  # the trainer's, since vLLM gives none
    assert engine.made[0].model.loads >= 2


def test_without_vllm_the_run_is_refused_in_one_line(monkeypatch, policy, tmp_path):
    monkeypatch.setitem(sys.modules, "vllm", None)
    with pytest.raises(BadData, match="pip install vllm"):
        VllmSampler(str(tmp_path))(policy, PROMPTS, KEYS, limit=5)


def test_the_installed_vllm_samples_from_the_weights_that_it_is_given(tmp_path):
    """Where vLLM is installed; its build for a CPU will do."""
    vllm = pytest.importorskip("vllm")
    if not hasattr(vllm, "__version__"):
        pytest.skip("a stand-in is there")
    policy = tiny_policy(hidden_size=128, num_key_value_heads=4, spread=0.5)  # heads of 32 or more
    policy.model.save_pretrained(tmp_path)
    sampler = VllmSampler(str(tmp_path), dtype="float32", memory=0.1)
    prompts = [[1, 5, 6], [1], [1, 7]]
    keys = [(0, 1, 0, i) for i in range(3)]
    drawn = []
    for _ in range(2):
        drawn.append(sampler(policy, prompts, keys, limit=20, temperature=0.9))
        scored = token_log_probs(
            policy, prompts, drawn[-1].tokens, drawn[-1].mask, temperature=0.9
        ).logp
        torch.testing.assert_close(drawn[-1].logp, scored.detach(), atol=1e-3, rtol=0)
        assert policy.allowed[drawn[-1].tokens[drawn[-1].mask]].all()
        with torch.no_grad():
            for weight in policy.model.parameters():
                weight.mul_(1.5)
    assert not torch.equal(drawn[0].tokens, drawn[1].tokens)


def test_the_stand_in_has_the_arguments_of_the_installed_vllm():
    """Where vLLM is installed."""
    vllm = pytest.importorskip("vllm")
    from dataclasses import fields

    from vllm.engine.arg_utils import EngineArgs

    released = {*signature(vllm.LLM).parameters, *(field.name for field in fields(EngineArgs))}
    assert set(signature(stand_in().LLM).parameters) <= released
    for name in ("collective_rpc", "reset_prefix_cache", "generate"):
        mine, theirs = (signature(getattr(each.LLM, name)) for each in (stand_in(), vllm))
        assert set(mine.parameters) <= set(theirs.parameters)
    known = signature(vllm.SamplingParams).parameters
    assert set(signature(stand_in().SamplingParams).parameters) <= set(known)
