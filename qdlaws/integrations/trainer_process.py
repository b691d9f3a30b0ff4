"""The process of a trainer, which is sent a signal when its run should end."""

from __future__ import annotations

import os
import signal
from dataclasses import dataclass
from pathlib import Path

from qdlaws.errors import BadData

__all__ = ["TrainerProcess"]

SIGNALS = ("USR1", "TERM")


@dataclass(frozen=True)
class TrainerProcess:
    """A process of the user's; a later one with the same number has another start time."""

    pid: int
    started: str
    name: str

    @classmethod
    def find(cls, pid: int, name: str) -> TrainerProcess:
        """The running process; an error where there is none, or none that may be signalled."""
        if name not in SIGNALS:
            raise BadData(f"signal_name is {name!r}, one of {', '.join(SIGNALS)} was needed")
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
