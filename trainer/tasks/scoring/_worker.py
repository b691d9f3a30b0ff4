"""What one scoring process does; run as a script, it talks over the socket it is given.

A process of our own, not one of multiprocessing's: those would run a script without a main guard
again in every child, or inherit the locks of torch's threads. Imports nothing until it is told
what to score, and ends with its parent.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from multiprocessing.connection import Connection
from typing import Any

LOOK_FOR_PARENT = 2.0  # seconds


def main(descriptor: int) -> None:
    """Receives how to make the score function, then answers requests until the line is cut."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to answer
    threading.Thread(target=_end_with_parent, args=(os.getppid(),), daemon=True).start()
    line: Connection[Any, Any] = Connection(descriptor)
    try:
        make = line.recv()
        score = make()
    except Exception as error:
        line.send(("broken", _words(error)))
        return
    line.send(("ready", ""))
    while True:
        try:
            items, together = line.recv()
        except (EOFError, OSError):
            return
        for part in [items] if together else [[item] for item in items]:
            line.send(answer(score, part))


def answer(score: Any, items: list[Any]) -> tuple[str, Any]:
    """("rows", rows) or ("failed", why)."""
    try:
        return "rows", [tuple(map(float, row)) for row in score(items)]
    except Exception as error:
        return "failed", _words(error)


def _words(error: BaseException) -> str:
    """The message of our own errors, kind and message of others."""
    text = " ".join(str(error).split())
    own = type(error).__module__ == "qdlaws.errors"
    return text if own else f"{type(error).__name__}: {text}"


def _end_with_parent(parent: int) -> None:
    """A worker caught in a long score does not outlive a parent that was killed."""
    while os.getppid() == parent:
        time.sleep(LOOK_FOR_PARENT)
    os._exit(1)


if __name__ == "__main__":
    main(int(sys.argv[1]))
