"""The quick decoding step of small Llamas agrees with transformers, and others do not take it."""

import pytest
import torch

from tests.helpers.tiny_policy import KEYS, PROMPTS, same, tiny_policy
from trainer.policy import token_log_probs
from trainer.sampling import sample
from trainer.sampling.llama import LlamaStep


@pytest.mark.parametrize("options", [{}, {"tie_word_embeddings": True}, {"head_dim": 6}])
@pytest.mark.parametrize("padded", [False, True])
def test_the_quick_step_gives_the_samples_of_transformers_step(monkeypatch, options, padded):
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
def test_llamas_with_other_layers_do_not_take_the_quick_step(monkeypatch, options):
    monkeypatch.setattr(LlamaStep, "__init__", None)  # would fail if it were made
    policy = tiny_policy(spread=3.0, **options)
    drawn = sample(policy, PROMPTS, KEYS, limit=10)
    scored = token_log_probs(policy, PROMPTS, drawn.tokens, drawn.mask)
    torch.testing.assert_close(drawn.logp, scored.logp, atol=1e-5, rtol=0)
