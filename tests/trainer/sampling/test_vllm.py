"""Rollouts by vLLM, against a stand-in with the signatures of vLLM 0.11."""

import sys
from dataclasses import dataclass
from types import ModuleType, SimpleNamespace
from typing import ClassVar

import pytest
import torch

from qdlaws.errors import BadData
from tests.helpers.small_run import config_of, rows, save_model
from tests.helpers.tiny_policy import PROMPTS, shake, tiny_policy
from trainer.loop import train
from trainer.policy import token_log_probs
from trainer.sampling.vllm import VllmSampler

KEYS = [(0, 1, 0, i) for i in range(len(PROMPTS))]


@dataclass
class SamplingParams:
    temperature: float = 1.0
    max_tokens: int | None = 16
    seed: int | None = None
    logprobs: int | None = None
    allowed_token_ids: list[int] | None = None
    stop_token_ids: list[int] | None = None
    detokenize: bool = True


class Model(torch.nn.Module):
    """vLLM's model in the worker: weights are given to it by name."""

    def __init__(self, source):
        from transformers import AutoModelForCausalLM

        super().__init__()
        self.inner = AutoModelForCausalLM.from_pretrained(source)
        self.loads = 0

    def load_weights(self, weights):
        self.inner.load_state_dict(dict(weights))
        self.loads += 1


class LLM:
    """Samples by a full pass per token; log-probabilities are off by ``error``."""

    error = 0.0
    made: ClassVar[list["LLM"]] = []

    def __init__(
        self,
        model: str,
        *,
        dtype: str = "auto",
        seed: int | None = None,
        gpu_memory_utilization: float = 0.9,
        skip_tokenizer_init: bool = False,
        max_model_len: int | None = None,
        logprobs_mode: str = "raw_logprobs",
    ):
        assert logprobs_mode == "processed_logprobs"
        self.model, self.resets = Model(model), 0
        LLM.made.append(self)

    def apply_model(self, func):
        return [func(self.model)]

    def reset_prefix_cache(self):
        self.resets += 1
        return True

    def generate(self, prompts, sampling_params=None, *, use_tqdm=True):
        return [
            SimpleNamespace(outputs=[self._one(prompt["prompt_token_ids"], params)])
            for prompt, params in zip(prompts, sampling_params, strict=True)
        ]

    @torch.no_grad()
    def _one(self, prompt, params):
        rng = torch.Generator().manual_seed(params.seed)
        ids, chances = list(prompt), []
        while len(chances) < params.max_tokens:
            logits = self.model.inner(torch.tensor([ids])).logits[0, -1] / params.temperature
            closed = torch.full_like(logits, -torch.inf)
            closed[params.allowed_token_ids] = 0
            logp = torch.log_softmax(logits + closed, -1)
            token = int(torch.multinomial(logp.exp(), 1, generator=rng))
            ids.append(token)
            chances.append({token: SimpleNamespace(logprob=float(logp[token]) - self.error)})
            if token in params.stop_token_ids:
                break
        return SimpleNamespace(token_ids=ids[len(prompt) :], logprobs=chances)


@pytest.fixture
def engine(monkeypatch):
    module = ModuleType("vllm")
    module.LLM, module.SamplingParams = LLM, SamplingParams
    monkeypatch.setitem(sys.modules, "vllm", module)
    monkeypatch.setattr(LLM, "made", [])
    monkeypatch.setattr(LLM, "error", 0.0)
    return LLM


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
