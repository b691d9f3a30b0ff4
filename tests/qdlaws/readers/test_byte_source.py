"""Files are streamed, gzip is unpacked, progress shows on a terminal only."""

from __future__ import annotations

import gzip
import json
import os
import pty
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from qdlaws import BadLog
from qdlaws.core.atomic_write import write_atomically
from qdlaws.readers import read
from qdlaws.readers.byte_source import HEAD, Source
from tests.helpers.tracker_files import event_file, scalar_event


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
    for length in (len(whole) // 2, len(whole) - 1):  # a copy that broke off
        (tmp_path / "c.jsonl.gz").write_bytes(whole[:length])
        with pytest.raises(BadLog, match="breaks off, so its checksum is missing"):
            read(tmp_path / "c.jsonl.gz")


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


def test_something_behind_gzip_data_is_left_out_with_a_note(tmp_path: Path):
    write_rows(tmp_path / "a.jsonl.gz", 50, 1)
    whole = (tmp_path / "a.jsonl.gz").read_bytes()
    (tmp_path / "b.gz").write_bytes(whole + b"garbage")
    log = read(tmp_path / "b.gz")
    assert len(log) == 50
    assert any("something else stands behind the gzip data" in note for note in log.notes)


def test_a_packed_file_of_records_is_read_as_the_plain_one(tmp_path: Path):
    """gzip hands over less than was wanted at the end of its buffer: no record is torn there."""
    whole = event_file(scalar_event(s, {"reward": s}) for s in range(30_000))
    (tmp_path / "events.gz").write_bytes(gzip.compress(whole))
    log = read(tmp_path / "events.gz")
    np.testing.assert_array_equal(log.quality, np.arange(30_000))
    assert not any("half a record" in note for note in log.notes)


@pytest.mark.parametrize("name", ["pipe", "device"])
def test_only_regular_files_are_opened(tmp_path: Path, name):
    if name == "pipe":
        os.mkfifo(tmp_path / name)
    else:
        (tmp_path / name).symlink_to("/dev/zero")
    with pytest.raises(BadLog, match="neither a file nor a folder"):
        read(tmp_path / name)
    with pytest.raises(BadLog, match="not a regular file"):
        Source(tmp_path / name).whole()


CSV = "step,reward\n" + "".join(f"{s},{s / 100}\n" for s in range(100))


def between_looks(monkeypatch, change: Callable[[], object], times: int = 1) -> None:
    """Lets something happen after the first lines were looked at, before the file is read."""
    lines = Source.lines

    def changed_lines(self):
        nonlocal times
        if times:
            times -= 1
            change()
        return lines(self)

    monkeypatch.setattr(Source, "lines", changed_lines)


def test_a_file_that_is_emptied_while_it_is_read_is_read_again(tmp_path: Path, monkeypatch):
    """The reader ended in a RuntimeError, and `watch` with it."""
    path = tmp_path / "log.csv"
    path.write_text(CSV)
    between_looks(monkeypatch, lambda: path.write_text(""))
    with pytest.raises(BadLog, match="the file is empty"):
        read(path)


@pytest.mark.parametrize("new", ["entropy,reward,step\n1,2,3\n4,5,6\n", CSV.replace(",0.", ",7.")])
def test_a_file_that_is_replaced_while_it_is_read_is_read_again(tmp_path: Path, monkeypatch, new):
    path = tmp_path / "log.csv"
    path.write_text(CSV)
    between_looks(monkeypatch, lambda: write_atomically(path, new))
    log = read(path)
    (tmp_path / "new.csv").write_text(new)
    expected = read(tmp_path / "new.csv")
    np.testing.assert_array_equal(log.quality, expected.quality)
    np.testing.assert_array_equal(log.step, expected.step)


def test_a_file_that_never_stands_still_is_refused(tmp_path: Path, monkeypatch):
    path = tmp_path / "log.csv"
    path.write_text(CSV)
    between_looks(monkeypatch, lambda: write_atomically(path, CSV), times=100)
    with pytest.raises(BadLog, match="it changed while it was read"):
        read(path)


def test_a_file_may_grow_while_it_is_read(tmp_path: Path, monkeypatch):
    path = tmp_path / "log.csv"
    path.write_text(CSV)
    between_looks(monkeypatch, lambda: path.open("a").write("100,1.0\n"))
    assert len(read(path)) == 101


def test_a_document_that_is_rewritten_while_it_is_read_is_read_again(tmp_path: Path, monkeypatch):
    path = tmp_path / "trainer_state.json"
    rows = [{"step": s, "reward": s, "entropy": 1.0} for s in range(20)]
    path.write_text(json.dumps({"log_history": rows[:10]}))
    reads = []

    def counted(self, stream, size):
        data = pieces(self, stream, size)
        reads.append(size)
        if size > HEAD and len(reads) < 4:
            path.write_text(json.dumps({"log_history": rows}))
        return data

    pieces = Source._read
    monkeypatch.setattr(Source, "_read", counted)
    assert len(read(path)) == 20
