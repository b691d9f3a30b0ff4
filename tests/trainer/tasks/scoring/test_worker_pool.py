"""Scoring processes end when they are closed and when their parent dies."""

import os
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


@pytest.fixture
def pool(request):
    """A pool of one process that is closed after the test."""
    opened = []

    def make(function, **options):
        opened.append(Workers(function, 1, **options))
        return opened[-1]

    yield make
    for one in opened:
        one.close()


def answers(pool, items):
    return [future.result(timeout=60) for future in pool.submit(items)]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the system has no fork")
@pytest.mark.parametrize("together", [False, True])
def test_a_score_that_forks_answers_each_item_once(pool, together):
    items = ["a" * (1 + i % 7) for i in range(56)]
    one = pool(score_makers.make_forks_once, together=together)
    for _ in range(3):
        assert answers(one, items) == [(float(len(item)),) for item in items]


@pytest.mark.skipif(not hasattr(os, "killpg"), reason="the system has no process groups")
@pytest.mark.parametrize("end", ["hang", "die", "answer"])
def test_what_a_score_starts_ends_with_its_process(pool, tmp_path, end):
    path = tmp_path / "pid"
    one = pool(score_makers.make_leaves_a_child, timeout=3)
    (answer,) = answers(one, [f"{end}:{path}"])
    expected = {
        "hang": Failure("took longer than 3 s", raised=False),
        "die": Failure("its scoring process ended with status 3", raised=False),
        "answer": (1.0,),
    }
    assert answer == expected[end]
    one.close()
    deadline = time.monotonic() + 20
    while runs(int(path.read_text())):
        assert time.monotonic() < deadline, "the child outlived the scoring process"
        time.sleep(0.1)


def test_a_process_that_closes_its_pipes_is_a_failure(pool):
    (answer,) = answers(pool(score_makers.make_closes_its_pipes), ["a"])
    assert answer == Failure("its scoring process ended with status -9", raised=False)


@pytest.mark.parametrize("workers", [0, 1])
def test_sys_exit_is_the_failure_of_one_item(pool, workers):
    make = score_makers.make_leaver
    one = pool(make) if workers else SameProcess(make)
    assert answers(one, ["a", "exit", "b"]) == [(1.0,), Failure("SystemExit: 0"), (1.0,)]


@pytest.mark.parametrize("workers", [0, 1])
def test_the_reason_of_a_failure_shows_no_control_characters(pool, workers):
    make = score_makers.make_length
    one = pool(make) if workers else SameProcess(make)
    (answer,) = answers(one, ["raise \x1b[2J"])
    assert answer.reason == r"ValueError: cannot read raise \x1b[2J"


def test_a_score_that_cannot_be_made_because_of_sys_exit_is_refused(pool):
    with pytest.raises(QdlawsError, match="SystemExit: 0"):
        pool(score_makers.make_exit).ready()


@pytest.mark.parametrize("workers", [0, 1])
def test_a_batch_with_a_wrong_number_of_scores_fails_as_a_whole(pool, workers):
    make = score_makers.make_miscounting
    one = pool(make, together=True) if workers else SameProcess(make)
    assert answers(one, ["a", "b"]) == [Failure("f returned 1 scores for 2 items")] * 2
    assert answers(one, ["a"]) == [(1.0,)]


def test_prints_in_this_process_go_to_stderr(capsys):
    SameProcess(lambda: lambda items: [(float(print("loud") is None),) for _ in items]).submit([1])
    streams = capsys.readouterr()
    assert (streams.out, streams.err) == ("", "loud\n")


def test_a_worker_runs_no_file_of_the_working_folder_by_itself(pool, tmp_path, monkeypatch):
    """A ``sitecustomize.py`` in somebody else's folder ran in every scoring process."""
    monkeypatch.chdir(tmp_path)
    for name in ("sitecustomize.py", "usercustomize.py"):
        (tmp_path / name).write_text(f"open({str(tmp_path / 'ran')!r}, 'w')")
    assert answers(pool(score_makers.make_length), ["a"]) == [(1.0, 1.0)]
    assert not (tmp_path / "ran").exists()


def test_scoring_in_this_process_gives_the_same_answers():
    answers = SameProcess(score_makers.make_length).submit(["a", "raise", "cc"])
    assert answers[0].result() == (1.0, 1.0)
    assert answers[1].result() == Failure("ValueError: cannot read raise")
    assert SameProcess(score_makers.make_length).submit([]) == []
