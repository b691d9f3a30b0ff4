"""Yield, oracle burden and the area under the top-k curve, by hand."""

import math

import numpy as np
import pytest

from qdlaws.errors import BadData
from trainer.tasks.scoring.sample_efficiency import calls_until, top_auc, yield_count

SCORES = [0.1, 0.9, math.nan, 0.8, 0.85, 0.2]


def test_yield_and_oracle_burden_by_hand():
    assert yield_count(SCORES, 0.8) == 3
    assert [calls_until(SCORES, 0.8, n) for n in (1, 2, 3)] == [2, 4, 5]
    assert calls_until(SCORES, 0.8, 4) is None


def test_top_auc_by_hand():
    # top-2 at call 2: (.4 + .2)/2 = .3; at call 4: (.8 + .6)/2 = .7; then kept up to call 8
    scores = [0.2, 0.4, 0.6, 0.8]
    expected = (2 * (0 + 0.3) / 2 + 2 * (0.3 + 0.7) / 2 + 4 * 0.7) / 8
    assert top_auc(scores, 8, k=2, every=2) == pytest.approx(expected, rel=1e-14)
    # a look at every third call: at 3 (.6 + .4)/2 = .5, at the last .7
    expected = (3 * (0 + 0.5) / 2 + 1 * (0.5 + 0.7) / 2 + 4 * 0.7) / 8
    assert top_auc(scores, 8, k=2, every=3) == pytest.approx(expected, rel=1e-14)


def test_a_budget_used_up_at_a_constant_score():
    # rises along one trapezium to the first look at 100 calls, then stays: 1 − 50/1000
    assert top_auc([1.0] * 1000, 1000) == pytest.approx(0.95, rel=1e-14)
    assert top_auc([1.0] * 5000, 1000) == pytest.approx(0.95, rel=1e-14)


def test_top_auc_agrees_with_its_definition():
    rng = np.random.default_rng(0)
    scores = rng.uniform(size=730).tolist()
    budget, k, every = 1000, 10, 100
    looks = [*range(every, len(scores), every), len(scores)]
    best = [float(np.mean(sorted(scores[:n])[-k:])) for n in looks]
    x, y = [0, *looks, budget], [0.0, *best, best[-1]]
    area = np.trapezoid(y, x) / budget
    assert top_auc(scores, budget, k, every) == pytest.approx(area, rel=1e-12)


def test_failures_are_calls_without_a_score():
    assert math.isnan(top_auc([math.nan, math.nan], 10))
    assert math.isnan(top_auc([], 10))
    # two failed calls, then .5: one trapezium over three calls, then seven at .5
    assert top_auc([math.nan, math.nan, 0.5], 10) == pytest.approx((3 * 0.25 + 7 * 0.5) / 10)


def test_bad_numbers_are_refused():
    with pytest.raises(BadData):
        top_auc([0.5], 0)
    with pytest.raises(BadData):
        calls_until([0.5], 0.1, 0)
