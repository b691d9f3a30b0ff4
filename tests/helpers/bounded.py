"""Limits on the time and memory of a block, for tests with hostile input."""

from __future__ import annotations

import resource
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

MOST_SECONDS = 10.0
MOST_BYTES = 1 << 29
"""Beyond what the process holds before."""


@contextmanager
def bounded() -> Iterator[None]:
    """A block that may take so many more bytes and seconds; beyond, it fails."""
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    limit = pages * resource.getpagesize() + MOST_BYTES
    resource.setrlimit(resource.RLIMIT_AS, (limit, hard))
    began = time.process_time()
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))
    assert time.process_time() - began < MOST_SECONDS
