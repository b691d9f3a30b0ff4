"""The decoding step of Llamas without transformers' per-layer cost, which is most of small ones'.

A step of a model with 200 thousand weights takes transformers longer in Python than in arithmetic.
Here are the same sums over the same cache in a third of the calls: keys, queries and values by one
product, so also gate and up. In mixed precision the joined products are copies in the narrow type,
made once for every batch, so that a step reads half the bytes. Larger models in float32 and other
types take transformers' own forward. Llama: Touvron et al. 2023, arXiv 2302.13971; rotary
positions: Su et al. 2021, arXiv 2104.09864.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as fn

__all__ = ["LlamaStep", "fits"]

LARGEST = 50_000_000  # weights; above, a copy of the products costs more than it spares in float32


def fits(model: Any, cache: Any, products: torch.dtype | None = None) -> bool:
    """Whether :class:`LlamaStep` is this model's step exactly: a plain Llama, small in float32."""
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
        and (products is not None or sum(p.numel() for p in model.parameters()) <= LARGEST)
    )


@dataclass(frozen=True)
class Layer:
    """The products of one layer, those of one input joined. All transposed, (inputs, outputs)."""

    qkv: Tensor
    out: Tensor
    gate_up: Tensor
    down: Tensor
    before: Tensor | None
    """Scale of the norm before attention; None where it is put into ``qkv``, in float32."""
    between: Tensor | None
    """The same before ``gate_up``."""


class LlamaStep:
    """One token for each row; made anew for every batch, since training changes the weights."""

    def __init__(
        self, model: Any, cache: Any, capacity: int, products: torch.dtype | None = None
    ) -> None:
        config, inner = model.config, model.model
        self.products = products
        self.cache, self.embedding = cache, inner.embed_tokens.weight
        self.queries, self.keys = config.num_attention_heads, config.num_key_value_heads
        self.width = inner.layers[0].self_attn.head_dim
        self.eps, self.hidden = config.rms_norm_eps, (config.hidden_size,)
        self.layers = [_joined(layer, products) for layer in inner.layers]
        self.norm = None if products is None else inner.norm.weight
        self.head = (
            _after(inner.norm, model.lm_head)
            if products is None
            else model.lm_head.weight.to(products).T
        )
        positions = torch.arange(capacity, device=self.head.device)[None]
        cos, sin = inner.rotary_emb(self.embedding, positions)
        half = self.width // 2
        # x·cos + rotate_half(x)·sin, the sign of the rotated half put into the table
        self.cos, self.sin = cos[0], torch.cat([-sin[0, :, :half], sin[0, :, half:]], -1)

    def __call__(self, tokens: Tensor, position: Tensor, mask: Tensor | None) -> Tensor:
        """Logits (B, V) after ``tokens`` (B,) at ``position`` (B or 1, 1).

        ``mask`` (B, filled) is False at padding; None: there is none.
        """
        x = fn.embedding(tokens, self.embedding)
        cos, sin = self.cos[position], self.sin[position]  # (B or 1, 1, width)
        if self.products is not None:
            with torch.autocast(x.device.type, enabled=False):  # the types are chosen here
                return self._mixed(x, cos, sin, mask)
        for layer, cached in zip(self.layers, self.cache.layers, strict=True):
            x = torch.addmm(x, self._attend(layer, cached, x, cos, sin, mask), layer.out)
            gate, up = torch.mm(self._normed(x), layer.gate_up).chunk(2, -1)
            x = torch.addmm(x, fn.silu(gate).mul_(up), layer.down)
        return torch.mm(self._normed(x), self.head)

    def _mixed(self, x: Tensor, cos: Tensor, sin: Tensor, mask: Tensor | None) -> Tensor:
        """The same with products in the narrow type; what they add up to stays wide."""
        for layer, cached in zip(self.layers, self.cache.layers, strict=True):
            heads = self._attend(layer, cached, x, cos, sin, mask).to(self.products)
            x = x + torch.mm(heads, layer.out)
            gate, up = torch.mm(self._normed(x, layer.between), layer.gate_up).chunk(2, -1)
            x = x + torch.mm(fn.silu(gate).mul_(up), layer.down)
        return torch.mm(self._normed(x, self.norm), self.head)

    def _normed(self, x: Tensor, scale: Tensor | None = None) -> Tensor:
        normed = fn.rms_norm(x, self.hidden, scale, eps=self.eps)
        return normed if self.products is None else normed.to(self.products)

    def _attend(
        self, layer: Layer, cached: Any, x: Tensor, cos: Tensor, sin: Tensor, mask: Tensor | None
    ) -> Tensor:
        """The output of the heads, (B, heads · width), after this token joined the cache."""
        rows, turned = len(x), self.queries + self.keys
        qkv = torch.mm(self._normed(x, layer.before), layer.qkv)
        qkv = qkv.view(rows, turned + self.keys, self.width).to(cos.dtype)
        qk = qkv[:, :turned]
        qk = torch.addcmul(qk * cos, qk.roll(self.width // 2, -1), sin)
        k, v = cached.update(qk[:, self.queries :, None], qkv[:, turned:, None])
        # Queries that share a key head are so many queries of that head. Two plain products: for
        # one new token they are quicker than the fused kernel, which is made for many.
        heads = rows * self.keys
        q = qk[:, : self.queries].reshape(heads, -1, self.width)
        z = torch.bmm(q.to(k.dtype), k.reshape(heads, -1, self.width).transpose(1, 2))
        if mask is not None:
            z.view(rows, -1, mask.shape[1]).masked_fill_(~mask[:, None], -torch.inf)
        mixed = torch.bmm(torch.softmax(z, -1).to(v), v.reshape(heads, -1, self.width))
        return mixed.view(rows, -1)


def _joined(layer: Any, products: torch.dtype | None) -> Layer:
    attention, mlp = layer.self_attn, layer.mlp
    before, between = layer.input_layernorm, layer.post_attention_layernorm
    if products is not None:  # a norm's scale is left out of them: it would be rounded twice
        q = attention.q_proj.weight * attention.scaling
        return Layer(
            qkv=_narrow(products, q, attention.k_proj.weight, attention.v_proj.weight),
            out=_narrow(products, attention.o_proj.weight),
            gate_up=_narrow(products, mlp.gate_proj.weight, mlp.up_proj.weight),
            down=_narrow(products, mlp.down_proj.weight),
            before=before.weight,
            between=between.weight,
        )
    q, k, v = (_after(before, p) for p in (attention.q_proj, attention.k_proj, attention.v_proj))
    return Layer(
        qkv=torch.cat([q * attention.scaling, k, v], 1),
        out=attention.o_proj.weight.T,
        gate_up=torch.cat([_after(between, mlp.gate_proj), _after(between, mlp.up_proj)], 1),
        down=mlp.down_proj.weight.T,
        before=None,
        between=None,
    )


def _narrow(products: torch.dtype, *weights: Tensor) -> Tensor:
    """Products of one input, joined, transposed, in the narrow type."""
    return torch.cat([weight.to(products) for weight in weights]).T


def _after(norm: Any, linear: Any) -> Tensor:
    """The product with the norm's scale put in, transposed."""
    scaled: Tensor = linear.weight * norm.weight
    return scaled.T
