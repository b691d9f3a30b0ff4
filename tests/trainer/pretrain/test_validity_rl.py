"""Validity RL conditions a model on being valid, and changes little else."""

import torch

from trainer.policy import encode_prompts
from trainer.policy.model import make_policy
from trainer.policy.tokenizer import character_tokenizer
from trainer.pretrain import PretrainOptions
from trainer.pretrain.model import build_model
from trainer.pretrain.validity_rl import train_validity
from trainer.sampling import sample

LETTERS = "abcd"


def starts(model, tokenizer, n=2000):
    """Shares of the four letters, and of nothing at all, as first token."""
    policy = make_policy(model, tokenizer)
    keys = [(1, row) for row in range(n)]
    drawn = sample(policy, encode_prompts(policy, [""] * n), keys, limit=1).texts(policy)
    return {letter: drawn.count(letter) / n for letter in (*LETTERS, "")}


def trained(tmp_path, steps):
    tokenizer = character_tokenizer([LETTERS])
    options = PretrainOptions(out=tmp_path, texts=[("", LETTERS)], size="32-1-2-64")
    model = build_model(options, tokenizer)
    shares = []
    before = starts(model, tokenizer)
    train_validity(
        model,
        tokenizer,
        lambda texts: [not text.startswith("a") for text in texts],
        steps=steps,
        batch=256,
        limit=2,
        seed=0,
        learning_rate=3e-3,
        beta=0.3,
        on_step=lambda step, steps, share: shares.append(share),
    )
    return before, starts(model, tokenizer), shares, model


def test_invalid_samples_go_and_the_others_keep_their_proportions(tmp_path):
    before, after, shares, model = trained(tmp_path, 40)
    assert before["a"] > 0.1
    assert after["a"] < 0.3 * before["a"]
    assert shares[-1] > shares[0]
    for letter in "bcd":
        kept = after[letter] / (1 - after["a"])
        was = before[letter] / (1 - before["a"])
        # 2,000 draws, each share with an error of 0.01, and what forty steps move besides
        assert abs(kept - was) < 0.08
    assert not model.training


def test_the_same_seed_gives_the_same_weights(tmp_path):
    _, _, _, first = trained(tmp_path, 2)
    _, _, _, second = trained(tmp_path, 2)
    pairs = zip(first.parameters(), second.parameters(), strict=True)
    assert all(torch.equal(a, b) for a, b in pairs)
