"""watch(path): follow a log that grows, and give advice anew whenever it has.

Looking often does not raise the error rate: :func:`qdlaws.advice.advise.advise` rests a stop on
tests that stay valid however often one looks (:mod:`qdlaws.inference.e_process`).
"""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from qdlaws.core.atomic_write import write_atomically
from qdlaws.core.serialize import chance, plain, printable
from qdlaws.errors import BadData, QdlawsError
from qdlaws.readers.run_folder import last_decision

if TYPE_CHECKING:
    from qdlaws.advice.advise import Advice
    from qdlaws.core.goal import Goal
    from qdlaws.core.runlog import RunLog

__all__ = ["Update", "watch"]

SHARE = 0.25
"""The most of one core that reading and fitting may take: long logs are looked at less often."""

LONGEST = 7 * 86_400.0
"""The most seconds between looks."""

MOST_FILES = 20_000
"""Files of a folder that are looked at for changes."""


@dataclass(frozen=True, eq=False)
class Update:
    """The advice at one look at a log; None, with the reason, while there can be none."""

    source: str
    step: float | None
    n: int
    advice: Advice | None
    reason: str = ""
    signalled: str = ""
    """The signal that was sent at this look, and to which process; in the JSON as ``told``."""
    decision: Mapping[str, Any] | None = None
    """The last decision of the run's controller, the newest line of ``advice.jsonl``."""

    def to_dict(self) -> dict[str, Any]:
        """The advice as ``qdlaws advise --json`` gives it, with the log's name and last step."""
        advice: dict[str, Any] = {} if self.advice is None else self.advice.to_dict()
        rest: dict[str, Any] = {"source": self.source, "last_step": self.step, "n": self.n}
        if self.reason:
            rest["reason"] = self.reason
        if self.signalled:
            rest["told"] = self.signalled
        if self.decision is not None:
            rest["decision"] = dict(self.decision)
        values: dict[str, Any] = plain(advice | rest)
        return values

    def __str__(self) -> str:
        where = "no steps yet" if self.step is None else f"step {self.step:g} ({self.n} rows)"
        return printable(f"{where}: {self._words()}{self._controller_line()}")

    def _words(self) -> str:
        if self.advice is None:
            return self.reason
        advice = self.advice
        sure = "" if advice.confidence is None else f" ({chance(advice.confidence)} sure)"
        why = f": {advice.reasons[0]}" if advice.reasons else ""
        signal = f" [{self.signalled}]" if self.signalled else ""
        return f"{advice.action}{sure}{why}{signal}"

    def _controller_line(self) -> str:
        """A line on the decision of the run's controller: step, action, knobs, first reason."""
        decision = self.decision
        if decision is None:
            return ""
        knobs, reasons = decision.get("knobs"), decision.get("reasons")
        items = knobs.items() if isinstance(knobs, Mapping) else ()
        words = ", ".join(f"{k} {v:.3g}" for k, v in items if isinstance(v, (int, float)) and v)
        now = f" ({words})" if words else ""
        why = f": {reasons[0]}" if isinstance(reasons, list) and reasons else ""
        action = decision.get("action", "?")
        return f"\n  its controller at step {decision['step']:g}: {action}{now}{why}"


def watch(
    path: str | PathLike[str],
    goal: Goal | None = None,
    *,
    every: float = 10.0,
    write: str | PathLike[str] | None = None,
    stop_file: str | PathLike[str] | None = None,
    signal_pid: int | None = None,
    signal_name: Literal["USR1", "TERM"] = "USR1",
    max_updates: int | None = None,
    reader: Callable[[Path], RunLog] | None = None,
) -> Iterator[Update]:
    """An update whenever the log at ``path`` has changed; the first one at once.

    Parameters
    ----------
    path : a log that may still grow, or not be there yet
    goal : what is wanted of the run
    every : seconds between looks; more where a look itself takes long
    write : file that always holds the newest advice, replaced in one move
    stop_file : file to create when the advice is to stop, for a trainer that looks for it
    signal_pid : process to send a signal, once, when the advice is to stop by a test that may be
        looked at after every step; the update says so in ``signalled``
    signal_name : ``"USR1"`` (REINVENT4 saves a checkpoint and ends) or ``"TERM"``
    max_updates : end after so many updates
    reader : how to read the path; :func:`qdlaws.read` by default
    """
    if not 0 < every <= LONGEST:
        raise BadData(
            f"every is {every!r}, a number of seconds above 0 and up to {LONGEST:g} was needed"
        )
    path = Path(path)
    if signal_name not in _SIGNALS:
        raise BadData(f"signal_name is {signal_name!r}, one of {', '.join(_SIGNALS)} was needed")
    process = None if signal_pid is None else _Process.find(signal_pid, signal_name)
    return _updates(path, goal, every, write, stop_file, process, max_updates, reader)


def _updates(
    path: Path,
    goal: Goal | None,
    every: float,
    write: str | PathLike[str] | None,
    stop_file: str | PathLike[str] | None,
    process: _Process | None,
    max_updates: int | None,
    reader: Callable[[Path], RunLog] | None,
) -> Iterator[Update]:
    before: Any = None
    stopped, count = False, 0
    while max_updates is None or count < max_updates:
        began = time.monotonic()
        now = _file_stats(path)
        if now != before or not count:
            before, count = now, count + 1
            update = _update(path, goal, reader)
            if write is not None and update.advice is not None:
                write_atomically(write, json.dumps(update.to_dict(), ensure_ascii=False) + "\n")
            if not stopped and update.advice is not None and update.advice.anytime:
                stopped = True
                if stop_file is not None:
                    write_atomically(stop_file, f"{update}\n")
                if process is not None:
                    update = replace(update, signalled=process.signal())
            yield update
            if count == max_updates:
                return
        spent = time.monotonic() - began
        time.sleep(max(every - spent, spent * (1 / SHARE - 1), 0.01))


def _update(path: Path, goal: Goal | None, reader: Callable[[Path], RunLog] | None) -> Update:
    """Reads, fits and advises; an error becomes the reason of an update without advice."""
    from qdlaws.advice.advise import advise
    from qdlaws.readers import read

    step, n, decision = None, 0, last_decision(path)
    try:
        log = (reader or read)(path)
        step, n = float(log.step[-1]), len(log)
        return Update(str(path), step, n, advise(log, goal), decision=decision)
    except QdlawsError as error:
        reason = " ".join(str(error).split())
        return Update(str(path), step, n, None, reason, decision=decision)


def _file_stats(path: Path) -> tuple[tuple[str, int, int], ...]:
    """Name, size and time of every file of a log; empty while there is none."""
    stats = []
    try:
        if path.is_dir():
            names = (os.path.join(top, f) for top, _, files in os.walk(path) for f in files)
            paths = [Path(name) for name, _ in zip(names, range(MOST_FILES), strict=False)]
        else:
            paths = [path]
        for name in paths:
            stat = name.stat()
            stats.append((str(name), stat.st_size, stat.st_mtime_ns))
    except OSError:  # a file that goes away between listing and looking counts as a change
        stats.append(("", len(stats), 0))
    return tuple(sorted(stats))


# ---------------------------------------------------------------------- signals

_SIGNALS = ("USR1", "TERM")


@dataclass(frozen=True)
class _Process:
    """A process of the user's; a later one with the same number has another start time."""

    pid: int
    started: str
    name: str

    @classmethod
    def find(cls, pid: int, name: str) -> _Process:
        """The running process; an error where there is none, or none that may be signalled."""
        if pid <= 1 or pid == os.getpid():
            raise BadData(f"process {pid} cannot be the trainer; its process number was needed")
        try:
            os.kill(pid, 0)
        except (ProcessLookupError, OverflowError):
            raise BadData(f"there is no process {pid}") from None
        except PermissionError:
            raise BadData(f"process {pid} is not yours to signal") from None
        state, started = _state_and_start(pid)
        if state in ENDED:
            raise BadData(f"process {pid} has already ended")
        return cls(pid, started, name)

    def signal(self) -> str:
        """Sends the signal, unless the process has ended or another one has got its number."""
        gone = f"process {self.pid} has already ended, no signal was sent"
        state, started = _state_and_start(self.pid)
        if state in ENDED or started != self.started:
            return gone
        try:
            os.kill(self.pid, getattr(signal, f"SIG{self.name}"))
        except OSError:
            return gone
        return f"SIG{self.name} sent to process {self.pid}"


ENDED = ("Z", "X")
"""States of a process that has ended and only waits to be taken note of."""


def _state_and_start(pid: int) -> tuple[str, str]:
    """The state of a process and when it was started, where the system tells (Linux)."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return "", ""
    fields = text.rpartition(")")[2].split()
    return fields[0], fields[19]
