"""The command line, run within the test's process."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from qdlaws.cli import main


@dataclass(frozen=True)
class Done:
    """What a command left behind."""

    status: int
    out: str
    err: str


@pytest.fixture
def command(monkeypatch, capsys) -> Callable[..., Done]:
    """``command("fit", log)`` runs ``qdlaws fit log``."""

    def run(*words: object) -> Done:
        monkeypatch.setattr(sys, "argv", ["qdlaws", *map(str, words)])
        with pytest.raises(SystemExit) as end:
            main()
        return Done(end.value.code or 0, *capsys.readouterr())

    return run
