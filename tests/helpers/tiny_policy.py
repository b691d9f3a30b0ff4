"""Random language models of a few thousand weights, saved as a user's would be."""

from pathlib import Path

import torch

LETTERS = "abcdefghij"
PROMPTS = [[1], [1, 4, 5], [1], [1, 6, 7, 8, 9, 9, 9], [1, 4, 5], [1, 5], [1], [1, 4]]
KEYS = [(0, 0, 3, prompt, j) for j, prompt in enumerate([0, 1, 0, 2, 1, 3, 0, 4])]


def tiny_tokenizer(*, pad=True, bos=True, chat_template=None):
    """One token per letter, and the special ones a chat model has."""
    from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    special = ["<pad>", "<bos>", "<eos>", "<turn>"]
    vocab = {token: number for number, token in enumerate([*special, *LETTERS])}
    inner = Tokenizer(models.WordLevel(vocab, unk_token="a"))
    inner.pre_tokenizer = pre_tokenizers.Split(Regex("."), "isolated")
    inner.decoder = decoders.Fuse()
    names = {"eos_token": "<eos>", "extra_special_tokens": ["<turn>"]}
    names |= {"pad_token": "<pad>"} if pad else {}
    names |= {"bos_token": "<bos>"} if bos else {}
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=inner, **names)
    tokenizer.chat_template = chat_template
    return tokenizer


def tiny_model(kind="llama", *, vocab=14, seed=0, spread=1.0, **options):
    """A random model; ``spread`` widens its weights, so that no distribution is flat."""
    import transformers as hf

    shared = {"vocab_size": vocab, "bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 0}
    small = {
        "hidden_size": 16,
        "intermediate_size": 32,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "max_position_embeddings": 64,
        "initializer_range": 0.1 * spread,
    }
    torch.manual_seed(seed)
    if kind == "llama":
        return hf.LlamaForCausalLM(hf.LlamaConfig(**shared, **{**small, **options}))
    if kind == "qwen2":
        return hf.Qwen2ForCausalLM(hf.Qwen2Config(**shared, **{**small, **options}))
    if kind == "gemma2":  # a window in every other layer, and capped logits
        small |= {"sliding_window": 4, "head_dim": 4, "query_pre_attn_scalar": 4}
        return hf.Gemma2ForCausalLM(hf.Gemma2Config(**shared, **{**small, **options}))
    if kind == "gpt2":
        sizes = {"n_embd": 16, "n_layer": 2, "n_head": 4, "n_positions": 64}
        return hf.GPT2LMHeadModel(
            hf.GPT2Config(**shared, initializer_range=0.1 * spread, **{**sizes, **options})
        )
    if kind == "bloom":  # positions as a bias made of the mask
        return hf.BloomForCausalLM(
            hf.BloomConfig(**shared, hidden_size=16, n_layer=2, n_head=4, initializer_range=0.1)
        )
    raise ValueError(kind)


def saved(folder, kind="llama", *, tokenizer=None, **options) -> Path:
    """Model and tokenizer in a folder that from_pretrained loads."""
    tiny_model(kind, **options).save_pretrained(folder)
    (tokenizer or tiny_tokenizer()).save_pretrained(folder)
    return Path(folder)


def tiny_policy(kind="llama", *, double=False, tokenizer=None, **options):
    """A policy at hand, without a folder."""
    from trainer.policy.model import make_policy

    model = tiny_model(kind, **options)
    return make_policy(model.double() if double else model, tokenizer or tiny_tokenizer())


def same(policy, one, other, atol):
    """The same tokens, and the same numbers up to rounding."""
    assert one.texts(policy) == other.texts(policy)
    width = min(one.tokens.shape[1], other.tokens.shape[1])
    assert torch.equal(one.mask[:, :width], other.mask[:, :width])
    assert torch.equal(one.truncated, other.truncated)
    torch.testing.assert_close(one.logp[:, :width], other.logp[:, :width], atol=atol, rtol=0)
    torch.testing.assert_close(one.entropy[:, :width], other.entropy[:, :width], atol=atol, rtol=0)


def example_logp(policy):
    """The log-probabilities of two fixed completions, (2, 4)."""
    from trainer.policy import token_log_probs

    tokens = torch.tensor([[4, 5, 6, 2], [7, 2, 0, 0]])
    mask = torch.tensor([[True] * 4, [True, True, False, False]])
    return token_log_probs(policy, [[1], [1, 8, 9]], tokens, mask).logp


def shake(policy):
    """Moves every trained weight by a random amount."""
    with torch.no_grad():
        for weight in policy.model.parameters():
            if weight.requires_grad:
                weight.add_(torch.randn_like(weight))
