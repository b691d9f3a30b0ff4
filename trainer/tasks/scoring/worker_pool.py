"""Worker processes that score: a time limit for each item, and a worker that dies harms no other.

The same requests can be answered in this process (:class:`SameProcess`), to the same bits.

Why no library: ``pebble.ProcessPool`` loses the item of a worker that dies before its
acknowledgement has been read, for ever where there is no time limit; while the parent was busy,
as it is in training, that happened to 3 of 500 crashes (pebble 5.2.3). ``concurrent.futures`` and
loky break the whole pool when one worker dies.
"""

from __future__ import annotations

import pickle
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, InvalidStateError
from contextlib import redirect_stdout, suppress
from dataclasses import dataclass, field
from queue import SimpleQueue
from typing import Any, Protocol

from qdlaws.core.serialize import printable
from qdlaws.errors import BadData, QdlawsError
from trainer.tasks.scoring import _worker
from trainer.tasks.scoring.worker_process import ProcessEnded, WorkerProcess

__all__ = [
    "Answer",
    "Failure",
    "Pool",
    "Row",
    "SameProcess",
    "ScoreFunction",
    "Workers",
    "WrongCount",
    "check_workers",
]

Row = tuple[Any, ...]
"""What a score function gives for an item: numbers, for an oracle."""
ScoreFunction = Callable[[Sequence[Any]], Sequence[Row]]
PIECES = 4
"""A worker's share of a request comes in so many pieces, so that a quick one can take more."""
LOOK_EVERY = 0.05  # seconds
CLOSED = "the scoring processes were closed"


@dataclass(frozen=True)
class Failure:
    """Why an item has no score."""

    reason: str
    raised: bool = True
    """The score function itself raised; False: its process died or was out of time."""
    late: bool = field(default=False, compare=False)
    """It was out of time."""


Answer = Row | Failure


class WrongCount(BadData):
    """A function gave more or fewer scores than it was given items: whose they are is unknown."""

    miscounted = True


def check_workers(workers: int, timeout: float | None) -> None:
    """Refuses numbers of processes and seconds that mean nothing."""
    if isinstance(workers, bool) or not isinstance(workers, int) or workers < 0:
        raise BadData(f"found workers={workers!r}: 0 (in this process) or more was needed")
    if timeout is not None and not timeout > 0:
        raise BadData(f"found timeout={timeout!r}: seconds above 0 were needed, or none")
    if timeout is not None and workers == 0:
        raise BadData("a timeout needs workers = 1 or more: no process can stop its own score")


class Pool(Protocol):
    """Whatever scores items: a future of a row or a failure for each of them."""

    def ready(self) -> None: ...

    def submit(self, items: Sequence[Any]) -> list[Future[Answer]]: ...

    def close(self) -> None: ...


class SameProcess:
    """Scores in this process; a call that raises is repeated item by item to find the culprit.

    What a score prints goes to stderr, as with processes: stdout is for the answer of a command.
    """

    def __init__(self, make: Callable[[], ScoreFunction]) -> None:
        self._score = make()

    def ready(self) -> None:
        """Nothing to wait for."""

    def submit(self, items: Sequence[Any]) -> list[Future[Answer]]:
        """Futures that are done."""
        futures = _futures(len(items))
        for future, answer in zip(futures, self._answers(list(items)), strict=True):
            future.set_result(answer)
        return futures

    def _answers(self, items: list[Any]) -> list[Answer]:
        if not items:
            return []
        with redirect_stdout(sys.stderr):
            kind, content = _worker.answer(self._score, items)
        if kind == "rows":
            return _checked(content, items)
        if len(items) == 1 or kind == "miscounted":
            return [Failure(printable(content))] * len(items)
        return [self._answers([item])[0] for item in items]

    def close(self) -> None:
        """Nothing to give back."""


class Workers:
    """Scores in ``number`` processes, each of which makes its own score function.

    With ``together`` the score function gets lists as long as possible, because it is faster so;
    else one item at a time. ``timeout`` is in seconds for one item: a worker that exceeds it, or
    dies, is replaced, and only the item that it was scoring fails.
    """

    def __init__(
        self,
        make: Callable[[], ScoreFunction],
        number: int,
        *,
        timeout: float | None = None,
        together: bool = False,
    ) -> None:
        self._make = _pickled(make)
        self._number, self._timeout, self._together = number, timeout, together
        self._queue: SimpleQueue[_Piece | None] = SimpleQueue()
        self._closing = threading.Event()
        self._children: dict[int, WorkerProcess] = {}
        self._threads: list[threading.Thread] = []
        self._first: Future[None] = Future()  # the first process to be ready, or why none is

    def ready(self) -> None:
        """Waits until a worker can score; raises where the score cannot be made."""
        self._start()
        self._first.result()

    def submit(self, items: Sequence[Any], timeout: float | None = None) -> list[Future[Answer]]:
        """Futures of the answers, in the order of the items; ``timeout`` in place of the pool's."""
        if self._closing.is_set():
            raise QdlawsError(CLOSED)
        self._start()
        futures = _futures(len(items))
        share = -(-len(items) // self._number)
        whole = self._together or self._number == 1
        size = max(1, share if whole else share // PIECES)
        for start in range(0, len(items), size):
            part = slice(start, start + size)
            limit = self._timeout if timeout is None else timeout
            self._queue.put(_Piece(list(items[part]), futures[part], limit))
        return futures

    def close(self) -> None:
        """Ends the processes; items without an answer end in an error."""
        self._closing.set()
        for _ in self._threads:
            self._queue.put(None)
        for child in list(self._children.values()):
            child.kill()  # the thread that serves it closes its pipes
        for thread in self._threads:
            thread.join(timeout=5)
        self._threads = []

    def _start(self) -> None:
        while len(self._threads) < self._number:
            number = len(self._threads)
            thread = threading.Thread(target=self._serve, args=(number,), daemon=True)
            self._threads.append(thread)
            thread.start()
            if number == 0:
                threading.Thread(target=self._watch, daemon=True).start()

    def _watch(self) -> None:
        """Ends the processes that are out of time, and what those have left that ended."""
        while not self._closing.wait(LOOK_EVERY):
            for child in list(self._children.values()):
                child.kill_if_over()

    def _serve(self, number: int) -> None:
        """The thread of one worker process: it takes pieces from the queue until close()."""
        with suppress(QdlawsError):
            self._child(number)
        while (piece := self._queue.get()) is not None:
            try:
                for future, answer in zip(piece.futures, self._answers(number, piece), strict=True):
                    future.set_result(answer)
            except Exception as error:
                self._drop(number)  # it may still be answering
                for future in piece.futures:
                    if not future.done():
                        future.set_exception(error)
        self._drop(number)

    def _answers(self, number: int, piece: _Piece) -> Iterator[Answer]:
        """Rows or failures of the items; goes on behind an item that ended its worker."""
        rest, together = piece.items, self._together
        while rest:
            try:
                child = self._child(number)
                parts = [rest] if together else [[item] for item in rest]
                first = child.ask(rest, together, len(parts))
                for i, part in enumerate(parts):
                    limit = piece.limit and piece.limit * len(part)
                    kind, content = child.receive(limit, first + i)
                    if kind == "rows":
                        answers = _checked(content, part)
                    elif kind == "miscounted":
                        answers = [Failure(printable(content))] * len(part)
                    else:  # of a list that failed as a whole, find the item that did it
                        answers = [Failure(printable(content))] if len(part) == 1 else []
                    yield from answers
                    rest = rest[len(answers) :]
                    if child.late:  # its answer came in the moment in which it was ended
                        self._drop(number)
                        break
            except ProcessEnded as ended:
                self._drop(number)
                if self._closing.is_set():
                    raise QdlawsError(CLOSED) from None
                if not together or len(rest) == 1:
                    yield Failure(str(ended), raised=False, late=ended.late)
                    rest = rest[1:]
            together = False

    def _child(self, number: int) -> WorkerProcess:
        """The running process of this number; a new one where there is none."""
        if self._first.done():
            self._first.result()  # raises what kept the first one from starting
        if number not in self._children:
            child = self._children[number] = WorkerProcess(self._make)
            if self._closing.is_set():  # looked at after close() can see the child
                child.kill()
            try:
                kind, words = child.receive(None, 0)
            except ProcessEnded as ended:
                kind, words = "broken", f"a scoring process could not start: {ended}"
            with suppress(InvalidStateError):  # another was faster
                if kind == "ready":
                    self._first.set_result(None)
                else:
                    self._first.set_exception(QdlawsError(words))
            if kind == "broken":
                self._drop(number)
                raise QdlawsError(CLOSED if self._closing.is_set() else words)
        return self._children[number]

    def _drop(self, number: int) -> None:
        if number in self._children:
            self._children.pop(number).end()


# ---------------------------------------------------------------------- helpers


@dataclass(frozen=True)
class _Piece:
    """Items for one worker, and the futures of their answers."""

    items: list[Any]
    futures: list[Future[Answer]]
    limit: float | None
    """Seconds for each item."""


def _futures(number: int) -> list[Future[Answer]]:
    return [Future() for _ in range(number)]


def _checked(rows: Sequence[Row], items: list[Any]) -> list[Answer]:
    """The rows, or failures where there is not one for each item."""
    if len(rows) != len(items):
        return [Failure(f"{len(rows)} scores came back for {len(items)} items")] * len(items)
    return list(rows)


def _pickled(make: Callable[[], ScoreFunction]) -> bytes:
    """``make`` for another process, or the reason why it cannot go there."""
    try:
        data = pickle.dumps(make)
    except Exception as error:
        raise QdlawsError(
            f"the score cannot be sent to worker processes ({error}): define it in a module, or "
            "set workers = 0"
        ) from None
    if b"__main__" in data:
        raise QdlawsError(
            "the score is defined in a script or notebook, where worker processes cannot find it: "
            "move it into a module, or set workers = 0"
        )
    return data
