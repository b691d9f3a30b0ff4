"""What a command says: its JSON alone on stdout, and one line where it cannot go on."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout, suppress

from qdlaws.core.serialize import printable
from qdlaws.errors import QdlawsError
from trainer.errors import RunFailed

__all__ = ["EXTRA", "error_line", "nothing_on_stdout"]

EXTRA = (
    "torch",
    "transformers",
    "rdkit",
    "safetensors",
    "joblib",
    "jinja2",
    "filelock",
    "msgspec",
    "tomli_w",
)
"""Packages of the extra ``trainer``, by the names that they are imported by."""


def error_line(error: Exception) -> tuple[str, int] | None:
    """The line about an error and the exit status; None for an error that is a fault of ours."""
    if isinstance(error, QdlawsError):
        line = printable(" ".join(str(error).split()))
        return line, 1 if isinstance(error, RunFailed) else 2
    package = (getattr(error, "name", None) or "").partition(".")[0]
    if isinstance(error, ModuleNotFoundError) and package in EXTRA:
        needs = f"the trainer needs the package {package}, which is not installed"
        return f"{needs}: pip install 'qdlaws[trainer]'", 2
    return None


@contextmanager
def nothing_on_stdout(as_json: bool) -> Iterator[None]:
    """With ``--json``, whatever is printed inside goes to stderr: by Python, C code or a child."""
    if not as_json:
        yield
        return
    sys.stdout.flush()
    with redirect_stdout(sys.stderr), _stdout_is_stderr():
        yield


@contextmanager
def _stdout_is_stderr() -> Iterator[None]:
    """The same for the system's number of stdout, where this process has one."""
    try:
        stdout = os.dup(1)
    except OSError:
        yield
        return
    try:
        with suppress(OSError):  # no stderr
            os.dup2(2, 1)
        yield
    finally:
        os.dup2(stdout, 1)
        os.close(stdout)
