"""One attack: what is tried, how it is judged, in which process, and within which limits."""

from __future__ import annotations

import io
import logging
import os
import pickle
import select
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from qdlaws import QdlawsError

Try = Callable[[np.random.Generator], str]
"""One try: "" where all is well, else what was wrong."""


@dataclass(frozen=True)
class Attack:
    """A row of the table."""

    name: str
    prepare: Callable[[Path], Try]
    """Makes the try, with a folder of its own; raises Skipped where it cannot be tried here."""
    share: float = 1.0
    """Of the time, beside the other rows."""
    tries: int = 3
    """Of the short version."""


@dataclass
class Tally:
    """What became of an attack."""

    name: str
    tries: int = 0
    faults: list[str] = field(default_factory=list)
    note: str = ""


class Skipped(Exception):
    """The attack cannot be tried on this machine."""


class TooSlow(BaseException):
    """Nothing that is attacked catches it."""


@contextmanager
def time_limit(seconds: float) -> Iterator[None]:
    """Raises TooSlow after so many seconds, in the main thread."""

    def ring(number: int, frame: Any) -> None:
        raise TooSlow

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


@contextmanager
def quiet() -> Iterator[None]:
    """Without the lines that the trainer logs about what is done to it."""
    logging.disable()
    try:
        yield
    finally:
        logging.disable(logging.NOTSET)


def one_line_or_answer(action: Callable[[], Any], seconds: float = 20.0) -> str:
    """ "" where the action answers, or refuses by a QdlawsError; else the exception."""
    try:
        with time_limit(seconds), redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
            action()
    except QdlawsError:
        return ""
    except TooSlow:
        return f"no answer in {seconds:g} s"
    except BaseException as error:
        return last_line(error)
    return ""


def last_line(error: BaseException) -> str:
    """The exception and the place that raised it."""
    frame = traceback.extract_tb(error.__traceback__)[-1]
    text = " ".join(f"{type(error).__name__}: {error}".split())
    return f"{text[:160]} ({Path(frame.filename).name}:{frame.lineno})"


# ---------------------------------------------------------------------- a process of its own

MEMORY = 16 << 30
"""Bytes of address space of a child, most of it never touched."""


@dataclass(frozen=True)
class Ended:
    """How a child ended: ``ok``, ``line`` (a QdlawsError), ``traceback``, ``killed``, ``hung``."""

    how: str
    value: Any = None


class Child:
    """A forked process that runs one function; there are never more than two at a time."""

    alive = 0

    def __init__(self, function: Callable[[], Any], file_limit: int | None = None) -> None:
        if Child.alive >= 2:
            raise RuntimeError("two children at a time are the limit")
        Child.alive += 1
        sys.stdout.flush()
        sys.stderr.flush()
        self._pipe, writing = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            os.close(self._pipe)
            self._work(function, writing, file_limit)
        os.close(writing)

    def _work(self, function: Callable[[], Any], pipe: int, file_limit: int | None) -> None:
        """Runs in the child and never returns."""
        import resource

        code, answer = 1, Ended("traceback", "it could not begin")
        try:
            quiet = os.open(os.devnull, os.O_WRONLY)
            os.dup2(quiet, 1)
            os.dup2(quiet, 2)
            resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
            resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
            if file_limit is not None:
                resource.setrlimit(resource.RLIMIT_FSIZE, (file_limit, file_limit))
            try:
                answer = Ended("ok", function())
            except QdlawsError as error:
                answer = Ended("line", str(error))
            except BaseException as error:
                answer = Ended("traceback", last_line(error))
            os.write(pipe, pickle.dumps(answer)[:60_000])
            code = 0
        finally:
            os._exit(code)

    def wait(self, seconds: float) -> Ended:
        """Its end; a child that takes longer is killed and counts as hung."""
        content, until = b"", time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            if select.select([self._pipe], [], [], left)[0]:
                part = os.read(self._pipe, 65_536)
                if not part:
                    break
                content += part
        hung = left <= 0
        if hung:
            self.kill()
        os.close(self._pipe)
        os.waitpid(self.pid, 0)
        Child.alive -= 1
        if hung:
            return Ended("hung", f"no end in {seconds:g} s")
        ended: Ended = pickle.loads(content) if content else Ended("killed")
        return ended

    def kill(self) -> None:
        """SIGKILL."""
        os.kill(self.pid, signal.SIGKILL)


def isolated(function: Callable[[], Any], seconds: float = 120.0, **limits: Any) -> Ended:
    """The function in a child of its own."""
    return Child(function, **limits).wait(seconds)
