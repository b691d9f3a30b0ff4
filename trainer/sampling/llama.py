"""The decoding step of small Llamas without transformers' per-layer cost, which is most of theirs.

A step of a model with 200 thousand weights takes transformers longer in Python than in arithmetic.
Here are the same sums over the same cache in a third of the calls: keys, queries and values by one
product, so also gate and up. Larger models, other types and other precisions take transformers'
own forward. Llama: Touvron et al. 2023, arXiv 2302.13971; rotary positions: Su et al. 2021,
arXiv 2104.09864.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as fn

__all__ = ["LlamaStep", "fits"]

LARGEST = 50_000_000  # weights; above, a copy of the products costs more than it spares


def fits(model: Any, cache: Any) -> bool:
    """Whether :class:`LlamaStep` is this model's step exactly: a plain small Llama."""
    from transformers import LlamaForCausalLM

    from trainer.sampling.cache import BufferedLayer

    if type(model) is not LlamaForCausalLM:
        return False
    config = model.config
    linear = [part for part in model.modules() if hasattr(part, "in_features")]
    return (
        model.dtype == torch.float32  # in other types transformers rounds to float32 within
        and config.hidden_act == "silu"
        and model.model.rotary_emb.rope_type in ("default", "linear", "llama3")
        and all(type(part) is nn.Linear for part in linear)
        and all(part.bias is None for part in linear)
        and all(type(layer) is BufferedLayer for layer in cache.layers)
        and sum(p.numel() for p in model.parameters()) <= LARGEST
    )


@dataclass(frozen=True)
class Layer:
    """The weights of one layer, products that share an input joined."""

    attention_norm: Tensor
    qkv: Tensor
    out: Tensor  # transposed, as addmm wants it
    mlp_norm: Tensor
    gate_up: Tensor
    down: Tensor  # transposed


class LlamaStep:
    """One token for each row; made anew for every batch, since training changes the weights."""

    def __init__(self, model: Any, cache: Any, capacity: int) -> None:
        config = model.config
        self.cache, self.head = cache, model.lm_head.weight
        self.embedding, self.norm = model.model.embed_tokens.weight, model.model.norm.weight
        self.eps, self.hidden = config.rms_norm_eps, (config.hidden_size,)
        self.queries, self.keys = config.num_attention_heads, config.num_key_value_heads
        attention = model.model.layers[0].self_attn
        self.width, self.scale = attention.head_dim, attention.scaling
        self.layers = [_joined(layer) for layer in model.model.layers]
        places = torch.arange(capacity, device=self.head.device)[None]
        cos, sin = model.model.rotary_emb(self.head, places)
        half = self.width // 2
        # x·cos + rotate_half(x)·sin, the sign of the rotated half put into the table
        self.cos, self.sin = cos[0], torch.cat([-sin[0, :, :half], sin[0, :, half:]], -1)

    def __call__(self, tokens: Tensor, position: Tensor, seen: Tensor | None) -> Tensor:
        """Logits (B, V) after ``tokens`` (B,) at ``position`` (B or 1, 1).

        ``seen`` (B, filled) is False at padding; None: there is none.
        """
        x = fn.embedding(tokens, self.embedding)
        cos, sin = self.cos[position], self.sin[position]  # (B or 1, 1, width)
        mask = None if seen is None else seen[:, None, None, :]
        for layer, cached in zip(self.layers, self.cache.layers, strict=True):
            x = torch.addmm(x, self._attend(layer, cached, x, cos, sin, mask), layer.out)
            both = fn.linear(fn.rms_norm(x, self.hidden, layer.mlp_norm, self.eps), layer.gate_up)
            gate, up = both.chunk(2, -1)
            x = torch.addmm(x, fn.silu(gate).mul_(up), layer.down)
        return fn.linear(fn.rms_norm(x, self.hidden, self.norm, self.eps), self.head)

    def _attend(
        self, layer: Layer, cached: Any, x: Tensor, cos: Tensor, sin: Tensor, mask: Tensor | None
    ) -> Tensor:
        """What the heads say, (B, heads · width), after this token joined the cache."""
        turned = self.queries + self.keys
        qkv = fn.linear(fn.rms_norm(x, self.hidden, layer.attention_norm, self.eps), layer.qkv)
        qkv = qkv.view(len(x), turned + self.keys, self.width)
        qk = qkv[:, :turned]
        qk = torch.addcmul(qk * cos, qk.roll(self.width // 2, -1), sin)
        q = qk[:, : self.queries].view(len(x), self.keys, -1, self.width)
        k, v = cached.update(qk[:, self.queries :, None], qkv[:, turned:, None])
        # queries that share a key head are so many queries of that head
        said = fn.scaled_dot_product_attention(q, k, v, attn_mask=mask, scale=self.scale)
        return said.reshape(len(x), -1)


def _joined(layer: Any) -> Layer:
    attention, mlp = layer.self_attn, layer.mlp
    parts = attention.q_proj, attention.k_proj, attention.v_proj
    return Layer(
        attention_norm=layer.input_layernorm.weight,
        qkv=torch.cat([part.weight for part in parts]),
        out=attention.o_proj.weight.T,
        mlp_norm=layer.post_attention_layernorm.weight,
        gate_up=torch.cat([mlp.gate_proj.weight, mlp.up_proj.weight]),
        down=mlp.down_proj.weight.T,
    )
