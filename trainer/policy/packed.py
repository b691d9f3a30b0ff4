"""Log-probabilities of completions by one packed pass over plain Llamas: no padding, prompts once.

The tokens of all rows stand one after the other, and a prompt of many rows is read once, so that
norms, products and activations see neither padding nor repeated prompts; attention alone works on
rows filled up to the longest. The output layer and its softmax are one function that works through
the vocabulary in pieces and keeps no logits. Each piece is the sum that transformers computes, in
fewer passes over memory. Llama: Touvron et al. 2023, arXiv 2302.13971; rotary positions: Su et al.
2021, arXiv 2104.09864; root mean square norm: Zhang & Sennrich 2019, arXiv 1910.07467.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as fn
from torch.utils.checkpoint import checkpoint

__all__ = ["fits_packed", "output_log_probs", "pack", "packed_hidden"]

PIECE = 2**24
"""Logits that are alive at once."""
DENSE = 2**20
"""Attention weights of a row's head up to which they are kept for the backward pass."""


def fits_packed(model: Any) -> bool:
    """Whether the packed pass is this model's own: a plain Llama or Qwen2 in float32 or float64."""
    from transformers import LlamaForCausalLM, Qwen2ForCausalLM

    if type(model) not in (LlamaForCausalLM, Qwen2ForCausalLM):
        return False
    config = model.config
    linear = [part for part in model.modules() if hasattr(part, "in_features")]
    return (
        model.dtype in (torch.float32, torch.float64)
        and config.hidden_act == "silu"
        and set(getattr(config, "layer_types", None) or ["full_attention"]) == {"full_attention"}
        and model.model.rotary_emb.rope_type in ("default", "linear", "llama3")
        and all(type(part) is nn.Linear for part in linear)
    )


# ---------------------------------------------------------------------- how rows are packed


@dataclass(frozen=True)
class Grid:
    """Sequences of the pack, filled up to the longest: (rows, width) places of the pack's slice."""

    rows: int
    width: int
    place: Tensor  # (rows · width,) token of the slice in each cell; any where there is none
    cell: Tensor  # (n,) cell of each token of the slice
    empty: Tensor | None  # (rows · width, 1) bool; None: no cell is

    @staticmethod
    def of(lengths: Tensor) -> Grid:
        """Sequences of these lengths, one after the other."""
        rows, width = len(lengths), int(lengths.max()) if len(lengths) else 0
        column = torch.arange(width)
        inside = column < lengths[:, None]
        place = (lengths.cumsum(0) - lengths)[:, None] + column
        place = place.clamp_max(max(int(lengths.sum()) - 1, 0)).flatten()
        empty = None if bool(inside.all()) else ~inside.view(-1, 1)
        return Grid(rows, width, place, inside.flatten().nonzero().squeeze(1), empty)

    def to(self, device: torch.device) -> Grid:
        """The same on another device."""
        empty = None if self.empty is None else self.empty.to(device)
        return Grid(self.rows, self.width, self.place.to(device), self.cell.to(device), empty)


@dataclass(frozen=True)
class Pack:
    """The tokens that the model reads, and who attends to whom."""

    ids: Tensor  # (N,) the different prompts, then each completion without its last token
    position: Tensor  # (N,)
    source: Tensor  # (M,) the token from which each counted token is predicted
    prompts: Grid
    completions: Grid
    prompt: Tensor  # (rows,) of each completion that has a grid row
    to_prompt: Tensor  # (1 or U, P, P) added to the scores: 0, or −∞
    to_both: Tensor  # (1 or rows, T, P + T)


def pack(
    prompts: Sequence[Sequence[int]], tokens: Tensor, mask: Tensor, dtype: torch.dtype
) -> Pack:
    """Rows of one batch as a pack; of each row the tokens up to its last counted one are read."""
    device = tokens.device
    different = list(dict.fromkeys(map(tuple, prompts)))
    number = {prompt: i for i, prompt in enumerate(different)}
    row_prompt = torch.tensor([number[tuple(prompt)] for prompt in prompts])
    prompt_length = torch.tensor([len(prompt) for prompt in different])
    counted = mask.cpu()
    width = counted.shape[1]
    last = torch.where(counted, torch.arange(width), -1).amax(1)  # its own token is not read
    length = last.clamp_min(0)
    inside = torch.arange(width) < length[:, None]
    read = tokens[inside.to(device)]
    ids = torch.cat([torch.tensor([t for p in different for t in p], device=device), read])
    begin = prompt_length.cumsum(0) - prompt_length
    total = int(prompt_length.sum())
    own = torch.arange(int(length.sum())) - torch.repeat_interleave(
        length.cumsum(0) - length, length
    )
    behind = torch.repeat_interleave(prompt_length[row_prompt], length)
    position = torch.cat(
        [torch.arange(total) - torch.repeat_interleave(begin, prompt_length), own + behind]
    )
    # The first token is predicted by the prompt's last one, the others by the token before.
    row, column = counted.nonzero(as_tuple=True)
    after = (length.cumsum(0) - length)[row] + column - 1 + total
    source = torch.where(column == 0, (begin + prompt_length - 1)[row_prompt[row]], after)
    some = length > 0
    prompt = row_prompt[some]
    prompt_grid, grid = Grid.of(prompt_length), Grid.of(length[some])
    to_prompt = _closed(prompt_grid.width, prompt_grid.width, dtype)[None]
    widest = prompt_grid.width
    seen = torch.arange(widest) < prompt_length[prompt][:, None]
    if bool(seen.all()):
        seen = seen[:1]
    past = torch.zeros(len(seen), 1, widest, dtype=dtype).masked_fill_(~seen[:, None], -torch.inf)
    to_both = torch.cat(
        [
            past.expand(-1, grid.width, -1),
            _closed(grid.width, grid.width, dtype).expand(len(seen), -1, -1),
        ],
        -1,
    )
    return Pack(
        ids,
        position.to(device),
        source.to(device),
        prompt_grid.to(device),
        grid.to(device),
        prompt.to(device),
        to_prompt.to(device),
        to_both.to(device),
    )


def _closed(queries: int, keys: int, dtype: torch.dtype) -> Tensor:
    """−∞ where a key comes after the query, 0 elsewhere."""
    return torch.full((queries, keys), -torch.inf, dtype=dtype).triu_(1)


class _Fill(torch.autograd.Function):
    """Tokens into the cells of a grid; empty cells hold any token, which nobody sees."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, grid: Grid) -> Tensor:
        ctx.grid = grid
        return x.index_select(0, grid.place)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        return gradient.index_select(0, ctx.grid.cell), None


class _Empty(torch.autograd.Function):
    """Tokens back out of the cells of a grid."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, grid: Grid) -> Tensor:
        ctx.grid = grid
        return x.index_select(0, grid.cell)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        filled = gradient.index_select(0, ctx.grid.place)
        return filled if ctx.grid.empty is None else filled.masked_fill_(ctx.grid.empty, 0.0), None


# ---------------------------------------------------------------------- the layers


def packed_hidden(
    model: Any, packed: Pack, products: torch.dtype | None, *, recompute: bool = False
) -> Tensor:
    """The last hidden states after the final norm at the places of ``source``, (M, width).

    ``recompute`` makes each layer's activations again in the backward pass.
    """
    inner = model.model
    x = inner.embed_tokens(packed.ids)
    cos, sin = (part[0, :, None] for part in inner.rotary_emb(x, packed.position[None]))
    half = cos.shape[-1] // 2
    sin = torch.cat([-sin[..., :half], sin[..., half:]], -1)  # the sign of the rotated half
    for layer in inner.layers:
        if recompute:
            x = checkpoint(_layer, layer, x, cos, sin, packed, products, use_reentrant=False)
        else:
            x = _layer(layer, x, cos, sin, packed, products)
    x = x.index_select(0, packed.source)
    return _Norm.apply(x, inner.norm.weight, inner.norm.variance_epsilon, products)  # type: ignore


def _layer(
    layer: Any, x: Tensor, cos: Tensor, sin: Tensor, packed: Pack, products: torch.dtype | None
) -> Tensor:
    attention, mlp = layer.self_attn, layer.mlp
    norm = layer.input_layernorm
    normed: Any = _Norm.apply(x, norm.weight, norm.variance_epsilon, products)  # type: ignore
    width, wide = attention.head_dim, cos.dtype

    def heads(linear: nn.Module) -> Tensor:
        return linear(normed).view(len(x), -1, width).to(wide)  # type: ignore[no-any-return]

    q: Any = _Rotate.apply(heads(attention.q_proj), cos, sin, attention.scaling)  # type: ignore
    k: Any = _Rotate.apply(heads(attention.k_proj), cos, sin, 1.0)  # type: ignore
    v = heads(attention.v_proj)
    with torch.autocast(x.device.type, enabled=False):  # small sums, which stay wide
        mixed = _attend(q, k, v, packed)
    x = x + attention.o_proj(mixed if products is None else mixed.to(products))
    norm = layer.post_attention_layernorm
    normed = _Norm.apply(x, norm.weight, norm.variance_epsilon, products)  # type: ignore
    return x + mlp.down_proj(fn.silu(mlp.gate_proj(normed)) * mlp.up_proj(normed))  # type: ignore


def _attend(q: Tensor, k: Tensor, v: Tensor, packed: Pack) -> Tensor:
    """Attention of every token to its prompt and the tokens before it, (N, heads · width)."""
    queries, width = q.shape[1:]
    sizes = [len(packed.prompts.cell), len(packed.completions.cell)]

    def filled(x: Tensor, grid: Grid) -> Tensor:
        cells: Tensor = _Fill.apply(x.flatten(1), grid)  # type: ignore[no-untyped-call]
        return cells.view(grid.rows, grid.width, -1, width).transpose(1, 2)

    def emptied(x: Tensor, grid: Grid) -> Tensor:
        cells = x.transpose(1, 2).reshape(grid.rows * grid.width, queries * width)
        return _Empty.apply(cells, grid)  # type: ignore[no-untyped-call, no-any-return]

    (qp, qc), (kp, kc), (vp, vc) = (torch.split(x, sizes) for x in (q, k, v))
    grid = packed.prompts
    kp, vp = filled(kp, grid), filled(vp, grid)
    out = [emptied(_softmax_mix(filled(qp, grid), kp, vp, packed.to_prompt), grid)]
    grid = packed.completions
    if grid.rows:
        k, v = (
            torch.cat([old.index_select(0, packed.prompt), filled(new, grid)], 2)
            for old, new in ((kp, kc), (vp, vc))
        )
        out.append(emptied(_softmax_mix(filled(qc, grid), k, v, packed.to_both), grid))
    return torch.cat(out)


def _softmax_mix(q: Tensor, k: Tensor, v: Tensor, closed: Tensor) -> Tensor:
    """softmax(q·kᵀ + closed)·v, (rows, heads, queries, width); q is scaled.

    Short rows by two plain products, which on a CPU are quicker than the fused kernel, forward and
    backward; long ones by that, which keeps no attention weights.
    """
    rows, queries, length, width = q.shape
    keys, seen = k.shape[1], k.shape[2]
    if length * seen > DENSE:
        return fn.scaled_dot_product_attention(
            q, k, v, attn_mask=closed[:, None], scale=1.0, enable_gqa=queries != keys
        )
    # Queries that share a key head are so many queries of that head.
    q = q.reshape(rows * keys, -1, width)
    z = torch.bmm(q, k.reshape(rows * keys, seen, width).transpose(1, 2))
    z = z.view(rows, queries, length, seen) + closed[:, None]
    p = torch.softmax(z, -1).view(rows * keys, -1, seen)
    return torch.bmm(p, v.reshape(rows * keys, seen, width)).view(rows, queries, length, width)


class _Norm(torch.autograd.Function):
    """x / rms(x) · scale, in the type of the products that follow."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, scale: Tensor, eps: float, products: torch.dtype | None
    ) -> Tensor:
        norm = torch.linalg.vector_norm(x, dim=-1, keepdim=True)
        r = torch.rsqrt(norm.square_().div_(x.shape[-1]).add_(eps))
        ctx.save_for_backward(x, scale, r)
        y = (x * r).mul_(scale)
        return y if products is None else y.to(products)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, None, None]:
        x, scale, r = ctx.saved_tensors
        gradient = gradient.to(x.dtype)
        product = gradient * x
        lean = torch.mv(product, scale)[:, None] * (r.pow(3) / -x.shape[-1])
        dx = (gradient * scale).mul_(r).addcmul_(x, lean)
        return dx, torch.mv(product.T, r[:, 0]), None, None


class _Rotate(torch.autograd.Function):
    """Rotary positions: factor · (x·cos + rotated x·sin)."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, cos: Tensor, sin: Tensor, factor: float) -> Tensor:
        if factor != 1.0:
            cos, sin = cos * factor, sin * factor
        ctx.save_for_backward(cos, sin)
        return torch.addcmul(x * cos, x.roll(x.shape[-1] // 2, -1), sin)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None, None]:
        cos, sin = ctx.saved_tensors
        turned = (gradient * sin).roll(gradient.shape[-1] // 2, -1)
        return turned.addcmul_(gradient, cos), None, None, None


# ---------------------------------------------------------------------- the output layer


def output_log_probs(
    hidden: Tensor,
    weight: Tensor,
    allowed: Tensor,
    tokens: Tensor,
    temperature: float,
    entropy: bool,
) -> tuple[Tensor, Tensor | None]:
    """log π of each token under softmax(hidden · weightᵀ / temperature), and the exact entropy.

    ``hidden`` (M, width), ``weight`` (V, width), ``allowed`` (V,) bool, ``tokens`` (M,). Logits
    are made a piece at a time, in the type of ``hidden``, and again in the backward pass.
    """
    closed = (~allowed).nonzero().squeeze(1)
    narrow = weight.to(hidden.dtype)
    got = _Output.apply(hidden, narrow, closed, tokens, temperature, entropy)  # type: ignore
    logp, spread = got
    return logp, spread if entropy else None


class _Output(torch.autograd.Function):
    """The output layer, its softmax and entropy, without whole logits."""

    @staticmethod
    def forward(
        ctx: Any,
        hidden: Tensor,
        weight: Tensor,
        closed: Tensor,
        tokens: Tensor,
        temperature: float,
        entropy: bool,
    ) -> tuple[Tensor, Tensor]:
        wide = torch.promote_types(hidden.dtype, torch.float32)
        logp, spread, total = (
            torch.zeros(len(hidden), dtype=wide, device=hidden.device) for _ in range(3)
        )
        for rows in _pieces(len(hidden), len(weight)):
            z = _logits(hidden[rows], weight, closed, temperature, wide)
            chosen = z.gather(-1, tokens[rows, None]).squeeze(-1)
            total[rows] = z.logsumexp(-1)
            logp[rows] = chosen - total[rows]
            if entropy:
                p = (z - total[rows, None]).exp_()
                z.index_fill_(-1, closed, 0.0)  # 0 · −∞ is not 0
                spread[rows] = total[rows] - (p * z).sum(-1)
        ctx.save_for_backward(hidden, weight, closed, tokens, total, spread)
        ctx.temperature, ctx.entropy = temperature, entropy
        return logp, spread

    @staticmethod
    def backward(ctx: Any, logp: Tensor, spread: Tensor) -> tuple[Tensor | None, ...]:
        hidden, weight, closed, tokens, total, entropy = ctx.saved_tensors
        to_hidden = torch.empty_like(hidden)
        to_weight: Tensor | None = None
        for rows in _pieces(len(hidden), len(weight)):
            part = hidden[rows]
            z = _logits(part, weight, closed, ctx.temperature, total.dtype)
            z.sub_(total[rows, None])
            p = z.exp()
            slope = -logp[rows, None]
            if ctx.entropy:  # ∂H/∂z = −p·(log p + H)
                z.index_fill_(-1, closed, 0.0)
                slope = z.add_(entropy[rows, None]).mul_(-spread[rows, None]).add_(slope)
            p.mul_(slope)
            p.scatter_add_(-1, tokens[rows, None], logp[rows, None])
            if ctx.temperature != 1.0:
                p.div_(ctx.temperature)
            narrow = p.to(hidden.dtype)
            torch.mm(narrow, weight, out=to_hidden[rows])
            if not ctx.needs_input_grad[1]:
                continue
            if to_weight is None:
                to_weight = narrow.T @ part
            else:
                to_weight += narrow.T @ part
        return to_hidden, to_weight, None, None, None, None


def _pieces(rows: int, vocabulary: int) -> list[slice]:
    size = max(1, PIECE // vocabulary)
    return [slice(i, min(i + size, rows)) for i in range(0, rows, size)]


def _logits(
    hidden: Tensor, weight: Tensor, closed: Tensor, temperature: float, wide: torch.dtype
) -> Tensor:
    z = torch.mm(hidden, weight.T).to(wide)
    if temperature != 1.0:
        z.div_(temperature)
    return z.index_fill_(-1, closed, -torch.inf)
