"""The compiled loops against dense linear algebra."""

from __future__ import annotations

import logging

import numpy as np
import pytest

from qdlaws.inference import kernel
from qdlaws.inference.kernel import fit_pairs, integrate_nuisance, whiten
from tests.helpers.dense import covariance, slow_part

MEMORY = np.array([0.7, 5.0, 5.0, 400.0, 0.0])
WHITE = np.array([0.0, 0.4, 0.9, 0.05, 1.0])


@pytest.fixture
def regression():
    rng = np.random.default_rng(5)
    step = np.cumsum(rng.uniform(0.5, 2, 40))
    base = np.column_stack([rng.standard_normal((40, 3)), np.ones(40), rng.standard_normal(40)])
    shapes = np.cumsum(rng.standard_normal((40, 6)), axis=0)
    share = rng.uniform(0.5, 1.5, 40)
    return step, rng.uniform(0.5, 2, 40), base, shapes, share / share.sum()


def test_whitened_products_are_those_of_dense_algebra(regression):
    step, weight, base, shapes, share = regression
    logdet, products, squares, variance = whiten(*regression, MEMORY, WHITE)
    for m, (memory, white) in enumerate(zip(MEMORY, WHITE, strict=True)):
        sigma, slow = covariance(step, memory, white, weight), slow_part(step, memory, white)
        columns = np.column_stack([base, slow @ share])
        inverse = np.linalg.inv(sigma)
        assert logdet[m] == pytest.approx(np.linalg.slogdet(sigma)[1], abs=1e-9)
        np.testing.assert_allclose(products[m, :, :6], columns.T @ inverse @ columns, atol=1e-8)
        np.testing.assert_allclose(products[m, :, 6:], columns.T @ inverse @ shapes, atol=1e-7)
        np.testing.assert_allclose(squares[m], np.diag(shapes.T @ inverse @ shapes), rtol=1e-8)
        assert variance[m] == pytest.approx(share @ slow @ share, abs=1e-12)


def test_errors_of_the_path_add_their_covariance(regression):
    """Σ + N·Nᵀ/σ², with σ² = S/(n − 2) at the best shape itself."""
    step, weight, base, shapes, share = regression
    logdet, products, squares, _ = whiten(*regression, MEMORY, WHITE)
    integrate_nuisance(logdet, products, squares, 3, 38.0, 1, 1e-7)
    for m in range(len(MEMORY)):
        sigma = covariance(step, MEMORY[m], WHITE[m], weight)
        y, total = base[:, 4], sigma
        for _ in range(60):  # the scale is where it no longer moves
            rss = []
            for shape in shapes.T:
                design = np.column_stack([np.ones(40), shape])
                weighted = np.linalg.solve(total, design)
                r = y - design @ np.linalg.solve(design.T @ weighted, weighted.T @ y)
                rss.append(r @ np.linalg.solve(total, r))
            total = sigma + base[:, :3] @ base[:, :3].T / (min(rss) / 38)
        inverse = np.linalg.inv(total)
        columns = np.column_stack([base[:, 3:], slow_part(step, MEMORY[m], WHITE[m]) @ share])
        np.testing.assert_allclose(
            products[m, 3:, 3:6], columns.T @ inverse @ columns, rtol=1e-4, atol=1e-8
        )
        np.testing.assert_allclose(products[m, 3:, 6:], columns.T @ inverse @ shapes, atol=1e-3)
        assert logdet[m] == pytest.approx(np.linalg.slogdet(total)[1], abs=1e-3)


def test_pairs_of_columns_have_the_coefficients_of_generalised_least_squares(regression):
    step, weight, base, shapes, _ = regression
    logdet, products, squares, _ = whiten(*regression, MEMORY, WHITE)
    alone, pairs = fit_pairs(logdet, products, squares, len(step))
    for m in range(len(MEMORY)):
        root = np.linalg.inv(np.linalg.cholesky(covariance(step, MEMORY[m], WHITE[m], weight)))
        y, constant = root @ base[:, 4], root @ base[:, 3:4]
        for k in range(shapes.shape[1]):
            column = root @ shapes[:, k : k + 1]
            rss = np.linalg.lstsq(np.hstack([constant, column]), y)[1]
            assert alone[m, k] == pytest.approx(rss[0], rel=1e-6)
            for a in range(3):
                design = np.hstack([root @ base[:, a : a + 1], column, constant])
                coefficients, rss, *_ = np.linalg.lstsq(design, y)
                cov = np.linalg.inv(design.T @ design)
                want = [*coefficients[:2], cov[0, 0], cov[1, 1], cov[0, 1], rss[0]]
                np.testing.assert_allclose(pairs[:6, m, a, k], want, rtol=1e-5, atol=1e-7)


def test_first_compilation_is_announced_once(monkeypatch, tmp_path, caplog):
    class Cache:
        cache_path = str(tmp_path)

    class Fresh:
        _cache = Cache()

    monkeypatch.setattr(kernel, "whiten", Fresh())
    kernel.announce.cache_clear()
    with caplog.at_level(logging.WARNING, logger="qdlaws"):
        kernel.announce()
        kernel.announce()
    assert [r.message for r in caplog.records] == [
        "qdlaws compiles its inner loops, once: about ten seconds"
    ]
    kernel.announce.cache_clear()
    caplog.clear()
    (tmp_path / "kernel.whiten-1.py311.nbi").touch()
    kernel.announce()
    assert not caplog.records
    kernel.announce.cache_clear()
