"""CUDA graphs: a decoding step is recorded once and replayed for every token.

A GPU finishes the kernels of a small model faster than Python can launch them. A recorded step
needs tensors that stay where they are, so it runs over transformers' static cache, at its full
length. On a CPU the same step runs unrecorded, which is how it is tested there.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from transformers.cache_utils import StaticCache, StaticLayer

from qdlaws.errors import BadData

__all__ = ["RecordedStep", "static_cache"]


def static_cache(model: Any, capacity: int) -> Any:
    """transformers' static cache for the model, where all its layers are plain."""
    cache = StaticCache(config=model.config, max_cache_len=capacity)
    others = {type(layer).__name__ for layer in cache.layers if type(layer) is not StaticLayer}
    if others:
        raise BadData(
            f"{type(model).__name__} has cache layers that cannot be recorded "
            f"({', '.join(sorted(others))}); sample it without graphs"
        )
    return cache


class RecordedStep:
    """One step of a batch whose rows stay the same; made anew when rows leave."""

    def __init__(
        self,
        forward: Callable[[Tensor, Tensor], Tensor],
        cache: Any,
        tokens: Tensor,
        position: Tensor,
    ) -> None:
        self.forward, self.tokens, self.position = forward, tokens.clone(), position.clone()
        # Trying the step out moves the cache on; what it writes there is written again.
        filled = [layer.cumulative_length.clone() for layer in cache.layers]
        self.replay = _record(self._run) if tokens.is_cuda else _try_out(self._run)
        for layer, length in zip(cache.layers, filled, strict=True):
            layer.cumulative_length.copy_(length)

    def __call__(self, tokens: Tensor, position: Tensor) -> Tensor:
        """Logits of the next token, (B, V), overwritten by the next call."""
        self.tokens.copy_(tokens)
        self.position.copy_(position)
        self.replay()
        return self.logits

    def _run(self) -> None:
        self.logits = self.forward(self.tokens[:, None], self.position)


def _try_out(run: Callable[[], None]) -> Callable[[], None]:
    run()
    return run


def _record(run: Callable[[], None]) -> Callable[[], None]:
    """A replay of the kernels that ``run`` launches; libraries are set up by a run beforehand."""
    aside = torch.cuda.Stream()  # type: ignore[no-untyped-call]
    aside.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(aside):
        run()
    torch.cuda.current_stream().wait_stream(aside)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        run()
    return graph.replay
