"""The decoder: one forward pass of the model per token, over a key-value cache.

Equal prompts are read once. The cache writes into buffers that are made for the whole
completion, instead of growing by a copy at every token, and rows leave it when they are done.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from qdlaws.errors import BadData
from trainer.policy import Policy
from trainer.policy.likelihood import forward_arguments
from trainer.sampling.llama import LlamaStep, fits

__all__ = ["Decoder"]


class Decoder:
    """The model's state for one batch of completions in progress."""

    def __init__(self, policy: Policy, model: Any, limit: int, *, graphs: bool = False) -> None:
        self.policy, self.model, self.limit, self.graphs = policy, model, limit, graphs
        self.fast: LlamaStep | None = None
        self.recorded: Any = None
        arguments = forward_arguments(model)
        if "past_key_values" not in arguments:
            raise BadData(
                f"{type(model).__name__} keeps no key-value cache that sampling could use; "
                "sample_generate works with it"
            )
        self.extra = {"logits_to_keep": 1} if "logits_to_keep" in arguments else {}
        self.positioned = "position_ids" in arguments

    def start(self, prompts: Sequence[Sequence[int]]) -> Tensor:
        """Reads the prompts; the logits of each row's first token, (B, V)."""
        different = list(dict.fromkeys(map(tuple, prompts)))
        ids, mask = _left_padded(different, self.policy.pad)
        width, device = ids.shape[1], self.policy.device
        self.filled = width
        self.cache = self._cache(width + self.limit)
        self.padding: Tensor | None = None
        position = (mask.cumsum(1) - 1).clamp_min(0).to(device)
        if not bool(mask.all()):
            ahead = torch.ones(len(different), self.limit, dtype=torch.long)
            self.padding = torch.cat([mask.long(), ahead], 1).to(device)
        logits = self._forward(ids.to(device), position)
        # Without padding all rows are at one position.
        self.position = position[:1, -1:] if self.padding is None else position[:, -1:]
        products = self.policy.products
        if not self.graphs and fits(self.model, self.cache, products):
            self.fast = LlamaStep(self.model, self.cache, width + self.limit, products)
        if len(different) == len(prompts):  # then they are in order, too
            return logits
        where = {prompt: number for number, prompt in enumerate(different)}
        row = torch.tensor([where[tuple(prompt)] for prompt in prompts], device=device)
        self.keep(row)
        return logits[row]

    def step(self, tokens: Tensor) -> Tensor:
        """Appends these tokens, (B,); the logits of the next ones, (B, V)."""
        self.filled += 1
        self.position = self.position + 1
        if self.fast is not None:
            mask = None if self.padding is None else self.padding[:, : self.filled].bool()
            return self.fast(tokens, self.position, mask)
        if not self.graphs:
            return self._forward(tokens[:, None], self.position)
        if self.recorded is None:
            from trainer.sampling.graphs import RecordedStep

            self.recorded = RecordedStep(self._forward, self.cache, tokens, self.position)
        logits: Tensor = self.recorded(tokens, self.position)
        return logits

    def keep(self, rows: Tensor) -> None:
        """Continues with these rows only, in this order; a row may be given many times."""
        self.recorded = None
        self.cache.reorder_cache(rows)
        if self.padding is not None:
            self.padding = self.padding[rows]
            self.position = self.position[rows]

    def _cache(self, capacity: int) -> Any:
        if self.graphs:
            from trainer.sampling.graphs import static_cache

            return static_cache(self.model, capacity)
        from trainer.sampling.cache import buffered_cache  # these two import transformers

        return buffered_cache(self.model.config, capacity)

    def _forward(self, ids: Tensor, position: Tensor) -> Tensor:
        mask = self.padding
        if (
            mask is not None and not self.graphs
        ):  # a static cache has its full length from the start
            mask = mask[:, : self.filled]
        places = {"position_ids": position} if self.positioned else {}
        out = self.model(
            input_ids=ids,
            attention_mask=mask,
            past_key_values=self.cache,
            use_cache=True,
            **places,
            **self.extra,
        )
        logits: Tensor = out.logits[:, -1]
        return logits


def _left_padded(prompts: Sequence[Sequence[int]], pad: int) -> tuple[Tensor, Tensor]:
    """Tokens and their mask, (U, P) each."""
    lengths = torch.tensor([len(prompt) for prompt in prompts])
    width = int(lengths.max())
    ids = torch.full((len(prompts), width), pad)
    mask = torch.arange(width) >= width - lengths[:, None]
    ids[mask] = torch.tensor([token for prompt in prompts for token in prompt])
    return ids, mask
