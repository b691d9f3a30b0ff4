"""The program of one scoring process: it reads requests from stdin and writes answers to stdout.

It is started as a script rather than by multiprocessing, which would run a script without a main
guard again in every child, or inherit the locks of torch's threads. It imports nothing before it
has received the score function, and ends as soon as its parent does. It leads a group of processes
(on POSIX), so that what a score starts ends with it; a copy of it that a score forks says nothing.
"""

from __future__ import annotations

import os
import pickle
import signal
import sys
import threading
from queue import SimpleQueue
from typing import Any, BinaryIO


def main() -> None:
    """Receives how to make the score function, then answers requests until stdin ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to answer
    requests, answers = _private_pipes()
    received: SimpleQueue[Any] = SimpleQueue()
    process = os.getpid()
    threading.Thread(target=_receive, args=(requests, received), daemon=True).start()

    def send(message: tuple[int, str, Any]) -> None:
        if os.getpid() != process:
            os._exit(0)
        answers.write(_pickled(message))
        answers.flush()

    sys.path[:] = received.get()
    try:
        score = pickle.loads(received.get())()
    except BaseException as error:  # sys.exit in a user's module too
        return send((0, "broken", _words(error)))
    send((0, "ready", ""))
    while True:
        number, items, together = received.get()
        for part in [items] if together else [[item] for item in items]:
            send((number, *answer(score, part)))
            number += 1


def answer(score: Any, items: list[Any]) -> tuple[str, Any]:
    """("rows", a row for each item), ("failed", the reason), or ("miscounted", the reason) where
    no part of the answer can be believed and smaller parts must not be tried."""
    try:
        return "rows", [tuple(row) for row in score(items)]
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # a user's function may raise anything, and call sys.exit
        return "miscounted" if hasattr(error, "miscounted") else "failed", _words(error)


def _pickled(message: tuple[int, str, Any]) -> bytes:
    """The message; where the answer cannot be sent, the failure that says so."""
    try:
        return pickle.dumps(message)
    except Exception as error:
        return pickle.dumps((message[0], "failed", f"its answer cannot be sent: {_words(error)}"))


def _private_pipes() -> tuple[BinaryIO, BinaryIO]:
    """The pipes to the parent, out of the score's reach: what it prints goes to stderr."""
    requests, answers = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    empty = os.open(os.devnull, os.O_RDONLY)
    os.dup2(empty, 0)
    os.dup2(2, 1)
    os.close(empty)
    return requests, answers


def _receive(requests: BinaryIO, received: SimpleQueue[Any]) -> None:
    """Queues the requests; a worker caught in a long score does not outlive its parent."""
    try:
        while True:
            received.put(pickle.load(requests))
    except (EOFError, OSError):
        if hasattr(os, "killpg") and os.getpgrp() == os.getpid():
            os.killpg(0, signal.SIGKILL)  # with all that the scores have started
        os._exit(1)


def _words(error: BaseException) -> str:
    """The message of an error of this project; kind and message of any other."""
    text = " ".join(str(error).split())
    ours = any(kind.__module__ == "qdlaws.errors" for kind in type(error).__mro__)
    return text if ours else f"{type(error).__name__}: {text}"


if __name__ == "__main__":
    main()
