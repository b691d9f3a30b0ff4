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
        own = [k for k, p in zip(keys, prompts, strict=True) if p == g and k is not None]
        shares.append(np.mean([a != b for a, b in combinations(own, 2)]))
    found = key_diversity(keys, prompts)
    assert found.value == pytest.approx(np.mean(shares))
    assert found.se == pytest.approx(np.std(shares, ddof=1) / math.sqrt(len(shares)))
    assert found.dropped == keys.count(None)


def test_one_prompt_has_the_error_of_a_u_statistic():
    texts = list("aabbbcdeffff")
    found = key_diversity(texts, [0] * len(texts))
    other = distinct_classes(texts, exact(), reading="pairwise")
    assert found.value == pytest.approx(other.value)
    assert found.se == pytest.approx(other.se)
    assert found.kind == other.kind


def test_the_standard_error_of_key_diversity_covers():
    """Over many draws of 30 prompts the interval holds the truth about 95 times of a hundred."""
    rng = np.random.default_rng(1)
    chance = np.array([0.5, 0.3, 0.2])
    truth = 1 - np.sum(chance**2)
    hits = 0
    for _ in range(300):
        keys = rng.choice(3, size=30 * 8, p=chance).tolist()
        found = key_diversity(keys, np.repeat(np.arange(30), 8).tolist())
        hits += found.low <= truth <= found.high
    assert 0.90 <= hits / 300 <= 0.99


def test_unknown_metrics_are_nan_with_a_reason():
    for keys, prompts in (([], []), ([None, None], [0, 0]), (["a", "b"], [0, 1])):
        found = key_diversity(keys, prompts)
        assert math.isnan(found.value)
        assert math.isnan(found.se)
        assert found.reason
    assert pass_metrics([math.nan], [0]) == {}


def test_unique_keys_by_enumeration():
    keys = ["a", "a", "b", "c", "x", "y", "y", None]
    prompts = [0] * 4 + [1] * 4
    expected = [
        np.mean([len(set(s)) / 2 for s in combinations(own, 2)])
        for own in (["a", "a", "b", "c"], ["x", "y", "y"])
    ]
    found = unique_keys(keys, prompts)
    assert found.value == pytest.approx(np.mean(expected))
    assert found.m == 2
    assert found.dropped == 1


def test_pass_at_k_by_enumeration():
    scores = {0: [1, 0, 0, 1], 1: [0, 0, 0, 0], 2: [1, 1, 1, 0]}
    flat = [float(s) for own in scores.values() for s in own]
    prompts = [p for p, own in scores.items() for _ in own]
    found = pass_metrics(flat, prompts)
    for k in (1, 2, 4):
        each = [np.mean([max(s) for s in combinations(own, k)]) for own in scores.values()]
        assert found[f"pass@{k}"].value == pytest.approx(np.mean(each))
    assert found["solved"].value == pytest.approx(2 / 3)
    assert found["solved"].m == 4
    assert set(found) == {"pass@1", "pass@2", "pass@4", "solved"}


def test_failed_scores_shrink_their_prompt_only():
    scores = [1.0, 0.0, 1.0, 0.0, 1.0, math.nan, 0.0, 1.0, 1.0, 0.0, 0.0, 0.0]
    found = pass_metrics(scores, [0] * 4 + [1] * 4 + [2] * 4)
    assert found["pass@1"].value == pytest.approx((1 / 2 + 2 / 3 + 1 / 4) / 3)
    assert found["pass@4"].dropped == 1
    assert found["pass@1"].dropped == 0


def test_graded_scores_have_no_pass_at_k():
    with pytest.raises(BadData, match="0 and 1"):
        pass_metrics([0.5, 1.0], [0, 0])


def test_retention_by_hand():
    base = [int(c) for c in "1111 1000 0000 0000 1110".replace(" ", "")]
    now = [int(c) for c in "1011 0000 0100 0000 0010".replace(" ", "")]
    prompts = np.repeat(np.arange(5), 4).tolist()
    found = retention(base, prompts, now, prompts)
    assert found["retained_pass@1"].value == pytest.approx((3 / 4 + 1 / 4) / 2)
    assert found["kept"].value == pytest.approx(2 / 3)
    assert found["newly_solved"].value == pytest.approx(1 / 2)
    assert found["kept"].m == 4
    with pytest.raises(BadData, match="both times"):
        retention(base, prompts, now, [p + 10 for p in prompts])


def test_wording_diversity_by_hand():
    texts = ["a b c", "a b d", "a b c", "x y", "x y", "x z"]
    prompts = [0, 0, 0, 1, 1, 1]
    found = wording_diversity(texts, prompts)
    each = [edit_diversity(t, tokenizer=str.split).value for t in (texts[:3], texts[3:])]
    assert found.value == pytest.approx(np.mean(each))
    unique = wording_diversity(texts, prompts, unique=True)
    assert unique.value == pytest.approx((1 / 3 + 1 / 2) / 2)
    assert unique.kind != found.kind
