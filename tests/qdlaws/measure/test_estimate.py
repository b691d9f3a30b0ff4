"""Estimate: intervals against scipy and statsmodels, and like compared with like only."""

import json
import math

import numpy as np
import pytest

from qdlaws.errors import QdlawsError
from qdlaws.measure.estimate import Estimate
from qdlaws.measure.standard_errors import clustered_mean, pairwise_mean, rarefied


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


def test_clustered_error_equals_statsmodels():
    sm = pytest.importorskip("statsmodels.api")
    rng = np.random.default_rng(1)
    prompts = rng.integers(0, 12, 150)
    y = rng.normal(size=150) + rng.normal(size=12)[prompts]
    ours = clustered_mean(y, clusters=prompts, kind="mean")
    theirs = sm.OLS(y, np.ones(150)).fit(cov_type="cluster", cov_kwds={"groups": prompts})
    assert ours.value == pytest.approx(theirs.params[0], rel=1e-12)
    assert ours.se == pytest.approx(theirs.bse[0], rel=1e-10)
    assert ours.n == 12


@pytest.mark.parametrize("seed", [2, 3, 5])
def test_pairwise_mean_variance_is_the_unbiased_one_by_enumeration(seed):
    rng = np.random.default_rng(seed)
    d = np.abs(rng.normal(size=7)[:, None] - rng.normal(size=7)[None])
    d = d + d.T
    np.fill_diagonal(d, 0)
    ours = pairwise_mean(d.sum(1), float((d**2).sum()), kind="pairs")
    n = range(7)
    apart = [
        d[i, j] * d[k, l] for i in n for j in n for k in n for l in n if len({i, j, k, l}) == 4
    ]
    value = d[np.triu_indices(7, 1)].mean()
    assert ours.value == pytest.approx(value, rel=1e-12)
    left_out = [np.delete(np.delete(d, i, 0), i, 1)[np.triu_indices(6, 1)].mean() for i in n]
    jackknife = 6 / 7 * np.sum((np.array(left_out) - value) ** 2)
    expected = max(value**2 - np.mean(apart), jackknife / 2)
    assert ours.se == pytest.approx(math.sqrt(expected), rel=1e-9)


def test_pairwise_mean_of_few_samples_has_no_error_and_says_why():
    two = pairwise_mean(np.array([0.5, 0.5]), 0.5, kind="pairs")
    assert two.value == 0.5
    assert math.isnan(two.se)
    assert "four" in two.reason
    assert math.isnan(pairwise_mean(np.array([0.0]), 0.0, kind="pairs").value)


def test_rarefied_of_a_mean_has_the_error_of_a_mean():
    """For a linear statistic the expected value does not move with m and se is s/√n."""
    x = np.random.default_rng(3).normal(size=80)
    ours = rarefied(lambda rows: float(x[rows].mean()), 80, 40, kind="mean", repeats=4000)
    assert ours.value == pytest.approx(x.mean(), abs=1e-9)  # complementary halves
    assert ours.se == pytest.approx(x.std(ddof=1) / math.sqrt(80), rel=0.06)  # 4,000 subsets


def test_rarefied_at_full_size_is_the_statistic_and_has_no_error():
    x = np.arange(10.0)
    full = rarefied(lambda rows: float(x[rows].max()), 10, None, kind="max")
    assert full.value == 9
    assert full.m == 10
    assert math.isnan(full.se)
    assert "m ≤ 5" in full.reason


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


def test_to_dict_is_json_with_none_for_unknown():
    unknown = Estimate(float("nan"), float("nan"), 0, "vendi", reason="no samples")
    data = json.loads(json.dumps(unknown.to_dict(), allow_nan=False))
    assert data["value"] is None
    assert data["se"] is None
    assert data["df"] is None
    assert data["reason"] == "no samples"
