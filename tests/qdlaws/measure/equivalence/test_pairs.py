"""Labelled pairs: whole groups are held out, thresholds and calibration are exact."""

import numpy as np
import pytest

from qdlaws.measure.equivalence.pairs import (
    Vocabulary,
    best_threshold,
    calibration_error,
    platt,
    split_groups,
)


def test_held_out_groups_are_whole():
    pairs = [(f"a{i // 3}", f"b{i}") for i in range(60)]  # three pairs share a text
    train, tune, test, how = split_groups(pairs, np.zeros(60), None, 0.3, seed=0)
    assert how == "text"
    assert sorted([*train, *tune, *test]) == list(range(60))
    owners = [{i // 3 for i in rows} for rows in (train, tune, test)]
    assert not owners[0] & owners[1]
    assert not (owners[0] | owners[1]) & owners[2]
    assert split_groups(pairs, np.zeros(60), ["p", "q", "r", "s"] * 15, 0.5, seed=0)[3] == "group"
    tied = [("x", f"b{i}") for i in range(30)]
    assert split_groups(tied, np.zeros(30), None, 0.3, seed=0)[3] == "pair"


def test_threshold_scale_and_calibration_error_by_hand():
    p, y = np.array([0.1, 0.2, 0.6, 0.7, 0.9]), np.array([0.0, 0, 0, 1, 1])
    cut = best_threshold(p, y)
    assert 0.6 < cut < 0.7
    assert calibration_error(np.array([0.25] * 4), np.array([0.0, 0, 0, 1])) == pytest.approx(0)
    assert calibration_error(np.array([0.95] * 4), np.array([0.0, 0, 0, 1])) == pytest.approx(0.7)
    rng = np.random.default_rng(0)
    z = rng.normal(0, 3, 20_000)
    labels = (rng.random(20_000) < 1 / (1 + np.exp(-(0.5 * z + 1)))).astype(float)
    assert platt(z, labels) == pytest.approx((0.5, 1.0), abs=0.06)  # 3 standard errors


def test_unseen_words_are_spelt():
    vocabulary = Vocabulary.of(["a cat", "a dog"])
    seen = vocabulary.encode(["a cat"], 8)
    spelt = vocabulary.encode(["a god"], 8)  # letters of dog, another order
    assert seen.shape[1] == 2
    assert spelt.shape[1] == 4
    assert 1 not in spelt
    assert vocabulary.encode(["", "xyz"], 8).tolist() == [[1, 0, 0], [1, 1, 1]]
    assert len(Vocabulary.of(["CCO", "cc"], characters=True).encode(["Cc"], 8)[0]) == 2
