"""Best of n against exact sums over subsets and over a categorical reference."""

import itertools

import numpy as np
import pytest

from qdlaws.kl_frontier.best_of_n import best_of_one_prompt
from qdlaws.kl_frontier.frontier import frontier

rng = np.random.default_rng(7)
P = rng.dirichlet(np.ones(60))
R = rng.normal(size=60)


def test_best_of_n_is_the_mean_over_all_subsets():
    r = np.random.default_rng(3).integers(0, 9, 22) / 8
    f = frontier(r)
    assert f.best_of["quality"][0] == pytest.approx(r.mean())
    assert np.isnan(f.best_of["quality"][1])  # 22 samples hold 11 pairs only
    for n in (2, 3, 4):
        pairs = np.mean([max(c) for c in itertools.combinations(r, n)])
        assert best_of_one_prompt(np.sort(r), n)[0] == pytest.approx(pairs)


def test_best_of_n_quality_and_kl_against_exact_sums():
    order = np.argsort(R)
    cdf = np.cumsum(P[order])
    y = rng.choice(60, 40_000, p=P)
    f = frontier(R[y])
    for n in (1, 2, 8, 64):
        row = f.best_of.set_index("n").loc[n]
        mass = np.diff(np.r_[0, cdf] ** n)
        quality, kl = mass @ R[order], mass @ np.log(mass / P[order])
        assert abs(row["quality"] - quality) < 3.5 * row["quality_se"]
        assert row["kl"] == pytest.approx(kl, abs=0.03)
        assert row["kl_bound"] == pytest.approx(np.log(n) - (n - 1) / n)
        assert row["kl"] <= row["kl_bound"] + 1e-9


def test_kl_of_continuous_rewards_is_the_formula():
    f = frontier(np.random.default_rng(0).normal(size=5000))
    supported = f.best_of.dropna()
    np.testing.assert_allclose(supported["kl"], supported["kl_bound"], rtol=1e-9, atol=1e-12)
    assert supported["n"].max() == 128
