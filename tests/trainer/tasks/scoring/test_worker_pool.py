"""Scoring processes end when they are closed and when their parent dies."""

import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from qdlaws.errors import QdlawsError
from tests.helpers import score_makers
from trainer.tasks.scoring.worker_pool import Failure, SameProcess, Workers


def test_closing_ends_the_processes_and_fails_waiting_items():
    pool = Workers(score_makers.make_length, 1)
    pool.ready()
    (child,) = pool._children.values()
    waiting = pool.submit(["hang"])
    threading.Timer(0.2, pool.close).start()
    with pytest.raises(QdlawsError, match="closed"):
        waiting[0].result(timeout=20)
    assert child.process.wait(timeout=20) != 0
    with pytest.raises(QdlawsError, match="closed"):
        pool.submit(["a"])
    pool.close()  # twice is once


def test_a_worker_ends_with_its_parent(tmp_path):
    script = tmp_path / "parent.py"
    script.write_text(  # no main guard, on purpose: a worker must not run the script again
        "import os, sys\n"
        f"sys.path[:0] = [{str(Path(__file__).parents[4])!r}]\n"
        "from tests.helpers import score_makers\n"
        "from trainer.tasks.scoring.worker_pool import Workers\n"
        "pool = Workers(score_makers.make_length, 1)\n"
        "pool.ready()\n"
        "print(next(iter(pool._children.values())).process.pid, flush=True)\n"
        "pool.submit(['hang'])\n"
        "os.kill(os.getpid(), 9)\n"
    )
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, timeout=60)
    (pid,) = map(int, done.stdout.split())
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        if not runs(pid):
            return
        time.sleep(0.2)
    pytest.fail("the worker outlived its parent")


def runs(pid):
    """Whether the process is there; one that ended and that nobody has collected is not."""
    result = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True)
    return result.returncode == 0 and not result.stdout.strip().startswith("Z")


def test_scoring_in_this_process_gives_the_same_answers():
    answers = SameProcess(score_makers.make_length).submit(["a", "raise", "cc"])
    assert answers[0].result() == (1.0, 1.0)
    assert answers[1].result() == Failure("ValueError: cannot read raise")
    assert SameProcess(score_makers.make_length).submit([]) == []
