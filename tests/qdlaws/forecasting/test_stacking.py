"""Stacking: mixtures, rolling origins, and weights on hand-made numbers."""

import numpy as np

from qdlaws.forecasting.stacking import (
    mixture_cdf,
    mixture_quantiles,
    rolling_origins,
    stacking_weights,
    tail_mean,
)


def test_mixture_quantiles_invert_the_mixture_cdf():
    rng = np.random.default_rng(0)
    mean, variance = rng.normal(size=(4, 6)), rng.uniform(0.1, 3, (4, 6))
    weight = rng.dirichlet(np.ones(6))
    p = np.array([0.03, 0.5, 0.9])
    q = mixture_quantiles(mean, variance, weight, p)
    for i in range(3):
        np.testing.assert_allclose(mixture_cdf(mean, variance, weight, q[:, i]), p[i], atol=1e-8)


def test_mixture_of_one_normal_has_the_quantiles_of_that_normal():
    q = mixture_quantiles(
        np.array([[2.0]]), np.array([[9.0]]), np.ones(1), np.array([0.1, 0.5, 0.9])
    )
    np.testing.assert_allclose(q[0], [2 - 3 * 1.2815516, 2, 2 + 3 * 1.2815516], atol=1e-6)


def test_rolling_origins_use_rows_before_their_target_only():
    s, y = np.arange(1.0, 101), np.arange(100.0)
    origins = rolling_origins(s, y)
    assert origins.exists[:, 0].all()
    assert (s[origins.row[origins.exists]] < origins.s[origins.exists]).all()
    mean_s, mean_y, count = tail_mean(s, y, 100.0)
    assert (mean_s, mean_y, count) == (95.5, 94.5, 10)


def test_stacking_weights_follow_the_rolling_scores():
    logs = np.zeros((1, 2, 2))
    logs[0, :, 1] = np.log(0.5)  # the second was half as likely, twice
    weight = stacking_weights(np.log([0.5, 0.5]), logs, np.array([1.0]), recency=0.5)
    np.testing.assert_allclose(weight[1] / weight[0], 0.5**1.5)
