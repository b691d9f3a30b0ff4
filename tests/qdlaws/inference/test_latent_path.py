"""The latent path against a dense Gaussian process, a smoothing spline, and a Kalman smoother."""

from __future__ import annotations

import numpy as np
import pytest

from qdlaws.inference import latent_path as module
from qdlaws.inference.latent_path import latent_path
from tests.helpers.simulated import collapse


def prior_covariance(t, level, trend):
    """Covariance of an integrated Wiener process (trend) plus a Wiener process (level) from 0."""
    s = np.minimum(t[:, None], t[None, :])
    r = np.maximum(t[:, None], t[None, :])
    return trend * (s**2 * r / 2 - s**3 / 6) + level * s


def dense_path(t, x, noise2, level, trend):
    """Posterior mean and covariance given a diffuse line, the prior above and the noise."""
    k, v = prior_covariance(t, level, trend), np.diag(noise2)
    y = np.linalg.inv(k + v)
    line = np.column_stack([np.ones_like(t), t])
    beta = np.linalg.solve(line.T @ y @ line, line.T @ y @ x)
    p = y - y @ line @ np.linalg.solve(line.T @ y @ line, line.T @ y)
    mean = line @ beta + k @ y @ (x - line @ beta)
    return mean, v - v @ p @ v


def fixed(monkeypatch, level, trend):
    """The module with its grid of variances (per noise variance) reduced to one point."""
    monkeypatch.setattr(
        module, "variance_grid", lambda *args, **kwargs: np.array([[level], [trend]])
    )


@pytest.fixture
def readings():
    rng = np.random.default_rng(3)
    t = np.concatenate([[0.0], np.cumsum(rng.uniform(0.5, 1.5, 29))])
    t /= np.median(np.diff(t))
    return t, np.sin(t / 4) + 0.1 * rng.standard_normal(30), rng.uniform(0.05, 0.2, 30)


@pytest.mark.parametrize("level", [0.0, 0.3, 5.0])
@pytest.mark.parametrize("trend", [1e-4, 0.1, 10.0])
def test_path_with_known_errors_is_the_dense_posterior_mean(monkeypatch, readings, level, trend):
    t, x, se = readings
    fixed(monkeypatch, level, trend)
    size = np.ptp(x)
    want, covariance = dense_path(t, x, se**2, level * size**2, trend * size**2)
    got = latent_path(t, x, se=se)
    np.testing.assert_allclose(got.mean, want, atol=1e-8)
    np.testing.assert_allclose(got.noise, se, rtol=1e-12)
    # the factor is that of the posterior covariance projected on smooth directions
    z = 2 * (t - t[0]) / (t[-1] - t[0]) - 1
    basis, _ = np.linalg.qr(np.polynomial.legendre.legvander(z, min(12, len(t) // 3) - 1))
    projected = basis @ basis.T @ covariance @ basis @ basis.T
    np.testing.assert_allclose(got.cov_factor @ got.cov_factor.T, projected, atol=1e-8)


def test_unknown_noise_is_the_generalised_residual_variance(monkeypatch, readings):
    """With the variances per noise variance τ² fixed."""
    t, x, _ = readings
    fixed(monkeypatch, 0.2, 0.05)
    got = latent_path(t, x)
    want, _ = dense_path(t, x, np.ones(30), 0.2, 0.05)
    np.testing.assert_allclose(got.mean, want, atol=1e-8)
    sigma = prior_covariance(t, 0.2, 0.05) + np.eye(30)
    y = np.linalg.inv(sigma)
    line = np.column_stack([np.ones_like(t), t])
    p = y - y @ line @ np.linalg.solve(line.T @ y @ line, line.T @ y)
    np.testing.assert_allclose(got.noise**2, x @ p @ x / 28, rtol=1e-8)


def test_without_the_wiener_part_it_is_the_smoothing_spline(monkeypatch, readings):
    from scipy.interpolate import make_smoothing_spline

    t, x, _ = readings
    trend = 0.02
    fixed(monkeypatch, 0.0, trend)
    spline = make_smoothing_spline(t, x, lam=1 / trend)
    np.testing.assert_allclose(latent_path(t, x).mean, spline(t), atol=1e-8)


def test_likelihood_is_that_of_the_kalman_filter_of_statsmodels(readings):
    """Differences of log-likelihoods over variances, against a local linear trend model."""
    from statsmodels.tsa.statespace.structural import UnobservedComponents

    _, x, _ = readings
    t = np.arange(30.0)
    level_band, trend_band, white_band = module.difference_bands(np.diff(t), np.ones(30))
    pairs = [(0.2, 0.05), (0.0, 0.05), (2.0, 0.01)]

    def ours(level, trend):
        d = np.diff(x, 2)
        v = level * dense(level_band) + trend * dense(trend_band) + dense(white_band)
        return -0.5 * (d @ np.linalg.solve(v, d) + np.linalg.slogdet(v)[1])

    def theirs(level, trend):
        # Q of (level, slope) noise of an integrated Wiener process over a unit step
        model = UnobservedComponents(x, "lltrend")
        model.ssm["state_cov"] = np.eye(2)
        model.ssm["selection"] = np.linalg.cholesky(
            np.array([[level + trend / 3, trend / 2], [trend / 2, trend]])
        )
        model.ssm["obs_cov"] = np.array([[1.0]])
        model.ssm.initialize_diffuse()
        return model.ssm.loglike()

    ours_loglik, theirs_loglik = (np.array([f(*pair) for pair in pairs]) for f in (ours, theirs))
    np.testing.assert_allclose(np.diff(ours_loglik), np.diff(theirs_loglik), atol=1e-6)


def dense(band):
    m = band.shape[1]
    out = np.zeros((m, m))
    for k in range(3):
        i = np.arange(m - k)
        out[i + k, i] = out[i, i + k] = band[k, : m - k]
    return out


@pytest.mark.parametrize("noise_known", [True, False])
def test_path_of_a_noisy_collapse_is_nearer_the_truth_than_the_readings(noise_known):
    """At noise of 5 % of the range, and its standard deviation is about right."""
    ratios, scores, sizes = [], [], []
    for seed in range(20):
        rng = np.random.default_rng(seed)
        d = collapse(100)
        noise = 0.05 * np.ptp(d)
        x = d + noise * rng.standard_normal(100)
        got = latent_path(np.arange(100.0), x, se=np.full(100, noise) if noise_known else None)
        ratios.append(np.std(got.mean - d) / noise)
        spread = np.sqrt((got.cov_factor**2).sum(1))
        scores.append(np.mean(np.abs(got.mean - d) < 1.96 * spread))
        sizes.append(got.noise[0] / noise)
    assert np.median(ratios) < 0.5
    assert np.mean(scores) > 0.8
    assert np.median(sizes) == pytest.approx(1.0, abs=0.1)


def test_lines_and_exact_readings_are_their_own_path():
    t = np.arange(30.0)
    straight = latent_path(t, 3 - 0.1 * t)
    np.testing.assert_array_equal(straight.mean, 3 - 0.1 * t)
    assert np.all(straight.noise == 0)
    smooth = collapse(100)
    assert np.abs(latent_path(np.arange(100.0), smooth).mean - smooth).max() < 1e-5


@pytest.mark.parametrize("shift", [0.0, 1e3, 1e6])
def test_a_line_far_from_the_origin_is_still_a_line(shift):
    t = np.arange(30.0)
    got = latent_path(t, shift + 3 - 0.1 * t)
    np.testing.assert_allclose(got.mean, shift + 3 - 0.1 * t, rtol=1e-12)
    assert np.all(got.noise < 1e-8)


def test_regimes_have_separate_independent_paths():
    rng = np.random.default_rng(0)
    t = np.arange(60.0)
    x = np.where(t < 30, 1.0, 5.0) + 0.1 * np.sin(t) + 0.05 * rng.standard_normal(60)
    regime = (t >= 30).astype(int)
    both = latent_path(t, x, regime=regime)
    for r in (0, 1):
        alone = latent_path(t[regime == r], x[regime == r])
        np.testing.assert_allclose(both.mean[regime == r], alone.mean, rtol=1e-12)
        np.testing.assert_allclose(both.noise[regime == r], alone.noise, rtol=1e-12)
    cross = (both.cov_factor @ both.cov_factor.T)[:30, 30:]
    assert np.all(cross == 0)


def test_rows_without_a_reading_have_no_path():
    rows = np.array([True, False, True, True, True, True, True])
    spread = latent_path(np.arange(6.0), np.array([1.0, 0.8, 0.9, 0.5, 0.6, 0.2])).spread(rows)
    assert np.isnan(spread.mean[1])
    assert np.isnan(spread.noise[1])
    assert len(spread.take(rows).mean) == 6
