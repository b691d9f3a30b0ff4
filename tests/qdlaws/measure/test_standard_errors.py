"""Standard errors against statsmodels and by enumeration."""

import math

import numpy as np
import pytest

from qdlaws.measure.standard_errors import clustered_mean, pairwise_mean, rarefied


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
