"""REINVENT's diversity filter on answers whose buckets are plain letters.

Against the package itself: tests/trainer/tasks/molecules/test_scaffold_buckets.py.
"""

import math

import pytest

from qdlaws.errors import BadData
from trainer.algorithms.diversity_filter import CURVES, FilterMemory
from trainer.algorithms.recipes import reinvent
from trainer.types import FilterPlan

NAN = math.nan


def filtered(batches, **plan):
    """The factors of several batches of (bucket, answer, score)."""
    memory, factors = FilterMemory(), []
    for batch in batches:
        buckets, answers, scores = zip(*batch, strict=True)
        some, _, memory = memory.filtered(FilterPlan(**plan), buckets, answers, scores)
        factors.append(some)
    return factors, memory


def test_a_bucket_fills_row_by_row_within_a_batch():
    batch = [("a", str(i), 0.9) for i in range(4)] + [("b", "x", 0.9)]
    factors, memory = filtered([batch, [("a", "new", 0.9), ("b", "y", 0.9)]], bucket=3)
    assert factors == [[1, 1, 1, 0, 1], [0, 1]]
    assert memory.counts == {"a": 5, "b": 2}


def test_a_repeated_answer_is_worth_nothing_and_fills_no_bucket():
    factors, memory = filtered([[("a", "x", 0.9), ("a", "x", 0.9)], [("a", "x", 0.9)]], bucket=2)
    assert factors == [[1, 0], [0]]
    assert memory.counts == {"a": 1}


def test_low_scores_failed_scores_and_invalid_answers_pass_and_do_not_count():
    rows = [("a", "x", 0.39), ("a", "x", 0.39), ("a", "y", NAN), (None, None, 0.0)]
    factors, memory = filtered([rows], bucket=1)
    assert factors == [[1, 1, 1, 1]]
    assert memory == FilterMemory()
    assert filtered([rows], bucket=1, minscore=0.3)[1].counts == {"a": 1}
    columns = (list(column) for column in zip(*rows, strict=True))
    assert FilterMemory().filtered(FilterPlan(minscore=0.3), *columns)[1] == [0]


def test_every_repeat_is_penalised_alike_without_buckets():
    rows = [("x", "x", 0.1), ("x", "x", 0.1), (None, None, 0.0), ("y", "y", NAN), ("x", "x", 0.9)]
    assert filtered([rows, rows[:1]], by="same")[0] == [[1, 0.5, 1, 1, 0.5], [0.5]]
    assert filtered([rows], by="same", multiplier=0.2)[0] == [[1, 0.2, 1, 1, 0.2]]


def test_where_a_bucket_is_one_answer_repeats_fill_it():
    memory = FilterMemory()
    factors, counted, memory = memory.filtered(FilterPlan(bucket=2), ["x"] * 4, None, [0.9] * 4)
    assert factors == [1, 1, 0, 0]
    assert counted == [0, 1, 2, 3]
    assert memory.answers == {}


@pytest.mark.parametrize("curve", CURVES)
def test_curves_fall_from_nearly_one_to_little(curve):
    values = [CURVES[curve](n, 25) for n in range(1, 60)]
    assert values == sorted(values, reverse=True)
    assert values[0] > 0.95
    assert values[-1] < 0.1
    factors = filtered([[("a", str(n), 0.9) for n in range(1, 60)]], penalty=curve)[0]
    assert factors == [values]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"filter": "scafold"}, "found filter = 'scafold' .did you mean 'scaffold'"),
        ({"penalty": "tan"}, "found penalty = 'tan' .did you mean 'tanh'"),
        ({"bucket": 0}, "found bucket = 0: a whole number of at least 1"),
        ({"minscore": 40}, "found minscore = 40: a number from 0 to 1"),
        ({"memory": 2.5}, "found memory = 2.5: a whole number"),
    ],
)
def test_wrong_options_are_refused_in_one_line(options, words):
    with pytest.raises(BadData, match=words):
        reinvent(**options)
