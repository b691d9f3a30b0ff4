"""A key-value cache that writes into buffers made once, instead of growing by a copy per token."""

from __future__ import annotations

from typing import Any

from torch import Tensor
from transformers.cache_utils import DynamicCache, DynamicLayer

__all__ = ["BufferedLayer", "buffered_cache"]


class BufferedLayer(DynamicLayer):  # type: ignore[misc]
    """transformers' growing layer over a buffer; ``keys`` and ``values`` are its filled part."""

    def __init__(self, capacity: int) -> None:
        super().__init__()
        self.capacity = capacity
        self.buffers: tuple[Tensor, Tensor] | None = None

    @property
    def filled(self) -> int:
        """Tokens in the cache."""
        return 0 if self.keys is None else self.keys.shape[-2]

    def update(
        self, key_states: Tensor, value_states: Tensor, *args: Any, **kwargs: Any
    ) -> tuple[Tensor, Tensor]:
        """The keys and values of all tokens so far, these included."""
        if self.buffers is None:
            self.dtype, self.device = key_states.dtype, key_states.device
            self.buffers = self._buffer(key_states), self._buffer(value_states)
            self.is_initialized = True
        start = self.filled
        self.set_filled(start + key_states.shape[-2])
        self.keys[..., start:, :] = key_states
        self.values[..., start:, :] = value_states
        return self.keys, self.values

    def set_filled(self, filled: int) -> None:
        """Makes the first ``filled`` tokens of the buffers the content of the cache."""
        assert self.buffers is not None
        self.keys, self.values = (buffer[..., :filled, :] for buffer in self.buffers)

    def reorder_cache(self, beam_idx: Tensor) -> None:
        """Continues with these rows."""
        filled = self.filled
        if self.buffers is None or filled == 0:
            return
        old = self.keys, self.values
        self.buffers = tuple(self._buffer(part, len(beam_idx)) for part in old)  # type: ignore
        self.set_filled(filled)
        for new, part in zip((self.keys, self.values), old, strict=True):
            new.copy_(part.index_select(0, beam_idx))

    def _buffer(self, like: Tensor, rows: int | None = None) -> Tensor:
        batch, heads, _, width = like.shape
        return like.new_empty(batch if rows is None else rows, heads, self.capacity, width)


def buffered_cache(config: Any, capacity: int) -> Any:
    """transformers' cache for the model, with room for ``capacity`` tokens in its plain layers.

    Layers with a window or a recurrent state stay as transformers has them.
    """
    cache = DynamicCache(config=config)
    cache.layers = [
        BufferedLayer(capacity) if type(layer) is DynamicLayer else layer for layer in cache.layers
    ]
    return cache
