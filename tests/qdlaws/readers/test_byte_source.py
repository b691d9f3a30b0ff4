"""Files are streamed, gzip is unpacked, progress shows on a terminal only."""

from __future__ import annotations

import gzip
import json
import os
import pty
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from qdlaws.readers import read


def write_rows(path: Path, rows: int, width: int) -> None:
    extra = {f"perf/timing_{i}": 0.123456789 for i in range(width)}
    with gzip.open(path, "wt", 1) if path.suffix == ".gz" else path.open("w") as out:
        tail = json.dumps(extra)[1:]
        for step in range(rows):
            head = {"step": step, "reward": step / rows, "entropy": round(2 - step / rows, 5)}
            out.write(f"{json.dumps(head)[:-1]}, {tail}\n")


CHILD = """
import resource, sys
from qdlaws.readers import read
import numpy, pandas
base = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
log = read(sys.argv[1])
print(len(log), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - base)
"""


@pytest.mark.slow
def test_a_large_log_takes_little_memory(tmp_path: Path):
    path = tmp_path / "metrics.jsonl"
    write_rows(path, rows=150_000, width=60)  # 300 MB, 9.5 million numbers
    out = subprocess.run([sys.executable, "-c", CHILD, path], capture_output=True, check=True)
    rows, grown = map(int, out.stdout.split())
    assert rows == 150_000
    assert grown < 200 * 1024  # kB; it holds at most 2²³ numbers, and twice that while it lets go


def test_gzip_reads_the_same(tmp_path: Path):
    write_rows(tmp_path / "a.jsonl", 500, 5)
    write_rows(tmp_path / "b.jsonl.gz", 500, 5)
    a, b = read(tmp_path / "a.jsonl"), read(tmp_path / "b.jsonl.gz")
    np.testing.assert_array_equal(a.quality, b.quality)
    whole = (tmp_path / "b.jsonl.gz").read_bytes()
    (tmp_path / "c.jsonl.gz").write_bytes(whole[: len(whole) // 2])  # a copy that broke off
    c = read(tmp_path / "c.jsonl.gz")
    assert 10 < len(c) < 500
    np.testing.assert_array_equal(c.quality, a.quality[: len(c)])


PROGRESS = """
import sys
from qdlaws.readers import read
from qdlaws.readers import byte_source as source
source.SHOW_PROGRESS = 1000
read(sys.argv[1])
"""


def test_the_progress_bar_shows_on_a_terminal_only(tmp_path: Path):
    write_rows(tmp_path / "a.jsonl", 3000, 5)
    command = [sys.executable, "-c", PROGRESS, str(tmp_path / "a.jsonl")]
    piped = subprocess.run(command, capture_output=True, check=True)
    assert piped.stdout == b""
    assert piped.stderr == b""
    main, terminal = pty.openpty()
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "100"}
    done = subprocess.run(command, stderr=terminal, stdout=subprocess.PIPE, env=environment)
    os.close(terminal)
    shown = os.read(main, 1 << 16)
    os.close(main)
    assert done.returncode == 0
    assert done.stdout == b""
    assert b"reading a.jsonl" in shown
