"""Saved policies load as any model of transformers, adapters merged in."""

import pytest
import torch

from tests.helpers.tiny_policy import example_logp, saved, shake
from trainer.policy import load_policy, save_policy
from trainer.policy.model import make_policy


@pytest.mark.parametrize("kind", ["llama", "gpt2"])
def test_transformers_loads_a_saved_policy_as_the_same_model(tmp_path, kind):
    from transformers import AutoModelForCausalLM, AutoTokenizer

    policy = load_policy(saved(tmp_path / "first", kind), device="cpu")
    save_policy(policy, tmp_path / "second")
    model = AutoModelForCausalLM.from_pretrained(tmp_path / "second", use_safetensors=True)
    again = make_policy(model, AutoTokenizer.from_pretrained(tmp_path / "second"))
    assert torch.equal(again.allowed, policy.allowed)
    assert torch.equal(example_logp(again), example_logp(policy))


@pytest.mark.peers
def test_saving_merges_adapters_into_the_weights(adapted, tmp_path):
    policy, reference = adapted
    torch.manual_seed(0)
    shake(policy)
    now = example_logp(policy)
    save_policy(policy, tmp_path / "merged")
    assert not list((tmp_path / "merged").glob("adapter*"))
    # W + BA before the product, and after it: the same up to rounding
    torch.testing.assert_close(
        example_logp(load_policy(tmp_path / "merged")), now, atol=1e-5, rtol=1e-5
    )
    assert torch.equal(example_logp(policy), now)
    save_policy(reference, tmp_path / "reference")
    assert torch.equal(example_logp(load_policy(tmp_path / "reference")), example_logp(reference))
