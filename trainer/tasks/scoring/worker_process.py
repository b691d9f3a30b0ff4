"""One scoring process: the pipes to it, its time limit, and its end with all that it started."""

from __future__ import annotations

import os
import pickle
import select
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from trainer.tasks.scoring import _worker

__all__ = ["ProcessEnded", "WorkerProcess"]

BUSIEST = 10.0
"""A process may take so many times its limit where others have kept it from the processors."""


class ProcessEnded(Exception):
    """A worker died or was out of time."""

    def __init__(self, reason: str, late: bool = False) -> None:
        super().__init__(reason)
        self.late = late


class WorkerProcess:
    """A scoring process and the pipes to it; pickles go both ways, each answer with its number."""

    def __init__(self, make: bytes) -> None:
        self._lock = threading.Lock()
        self._limit: float | None = None
        self._began = self._waited = 0.0
        self.late = False
        """Whether it was ended because it was out of time."""
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
        with suppress(ProcessEnded):  # receive() says how it ended
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
            self.process.stdin.write(pickle.dumps(message))
            self.process.stdin.flush()
        except OSError:
            raise ProcessEnded(self._status()) from None

    def receive(self, limit: float | None, number: int) -> tuple[str, Any]:
        """The answer of this number; raises where it has not come after ``limit`` seconds."""
        assert self.process.stdout is not None
        message: tuple[int, str, Any] | None = None
        with self._lock:
            self._limit = limit
            if limit is not None:
                self._began, self._waited = time.monotonic(), self._kept_waiting()
        problem = ""
        try:
            while (message := pickle.load(self.process.stdout))[0] != number:
                message = None
        except (EOFError, OSError, pickle.UnpicklingError):
            message = None  # a process that ends, perhaps in the middle of a message, leaves none
        except Exception as error:  # an object of the user's that can only be made there
            message, problem = None, f"its answer cannot be read: {error!r}"
            self.kill()
        with self._lock:
            self._limit = None
        if message is not None:
            return message[1:]
        if self.late:
            problem = f"took longer than {limit:g} s"
        raise ProcessEnded(problem or self._status(), self.late)

    def kill_if_over(self) -> None:
        """Ends a process that is late; one that has ended may have left others on its pipe."""
        with self._lock:
            if self._limit is not None and self._seconds() > self._limit and not self._answers():
                self.late = True
                self.kill()
            elif self._has_ended():
                self.kill()

    def _seconds(self) -> float:
        """Seconds that the answer has taken, without those in which others had the processors.

        On a machine that is shared, wall time would fail scores that pass when it is idle. Only
        Linux tells how long a process waited to run; elsewhere it is wall time.
        """
        wall = time.monotonic() - self._began
        if self._limit is None or wall <= self._limit:
            return wall
        return max(wall - (self._kept_waiting() - self._waited), wall / BUSIEST)

    def _kept_waiting(self) -> float:
        """Seconds in its life in which the process could run and no processor was free."""
        try:
            figures = Path(f"/proc/{self.process.pid}/schedstat").read_text().split()
            return int(figures[1]) / 1e9
        except (OSError, ValueError, IndexError):
            return 0.0

    def _answers(self) -> bool:
        """Whether an answer waits in the pipe, where this process was too busy to read it."""
        assert self.process.stdout is not None
        try:
            return bool(select.select([self.process.stdout], [], [], 0)[0])
        except (OSError, ValueError):  # Windows looks into no pipe
            return False

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
