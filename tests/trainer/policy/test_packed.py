"""The packed pass gives the log-probabilities, entropies and gradients of the padded one."""

from dataclasses import replace

import pytest
import torch

from tests.helpers.tiny_policy import saved, tiny_policy
from trainer.policy import load_policy, packed, token_log_probs

PROMPTS = [[1], [1, 4, 5, 6], [1, 7], [1, 4, 5, 6], [1, 7], [1]]
TOKENS = torch.tensor(
    [
        [4, 5, 6, 2, 0],
        [7, 2, 0, 0, 0],
        [9, 9, 8, 4, 13],
        [2, 0, 0, 0, 0],
        [4, 4, 4, 4, 2],
        [5, 5, 2, 0, 0],
    ]
)
MASK = torch.tensor(
    [[1, 1, 1, 1, 0], [1, 1, 0, 0, 0], [1] * 5, [1, 0, 0, 0, 0], [1, 1, 1, 1, 1], [0] * 5]
).bool()  # one row has a token alone, one has none


def results(policy, temperature=0.7, rows=slice(None)):
    """Log-probabilities, entropies, and the gradient of a sum of both."""
    scored = token_log_probs(
        policy, PROMPTS[rows], TOKENS[rows], MASK[rows], temperature=temperature, entropy=True
    )
    coefficient = torch.linspace(-1, 2, MASK.numel(), dtype=policy.dtype).view(MASK.shape)[rows]
    total = (scored.logp * coefficient).sum() + (scored.entropy.pow(2) * coefficient).sum()
    gradient = torch.autograd.grad(total, list(policy.model.parameters()), allow_unused=True)
    return scored, gradient


def agree(one, other, tolerance):
    torch.testing.assert_close(one[0].logp, other[0].logp, atol=tolerance, rtol=0)
    torch.testing.assert_close(one[0].entropy, other[0].entropy, atol=tolerance, rtol=0)
    for first, second in zip(one[1], other[1], strict=True):
        torch.testing.assert_close(first, second, atol=3 * tolerance, rtol=tolerance)


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("llama", {}),
        ("llama", {"tie_word_embeddings": True, "attention_bias": True, "mlp_bias": True}),
        ("llama", {"head_dim": 6, "num_key_value_heads": 4}),
        ("qwen2", {}),
    ],
)
@pytest.mark.parametrize("double", [False, True])
def test_the_packed_pass_gives_the_numbers_and_gradients_of_the_padded_one(kind, options, double):
    """To 1e-6 of float64: transformers rounds to float32 within."""
    policy = tiny_policy(kind, double=double, spread=2.0, **options)
    assert packed.fits_packed(policy.model)
    one, other = results(policy), results(replace(policy, packed=True))
    agree(one, other, 2e-6 if double else 1e-5)


@pytest.mark.parametrize("name", ["PIECE", "DENSE"])
def test_pieces_of_the_vocabulary_and_long_rows_give_the_same_numbers(monkeypatch, name):
    """The vocabulary in pieces of two tokens; attention by the fused kernel."""
    policy = replace(tiny_policy(double=True, spread=2.0), packed=True)
    whole = results(policy)
    monkeypatch.setattr(packed, name, 2 * 14 if name == "PIECE" else 0)
    agree(results(policy), whole, 1e-12)


def test_parts_of_a_batch_add_up_to_the_gradient_of_the_whole():
    policy = replace(tiny_policy(double=True, spread=2.0), packed=True)

    def gradient(rows):
        scored = token_log_probs(policy, PROMPTS[rows], TOKENS[rows], MASK[rows])
        return torch.autograd.grad(scored.logp.sum(), list(policy.model.parameters()))

    parts = zip(gradient(slice(0, 2)), gradient(slice(2, 6)), strict=True)
    for (one, two), whole in zip(parts, gradient(slice(None)), strict=True):
        torch.testing.assert_close(one + two, whole, atol=1e-12, rtol=1e-10)


def test_a_prompt_of_many_rows_is_read_once_and_no_padding_is():
    prompts = [[1, 4, 5, 6]] * 3
    tokens = torch.tensor([[7, 8, 2, 0], [9, 2, 0, 0], [7, 7, 7, 2]])
    mask = torch.tensor([[1, 1, 1, 0], [1, 1, 0, 0], [1, 1, 1, 1]]).bool()
    made = packed.pack(prompts, tokens, mask, torch.float32)
    assert made.ids.tolist() == [1, 4, 5, 6, 7, 8, 9, 7, 7, 7]
    assert made.position.tolist() == [0, 1, 2, 3, 4, 5, 4, 4, 5, 6]
    assert made.source.tolist() == [3, 4, 5, 3, 6, 3, 7, 8, 9]


def test_activations_recomputed_in_the_backward_pass_give_the_same_gradient(tmp_path):
    folder = saved(tmp_path, spread=2.0)
    plain = replace(load_policy(folder, device="cpu"), packed=True)
    again = load_policy(folder, device="cpu", gradient_checkpointing=True)
    agree(results(replace(again, packed=True)), results(plain), 1e-6)


def test_mixed_precision_is_near_the_padded_pass():
    policy = replace(tiny_policy(spread=2.0), products=torch.bfloat16)
    one, other = results(policy), results(replace(policy, packed=True))
    assert {gradient.dtype for gradient in other[1]} == {torch.float32}
    torch.testing.assert_close(one[0].logp, other[0].logp, atol=0.1, rtol=0)
    first, second = (torch.cat([g.flatten() for g in grads]) for grads in (one[1], other[1]))
    assert torch.cosine_similarity(first, second, dim=0) > 0.999


@pytest.mark.parametrize(
    ("kind", "options"),
    [("gpt2", {}), ("gemma2", {}), ("bloom", {}), ("llama", {"hidden_act": "gelu"})],
)
def test_other_models_are_not_packed(kind, options):
    assert not packed.fits_packed(tiny_policy(kind, **options).model)
