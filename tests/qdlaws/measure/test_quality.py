"""Quality measures against enumeration and simulation."""

import math
from collections import Counter
from itertools import combinations

import numpy as np
import pytest

from qdlaws.errors import BadData, NotEnoughData
from qdlaws.measure.quality import (
    best_of_n,
    maj_at_k,
    mean_at_k,
    mean_score,
    pass_at_k,
    pass_curve,
)


@pytest.mark.parametrize(("n", "c"), [(6, 0), (6, 2), (7, 5), (5, 5), (8, 1)])
def test_pass_at_k_equals_enumeration(n, c):
    marks = [1] * c + [0] * (n - c)
    for k in range(1, n + 1):
        drawn = [any(s) for s in combinations(marks, k)]
        assert pass_at_k(c, n, k).value == pytest.approx(np.mean(drawn), abs=1e-15)


def test_pass_at_k_error_is_over_prompts():
    correct, total = np.array([0, 3, 8, 5]), np.array([8, 8, 8, 10])
    ours = pass_at_k(correct, total, 2)
    values = [pass_at_k(c, n, 2).value for c, n in zip(correct, total, strict=True)]
    assert ours.value == pytest.approx(np.mean(values))
    assert ours.se == pytest.approx(np.std(values, ddof=1) / 2)
    assert (ours.n, ours.m) == (4, 2)


def test_pass_at_k_of_one_prompt_has_an_unbiased_variance():
    """E over c ~ Binomial(n, p) of the estimated variance is the variance of the estimate."""
    from scipy import stats

    n, k, p = 12, 3, 0.3
    weight = stats.binom.pmf(np.arange(n + 1), n, p)
    estimates = [pass_at_k(c, n, k) for c in range(n + 1)]
    values = np.array([e.value for e in estimates])
    true = weight @ values**2 - (weight @ values) ** 2
    assert weight @ values == pytest.approx(1 - (1 - p) ** k, abs=1e-12)
    assert weight @ np.array([e.se**2 for e in estimates]) == pytest.approx(true, rel=1e-9)
    assert math.isnan(pass_at_k(3, 12, 7).se)


def test_pass_curve_has_every_k_and_grows():
    curve = pass_curve([1, 4, 0], [6, 8, 7])
    assert list(curve) == [1, 2, 3, 4, 5, 6]
    values = [e.value for e in curve.values()]
    assert values == sorted(values)
    assert curve[1].value == pytest.approx(np.mean([1 / 6, 4 / 8, 0]))


def test_pass_at_k_refuses_impossible_counts():
    with pytest.raises(NotEnoughData, match="fewest samples"):
        pass_at_k([1], [3], 4)
    with pytest.raises(BadData, match="whole numbers"):
        pass_at_k([5], [3], 1)


def test_mean_score_drops_failures_and_counts_them():
    ours = mean_score([1.0, math.nan, 0.5, 0.0])
    assert ours.value == pytest.approx(0.5)
    assert (ours.n, ours.dropped) == (3, 1)
    assert ours.se == pytest.approx(np.std([1, 0.5, 0], ddof=1) / math.sqrt(3))


def test_invalid_samples_score_zero_or_are_left_out():
    scores, valid = [0.8, math.nan, math.nan, 0.6], [True, False, True, True]
    over_all = mean_score(scores, valid=valid)
    over_valid = mean_score(scores, valid=valid, over="valid")
    assert over_all.value == pytest.approx((0.8 + 0 + 0.6) / 3)  # the NaN of a valid one failed
    assert over_all.dropped == over_valid.dropped == 1
    assert over_valid.value == pytest.approx(0.7)
    assert over_all.kind != over_valid.kind


def test_mean_score_clusters_by_prompt():
    prompts = ["a", "a", "b", "b", "c", "c"]
    scores = [1, 1, 0, 0, 1, 1]
    clustered, naive = mean_score(scores, prompts), mean_score(scores)
    assert clustered.value == naive.value
    assert clustered.se == pytest.approx(math.sqrt(2 / 3 * 1 / 3 / 3))  # three whole clusters
    assert naive.se == pytest.approx(math.sqrt(2 / 3 * 1 / 3 / 6))
    assert clustered.n == 3


def test_one_prompt_for_all_is_no_cluster():
    assert mean_score([1.0, 0.2, 0.4], ["x"] * 3).se == mean_score([1.0, 0.2, 0.4]).se


def test_failure_of_everything_is_nan_not_zero():
    ours = mean_score([math.nan, math.nan])
    assert math.isnan(ours.value)
    assert math.isnan(ours.se)
    assert ours.dropped == 2


def test_best_of_n_equals_enumeration():
    scores = [0.3, 0.9, 0.1, 0.5, 0.5, 0.7]
    for n in range(1, 7):
        expected = np.mean([max(s) for s in combinations(scores, n)])
        assert best_of_n(scores, n).value == pytest.approx(expected, rel=1e-12)
    assert math.isnan(best_of_n(scores, 4).se)
    assert best_of_n(scores, 3).se > 0


def test_best_of_n_over_prompts_takes_a_matrix():
    scores = np.random.default_rng(0).random((5, 4))
    ours = best_of_n(scores, 4)
    assert ours.value == pytest.approx(scores.max(axis=1).mean())
    assert ours.se == pytest.approx(scores.max(axis=1).std(ddof=1) / math.sqrt(5))


def test_mean_at_k_uses_the_first_k():
    scores = [[1, 0, 0, 0], [1, 1, 0, 0]]
    assert mean_at_k(scores, k=2).value == pytest.approx(0.75)
    assert mean_at_k(scores).value == pytest.approx(0.375)


@pytest.mark.parametrize("k", [1, 2, 3, 4, 5, 8])
def test_maj_at_k_equals_enumeration(k):
    answers, right = list("aaabbccd"), np.array([1, 1, 1, 0, 0, 0, 0, 1])
    mark = dict(zip(answers, right, strict=True))

    def won(rows):
        votes = Counter(answers[i] for i in rows)
        best = [a for a, v in votes.items() if v == max(votes.values())]
        return np.mean([mark[a] for a in best])

    expected = np.mean([won(rows) for rows in combinations(range(8), k)])
    assert maj_at_k(answers, right, k).value == pytest.approx(expected, rel=1e-12)


def test_maj_at_k_over_prompts():
    answers = ["a", "a", "b", "c", "c", "c"]
    ours = maj_at_k(answers, [1, 1, 0, 0, 0, 0], 3, prompts=[0, 0, 0, 1, 1, 1])
    assert ours.value == pytest.approx(0.5)
    assert ours.n == 2
