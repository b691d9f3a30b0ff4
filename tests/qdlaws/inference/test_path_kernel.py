"""The compiled loops of paths against dense algebra."""

from __future__ import annotations

import numpy as np
import pytest

from qdlaws.inference.path_kernel import average_path, path_evidence, smooth_slow_errors
from tests.helpers.dense import covariance, slow_part


def test_path_evidence_and_average_are_those_of_dense_algebra():
    rng = np.random.default_rng(0)
    bands = np.zeros((3, 3, 12))
    bands[0, 0], bands[0, 1, :-1] = 2.0, -1.0
    bands[1, 0], bands[1, 1, :-1] = 2 / 3, 1 / 6
    bands[2, 0], bands[2, 1, :-1], bands[2, 2, :-2] = 6.0, -4.0, 1.0
    d, level, trend = rng.standard_normal(12), np.array([0.0, 0.4, 3.0]), np.array([0.1, 0.0, 2.0])

    def dense(band):
        lower = np.diag(band[0]) + np.diag(band[1, :-1], -1) + np.diag(band[2, :-2], -2)
        return lower + np.tril(lower, -1).T

    parts = [dense(band) for band in bands]
    wholes = [a * parts[0] + b * parts[1] + parts[2] for a, b in zip(level, trend, strict=True)]
    square, logdet = path_evidence(bands, d, level, trend)
    np.testing.assert_allclose(square, [d @ np.linalg.solve(v, d) for v in wholes], rtol=1e-10)
    np.testing.assert_allclose(logdet, [np.linalg.slogdet(v)[1] for v in wholes], rtol=1e-10)
    weight = np.array([0.2, 0.5, 0.3])
    want = sum(w * np.linalg.solve(v, d) for w, v in zip(weight, wholes, strict=True))
    np.testing.assert_allclose(average_path(bands, d, level, trend, weight), want, rtol=1e-10)


@pytest.mark.parametrize(("memory", "white"), [(4.0, 0.3), (300.0, 0.8), (2.0, 0.0), (0.0, 1.0)])
def test_smoothed_slow_errors_are_those_of_dense_algebra(memory, white):
    rng = np.random.default_rng(4)
    step, weight = np.cumsum(rng.uniform(0.2, 3.0, 30)), rng.uniform(0.3, 3.0, 30)
    errors = rng.standard_normal(30)
    slow = slow_part(step, memory, white)
    gain = slow @ np.linalg.inv(covariance(step, memory, white, weight))
    mean, variance = smooth_slow_errors(
        step, weight, errors[None], np.array([memory]), np.array([white])
    )
    np.testing.assert_allclose(mean[0], gain @ errors, atol=1e-9)
    np.testing.assert_allclose(variance[0], np.diag(slow - gain @ slow), atol=1e-9)
