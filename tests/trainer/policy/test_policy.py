"""Policies: what may be said, where they come from, how they are saved, what a reference is."""

import shutil
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch

from qdlaws.errors import BadData, QdlawsError
from tests.helpers.tiny_policy import LETTERS, saved, tiny_model, tiny_policy, tiny_tokenizer
from trainer.policy import (
    LoraOptions,
    encode_prompts,
    frozen_reference,
    load_policy,
    save_policy,
    token_log_probs,
)
from trainer.policy.model import make_policy

TOKENS = torch.tensor([[4, 5, 6, 2], [7, 2, 0, 0]])
MASK = torch.tensor([[True] * 4, [True, True, False, False]])
PROMPTS = [[1], [1, 8, 9]]


def logp(policy, **options):
    return token_log_probs(policy, PROMPTS, TOKENS, MASK, **options).logp


def test_special_tokens_and_spare_rows_are_not_allowed():
    policy = tiny_policy(vocab=20)
    tokenizer = policy.tokenizer
    said = {tokenizer.convert_ids_to_tokens(i) for i in policy.allowed.nonzero()[:, 0].tolist()}
    assert said == {"<eos>", *LETTERS}
    assert policy.allowed.shape == (20,)
    assert (policy.eos, policy.pad, policy.bos) == (2, 0, 1)


def test_a_tokenizer_without_pad_or_bos():
    policy = tiny_policy(tokenizer=tiny_tokenizer(pad=False, bos=False))
    assert policy.bos is None
    assert policy.pad == policy.eos
    assert policy.tokenizer.pad_token is None  # the user's tokenizer stays as it was
    assert encode_prompts(policy, ["", "ab"]) == [[2], [4, 5]]


def test_a_tokenizer_larger_than_the_model_is_refused():
    with pytest.raises(BadData, match="token number 13, but the model only 8"):
        make_policy(tiny_model(vocab=8), tiny_tokenizer())


def test_prompts_get_bos_or_the_chat_template():
    assert encode_prompts(tiny_policy(), ["", "ab", ""]) == [[1], [1, 4, 5], [1]]
    template = "<bos>{% for m in messages %}<turn>{{ m['content'] }}{% endfor %}<turn>"
    chat = tiny_policy(tokenizer=tiny_tokenizer(chat_template=template))
    assert encode_prompts(chat, ["", "ab"]) == [[1], [1, 3, 4, 5, 3]]


@pytest.mark.parametrize("kind", ["llama", "gpt2"])
def test_saved_and_loaded_by_transformers_it_is_the_same(tmp_path, kind):
    from transformers import AutoModelForCausalLM, AutoTokenizer

    policy = load_policy(saved(tmp_path / "first", kind), device="cpu")
    save_policy(policy, tmp_path / "second")
    model = AutoModelForCausalLM.from_pretrained(tmp_path / "second", use_safetensors=True)
    again = make_policy(model, AutoTokenizer.from_pretrained(tmp_path / "second"))
    assert torch.equal(again.allowed, policy.allowed)
    assert torch.equal(logp(again), logp(policy))


def test_dtypes(tmp_path):
    folder = saved(tmp_path)
    assert load_policy(folder, dtype="bfloat16").model.dtype == torch.bfloat16
    assert load_policy(folder, dtype="float64").dtype == torch.float64
    assert load_policy(folder, dtype="auto").model.dtype == torch.float32


def test_log_probabilities_of_a_bfloat16_model_are_float32(tmp_path):
    folder = saved(tmp_path)
    half = logp(load_policy(folder, dtype="bfloat16"))
    assert half.dtype == torch.float32
    assert not torch.equal(half, half.bfloat16().float())  # were not rounded to bfloat16
    # bfloat16 has 8 bits: logits of about 1 are off by up to 2⁻⁸
    torch.testing.assert_close(half, logp(load_policy(folder)), atol=0.03, rtol=0)


def test_dropout_is_off_in_training_too():
    policy = tiny_policy("gpt2", resid_pdrop=0.5, attn_pdrop=0.5)
    calm = logp(policy)
    policy.model.train()
    assert torch.equal(logp(policy), calm)


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


def test_a_broken_file_is_one_line(tmp_path):
    def spoil(folder):
        (folder / "model.safetensors").write_bytes(b"no tensors")

    assert "could not load the model" in refusal(tmp_path, spoil)


def test_a_model_of_another_kind_is_one_line(tmp_path):
    def spoil(folder):
        (folder / "config.json").write_text('{"model_type": "t5"}')

    assert "could not load the model" in refusal(tmp_path, spoil)


def test_a_missing_folder_is_one_line(tmp_path):
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


def test_a_reference_stays_where_it_was():
    policy = tiny_policy()
    reference = frozen_reference(policy)
    before = logp(policy).detach()
    with torch.no_grad():
        for weight in policy.model.parameters():
            weight.add_(0.1 * torch.randn_like(weight))
    assert torch.equal(logp(reference), before)
    assert not torch.equal(logp(policy), before)
    assert not logp(reference).requires_grad
    assert logp(policy).requires_grad
    assert not any(weight.requires_grad for weight in reference.model.parameters())


def test_gradient_checkpointing_changes_no_gradient(tmp_path):
    folder = saved(tmp_path)
    plain, thrifty = load_policy(folder), load_policy(folder, gradient_checkpointing=True)
    calls = []
    thrifty.model.model.layers[0].mlp.register_forward_pre_hook(lambda *_: calls.append(1))
    for policy in (plain, thrifty):
        logp(policy).sum().backward()
    assert len(calls) == 2  # once forward, once again in backward
    for mine, other in zip(plain.model.parameters(), thrifty.model.parameters(), strict=True):
        torch.testing.assert_close(mine.grad, other.grad)
    assert not thrifty.model.training


# LoRA


def test_lora_without_peft_is_one_line(tmp_path, monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "peft", None)
    with pytest.raises(QdlawsError, match="pip install peft"):
        load_policy(saved(tmp_path), lora=LoraOptions())


@pytest.fixture
def adapted(tmp_path):
    pytest.importorskip("peft")
    policy = load_policy(saved(tmp_path / "base"), lora=LoraOptions(rank=2))
    return policy, frozen_reference(policy)


def shake(policy):
    with torch.no_grad():
        for weight in policy.model.parameters():
            if weight.requires_grad:
                weight.add_(torch.randn_like(weight))


@pytest.mark.peers
def test_lora_trains_adapters_only_and_its_reference_has_none(adapted, tmp_path):
    policy, reference = adapted
    base = logp(load_policy(tmp_path / "base"))
    torch.manual_seed(0)
    shake(policy)
    assert reference.model is policy.model
    assert torch.equal(logp(reference), base)
    now = logp(policy)
    assert not torch.allclose(now, base, atol=0.01)
    logp(reference)  # between forward and backward, as a training step may have it
    now.sum().backward()
    for name, weight in policy.model.named_parameters():
        assert (weight.grad is not None) == ("lora_" in name)


@pytest.mark.peers
def test_lora_is_merged_on_save(adapted, tmp_path):
    policy, reference = adapted
    torch.manual_seed(0)
    shake(policy)
    now = logp(policy)
    save_policy(policy, tmp_path / "merged")
    assert not list((tmp_path / "merged").glob("adapter*"))
    # W + BA before the product, and after it: the same up to rounding
    torch.testing.assert_close(logp(load_policy(tmp_path / "merged")), now, atol=1e-5, rtol=1e-5)
    assert torch.equal(logp(policy), now)
    save_policy(reference, tmp_path / "reference")
    assert torch.equal(logp(load_policy(tmp_path / "reference")), logp(reference))


@pytest.mark.peers
def test_lora_on_layers_that_are_not_there_is_one_line(tmp_path):
    pytest.importorskip("peft")
    with pytest.raises(BadData, match="LoRA on layers"):
        load_policy(saved(tmp_path), lora=LoraOptions(targets=("nothing",)))


def test_a_folder_may_be_a_string(tmp_path, monkeypatch):
    shutil.copytree(saved(tmp_path / "one"), tmp_path / "two")
    monkeypatch.chdir(tmp_path)
    assert torch.equal(logp(load_policy("two")), logp(load_policy("./one")))


def test_conversations_go_through_the_chat_template(tmp_path):
    from tests.helpers.small_run import save_model
    from trainer.policy import load_policy
    from trainer.tasks.task import Prompt
    from trainer.training.context import encoded

    policy = load_policy(save_model(tmp_path / "model", letters="abcdefg:\n"))
    turns = [{"role": "user", "content": "ab"}, {"role": "assistant", "content": "c"}]
    prompts = [Prompt(0, "ab", {"messages": turns}), Prompt(1, "ab")]
    plain, single = encoded(policy, prompts)
    assert policy.tokenizer.decode(plain, skip_special_tokens=True) == "ab\nc"
    assert policy.tokenizer.decode(single, skip_special_tokens=True) == "ab"
    policy.tokenizer.chat_template = (
        "{% for m in messages %}{{ m.role[0] }}:{{ m.content }}{% endfor %}"
        "{% if add_generation_prompt %}a:{% endif %}"
    )
    spoken, asked = encoded(policy, prompts)
    assert len(spoken) > len(asked)
    assert policy.tokenizer.decode(spoken, skip_special_tokens=True).endswith("a:ca:")


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
