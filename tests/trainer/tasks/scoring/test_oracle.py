"""The oracle: memory, budget, worker processes that may hang or die, resuming."""

import json
import math
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from qdlaws.errors import BadData, QdlawsError
from tests.helpers import score_makers
from trainer.tasks.scoring.oracle import Oracle
from trainer.tasks.scoring.worker_pool import Failure, SameProcess, Workers

COLUMNS = ("score", "inverse")


def oracle(make=score_makers.make_length, columns=COLUMNS, **options):
    return Oracle(make, columns=columns, **options)


@pytest.fixture
def closing():
    """Oracles and pools that are closed after the test."""
    opened = []

    def opened_one(one):
        opened.append(one)
        return one

    yield opened_one
    for one in opened:
        one.close()


# ---------------------------------------------------------------------- memory and budget


class Counting:
    """A score function that notes what it is asked."""

    def __init__(self):
        self.asked = []

    def __call__(self):
        return self.score

    def score(self, items):
        self.asked += items
        return [(len(item) / 10, 0.0) for item in items]


def test_each_key_is_asked_once_and_every_row_answered():
    count = Counting()
    one = oracle(count)
    first = one.score(["aa", "b", "aa", "ccc"])
    again = one.score(["b", "dddd", "b"])
    assert count.asked == ["aa", "b", "ccc", "dddd"]
    np.testing.assert_array_equal(first.rows[:, 0], [0.2, 0.1, 0.2, 0.3])
    np.testing.assert_array_equal(again.rows[:, 0], [0.1, 0.4, 0.1])
    assert one.calls == 4
    assert one.report()["oracle_cached"] == 3


def test_keys_decide_what_is_the_same_and_none_is_skipped():
    count = Counting()
    answers = oracle(count).score(["CC", "C C", "?"], keys=["CC", "CC", None])
    assert count.asked == ["CC"]
    np.testing.assert_array_equal(answers.rows[:, 0], [0.2, 0.2, np.nan])
    assert not answers.over_budget.any()


def test_budget_counts_unique_calls_and_caps_the_rest():
    count = Counting()
    one = oracle(count, budget=3)
    assert not one.score(["a", "a", "bb"]).spent
    answers = one.score(["a", "ccc", "dddd", "ccc", "dddd"])
    assert count.asked == ["a", "bb", "ccc"]
    assert answers.spent
    assert one.spent
    np.testing.assert_array_equal(answers.over_budget, [False, False, True, False, True])
    np.testing.assert_array_equal(answers.rows[:, 0], [0.1, 0.3, np.nan, 0.3, np.nan])
    assert (one.calls, one.capped) == (3, 2)
    assert one.score(["bb"]).rows[0, 0] == 0.2  # what is known is still answered


def test_history_is_in_the_order_of_the_calls_and_feeds_the_report():
    one = oracle(budget=10)
    one.score(["aaaa", "a"])
    one.score(["aa", "a", "aaaaaa"])
    keys, scores = one.history()
    assert keys == ["aaaa", "a", "aa", "aaaaaa"]
    assert scores.tolist() == [4, 1, 2, 6]
    report = one.report(threshold=2, n=3, k=2)
    assert report["yield@2"] == 3
    assert report["ob3@2"] == 4
    assert report["top2_auc"] == pytest.approx((4 * 5 / 2 + 6 * 5) / 10)
    assert oracle().report()["top10_auc"] is None


def test_the_state_travels_as_json():
    one = oracle(budget=3)
    one.score(["a", "bb raise", "ccc", "dddd"])
    state = json.loads(json.dumps(one.state_dict()))
    count = Counting()
    two = oracle(count, budget=3)
    two.load_state(state)
    answers = two.score(["ccc", "a", "dddd", "bb raise"])
    assert count.asked == []
    np.testing.assert_array_equal(answers.rows[:, 0], [3, 1, np.nan, np.nan])
    np.testing.assert_array_equal(answers.over_budget, [False, False, True, False])
    assert two.history()[0] == one.history()[0]
    assert two.report()["oracle_failed"] == 1
    with pytest.raises(BadData, match="the objective has changed"):
        oracle(columns=("score", "other")).load_state(state)


# ---------------------------------------------------------------------- failures


@pytest.mark.parametrize("workers", [0, 1])
@pytest.mark.parametrize("together", [False, True])
def test_an_item_that_raises_fails_alone(closing, workers, together):
    one = closing(oracle(workers=workers, together=together))
    answers = one.score(["a", "bb raise", "ccc", "dddd"])
    np.testing.assert_array_equal(answers.rows[:, 0], [1, np.nan, 3, 4])
    assert one.failures == {"ValueError: cannot read bb raise": 1}
    assert one.report()["oracle_failed"] == 1
    assert one.calls == 4  # it has cost its call, and is not tried again
    assert math.isnan(one.score(["bb raise"]).rows[0, 0])
    assert one.calls == 4


@pytest.mark.parametrize("workers", [0, 1])
def test_a_function_that_never_works_says_so(closing, workers):
    one = closing(oracle(workers=workers))
    with pytest.raises(QdlawsError, match="not one answer could be scored: ValueError: cannot"):
        one.score(["raise a", "raise b"])
    assert one.score(["fine", "raise c"]).rows[0, 0] == 4  # from here on it has worked
    assert math.isnan(one.score(["raise d"]).rows[0, 0])


@pytest.mark.parametrize("together", [False, True])
def test_a_worker_that_dies_harms_no_other_item(closing, together):
    one = closing(oracle(workers=2, together=together))
    items = ["a", "crash", *("b" * i for i in range(2, 12)), "crash again", "ccc"]
    answers = one.score(items)
    expected = [np.nan if "crash" in item else len(item) for item in items]
    np.testing.assert_array_equal(answers.rows[:, 0], expected)
    assert one.failures == {"its scoring process ended with status 7": 2}
    assert one.score(["still there"]).rows[0, 0] == 11


@pytest.mark.parametrize("together", [False, True])
def test_a_worker_that_hangs_is_replaced(closing, together):
    one = closing(oracle(workers=1, timeout=1.5, together=together))
    start = time.monotonic()
    answers = one.score(["a", "hang", "ccc"])
    assert time.monotonic() - start < 30
    np.testing.assert_array_equal(answers.rows[:, 0], [1, np.nan, 3])
    assert one.failures == {"took longer than 1.5 s": 1}


@pytest.mark.parametrize("make", [score_makers.make_nothing, score_makers.make_death])
def test_a_score_that_cannot_be_made_is_said_at_once(closing, make):
    one = closing(Oracle(make, workers=2))
    words = "plutonium" if make is score_makers.make_nothing else "could not start"
    with pytest.raises(QdlawsError, match=words):
        one.ready()
    with pytest.raises(QdlawsError, match=words):
        one.score(["a"])


def test_a_wrong_number_of_scores_is_a_failure(closing):
    for workers in (0, 1):
        one = closing(Oracle(score_makers.make_wrong_number, workers=workers))
        with pytest.raises(QdlawsError, match="2 scores came back for 1 items"):
            one.score(["a"])


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"workers": -1}, "workers=-1"),
        ({"workers": 2.5}, "workers=2.5"),
        ({"timeout": 3.0}, "a timeout needs workers"),
        ({"workers": 1, "timeout": 0}, "timeout=0"),
        ({"budget": 0}, "budget=0"),
    ],
)
def test_bad_options_in_one_line(options, words):
    with pytest.raises(BadData) as caught:
        oracle(**options)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_what_cannot_go_to_a_worker_says_what_to_do():
    with pytest.raises(QdlawsError, match="workers = 0"):
        oracle(lambda: len, workers=1)


def of_a_notebook():
    return score_makers.length


def test_what_is_written_in_a_notebook_says_what_to_do(monkeypatch):
    main = sys.modules["__main__"]
    monkeypatch.setattr(of_a_notebook, "__module__", "__main__")
    monkeypatch.setattr(main, "of_a_notebook", of_a_notebook, raising=False)
    with pytest.raises(QdlawsError, match="move it into a module, or set workers = 0"):
        oracle(of_a_notebook, workers=1)


# ---------------------------------------------------------------------- processes


def test_workers_give_the_bits_of_this_process(closing):
    items = ["x" * i for i in range(1, 90)]
    here, there = oracle(), closing(oracle(workers=2))
    assert here.score(items).rows.tobytes() == there.score(items).rows.tobytes()
    assert here.history()[0] == there.history()[0]


def test_lists_stay_long_where_that_is_faster(closing):
    make = score_makers.make_batch_size
    long = closing(Oracle(make, workers=2, together=True)).score([str(i) for i in range(40)])
    single = closing(Oracle(make, workers=2)).score([str(i) for i in range(40)])
    assert set(long.rows[:, 0]) == {20}
    assert set(single.rows[:, 0]) == {1}


def test_submit_returns_at_once_and_requests_may_overlap(closing):
    one = closing(Oracle(score_makers.make_slow, workers=1))
    one.ready()
    start = time.monotonic()
    first = one.submit(["a", "bb", "ccc", "dddd"])
    second = one.submit(["ccc", "eeeee"])
    assert time.monotonic() - start < 0.5  # the scores take 1 s
    assert not first.done()
    assert second.result().rows[:, 0].tolist() == [3, 5]
    assert first.result().rows[:, 0].tolist() == [1, 2, 3, 4]
    assert first.done()
    assert one.calls == 5
    assert one.history()[0] == ["a", "bb", "ccc", "dddd", "eeeee"]


def test_a_state_taken_while_scores_are_under_way_has_them(closing):
    one = closing(Oracle(score_makers.make_slow, workers=1))
    one.submit(["a", "bb"])
    assert one.state_dict()["rows"] == [[1.0], [2.0]]


def test_what_a_score_prints_stays_off_stdout(closing, capfd):
    closing(Oracle(score_makers.make_noisy, workers=1)).score(["a"])
    assert capfd.readouterr().out == ""


def test_closing_ends_the_processes_and_what_waits_for_them():
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
    found = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True)
    return found.returncode == 0 and not found.stdout.strip().startswith("Z")


def test_in_this_process_the_same_answers():
    answers = SameProcess(score_makers.make_length).submit(["a", "raise", "cc"])
    assert answers[0].result() == (1.0, 1.0)
    assert answers[1].result() == Failure("ValueError: cannot read raise")
    assert SameProcess(score_makers.make_length).submit([]) == []
