"""The error model against dense linear algebra, and against the moments of simulated errors."""

from __future__ import annotations

import numpy as np
import pytest

from qdlaws.inference.error_model import (
    cut_memory,
    grams,
    regimes_of,
    simulate,
    spike_weights,
)
from tests.helpers.dense import covariance


@pytest.fixture
def series():
    rng = np.random.default_rng(1)
    step = np.cumsum(rng.uniform(0.2, 3.0, 40))
    return step, rng.standard_normal((40, 5)), rng.uniform(0.3, 3.0, 40)


@pytest.mark.parametrize("memory", [0.0, 0.1, 1.0, 20.0, 2000.0])
@pytest.mark.parametrize("white", [0.0, 1e-6, 0.3, 0.99, 1.0])
@pytest.mark.parametrize("weighted", [False, True])
def test_gram_matrices_are_those_of_dense_algebra(series, memory, white, weighted):
    step, columns, weight = series
    weight = weight if weighted else np.ones(len(step))
    sigma = covariance(step, memory, white, weight)
    got = grams(columns, step, np.array([memory]), np.array([white]), weight if weighted else None)
    want = columns.T @ np.linalg.solve(sigma, columns)
    if np.linalg.cond(sigma) < 1e8:  # else the dense side is the inexact one
        np.testing.assert_allclose(got.gram[0], want, rtol=1e-6, atol=1e-8 * np.abs(want).max())
        assert got.logdet[0] == pytest.approx(np.linalg.slogdet(sigma)[1], abs=1e-7)
    assert np.array_equal(got.gram[0], got.gram[0].T)


def test_many_error_models_at_once_are_each_alone(series):
    step, columns, weight = series
    memory, white = np.array([1.0, 1.0, 5.0, 0.0]), np.array([0.0, 0.4, 0.4, 1.0])
    together = grams(columns, step, memory, white, weight)
    for i in range(4):
        alone = grams(columns, step, memory[i : i + 1], white[i : i + 1], weight)
        np.testing.assert_array_equal(together.gram[i], alone.gram[0])
        assert together.logdet[i] == alone.logdet[0]


def test_gram_matrices_do_not_depend_on_the_direction_of_time(series):
    step, columns, weight = series
    memory, white = np.array([3.0]), np.array([0.4])
    forth = grams(columns, step, memory, white, weight)
    back = grams(columns[::-1], (step[-1] - step)[::-1], memory, white, weight[::-1])
    np.testing.assert_allclose(back.gram, forth.gram, rtol=1e-12)
    assert back.logdet[0] == pytest.approx(forth.logdet[0], rel=1e-12)


def test_errors_are_independent_across_a_mark(series):
    step, columns, weight = series
    far, span = cut_memory(step, (float(step[20]),))
    assert span == pytest.approx(step[-1] - step[0])
    memory, white = np.array([3.0]), np.array([0.4])
    both = grams(columns, far, memory, white, weight)
    parts = [
        grams(columns[rows], step[rows], memory, white, weight[rows])
        for rows in (slice(0, 20), slice(20, None))
    ]
    np.testing.assert_allclose(both.gram, parts[0].gram + parts[1].gram, rtol=1e-10)
    assert both.logdet[0] == pytest.approx(sum(p.logdet[0] for p in parts), rel=1e-10)


def test_thinned_rows_have_the_thinned_covariance():
    """With exact OU errors, Σ of the thinned run is the thinned Σ of the run."""
    rng = np.random.default_rng(2)
    step = np.arange(60.0)
    keep = np.sort(rng.choice(60, 25, replace=False))
    columns = rng.standard_normal((60, 2))
    sigma = covariance(step, 4.0, 0.3, np.ones(60))[np.ix_(keep, keep)]
    got = grams(columns[keep], step[keep], np.array([4.0]), np.array([0.3])).gram[0]
    want = columns[keep].T @ np.linalg.solve(sigma, columns[keep])
    np.testing.assert_allclose(got, want, rtol=1e-10)


def test_regimes_start_at_their_mark():
    step = np.array([0.0, 10.0, 20.0, 30.0])
    assert regimes_of(step, (20.0,)).tolist() == [0, 0, 1, 1]
    assert regimes_of(step, ()).tolist() == [0, 0, 0, 0]


def test_simulated_errors_have_the_covariance_of_the_model():
    step = np.array([0.0, 1.0, 3.0, 3.5, 8.0])
    weight = np.array([0.5, 1.0, 2.0, 1.0, 0.5])
    runs = 200_000
    slow, sampling = simulate(
        step, np.full(runs, 2.0), np.full(runs, 0.3), weight, np.random.default_rng(0)
    )
    errors = slow + sampling
    want = covariance(step, 2.0, 0.3, weight)
    # a covariance over N runs has standard error √(s_ii·s_jj + s_ij²)/√N; five of them
    tolerance = 5 * np.sqrt(np.outer(np.diag(want), np.diag(want)) + want**2) / np.sqrt(runs)
    assert np.all(np.abs(np.cov(errors.T) - want) < tolerance)


def test_simulated_white_errors_have_no_memory():
    slow, errors = simulate(
        np.arange(50.0), np.zeros(2000), np.ones(2000), None, np.random.default_rng(0)
    )
    assert not slow.any()
    r1 = np.mean(errors[:, 1:] * errors[:, :-1])
    assert abs(r1) < 5 / np.sqrt(errors.size)


# ------------------------------------------------------------------ spikes


def test_spikes_are_counted_and_weighed_down():
    y = np.random.default_rng(0).standard_normal(100)
    y[40] += 30
    factor, spikes = spike_weights(y)
    assert spikes == 1
    assert factor[40] > 20
    assert np.median(factor) < 2


def test_ordinary_errors_keep_their_weight():
    touched = sum(
        spike_weights(np.random.default_rng(s).standard_normal(100))[1] for s in range(50)
    )
    assert touched <= 5


def test_steep_smooth_stretches_are_no_spikes():
    t = np.linspace(-8, 8, 101)
    y = np.tanh(4 * t) + 0.001 * np.random.default_rng(0).standard_normal(101)
    assert spike_weights(y)[1] == 0


def test_tails_option_switches_the_weights():
    y = np.random.default_rng(0).standard_normal(100)
    y[40] += 30
    assert np.all(spike_weights(y, "normal")[0] == 1)
    quiet = np.delete(y, 40)
    assert np.all(spike_weights(quiet, "auto")[0] == 1)
    assert spike_weights(quiet, "heavy")[0].max() > 1


def test_flat_series_have_no_spikes():
    assert spike_weights(np.ones(50))[1] == 0
