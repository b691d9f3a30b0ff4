"""Estimates: intervals against scipy, and like compared with like only."""

import json
import math

import numpy as np
import pytest

from qdlaws.errors import QdlawsError
from qdlaws.measure.estimate import Estimate
from qdlaws.measure.standard_errors import clustered_mean


def test_interval_is_students_t():
    from scipy import stats

    x = np.random.default_rng(0).normal(3, 2, 17)
    low, high = clustered_mean(x, kind="mean").interval(0.9)
    expected = stats.t.interval(0.9, 16, x.mean(), stats.sem(x))
    assert (low, high) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize(("hits", "n", "method"), [(40, 100, "wilson"), (2, 60, "exact")])
def test_share_interval_is_wilson_inside_and_clopper_pearson_at_the_edge(hits, n, method):
    from scipy import stats

    p = hits / n
    share = Estimate(p, math.sqrt(p * (1 - p) / n), n, "share", share=True)
    expected = stats.binomtest(hits, n).proportion_ci(0.95, method=method)
    assert share.interval() == pytest.approx((expected.low, expected.high), rel=1e-9)


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_share_of_nothing_or_all_is_not_certain(value):
    from scipy import stats

    n = 30
    low, high = Estimate(value, 0.0, n, "share", share=True, df=n - 1).interval()
    expected = stats.binomtest(int(value * n), n).proportion_ci(0.95, method="exact")
    assert (low, high) == pytest.approx((expected.low, expected.high), rel=1e-9)


def test_estimates_compare_only_like_with_like():
    a = Estimate(0.5, 0.1, 50, "unique_share", m=100)
    assert a > Estimate(0.4, 0.1, 50, "unique_share", m=100)
    with pytest.raises(QdlawsError, match="m=100 and at m=50"):
        _ = a < Estimate(0.4, 0.1, 50, "unique_share", m=50)
    with pytest.raises(QdlawsError, match="different measures"):
        _ = a - Estimate(0.4, 0.1, 50, "vendi", m=100)
    with pytest.raises(QdlawsError, match="temperature"):
        _ = Estimate(1, 0.1, 5, "token_entropy", temperature=1.0) >= Estimate(
            1, 0.1, 5, "token_entropy", temperature=0.7
        )
    with pytest.raises(QdlawsError, match="not int"):
        _ = a < 1


def test_difference_adds_variances_and_uses_welch():
    from scipy import stats

    rng = np.random.default_rng(4)
    x, y = rng.normal(size=9), rng.normal(1, 3, size=14)
    d = clustered_mean(x, kind="mean") - clustered_mean(y, kind="mean")
    expected = stats.ttest_ind(x, y, equal_var=False).confidence_interval(0.95)
    assert d.interval() == pytest.approx((expected.low, expected.high), rel=1e-10)


def test_unknown_numbers_are_null_in_json():
    unknown = Estimate(float("nan"), float("nan"), 0, "vendi", reason="no samples")
    data = json.loads(json.dumps(unknown.to_dict(), allow_nan=False))
    assert data["value"] is None
    assert data["se"] is None
    assert data["df"] is None
    assert data["reason"] == "no samples"
