"""A run is asked to end by SIGTERM or Ctrl-C; it answers between two steps."""

from __future__ import annotations

import os
import signal
from typing import Any

__all__ = ["Interruption"]


class Interruption:
    """SIGTERM and Ctrl-C as a flag, for as long as the context lasts; the second ends at once.

    A second Ctrl-C is Python's KeyboardInterrupt; a second SIGTERM ends the process as if nobody
    had caught it, which costs no more than any kill: the last checkpoint stands.
    """

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
        if self.requested and number == signal.SIGINT:
            raise KeyboardInterrupt
        if self.requested:
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)
        self.requested = True

    def __exit__(self, *error: Any) -> None:
        for number, handler in self._handlers.items():
            signal.signal(number, handler)
