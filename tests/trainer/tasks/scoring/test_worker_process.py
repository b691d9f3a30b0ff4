"""The time limit of a score counts the time that it had, and ends only what is late."""

import os
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import pytest

from tests.helpers import score_makers
from trainer.tasks.scoring import worker_process
from trainer.tasks.scoring.worker_pool import Failure, Workers


@pytest.fixture
def pool(request):
    make = getattr(request, "param", score_makers.make_length)
    opened = Workers(make, 1, timeout=0.5)
    opened.ready()
    yield opened
    opened.close()


def answer(pool, item):
    (future,) = pool.submit([item])
    return future.result(timeout=60)


@pytest.mark.skipif(
    not Path("/proc/self/schedstat").exists(), reason="the system does not tell who waits"
)
@pytest.mark.parametrize("pool", [score_makers.make_busy], indirect=True)
def test_seconds_in_which_others_had_the_processor_do_not_count(pool):
    """A loop of .25 s of work beside seven others on its one processor takes 2 s."""
    (child,) = pool._children.values()
    processor = {min(os.sched_getaffinity(0))}
    os.sched_setaffinity(child.process.pid, processor)
    code = (
        f"import os; os.sched_setaffinity(0, {processor}); print(1, flush=True)\nwhile True: pass"
    )
    # each in a session of its own: Linux shares a processor among sessions first
    start = partial(subprocess.Popen, stdout=subprocess.PIPE, start_new_session=True)
    rivals = [start([sys.executable, "-c", code]) for _ in range(7)]
    try:
        for rival in rivals:
            rival.stdout.readline()  # it runs
        began = time.monotonic()
        assert answer(pool, 0.25) == (1.0,)
        assert time.monotonic() - began > 0.6, "the rivals were no rivals"
        assert answer(pool, "hang") == Failure("took longer than 0.5 s", raised=False)
    finally:
        for rival in rivals:
            rival.kill()
            rival.wait()
            rival.stdout.close()


def test_a_score_that_is_kept_waiting_for_ever_is_late_in_the_end(pool, monkeypatch):
    kept = iter(range(0, 10**6, 100))
    monkeypatch.setattr(worker_process, "BUSIEST", 2.0)
    monkeypatch.setattr(worker_process.WorkerProcess, "_kept_waiting", lambda self: next(kept))
    began = time.monotonic()
    assert answer(pool, "hang") == Failure("took longer than 0.5 s", raised=False)
    assert time.monotonic() - began >= 1.0


@pytest.mark.skipif(os.name == "nt", reason="Windows looks into no pipe")
def test_an_answer_that_this_process_was_too_busy_to_read_is_not_late(pool, monkeypatch):
    """The answer lies in the pipe when the limit is over."""
    (child,) = pool._children.values()
    child.ask(["ab"], True, 1)
    deadline = time.monotonic() + 20
    while not child._answers():
        assert time.monotonic() < deadline
        time.sleep(0.01)
    child._limit, child._began = 0.5, time.monotonic() - 60
    child.kill_if_over()
    assert not child.late
    assert child.receive(0.5, 1) == ("rows", [(2.0, 0.5)])


@pytest.mark.skipif(not hasattr(signal, "SIGSTOP"), reason="the system stops no process")
def test_a_process_that_is_stopped_is_late(pool):
    (child,) = pool._children.values()
    os.kill(child.process.pid, signal.SIGSTOP)
    assert answer(pool, "a") == Failure("took longer than 0.5 s", raised=False)
    assert answer(pool, "ab") == (2.0, 0.5)


def test_an_answer_that_cannot_be_sent_or_read_is_the_failure_of_its_item():
    pool = Workers(score_makers.make_odd_answers, 1)
    try:
        futures = pool.submit(["function", "fine", "unreadable", "fine"])
        first, second, third, fourth = (future.result(timeout=60) for future in futures)
    finally:
        pool.close()
    assert "cannot be sent" in first.reason
    assert "cannot be read" in third.reason
    assert second == fourth == (1.0,)
