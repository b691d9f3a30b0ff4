"""Classes under an equivalence: readings, DARLING's example, NoveltyBench's partition."""

import math
from itertools import combinations

import numpy as np
import pytest

from qdlaws.errors import BadData, NotEnoughData
from qdlaws.measure.equivalence import relations as eq
from qdlaws.measure.equivalence.classes import (
    distinct_classes,
    distinct_k,
    partition,
    same_matrix,
    sample_diversity,
)


def near(a, b):
    """Not transitive: numbers at most 1 apart."""
    return abs(int(a) - int(b)) <= 1


CHAIN = ["1", "2", "3", "7", "8", "7"]


def test_readings_differ_where_the_relation_is_not_transitive():
    assert partition(CHAIN, near).tolist() == [0, 0, 0, 1, 1, 1]
    assert partition(CHAIN, near, reading="first").tolist() == [0, 0, 1, 2, 2, 2]
    assert distinct_classes(CHAIN, near).value == 2
    assert distinct_classes(CHAIN, near, reading="first").value == 3
    apart = [not (near(a, b)) for a, b in combinations(CHAIN, 2)]
    pairwise = distinct_classes(CHAIN, near, reading="pairwise")
    assert pairwise.value == pytest.approx(np.mean(apart))
    assert pairwise.m is None
    assert pairwise.se > 0


def test_darlings_worked_example():
    """Two equivalent jokes among four: 2/3 each; the singletons 3/3."""
    same = eq.by_key("first letter", lambda t: t[0])
    jokes = ["a1", "a2", "b", "c"]
    for reading in ("union", "pairwise"):
        ours = sample_diversity(jokes, same, reading=reading)
        assert ours == pytest.approx([2 / 3, 2 / 3, 1, 1])
    assert sample_diversity(["a", "ab"], same, floor=0.1).tolist() == [0.1, 0.1]
    assert math.isnan(sample_diversity(["a"], same)[0])
    union, pairwise = (
        sample_diversity(CHAIN, near, reading=reading) for reading in ("union", "pairwise")
    )
    assert union[0] == pytest.approx(3 / 5)
    assert pairwise[0] == pytest.approx(4 / 5)


def test_classes_expected_among_fewer_texts():
    same = eq.exact()
    texts = list("aaabbcdd")
    expected = np.mean([len(set(rows)) for rows in combinations(texts, 4)])
    ours = distinct_classes(texts, same, 4, repeats=4000)
    assert ours.value == pytest.approx(expected, abs=0.04)  # sd of one subset is .7
    assert ours.se > 0
    assert ours.m == 4


def test_distinct_k_over_prompts():
    texts = ["a", "a", "b", "x", "y", "z"]
    ours = distinct_k(texts, eq.exact(), 3, prompts=[0, 0, 0, 1, 1, 1])
    assert ours.value == pytest.approx(2.5)
    assert ours.se == pytest.approx(0.5)
    assert (ours.n, ours.m) == (2, 3)
    with pytest.raises(NotEnoughData, match="3 generations"):
        distinct_k(texts, eq.exact(), 4, prompts=[0, 0, 0, 1, 1, 1])


def test_a_function_sees_each_pair_once():
    compared = []

    def same(a, b):
        compared.append((a, b))
        return a == b

    same_matrix(["a", "b", "a", "c"], same)
    assert sorted(compared) == [("a", "b"), ("a", "c"), ("b", "c")]


def test_impossible_options_are_refused():
    with pytest.raises(BadData, match="leave m out"):
        distinct_classes(CHAIN, near, 3, reading="pairwise")
    with pytest.raises(BadData, match="reading"):
        distinct_classes(CHAIN, near, reading="mean")
