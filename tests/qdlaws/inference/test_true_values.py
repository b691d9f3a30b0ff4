"""The true values behind noisy readings, against dense Gaussian algebra and by coverage."""

import numpy as np
import pytest

from qdlaws.inference.true_values import (
    Setting,
    joint_draws,
    log_evidence,
    setting_posterior,
    true_values,
)

rng = np.random.default_rng(0)
N = 20
H = rng.uniform(0.5, 2, N - 1)
T = np.append(0.0, np.cumsum(H))
Z, M, S2 = rng.normal(size=N), rng.normal(size=N), rng.uniform(0.5, 1.5, N)
SETTINGS = [
    Setting(0.1, 0.3, 0.2, 0.3, 1.0, 1.0),
    Setting(0.0, 0.05, 0.5, 0.0, 0.5, 1.0),
    Setting(0.2, 2.0, 0.1, 1.0, 1.0, 1.0),
]


def dense(setting: Setting) -> np.ndarray:
    """Covariance of the path: the integral of a stationary OU slope, plus a Wiener process."""
    a, b = np.minimum.outer(T, T), np.maximum.outer(T, T)
    k = setting.rate
    wave = 2 * k * a - 1 + np.exp(-k * a) + np.exp(-k * b) - np.exp(-k * (b - a))
    return setting.slope**2 / k**2 * wave + setting.rough * a


@pytest.mark.parametrize("setting", SETTINGS)
def test_evidence_and_path_are_those_of_dense_algebra(setting):
    noise = S2 * setting.noise + setting.deviation
    evidence = log_evidence(H, Z, M, S2, [setting])[0]
    one = np.ones(N)
    for column in (0, 1):
        V = dense(setting) + np.diag(noise) + column * np.outer(M, M)
        Vi = np.linalg.inv(V)
        P = Vi - Vi @ np.outer(one, one) @ Vi / (one @ Vi @ one)
        expected = -0.5 * (np.linalg.slogdet(V)[1] + np.log(one @ Vi @ one) + Z @ P @ Z)
        assert evidence[column] == pytest.approx(expected, abs=1e-9)
    V = dense(setting) + np.diag(noise)
    mu = one @ np.linalg.solve(V, Z) / (one @ np.linalg.solve(V, one))
    path = mu + dense(setting) @ np.linalg.solve(V, Z - mu)
    node = setting_posterior(H, Z, M, S2 * setting.noise, setting)
    np.testing.assert_allclose(node.state[::2, 0], path, atol=1e-9)


def test_draws_have_the_dense_mean_and_covariance():
    """One setting, with deviations of checkpoints; 5 standard errors of 1,024 draws."""
    setting = SETTINGS[0]
    node = setting_posterior(H, Z, None, S2, setting)
    draws, _ = joint_draws([node], np.ones((1, 1)), Z, None, seed=1)
    signal = dense(setting) + setting.deviation * np.eye(N) + 1e6  # the diffuse level
    gain = np.linalg.solve(signal + np.diag(S2), signal).T
    mean, cov = gain @ Z, signal - gain @ signal
    np.testing.assert_allclose(draws.mean(0), mean, atol=5 * np.sqrt(np.diag(cov).max() / 1024))
    np.testing.assert_allclose(
        np.cov(draws.T), cov, atol=5 * np.diag(cov).max() * (2 / 1024) ** 0.5
    )


@pytest.mark.parametrize("noise_known", [True, False])
def test_intervals_cover_and_means_are_nearer_the_truth_than_readings(noise_known):
    covered, error, raw = [], [], []
    for seed in range(40):
        g = np.random.default_rng(seed)
        u = np.linspace(0, 1, 30)
        true = 1 - np.exp(-g.uniform(1, 6) * u)
        y = true + 0.1 * g.normal(size=30)
        t = true_values(10 * u, y, np.full(30, 0.1) if noise_known else None)
        low, high = np.quantile(t.draws, [0.05, 0.95], axis=0)
        covered.append(((low <= true) & (true <= high)).mean())
        error.append(np.mean((t.mean - true) ** 2))
        raw.append(0.01)
        assert t.known_noise is noise_known
    assert 0.82 < np.mean(covered) < 0.97  # neighbours agree, so 40 runs weigh as some 120 points
    assert np.mean(error) < 0.35 * np.mean(raw)


def test_evidence_favours_a_column_that_explains():
    g = np.random.default_rng(2)
    walk = np.cumsum(g.normal(size=40))
    y = 0.3 * walk + 0.2 * g.normal(size=40)
    step = np.arange(40.0)
    with_column = true_values(step, y, np.full(40, 0.2), walk)
    assert with_column.p_column > 0.95
    alone = true_values(step, y, np.full(40, 0.2))
    assert np.mean((with_column.mean - 0.3 * walk) ** 2) < np.mean((alone.mean - 0.3 * walk) ** 2)
    assert true_values(step, y, np.full(40, 0.2), g.normal(size=40)).p_column < 0.5


def test_few_or_constant_readings_are_not_pooled():
    t = true_values(np.arange(3.0), np.array([1.0, 2.0, 3.0]), np.full(3, 0.5))
    np.testing.assert_array_equal(t.mean, [1, 2, 3])
    assert t.sd == pytest.approx(np.full(3, 0.5), rel=0.1)
    assert np.isnan(true_values(np.arange(3.0), np.ones(3)).noise).all()
