"""The program of one scoring process: it reads requests from stdin and writes answers to stdout.

It is started as a script rather than by multiprocessing, which would run a script without a main
guard again in every child, or inherit the locks of torch's threads. It imports nothing before it
has received the score function, and ends as soon as its parent does.
"""

from __future__ import annotations

import os
import pickle
import signal
import threading
from queue import SimpleQueue
from typing import Any, BinaryIO


def main() -> None:
    """Receives how to make the score function, then answers requests until stdin ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to answer
    requests, answers = _private_pipes()
    received: SimpleQueue[Any] = SimpleQueue()
    threading.Thread(target=_receive, args=(requests, received), daemon=True).start()

    def send(message: tuple[str, Any]) -> None:
        pickle.dump(message, answers)
        answers.flush()

    try:
        score = pickle.loads(received.get())()
    except Exception as error:
        return send(("broken", _words(error)))
    send(("ready", ""))
    while True:
        items, together = received.get()
        for part in [items] if together else [[item] for item in items]:
            send(answer(score, part))


def answer(score: Any, items: list[Any]) -> tuple[str, Any]:
    """("rows", a row of numbers for each item) or ("failed", the reason)."""
    try:
        return "rows", [tuple(map(float, row)) for row in score(items)]
    except Exception as error:
        return "failed", _words(error)


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
        os._exit(1)


def _words(error: BaseException) -> str:
    """The message of an error of this project; kind and message of any other."""
    text = " ".join(str(error).split())
    ours = type(error).__module__ == "qdlaws.errors"
    return text if ours else f"{type(error).__name__}: {text}"


if __name__ == "__main__":
    main()
