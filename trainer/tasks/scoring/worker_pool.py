"""Worker processes that score: a time limit for each item, and a worker that dies harms no other.

The same requests can be answered in this process (:class:`SameProcess`), to the same bits.

Why no library: ``pebble.ProcessPool`` loses the item of a worker that dies before its
acknowledgement has been read, for ever where there is no time limit; while the parent was busy,
as it is in training, that happened to 3 of 500 crashes (pebble 5.2.3). ``concurrent.futures`` and
loky break the whole pool when one worker dies.
"""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, InvalidStateError
from contextlib import redirect_stdout, suppress
from dataclasses import dataclass
from queue import SimpleQueue
from typing import Any, Protocol

from qdlaws.errors import BadData, QdlawsError
from trainer.tasks.scoring import _worker

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
            return [Failure(content)] * len(items)
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
        self._children: dict[int, _Child] = {}
        self._threads: list[threading.Thread] = []
        self._first: Future[None] = Future()  # the first process to be ready, or why none is

    def ready(self) -> None:
        """Waits until a worker can score; raises where the score cannot be made."""
        self._start()
        self._first.result()

    def submit(self, items: Sequence[Any]) -> list[Future[Answer]]:
        """Futures of the answers, in the order of the items."""
        if self._closing.is_set():
            raise QdlawsError(CLOSED)
        self._start()
        futures = _futures(len(items))
        share = -(-len(items) // self._number)
        whole = self._together or self._number == 1
        size = max(1, share if whole else share // PIECES)
        for start in range(0, len(items), size):
            part = slice(start, start + size)
            self._queue.put(_Piece(list(items[part]), futures[part]))
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
                for future, answer in zip(
                    piece.futures, self._answers(number, piece.items), strict=True
                ):
                    future.set_result(answer)
            except Exception as error:
                self._drop(number)  # it may still be answering
                for future in piece.futures:
                    if not future.done():
                        future.set_exception(error)
        self._drop(number)

    def _answers(self, number: int, items: list[Any]) -> Iterator[Answer]:
        """Rows or failures of the items; goes on behind an item that ended its worker."""
        rest, together = items, self._together
        while rest:
            try:
                child = self._child(number)
                parts = [rest] if together else [[item] for item in rest]
                first = child.ask(rest, together, len(parts))
                for i, part in enumerate(parts):
                    limit = self._timeout and self._timeout * len(part)
                    kind, content = child.receive(limit, first + i)
                    if kind == "rows":
                        answers = _checked(content, part)
                    elif kind == "miscounted":
                        answers = [Failure(content)] * len(part)
                    else:  # of a list that failed as a whole, find the item that did it
                        answers = [Failure(content)] if len(part) == 1 else []
                    yield from answers
                    rest = rest[len(answers) :]
            except _Ended as ended:
                self._drop(number)
                if self._closing.is_set():
                    raise QdlawsError(CLOSED) from None
                if not together or len(rest) == 1:
                    yield Failure(str(ended), raised=False)
                    rest = rest[1:]
            together = False

    def _child(self, number: int) -> _Child:
        """The running process of this number; a new one where there is none."""
        if self._first.done():
            self._first.result()  # raises what kept the first one from starting
        if number not in self._children:
            child = self._children[number] = _Child(self._make)
            if self._closing.is_set():  # looked at after close() can see the child
                child.kill()
            try:
                kind, words = child.receive(None, 0)
            except _Ended as ended:
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


# ---------------------------------------------------------------------- one process


@dataclass(frozen=True)
class _Piece:
    """Items for one worker, and the futures of their answers."""

    items: list[Any]
    futures: list[Future[Answer]]


class _Ended(Exception):
    """A worker died or was out of time."""


class _Child:
    """A scoring process and the pipes to it; pickles go both ways, each answer with its number."""

    def __init__(self, make: bytes) -> None:
        self._lock = threading.Lock()
        self._deadline: float | None = None
        self._late = False
        self._next = 1  # number of the next answer; 0 is the word that it can score
        threads = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS"), "1")
        path = [folder or os.getcwd() for folder in sys.path]
        self.process = subprocess.Popen(
            [sys.executable, "-P", _worker.__file__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, **threads},
            start_new_session=True,
        )
        with suppress(_Ended):  # receive() says how it ended
            # not by PYTHONPATH: a sitecustomize.py of the working folder would run
            self._send(path)
            self._send(make)

    def ask(self, items: list[Any], together: bool, answers: int) -> int:
        """Sends items; gives the number of the first of so many answers."""
        first = self._next
        self._next += answers
        self._send((first, items, together))
        return first

    def _send(self, message: Any) -> None:
        assert self.process.stdin is not None
        try:
            pickle.dump(message, self.process.stdin)
            self.process.stdin.flush()
        except OSError:
            raise _Ended(self._status()) from None

    def receive(self, limit: float | None, number: int) -> tuple[str, Any]:
        """The answer of this number; raises where it has not come after ``limit`` seconds."""
        assert self.process.stdout is not None
        message: tuple[int, str, Any] | None = None
        with self._lock:
            self._deadline = None if limit is None else time.monotonic() + limit
        # A process that ends, perhaps in the middle of a message, leaves none.
        with suppress(EOFError, OSError, pickle.UnpicklingError):
            while (message := pickle.load(self.process.stdout))[0] != number:
                message = None
        with self._lock:
            self._deadline = None
        if self._late:
            raise _Ended(f"took longer than {limit:g} s")
        if message is None:
            raise _Ended(self._status())
        return message[1:]

    def kill_if_over(self) -> None:
        """Ends a process that is late; one that has ended may have left others on its pipe."""
        with self._lock:
            if self._deadline is not None and time.monotonic() > self._deadline:
                self._late = True
                self.kill()
            elif self._has_ended():
                self.kill()

    def kill(self) -> None:
        """Ends the process and those that it has started, where the system has groups."""
        if not hasattr(os, "killpg"):
            self.process.kill()
        elif self.process.returncode is None:  # its number is not given to another yet
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self.process.pid, signal.SIGKILL)

    def _has_ended(self) -> bool:
        """Whether it has; it is left to be collected, so that its group keeps its number."""
        if not hasattr(os, "waitid"):
            return self.process.returncode is not None
        try:
            look = os.WEXITED | os.WNOHANG | os.WNOWAIT
            return os.waitid(os.P_PID, self.process.pid, look) is not None
        except ChildProcessError:
            return True

    def end(self) -> None:
        self.kill()
        self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout):
            assert pipe is not None
            with suppress(OSError):  # a message that could not be sent any more
                pipe.close()

    def _status(self) -> str:
        self.kill()
        return f"its scoring process ended with status {self.process.wait()}"


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
