"""Evenly spaced rows by transforms, against dense algebra and banded solves."""

from __future__ import annotations

import numpy as np
import pytest

from qdlaws.inference.error_model import grams
from qdlaws.inference.latent_path import banded_path, difference_bands
from qdlaws.inference.spectral import (
    CHUNK,
    even_grams,
    even_path,
    evenly_spaced,
    spectral_nodes,
)

MODELS = [(0.4, 0.0), (0.4, 0.5), (3.0, 1e-6), (20.0, 0.3), (500.0, 0.0), (500.0, 0.99), (0.0, 1.0)]
MEMORY, WHITE = np.array(MODELS).T


def columns(n: int) -> np.ndarray:
    """Smooth columns, as laws have, and rough ones, as quality has."""
    rng, t = np.random.default_rng(n), np.linspace(0, 1, n)
    rough = rng.standard_normal((2, n))
    return np.column_stack([np.ones(n), t, np.exp(-5 * t), rough[0], np.cumsum(rough[1])])


@pytest.mark.parametrize("n", [2, 3, 5, 12, 31, 60, 200, 300])
def test_gram_matrices_are_those_of_dense_algebra(n):
    """To a billionth of the lengths of the columns, whatever the memory and the white share."""
    z = columns(n)
    gram, logdet = even_grams(z, 1.0, MEMORY, WHITE)
    gap = np.abs(np.subtract.outer(np.arange(n), np.arange(n)))
    for i, (memory, white) in enumerate(MODELS):
        slow = np.exp(-gap / memory) if memory else np.eye(n)
        root = np.linalg.cholesky((1 - white) * slow + white * np.eye(n))
        whitened = np.linalg.solve(root, z)
        want, length = whitened.T @ whitened, np.sqrt((whitened**2).sum(0))
        np.testing.assert_allclose(
            gram[i] / np.outer(length, length), want / np.outer(length, length), atol=2e-9
        )
        assert logdet[i] == pytest.approx(2 * np.log(np.diag(root)).sum(), abs=1e-9 * n)


def test_long_runs_in_chunks_agree_with_banded_solves():
    n = 2 * CHUNK + 77
    z = columns(n)
    gram, logdet = even_grams(z, 1.0, MEMORY, WHITE)
    want = grams(z, np.arange(float(n)), MEMORY, WHITE, np.ones(n))
    length = np.sqrt(np.diagonal(want.gram, axis1=1, axis2=2))
    size = length[:, :, None] * length[:, None, :]
    np.testing.assert_allclose(gram / size, want.gram / size, atol=5e-9)
    np.testing.assert_allclose(logdet, want.logdet, rtol=1e-9, atol=1e-6)


def test_few_spectral_nodes_keep_white_errors_white():
    """Their weights add up to one."""
    for n, most in ((60, 25), (200, 30), (4096, 45)):
        nodes = spectral_nodes(n, 0)
        assert len(nodes.nodes) <= most
        np.testing.assert_allclose(nodes.share.sum(1), 1.0, atol=1e-8)


def test_stacked_runs_are_each_alone():
    stack = np.array([columns(40) * (i + 1) for i in range(3)])
    rng = np.random.default_rng(0)
    memory, white = rng.uniform(0.5, 50, (3, 6)), rng.uniform(0, 1, (3, 6))
    together = even_grams(stack, 2.0, memory, white)
    for i in range(3):
        alone = even_grams(stack[i], 2.0, memory[i], white[i])
        for a, b in zip(together, alone, strict=True):
            np.testing.assert_allclose(a[i], b, rtol=1e-12)


@pytest.mark.parametrize("n", [5, 30, 201, 300])
def test_paths_agree_with_banded_solves(n):
    rng = np.random.default_rng(n)
    d = np.diff(np.cumsum(rng.standard_normal(n)), 2)
    level, trend = rng.uniform(0, 2, (2, 7))
    bands = difference_bands(np.ones(n - 1), np.full(n, 0.7))
    square, logdet, average = even_path(d, level, trend, 0.7)
    want_square, want_logdet, want_average = banded_path(bands, d, level, trend)
    np.testing.assert_allclose(square, want_square, rtol=1e-9)
    np.testing.assert_allclose(logdet, want_logdet, atol=1e-9 * n)
    weight = rng.dirichlet(np.ones(7))
    np.testing.assert_allclose(average(weight), want_average(weight), atol=1e-9)


def test_even_spacing_is_recognised_to_rounding():
    assert evenly_spaced(np.arange(10.0))
    assert evenly_spaced(0.1 * np.arange(10.0) + 1e6)
    assert not evenly_spaced(np.array([0.0, 1.0, 2.0, 3.1]))
    assert not evenly_spaced(np.array([1.0]))
