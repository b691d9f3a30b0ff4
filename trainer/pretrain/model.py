"""The small Llama that is pre-trained, and its rounding to what is stored."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from trainer.pretrain.options import PretrainOptions

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

__all__ = ["build_model", "rounded"]


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


@torch.no_grad()
def rounded(model: Any) -> None:
    """Rounds the weights in place to fp16, as they are stored; they stay float32 in memory."""
    for parameter in model.parameters():
        parameter.copy_(parameter.half().float())
