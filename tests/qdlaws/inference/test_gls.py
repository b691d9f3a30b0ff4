"""Generalised least squares at many curvatures and error models, against dense algebra."""

from __future__ import annotations

import numpy as np
import pytest

from qdlaws.inference.gls import curvature_norm, design, gls_fits
from tests.helpers.dense import Model, covariance
from tests.helpers.simulated import ar1, collapse, law


@pytest.fixture
def regression():
    rng = np.random.default_rng(5)
    step = np.cumsum(rng.uniform(0.5, 2, 40))
    u = rng.uniform(-0.1, 1.1, 40)
    return step, u, 1 - u**2 + 0.1 * rng.standard_normal(40), rng.uniform(0.5, 2, 40)


def dense_gls(X, y, sigma):
    inverse = np.linalg.inv(sigma)
    gram = X.T @ inverse @ X
    beta = np.linalg.solve(gram, X.T @ inverse @ y)
    r = y - X @ beta
    return beta, r @ inverse @ r, np.linalg.inv(gram), gram


def exact_shape(kappa, u):
    return u if kappa == 0 else np.expm1(kappa * u) / np.expm1(kappa)


@pytest.mark.parametrize("kappa", [-10.0, -1.0, 0.0, 0.3, 5.0])
@pytest.mark.parametrize(("memory", "white"), [(1.0, 0.0), (5.0, 0.4), (30.0, 0.9)])
def test_fits_are_dense_generalised_least_squares(regression, kappa, memory, white):
    step, u, y, weight = regression
    d = design(u, y, np.array([kappa]))
    got = gls_fits(d, step, np.array([memory]), np.array([white]), weight)
    X = np.column_stack([np.ones(40), exact_shape(kappa, u)])
    beta, rss, cov, gram = dense_gls(X, y, covariance(step, memory, white, weight))
    np.testing.assert_allclose([got.p[0, 0], got.q[0, 0]], beta, rtol=1e-6)
    assert got.rss[0, 0] == pytest.approx(rss, rel=1e-6)
    variances = [v[0, 0] for v in (got.pp, got.pq, got.qq)]
    np.testing.assert_allclose(variances, [cov[0, 0], cov[0, 1], cov[1, 1]], rtol=1e-6)
    assert got.det[0, 0] == pytest.approx(np.linalg.det(gram), rel=1e-6)


def test_free_covariates_are_further_regressors(regression):
    step, u, y, weight = regression
    extra = np.random.default_rng(0).standard_normal((40, 2))
    d = design(u, y, np.array([2.0]), 1e-9, extra, np.zeros(2))
    got = gls_fits(d, step, np.array([5.0]), np.array([0.4]), weight)
    X = np.column_stack([np.ones(40), exact_shape(2.0, u), extra])
    beta, rss, cov, _ = dense_gls(X, y, covariance(step, 5.0, 0.4, weight))
    np.testing.assert_allclose([got.p[0, 0], got.q[0, 0]], beta[:2], rtol=1e-6)
    assert got.rss[0, 0] == pytest.approx(rss, rel=1e-6)
    variances = [v[0, 0] for v in (got.pp, got.pq, got.qq)]
    np.testing.assert_allclose(variances, [cov[0, 0], cov[0, 1], cov[1, 1]], rtol=1e-6)


def test_errors_of_the_path_add_their_covariance(regression):
    """A column of prior precision 1 adds N·Nᵀ/σ² to Σ, σ² = S/(n − 2) at the fit itself."""
    step, u, y, _ = regression
    factor = 0.3 * np.random.default_rng(0).standard_normal((40, 3))
    d = design(u, y, np.array([2.0]), 1e-9, factor, np.ones(3))
    got = gls_fits(d, step, np.array([5.0]), np.array([0.4]))
    X = np.column_stack([np.ones(40), exact_shape(2.0, u)])
    sigma = covariance(step, 5.0, 0.4, np.ones(40))
    total, base = sigma, np.linalg.slogdet(sigma)[1]
    for _ in range(20):  # the scale is where it no longer moves
        beta, rss, cov, _ = dense_gls(X, y, total)
        before = total
        total = sigma + factor @ factor.T / (rss / 38)
    assert np.abs(total - before).max() < 1e-9 * np.abs(total).max()
    # σ² is right to a ten-thousandth: the move after the last is below a tenth of SCALE_TOLERANCE
    np.testing.assert_allclose([got.p[0, 0], got.q[0, 0]], beta, rtol=1e-4)
    assert got.rss[0, 0] == pytest.approx(rss, rel=1e-3)
    variances = [v[0, 0] for v in (got.pp, got.pq, got.qq)]
    np.testing.assert_allclose(variances, [cov[0, 0], cov[0, 1], cov[1, 1]], rtol=1e-3)
    assert got.logdet[0] == pytest.approx(np.linalg.slogdet(total)[1], abs=1e-3)
    assert got.logdet[0] > base


def test_prior_of_the_curvature_is_the_projected_derivative():
    rng = np.random.default_rng(0)
    x = collapse(25)
    y = law(2.0).value(x) + 0.05 * ar1(rng, 25, 0.0)
    model = Model(np.arange(25.0), x, y)
    kappa = np.array([-11.0, -2.0, -0.1, 0.1, 3.0, 11.0])
    norm = curvature_norm(design(model.u, y, kappa))
    np.testing.assert_allclose(norm, [model.j(k) for k in kappa], rtol=1e-4)
