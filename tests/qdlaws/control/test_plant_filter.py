"""The filter bank: exact against dense Gaussian algebra, and the gain and lag of a known plant."""

from __future__ import annotations

import numpy as np
import pytest

from qdlaws.control import plant_filter as module
from qdlaws.control.plant_filter import plant_state, scatter_of
from tests.helpers.linear_plant import GAIN, linear_plant


def test_one_filter_is_the_exact_posterior(monkeypatch):
    lag, wander, gain = 2.0, 0.5, 0.07
    monkeypatch.setattr(module, "LAGS", np.array([lag]))
    monkeypatch.setattr(module, "WANDERS", np.array([wander]))
    monkeypatch.setattr(module, "GAINS", np.array([1.0]))
    step, y, u, _ = linear_plant(12, lag)
    y[[3, 7]] = np.nan
    step[8:] += 10  # a gap of two evaluations
    state = plant_state(step, y, u, gain, np.full(12, 0.004))
    # the same, unrolled: every latent number a column, every reading a row
    scatter = scatter_of(y, np.full(12, 0.004))
    first = y[np.isfinite(y)][0]
    prior_sd = [scatter, 4 * gain, module.GAIN_DOUBT * gain]
    size = 3 + 2 * 11
    x, a, g = (np.eye(size)[i] for i in range(3))
    rows, sds = [x], prior_sd
    for k in range(1, 12):
        passed, turned = (step[k] - step[k - 1]) / 10, u[k] - u[k - 1]
        a = a - turned * g
        x = x + -np.expm1(-passed / lag) * (a - x)
        a, g = a + np.eye(size)[2 * k + 1], g + np.eye(size)[2 * k + 2]
        drift = gain * np.sqrt((module.CURVATURE * turned) ** 2 + 0.02**2 * passed)
        sds += [wander * scatter * np.sqrt(passed), drift]
        rows.append(x)
    measured = np.isfinite(y)
    A, S = np.array(rows)[measured], np.diag(np.square(sds))
    mean = np.zeros(size)
    mean[:3] = first, first, gain
    K = S @ A.T @ np.linalg.inv(A @ S @ A.T + scatter**2 * np.eye(measured.sum()))
    post = mean + K @ (y[measured] - A @ mean)
    cov = S - K @ A @ S
    for row, value, error in (
        (x, state.level, state.level_se),
        (a, state.settled, state.settled_se),
        (g, state.gain, state.gain_se),
    ):
        assert value == pytest.approx(row @ post, rel=1e-9)
        assert error == pytest.approx(np.sqrt(row @ cov @ row), rel=1e-7)


@pytest.mark.parametrize("lag", [1.0, 4.0])
@pytest.mark.parametrize("wrong", [1 / 3, 1.0, 3.0])
def test_gain_and_settled_level_are_identified_whatever_the_prior(lag, wrong):
    errors, gains = [], []
    for seed in range(8):
        step, y, u, _ = linear_plant(60, lag, seed=seed)
        state = plant_state(step, y, u, wrong * GAIN, np.full(60, 0.004))
        gains.append(state.gain / GAIN)
        errors.append(state.settled - (0.8 - GAIN * u[-1]))
    assert np.mean(gains) == pytest.approx(1.0, abs=0.25)
    # the settled level is known to the few readings that a lag leaves for it
    assert np.sqrt(np.mean(np.square(errors))) < 0.012


def test_a_slow_run_is_seen_to_have_further_to_go():
    rng = np.random.default_rng(0)
    k = np.arange(25)
    level = 0.8 + 0.1 * np.exp(-k / 16)  # ends at .822, on its way to .8
    y = level + 0.001 * rng.standard_normal(25)
    state = plant_state(10.0 * k, y, np.zeros(25), GAIN, np.full(25, 0.001))
    assert state.level == pytest.approx(level[-1], abs=0.002)
    assert state.level - state.settled > 0.008
    still = plant_state(10.0 * k, 0.8 + y - level, np.zeros(25), GAIN, np.full(25, 0.001))
    assert still.settled == pytest.approx(0.8, abs=0.002)


def test_a_turn_of_this_moment_lowers_the_settled_level_by_the_gain():
    """Turned once more by 1 and left alone, the plant settles lower by its gain."""
    step, y, u, _ = linear_plant(60, 2.0, noise=0.001)
    state = plant_state(step, y, u, GAIN, np.full(60, 0.001))
    assert state.settled_after(1.0) == pytest.approx(0.8 - GAIN * (u[-1] + 1), abs=0.015)
    assert state.settled_after(0.0) == state.settled


def test_a_stated_error_counts_where_readings_are_few():
    line = 0.9 - 0.01 * np.arange(20.0)
    assert scatter_of(line[:2], np.full(2, 0.004)) == pytest.approx(0.004)
    assert scatter_of(line[:3], np.full(3, 0.004)) == pytest.approx(0.004 * np.sqrt(3 / 4))
    # what all readings share is no scatter: it goes as readings come
    assert scatter_of(line, np.full(20, 0.004)) == pytest.approx(0.004 * np.sqrt(3 / 21))
    noisy = line + 0.02 * np.random.default_rng(0).standard_normal(20)
    assert scatter_of(noisy, np.full(20, 0.004)) == pytest.approx(0.02, rel=0.4)
    assert np.isnan(scatter_of(np.full(3, np.nan), None))


def test_missing_ratios_are_carried_and_no_reading_says_nothing():
    step, y, u, _ = linear_plant(30, 2.0)
    holes = u.copy()
    same = np.flatnonzero(np.diff(u) == 0) + 1
    holes[same] = np.nan
    assert plant_state(step, y, holes, GAIN) == plant_state(step, y, u, GAIN)
    assert np.isnan(plant_state(step, np.full(30, np.nan), u, GAIN).settled)


def test_a_run_that_a_weaker_kl_has_slowed_is_not_taken_for_settled():
    """τ ∝ 1/KL: after the KL is divided by 20 the level hardly moves, but has far to go."""
    n, lag = 40, 1.5
    kl = np.where(np.arange(n) < 12, 1.0, 0.05)
    kl[2:6] *= 0.8
    u, x, y = -np.log(kl), 0.9, []
    rng = np.random.default_rng(0)
    for k in range(n):
        x += -np.expm1(-kl[k] / lag) * (0.8 - GAIN * u[k] - x)
        y.append(x + 0.002 * rng.standard_normal())
    given = (10.0 * np.arange(n), np.array(y), u, GAIN, np.full(n, 0.002))
    true = 0.8 - GAIN * u[-1]
    with_kl, without_kl = plant_state(*given, kl), plant_state(*given)
    assert x - true > 0.03
    assert abs(with_kl.settled - true) < 0.5 * abs(without_kl.settled - true)
    assert with_kl.lag > 5 * lag
