"""A policy: its allowed tokens, its prompts as tokens, its frozen reference."""

import pytest
import torch

from qdlaws.errors import BadData
from tests.helpers.tiny_policy import (
    LETTERS,
    example_logp,
    tiny_model,
    tiny_policy,
    tiny_tokenizer,
)
from trainer.policy import encode_prompts, frozen_reference, load_policy
from trainer.policy.model import make_policy


def test_special_tokens_and_spare_rows_are_not_allowed():
    policy = tiny_policy(vocab=20)
    tokenizer = policy.tokenizer
    usable = {tokenizer.convert_ids_to_tokens(i) for i in policy.allowed.nonzero()[:, 0].tolist()}
    assert usable == {"<eos>", *LETTERS}
    assert policy.allowed.shape == (20,)
    assert (policy.eos, policy.pad, policy.bos) == (2, 0, 1)


def test_without_pad_and_bos_tokens_eos_serves_for_both():
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


def test_conversations_go_through_the_chat_template(tmp_path):
    from tests.helpers.small_run import save_model
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
    conversation, single_turn = encoded(policy, prompts)
    assert len(conversation) > len(single_turn)
    assert policy.tokenizer.decode(conversation, skip_special_tokens=True).endswith("a:ca:")


def test_dropout_is_off_in_training_too():
    policy = tiny_policy("gpt2", resid_pdrop=0.5, attn_pdrop=0.5)
    calm = example_logp(policy)
    policy.model.train()
    assert torch.equal(example_logp(policy), calm)


def test_a_frozen_reference_does_not_follow_the_training():
    policy = tiny_policy()
    reference = frozen_reference(policy)
    before = example_logp(policy).detach()
    with torch.no_grad():
        for weight in policy.model.parameters():
            weight.add_(0.1 * torch.randn_like(weight))
    assert torch.equal(example_logp(reference), before)
    assert not torch.equal(example_logp(policy), before)
    assert not example_logp(reference).requires_grad
    assert example_logp(policy).requires_grad
    assert not any(weight.requires_grad for weight in reference.model.parameters())
