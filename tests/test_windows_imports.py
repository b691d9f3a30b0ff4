"""Every module can be imported where POSIX is missing (its modules, its signals), as on Windows."""

from __future__ import annotations

import subprocess
import sys

from tests.helpers.import_graph import ROOT, modules

CODE = """
import signal, sys

for name in ("fcntl", "grp", "pty", "pwd", "resource", "syslog", "termios", "tty"):
    sys.modules[name] = None  # an import of it fails
for name in ("SIGALRM", "SIGHUP", "SIGKILL", "SIGUSR1", "SIGUSR2"):
    delattr(signal, name)

import importlib

for name in sys.argv[1:]:
    importlib.import_module(name)
"""


def import_all(names: list[str]) -> str:
    """What a Python without those modules and signals writes to stderr."""
    done = subprocess.run(
        [sys.executable, "-c", CODE, *names], cwd=ROOT, capture_output=True, text=True, timeout=300
    )
    return done.stderr if done.returncode else ""


def test_every_module_can_be_imported_without_posix():
    names = [name for p in ("qdlaws", "trainer") for name in modules(p) if "__main__" not in name]
    assert len(names) > 200
    assert import_all(names) == ""


def test_an_import_of_posix_is_seen():
    assert "fcntl" in import_all(["fcntl"])
