"""Worker processes that score: a time limit for each item, and a worker that dies harms no other.

The same requests can be answered in this process (:class:`Here`), to the same bits.
"""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, InvalidStateError
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from queue import SimpleQueue
from socket import socketpair
from typing import Any, Protocol

from qdlaws.errors import QdlawsError
from trainer.tasks.scoring import _worker as _scoring_worker

__all__ = ["Failure", "Here", "Pool", "Row", "ScoreFunction", "Workers"]

Row = tuple[float, ...]
ScoreFunction = Callable[[Sequence[Any]], Sequence[Row]]
PIECES = 4
"""A worker's share of a request comes in so many pieces, so that a quick one can take more."""


@dataclass(frozen=True)
class Failure:
    """Why an item has no score; ``own`` where the score function itself raised."""

    reason: str
    own: bool = True


Answer = Row | Failure


class Pool(Protocol):
    """Whatever answers a request with a row or a failure for each item."""

    def ready(self) -> None: ...

    def submit(self, items: Sequence[Any]) -> Future[list[Answer]]: ...

    def close(self) -> None: ...


class Here:
    """Scores in this process; a call that raises is repeated item by item to find the culprit."""

    def __init__(self, make: Callable[[], ScoreFunction]) -> None:
        self._score = make()

    def ready(self) -> None:
        """Nothing to wait for."""

    def submit(self, items: Sequence[Any]) -> Future[list[Answer]]:
        """A future that is done."""
        done: Future[list[Answer]] = Future()
        done.set_result(self._answers(list(items)))
        return done

    def _answers(self, items: list[Any]) -> list[Answer]:
        if not items:
            return []
        kind, found = _scoring_worker.answer(self._score, items)
        if kind == "rows":
            return _rows(found, items)
        if len(items) == 1:
            return [Failure(found)]
        return [self._answers([item])[0] for item in items]

    def close(self) -> None:
        """Nothing to give back."""


class Workers:
    """``number`` processes, each made by ``make`` (which is pickled) and served by a thread.

    With ``together`` the score function gets lists as long as possible, because it is faster so;
    else one item at a time. ``timeout`` is in seconds for one item: a worker that exceeds it, or
    dies, is replaced and that item alone fails.
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
        self._children: dict[int, _Child] = {}
        self._threads: list[threading.Thread] = []
        self._first: Future[None] = Future()

    def ready(self) -> None:
        """Waits until a worker can score; raises where the score cannot be made."""
        self._start()
        self._first.result()

    def submit(self, items: Sequence[Any]) -> Future[list[Answer]]:
        """A future of the answers, in the order of the items."""
        if self._closing.is_set():
            raise QdlawsError("the scoring processes were closed")
        self._start()
        request = _Request(list(items))
        share = -(-len(items) // self._number) if items else 1
        whole = self._together or self._number == 1
        size = share if whole else max(1, share // PIECES)
        starts = range(0, len(items), size)
        request.open_pieces = len(starts)
        for start in starts:
            self._queue.put(_Piece(request, start, request.items[start : start + size]))
        if not items:
            request.future.set_result([])
        return request.future

    def close(self) -> None:
        """Ends the processes; requests that are not answered yet end in an error."""
        self._closing.set()
        for _ in self._threads:
            self._queue.put(None)
        for child in list(self._children.values()):
            child.process.kill()  # its own thread cuts the line: a descriptor is closed once
        for thread in self._threads:
            thread.join(timeout=5)
        self._threads = []

    def _start(self) -> None:
        while len(self._threads) < self._number:
            number = len(self._threads)
            thread = threading.Thread(target=self._serve, args=(number,), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _serve(self, number: int) -> None:
        try:
            self._child(number)
        except QdlawsError as error:
            self._said_first(error)
        else:
            self._said_first(None)
        while (piece := self._queue.get()) is not None:
            if piece.request.future.done():
                continue  # another piece of it has failed
            try:
                answers = self._answers(number, piece.items)
            except Exception as error:
                self._drop(number)  # it may still be answering
                piece.request.fail(error)
            else:
                piece.request.put(piece.start, answers)
        self._drop(number)

    def _drop(self, number: int) -> None:
        if number in self._children:
            self._children.pop(number).kill()

    def _said_first(self, error: QdlawsError | None) -> None:
        with suppress(InvalidStateError):  # another was faster
            if error is None:
                self._first.set_result(None)
            else:
                self._first.set_exception(error)

    def _answers(self, number: int, items: list[Any]) -> list[Answer]:
        """Rows or failures of the items; goes on behind an item that ended its worker."""
        answers: list[Answer] = []
        together = self._together
        while len(answers) < len(items):
            rest = items[len(answers) :]
            try:
                child = self._child(number)
                child.ask(rest, together)
                if together:
                    answers += self._hear(child, rest)
                else:
                    for item in rest:
                        answers += self._hear(child, [item])
            except _Ended as ended:
                self._drop(number)
                if self._closing.is_set():
                    raise QdlawsError("the scoring processes were closed") from None
                if not together or len(rest) == 1:
                    answers.append(Failure(str(ended), own=False))
            together = False  # where a list failed as a whole, find the item that did it
        return answers

    def _hear(self, child: _Child, items: list[Any]) -> list[Answer]:
        """The child's answer to the items; nothing where it raised on a list of them."""
        kind, found = child.hear(None if self._timeout is None else self._timeout * len(items))
        if kind == "rows":
            return _rows(found, items)
        return [Failure(found)] if len(items) == 1 else []

    def _child(self, number: int) -> _Child:
        if number not in self._children:
            child = self._children[number] = _Child.start(self._make)
            if self._closing.is_set():  # looked at after the child is known to close()
                child.process.kill()
            try:
                kind, words = child.hear(None)
            except _Ended as ended:
                kind, words = "broken", f"a scoring process could not start: {ended}"
            if kind == "broken":
                self._drop(number)
                closed = self._closing.is_set()
                raise QdlawsError("the scoring processes were closed" if closed else words)
        return self._children[number]


# ---------------------------------------------------------------------- one request, one process


@dataclass
class _Request:
    """Items that were asked about together, and what is known of them."""

    items: list[Any]
    open_pieces: int = 0
    future: Future[list[Answer]] = field(default_factory=Future)
    answers: dict[int, Answer] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def put(self, start: int, answers: list[Answer]) -> None:
        with self.lock:
            self.answers.update(enumerate(answers, start))
            self.open_pieces -= 1
            if self.open_pieces == 0 and not self.future.done():
                self.future.set_result([self.answers[i] for i in range(len(self.items))])

    def fail(self, error: Exception) -> None:
        with self.lock:
            if not self.future.done():
                self.future.set_exception(error)


@dataclass(frozen=True)
class _Piece:
    request: _Request
    start: int
    items: list[Any]


class _Ended(Exception):
    """A worker died or was out of time."""


@dataclass(frozen=True)
class _Child:
    """A process and the line to it."""

    process: subprocess.Popen[bytes]
    line: Connection[Any, Any]

    @classmethod
    def start(cls, make: bytes) -> _Child:
        ours, theirs = socketpair()
        threads = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS"), "1")
        path = os.pathsep.join(filter(None, [*sys.path, os.getcwd()]))
        process = subprocess.Popen(
            [sys.executable, "-P", _scoring_worker.__file__, str(theirs.fileno())],
            pass_fds=[theirs.fileno()],
            stdin=subprocess.DEVNULL,
            stdout=2,  # what a score prints must not end up in a command's output
            env={**os.environ, **threads, "PYTHONPATH": path},
        )
        theirs.close()
        line: Connection[Any, Any] = Connection(ours.detach())
        line.send_bytes(make)
        return cls(process, line)

    def ask(self, items: list[Any], together: bool) -> None:
        try:
            self.line.send((items, together))
        except OSError:
            raise _Ended(self._last_words()) from None

    def hear(self, limit: float | None) -> tuple[str, Any]:
        try:
            if limit is not None and not self.line.poll(limit):
                raise _Ended(f"took longer than {limit:g} s")
            answer: tuple[str, Any] = self.line.recv()
        except (EOFError, OSError):
            raise _Ended(self._last_words()) from None
        return answer

    def _last_words(self) -> str:
        return f"its scoring process ended with status {self.process.wait()}"

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()
        self.line.close()


def _rows(found: Sequence[Row], items: list[Any]) -> list[Answer]:
    if len(found) != len(items):
        return [Failure(f"{len(found)} scores came back for {len(items)} items")] * len(items)
    return list(found)


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
