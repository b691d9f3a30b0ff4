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
    """The products of one layer: those of one input joined, the scale of their norm put in.

    All transposed, (inputs, outputs).
    """

    qkv: Tensor
    out: Tensor
    gate_up: Tensor
    down: Tensor


class LlamaStep:
    """One token for each row; made anew for every batch, since training changes the weights."""

    def __init__(self, model: Any, cache: Any, capacity: int) -> None:
        config, inner = model.config, model.model
        self.cache, self.embedding = cache, inner.embed_tokens.weight
        self.queries, self.keys = config.num_attention_heads, config.num_key_value_heads
        self.width = inner.layers[0].self_attn.head_dim
        self.eps, self.hidden = config.rms_norm_eps, (config.hidden_size,)
        self.layers = [_joined(layer) for layer in inner.layers]
        self.head = _after(inner.norm, model.lm_head)
        positions = torch.arange(capacity, device=self.head.device)[None]
        cos, sin = inner.rotary_emb(self.head, positions)
        half = self.width // 2
        # x·cos + rotate_half(x)·sin, the sign of the rotated half put into the table
        self.cos, self.sin = cos[0], torch.cat([-sin[0, :, :half], sin[0, :, half:]], -1)

    def __call__(self, tokens: Tensor, position: Tensor, mask: Tensor | None) -> Tensor:
        """Logits (B, V) after ``tokens`` (B,) at ``position`` (B or 1, 1).

        ``mask`` (B, filled) is False at padding; None: there is none.
        """
        x = fn.embedding(tokens, self.embedding)
        cos, sin = self.cos[position], self.sin[position]  # (B or 1, 1, width)
        for layer, cached in zip(self.layers, self.cache.layers, strict=True):
            x = torch.addmm(x, self._attend(layer, cached, x, cos, sin, mask), layer.out)
            gate, up = torch.mm(self._normed(x), layer.gate_up).chunk(2, -1)
            x = torch.addmm(x, fn.silu(gate).mul_(up), layer.down)
        return torch.mm(self._normed(x), self.head)

    def _normed(self, x: Tensor) -> Tensor:
        return fn.rms_norm(x, self.hidden, eps=self.eps)

    def _attend(
        self, layer: Layer, cached: Any, x: Tensor, cos: Tensor, sin: Tensor, mask: Tensor | None
    ) -> Tensor:
        """The output of the heads, (B, heads · width), after this token joined the cache."""
        rows, turned = len(x), self.queries + self.keys
        qkv = torch.mm(self._normed(x), layer.qkv).view(rows, turned + self.keys, self.width)
        qk = qkv[:, :turned]
        qk = torch.addcmul(qk * cos, qk.roll(self.width // 2, -1), sin)
        k, v = cached.update(qk[:, self.queries :, None], qkv[:, turned:, None])
        # Queries that share a key head are so many queries of that head. Two plain products: for
        # one new token they are quicker than the fused kernel, which is made for many.
        heads = rows * self.keys
        q = qk[:, : self.queries].reshape(heads, -1, self.width)
        z = torch.bmm(q, k.reshape(heads, -1, self.width).transpose(1, 2))
        if mask is not None:
            z.view(rows, -1, mask.shape[1]).masked_fill_(~mask[:, None], -torch.inf)
        mixed = torch.bmm(torch.softmax(z, -1), v.reshape(heads, -1, self.width))
        return mixed.view(rows, -1)


def _joined(layer: Any) -> Layer:
    attention, mlp = layer.self_attn, layer.mlp
    before, between = layer.input_layernorm, layer.post_attention_layernorm
    q, k, v = (_after(before, p) for p in (attention.q_proj, attention.k_proj, attention.v_proj))
    return Layer(
        qkv=torch.cat([q * attention.scaling, k, v], 1),
        out=attention.o_proj.weight.T,
        gate_up=torch.cat([_after(between, mlp.gate_proj), _after(between, mlp.up_proj)], 1),
        down=mlp.down_proj.weight.T,
    )


def _after(norm: Any, linear: Any) -> Tensor:
    """The product with the norm's scale put in, transposed."""
    scaled: Tensor = linear.weight * norm.weight
    return scaled.T
