"""A run is asked to end by SIGTERM or Ctrl-C; it answers between two steps."""

from __future__ import annotations

import signal
from typing import Any

__all__ = ["Interruption"]


class Interruption:
    """SIGTERM and Ctrl-C as a flag, for as long as the context lasts; the second ends at once."""

    def __init__(self) -> None:
        self.requested = False
        self._handlers: dict[int, Any] = {}

    def __enter__(self) -> Interruption:
        for number in (signal.SIGTERM, signal.SIGINT):
            try:
                self._handlers[number] = signal.signal(number, self._note)
            except ValueError:  # not the main thread: whoever runs us handles signals
                break
        return self

    def _note(self, number: int, frame: Any) -> None:
        if self.requested:
            raise KeyboardInterrupt
        self.requested = True

    def __exit__(self, *error: Any) -> None:
        for number, handler in self._handlers.items():
            signal.signal(number, handler)
