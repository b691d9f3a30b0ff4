"""Figures against brute force over all pairs and subsets."""

import math
from itertools import combinations

import numpy as np
import pytest

from qdlaws.errors import BadData
from qdlaws.measure import distinct_classes, edit_diversity, exact
from trainer.tasks.scoring.answer_metrics import (
    key_diversity,
    pass_metrics,
    retention,
    unique_keys,
    wording_diversity,
)


def draws(rng, groups=6, n=9, classes=4, missing=0.2):
    keys = rng.integers(0, classes, groups * n)
    none = rng.random(groups * n) < missing
    prompts = np.repeat(np.arange(groups), n).tolist()
    return [None if gone else int(k) for k, gone in zip(keys, none, strict=True)], prompts


def test_key_diversity_is_the_share_of_pairs_that_differ():
    keys, prompts = draws(np.random.default_rng(0))
    shares = []
    for g in set(prompts):
        group = [k for k, p in zip(keys, prompts, strict=True) if p == g and k is not None]
        shares.append(np.mean([a != b for a, b in combinations(group, 2)]))
    result = key_diversity(keys, prompts)
    assert result.value == pytest.approx(np.mean(shares))
    assert result.se == pytest.approx(np.std(shares, ddof=1) / math.sqrt(len(shares)))
    assert result.dropped == keys.count(None)


def test_one_prompt_has_the_error_of_a_u_statistic():
    texts = list("aabbbcdeffff")
    result = key_diversity(texts, [0] * len(texts))
    other = distinct_classes(texts, exact(), reading="pairwise")
    assert result.value == pytest.approx(other.value)
    assert result.se == pytest.approx(other.se)
    assert result.kind == other.kind


def test_the_standard_error_of_key_diversity_covers():
    """Over many draws of 30 prompts the interval holds the truth about 95 times of a hundred."""
    rng = np.random.default_rng(1)
    chance = np.array([0.5, 0.3, 0.2])
    truth = 1 - np.sum(chance**2)
    hits = 0
    for _ in range(300):
        keys = rng.choice(3, size=30 * 8, p=chance).tolist()
        result = key_diversity(keys, np.repeat(np.arange(30), 8).tolist())
        hits += result.low <= truth <= result.high
    assert 0.90 <= hits / 300 <= 0.99


def test_unknown_metrics_are_nan_with_a_reason():
    for keys, prompts in (([], []), ([None, None], [0, 0]), (["a", "b"], [0, 1])):
        result = key_diversity(keys, prompts)
        assert math.isnan(result.value)
        assert math.isnan(result.se)
        assert result.reason
    assert pass_metrics([math.nan], [0]) == {}


def test_unique_keys_by_enumeration():
    keys = ["a", "a", "b", "c", "x", "y", "y", None]
    prompts = [0] * 4 + [1] * 4
    expected = [
        np.mean([len(set(s)) / 2 for s in combinations(group, 2)])
        for group in (["a", "a", "b", "c"], ["x", "y", "y"])
    ]
    result = unique_keys(keys, prompts)
    assert result.value == pytest.approx(np.mean(expected))
    assert result.m == 2
    assert result.dropped == 1


def test_pass_at_k_by_enumeration():
    scores = {0: [1, 0, 0, 1], 1: [0, 0, 0, 0], 2: [1, 1, 1, 0]}
    flat = [float(s) for group in scores.values() for s in group]
    prompts = [p for p, group in scores.items() for _ in group]
    result = pass_metrics(flat, prompts)
    for k in (1, 2, 4):
        each = [np.mean([max(s) for s in combinations(group, k)]) for group in scores.values()]
        assert result[f"pass@{k}"].value == pytest.approx(np.mean(each))
    assert result["solved"].value == pytest.approx(2 / 3)
    assert result["solved"].m == 4
    assert set(result) == {"pass@1", "pass@2", "pass@4", "solved"}


def test_failed_scores_shrink_their_prompt_only():
    scores = [1.0, 0.0, 1.0, 0.0, 1.0, math.nan, 0.0, 1.0, 1.0, 0.0, 0.0, 0.0]
    result = pass_metrics(scores, [0] * 4 + [1] * 4 + [2] * 4)
    assert result["pass@1"].value == pytest.approx((1 / 2 + 2 / 3 + 1 / 4) / 3)
    assert result["pass@4"].dropped == 1
    assert result["pass@1"].dropped == 0


def test_graded_scores_have_no_pass_at_k():
    with pytest.raises(BadData, match="0 and 1"):
        pass_metrics([0.5, 1.0], [0, 0])


def test_retention_by_hand():
    base = [int(c) for c in "1111 1000 0000 0000 1110".replace(" ", "")]
    now = [int(c) for c in "1011 0000 0100 0000 0010".replace(" ", "")]
    prompts = np.repeat(np.arange(5), 4).tolist()
    result = retention(base, prompts, now, prompts)
    assert result["retained_pass@1"].value == pytest.approx((3 / 4 + 1 / 4) / 2)
    assert result["kept"].value == pytest.approx(2 / 3)
    assert result["newly_solved"].value == pytest.approx(1 / 2)
    assert result["kept"].m == 4
    with pytest.raises(BadData, match="both times"):
        retention(base, prompts, now, [p + 10 for p in prompts])


def test_wording_diversity_by_hand():
    texts = ["a b c", "a b d", "a b c", "x y", "x y", "x z"]
    prompts = [0, 0, 0, 1, 1, 1]
    result = wording_diversity(texts, prompts)
    each = [edit_diversity(t, tokenizer=str.split).value for t in (texts[:3], texts[3:])]
    assert result.value == pytest.approx(np.mean(each))
    unique = wording_diversity(texts, prompts, unique=True)
    assert unique.value == pytest.approx((1 / 3 + 1 / 2) / 2)
    assert unique.kind != result.kind
