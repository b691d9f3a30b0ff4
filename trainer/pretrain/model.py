"""The small Llama that is pre-trained: made, sampled, and rounded as it is stored."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch

from trainer.pretrain.options import PretrainOptions

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

__all__ = ["build_model", "round_to_half", "sample_texts"]

PHASE = 9
"""The phase in the keys of the random numbers: no sample of a run shares them."""
BATCH = 512


def build_model(options: PretrainOptions, tokenizer: PreTrainedTokenizerFast) -> Any:
    """A fresh ``LlamaForCausalLM``, embeddings tied, weights drawn from the seed alone."""
    from transformers import LlamaConfig, LlamaForCausalLM

    shape = options.shape
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=shape.width,
        num_hidden_layers=shape.layers,
        num_attention_heads=shape.heads,
        num_key_value_heads=shape.heads,
        intermediate_size=shape.inner,
        max_position_embeddings=max(256, 2 * options.limit + 2),
        tie_word_embeddings=True,
        pad_token_id=tokenizer.pad_token_id,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
    )
    with torch.random.fork_rng():
        torch.manual_seed(options.seed)
        model = LlamaForCausalLM(config)
    model.generation_config.do_sample = True
    return model.eval()


def sample_texts(
    model: Any, tokenizer: Any, prompts: Sequence[str], *, key: tuple[int, int, int], limit: int
) -> list[str]:
    """A completion of every prompt at temperature 1; the same key, the same completions.

    ``key`` = (seed, round, purpose) with the row's number names the random numbers of each row.
    """
    from trainer.policy import encode_prompts
    from trainer.policy.model import make_policy
    from trainer.sampling import sample

    policy = make_policy(model, tokenizer)
    seed, number, purpose = key
    keys = [(seed, PHASE, number, purpose, row) for row in range(len(prompts))]
    ids = encode_prompts(policy, prompts)
    return sample(policy, ids, keys, limit=limit, batch_size=BATCH).texts(policy)


@torch.no_grad()
def round_to_half(model: Any) -> None:
    """Rounds the weights in place to fp16, as they are stored; they stay float32 in memory."""
    for parameter in model.parameters():
        parameter.copy_(parameter.half().float())
