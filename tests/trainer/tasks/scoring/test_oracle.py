"""The oracle: memory, budget, worker processes that may hang or die, resuming."""

import json
import math
import sys
import time

import numpy as np
import pytest

from qdlaws.errors import BadData, QdlawsError
from tests.helpers import score_makers
from trainer.tasks.scoring.oracle import Oracle

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


class Counting:
    """A score function that notes the items it is called with."""

    def __init__(self):
        self.scored = []

    def __call__(self):
        return self.score

    def score(self, items):
        self.scored += items
        return [(len(item) / 10, 0.0) for item in items]


def test_each_key_is_scored_once_and_every_row_answered():
    count = Counting()
    one = oracle(count)
    first = one.score(["aa", "b", "aa", "ccc"])
    again = one.score(["b", "dddd", "b"])
    assert count.scored == ["aa", "b", "ccc", "dddd"]
    np.testing.assert_array_equal(first.rows[:, 0], [0.2, 0.1, 0.2, 0.3])
    np.testing.assert_array_equal(again.rows[:, 0], [0.1, 0.4, 0.1])
    assert one.calls == 4
    assert one.report()["oracle_cached"] == 3


def test_keys_decide_what_is_the_same_and_none_is_skipped():
    count = Counting()
    answers = oracle(count).score(["CC", "C C", "?"], keys=["CC", "CC", None])
    assert count.scored == ["CC"]
    np.testing.assert_array_equal(answers.rows[:, 0], [0.2, 0.2, np.nan])
    assert not answers.over_budget.any()


def test_budget_counts_unique_calls_and_caps_the_rest():
    count = Counting()
    one = oracle(count, budget=3)
    assert not one.score(["a", "a", "bb"]).spent
    answers = one.score(["a", "ccc", "dddd", "ccc", "dddd"])
    assert count.scored == ["a", "bb", "ccc"]
    assert answers.spent
    assert one.spent
    np.testing.assert_array_equal(answers.over_budget, [False, False, True, False, True])
    np.testing.assert_array_equal(answers.rows[:, 0], [0.1, 0.3, np.nan, 0.3, np.nan])
    assert (one.calls, one.capped) == (3, 2)
    assert one.score(["bb"]).rows[0, 0] == 0.2  # what is known is still answered


def test_the_budget_and_the_figures_of_training_are_untouched_by_evaluations():
    alone, beside = oracle(budget=4), oracle(Counting(), budget=4)
    beside.score(["eeeee", "a", "ffffff"], purpose="evaluation")
    beside.score(["ggggggg"], purpose="plan")
    for batch in (["a", "bb", "a"], ["ccc"], ["eeeee", "dddd"]):
        ours, theirs = alone.score(batch), beside.score(batch)
        np.testing.assert_array_equal(ours.over_budget, theirs.over_budget)
        assert ours.spent == theirs.spent
        late = beside.score(["h" * 8, "dddd"], purpose="evaluation")
        assert np.isfinite(late.rows).all()
        assert not late.over_budget.any()
    assert alone.calls == beside.calls == 4
    assert beside.history()[0] == alone.history()[0] == ["a", "bb", "ccc", "eeeee"]
    assert beside.history("evaluation")[0] == ["eeeee", "a", "ffffff", "h" * 8, "dddd"]
    # "dddd" was scored for an evaluation, and training still does not get it
    assert math.isnan(beside.score(["dddd"]).rows[0, 0])
    report = {**alone.report(0.3), "oracle_other_calls": 4, "oracle_cached": 1, "oracle_capped": 2}
    assert beside.report(0.3).keys() == report.keys()
    for name in ("oracle_calls", "oracle_other_calls", "oracle_cached", "oracle_capped"):
        assert beside.report(0.3)[name] == report[name]


def test_evaluations_change_no_figure_of_sample_efficiency():
    alone, beside = oracle(budget=10), oracle(budget=10)
    beside.score(["x" * 9, "x" * 8, "x" * 7], purpose="evaluation")
    for batch in (["aaaa", "a"], ["aa", "aaaaaa"]):
        alone.score(batch)
        beside.score(batch)
        beside.score(["x" * 6, "aa"], purpose="evaluation")
    expected = {**alone.report(2, n=3, k=2), "oracle_other_calls": 4}
    assert beside.report(2, n=3, k=2) == expected


def test_a_state_keeps_what_each_call_was_for_and_an_older_one_counts_all_for_training():
    one = oracle(budget=4)
    one.score(["aa", "bbb"], purpose="evaluation")
    one.score(["c", "aa"])
    state = json.loads(json.dumps(one.state_dict()))
    two, older = oracle(budget=4), oracle(budget=4)
    two.load_state(state)
    assert two.state_dict() == one.state_dict()
    assert (two.history()[0], two.history("evaluation")[0]) == (["c", "aa"], ["aa", "bbb"])
    del state["calls"]
    older.load_state(state)
    assert older.history()[0] == ["aa", "bbb", "c"]
    assert older.calls == 3


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
    assert count.scored == []
    np.testing.assert_array_equal(answers.rows[:, 0], [3, 1, np.nan, np.nan])
    np.testing.assert_array_equal(answers.over_budget, [False, False, True, False])
    assert two.history()[0] == one.history()[0]
    assert two.report()["oracle_failed"] == 1
    with pytest.raises(BadData, match="the objective has changed"):
        oracle(columns=("score", "other")).load_state(state)


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
def test_a_function_that_never_works_is_refused_with_its_first_error(closing, workers):
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
    other = closing(oracle(workers=1, timeout=1.5))
    other.load_state(json.loads(json.dumps(one.state_dict())))
    assert other.report()["oracle_timed_out"] == one.report()["oracle_timed_out"] == 1


@pytest.mark.parametrize("make", [score_makers.make_nothing, score_makers.make_death])
def test_a_score_that_cannot_be_made_is_refused_at_once(closing, make):
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


def test_a_function_that_cannot_be_pickled_is_refused_with_the_remedy():
    with pytest.raises(QdlawsError, match="workers = 0"):
        oracle(lambda: len, workers=1)


def of_a_notebook():
    return score_makers.length


def test_a_function_of_a_notebook_is_refused_with_the_remedy(monkeypatch):
    main = sys.modules["__main__"]
    monkeypatch.setattr(of_a_notebook, "__module__", "__main__")
    monkeypatch.setattr(main, "of_a_notebook", of_a_notebook, raising=False)
    with pytest.raises(QdlawsError, match="move it into a module, or set workers = 0"):
        oracle(of_a_notebook, workers=1)


def test_workers_give_the_bits_of_this_process(closing):
    items = ["x" * i for i in range(1, 90)]
    here, there = oracle(), closing(oracle(workers=2))
    assert here.score(items).rows.tobytes() == there.score(items).rows.tobytes()
    assert here.history()[0] == there.history()[0]


def test_items_are_scored_in_long_lists_where_that_is_faster(closing):
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


def test_a_state_taken_while_scoring_goes_on_has_the_scores(closing):
    one = closing(Oracle(score_makers.make_slow, workers=1))
    one.submit(["a", "bb"])
    assert one.state_dict()["rows"] == [[1.0], [2.0]]


def test_output_of_a_score_function_stays_off_stdout(closing, capfd):
    closing(Oracle(score_makers.make_noisy, workers=1)).score(["a"])
    assert capfd.readouterr().out == ""
