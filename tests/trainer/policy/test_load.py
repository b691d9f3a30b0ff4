"""Loading a policy: precision, adapters, threads; and refusals in one line."""

import shutil
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch

from qdlaws.errors import BadData, QdlawsError
from tests.helpers.tiny_policy import example_logp, saved, shake
from trainer.policy import LoraOptions, load_policy


def test_weights_are_loaded_in_the_wanted_precision(tmp_path):
    folder = saved(tmp_path)
    assert load_policy(folder, dtype="bfloat16").model.dtype == torch.bfloat16
    assert load_policy(folder, dtype="float64").dtype == torch.float64
    assert load_policy(folder, dtype="auto").model.dtype == torch.float32


def test_log_probabilities_of_a_bfloat16_model_are_float32(tmp_path):
    folder = saved(tmp_path)
    half = example_logp(load_policy(folder, dtype="bfloat16"))
    assert half.dtype == torch.float32
    assert not torch.equal(half, half.bfloat16().float())  # were not rounded to bfloat16
    # bfloat16 has 8 bits: logits of about 1 are off by up to 2⁻⁸
    torch.testing.assert_close(half, example_logp(load_policy(folder)), atol=0.03, rtol=0)


def test_a_folder_may_be_given_as_text(tmp_path, monkeypatch):
    shutil.copytree(saved(tmp_path / "one"), tmp_path / "two")
    monkeypatch.chdir(tmp_path)
    assert torch.equal(example_logp(load_policy("two")), example_logp(load_policy("./one")))


def refusal(tmp_path, spoil):
    folder = saved(tmp_path / "model")
    spoil(folder)
    with pytest.raises(QdlawsError) as caught:
        load_policy(folder)
    assert len(str(caught.value).splitlines()) == 1
    return str(caught.value)


def test_a_folder_without_safetensors_is_refused(tmp_path):
    def spoil(folder):
        (folder / "model.safetensors").rename(folder / "pytorch_model.bin")

    assert "no *.safetensors" in refusal(tmp_path, spoil)


def test_a_folder_without_a_config_is_refused(tmp_path):
    assert "no config.json" in refusal(tmp_path, lambda f: (f / "config.json").unlink())


def test_a_folder_without_a_tokenizer_is_refused(tmp_path):
    def spoil(folder):
        for path in folder.glob("tokenizer*"):
            path.unlink()

    assert "tokenizer" in refusal(tmp_path, spoil)


def test_a_broken_weights_file_is_refused_in_one_line(tmp_path):
    def spoil(folder):
        (folder / "model.safetensors").write_bytes(b"no tensors")

    assert "could not load the model" in refusal(tmp_path, spoil)


def test_a_model_that_is_not_causal_is_refused_in_one_line(tmp_path):
    def spoil(folder):
        (folder / "config.json").write_text('{"model_type": "t5"}')

    assert "could not load the model" in refusal(tmp_path, spoil)


def test_a_missing_folder_is_refused_in_one_line(tmp_path):
    with pytest.raises(BadData, match="not a folder"):
        load_policy(tmp_path / "nowhere")


def test_remote_code_is_not_run(tmp_path):
    folder = saved(tmp_path / "model")
    config = folder / "config.json"
    extra = '"auto_map": {"AutoConfig": "evil.C", "AutoModelForCausalLM": "evil.M"},'
    text = config.read_text().replace('"llama"', '"evil"').replace("{", "{" + extra, 1)
    config.write_text(text)
    (folder / "evil.py").write_text("open('ran', 'w')")
    with pytest.raises(BadData) as caught:
        load_policy(folder)
    assert len(str(caught.value).splitlines()) == 1
    assert not (folder / "ran").exists()


def test_gradient_checkpointing_changes_no_gradient(tmp_path):
    folder = saved(tmp_path)
    plain, thrifty = load_policy(folder), load_policy(folder, gradient_checkpointing=True)
    calls = []
    thrifty.model.model.layers[0].mlp.register_forward_pre_hook(lambda *_: calls.append(1))
    for policy in (plain, thrifty):
        example_logp(policy).sum().backward()
    assert len(calls) == 2  # once forward, once again in backward
    for mine, other in zip(plain.model.parameters(), thrifty.model.parameters(), strict=True):
        torch.testing.assert_close(mine.grad, other.grad)
    assert not thrifty.model.training


def test_policies_are_loaded_by_several_threads_at_once(tmp_path):
    """transformers patches itself while it loads; the patch must not outlive the loads."""
    from transformers import PreTrainedModel

    before = PreTrainedModel.tie_weights
    folder = saved(tmp_path)
    with ThreadPoolExecutor(4) as pool:
        policies = list(pool.map(lambda _: load_policy(folder, device="cpu"), range(24)))
    assert PreTrainedModel.tie_weights is before
    weights = [[w.detach() for w in policy.model.parameters()] for policy in policies]
    for other in weights[1:]:
        assert all(torch.equal(a, b) for a, b in zip(weights[0], other, strict=True))


def test_lora_without_peft_names_the_package_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "peft", None)
    with pytest.raises(QdlawsError, match="pip install peft"):
        load_policy(saved(tmp_path), lora=LoraOptions())


@pytest.mark.peers
def test_lora_trains_adapters_only_and_its_reference_has_none(adapted, tmp_path):
    policy, reference = adapted
    base = example_logp(load_policy(tmp_path / "base"))
    torch.manual_seed(0)
    shake(policy)
    assert reference.model is policy.model
    assert torch.equal(example_logp(reference), base)
    now = example_logp(policy)
    assert not torch.allclose(now, base, atol=0.01)
    example_logp(reference)  # between forward and backward, as a training step may have it
    now.sum().backward()
    for name, weight in policy.model.named_parameters():
        assert (weight.grad is not None) == ("lora_" in name)


@pytest.mark.peers
def test_lora_on_missing_layers_is_refused_in_one_line(tmp_path):
    pytest.importorskip("peft")
    with pytest.raises(BadData, match="LoRA on layers"):
        load_policy(saved(tmp_path), lora=LoraOptions(targets=("nothing",)))


@pytest.mark.parametrize("kind", ["llama", "gpt2"])
def test_only_the_last_layers_are_trained(tmp_path, kind):
    policy = load_policy(saved(tmp_path, kind=kind), train_layers=1)
    example_logp(policy).sum().backward()
    trained = [name for name, w in policy.model.named_parameters() if w.grad is not None]
    assert trained
    assert all(".1." in name for name in trained)  # of two layers the second


def test_more_layers_than_the_model_has_are_refused(tmp_path):
    with pytest.raises(BadData, match="has 2 layers, fewer than train_layers = 3"):
        load_policy(saved(tmp_path), train_layers=3)
