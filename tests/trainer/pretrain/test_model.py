"""The model of a prior depends on its seed alone."""

import torch

from trainer.policy.tokenizer import character_tokenizer
from trainer.pretrain.model import build_model


def test_weights_do_not_depend_on_the_global_generator(small):
    tokenizer = character_tokenizer(["abc"])
    torch.manual_seed(1)
    first = build_model(small, tokenizer).state_dict()
    after = torch.rand(1)
    torch.manual_seed(1)
    assert torch.equal(after, torch.rand(1))  # nor does building one disturb it
    second = build_model(small, tokenizer).state_dict()
    assert all(torch.equal(first[name], second[name]) for name in first)
