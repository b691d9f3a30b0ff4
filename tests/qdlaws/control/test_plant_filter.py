"""The filter bank: exact against dense Gaussian algebra, and the gain and lag of a known plant."""

from __future__ import annotations

import numpy as np
import pytest

from qdlaws.control import plant_filter as module
from qdlaws.control.knobs import InForce
from qdlaws.control.plant_filter import scatter_of, settling
from qdlaws.control.steering import Limits, steer, steer_by_plant

GAIN = 0.07


def known_plant(n, lag, gain=GAIN, noise=0.004, seed=0, gap=10.0):
    """Steps, readings and ratios of a linear plant with a first-order lag, turned now and then."""
    rng = np.random.default_rng(seed)
    u = np.cumsum(np.where(rng.random(n) < 0.5, rng.normal(0, 0.25, n), 0.0))
    x, y = 0.9, []
    for k in range(n):
        x += -np.expm1(-1 / lag) * (0.8 - gain * u[k] - x) if k else 0.0
        y.append(x + noise * rng.standard_normal())
    return gap * np.arange(n), np.array(y), u, x


def test_one_filter_is_the_exact_posterior(monkeypatch):
    lag, wander, gain = 2.0, 0.5, 0.07
    monkeypatch.setattr(module, "LAGS", np.array([lag]))
    monkeypatch.setattr(module, "WANDERS", np.array([wander]))
    step, y, u, _ = known_plant(12, lag)
    y[[3, 7]] = np.nan
    step[8:] += 10  # a gap of two evaluations
    found = settling(step, y, u, gain, np.full(12, 0.004))
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
    known = np.isfinite(y)
    A, S = np.array(rows)[known], np.diag(np.square(sds))
    mean = np.zeros(size)
    mean[:3] = first, first, gain
    K = S @ A.T @ np.linalg.inv(A @ S @ A.T + scatter**2 * np.eye(known.sum()))
    post = mean + K @ (y[known] - A @ mean)
    cov = S - K @ A @ S
    for row, value, error in (
        (x, found.level, found.level_se),
        (a, found.settled, found.settled_se),
        (g, found.gain, found.gain_se),
    ):
        assert value == pytest.approx(row @ post, rel=1e-9)
        assert error == pytest.approx(np.sqrt(row @ cov @ row), rel=1e-7)


@pytest.mark.parametrize("lag", [1.0, 4.0])
@pytest.mark.parametrize("wrong", [1 / 3, 1.0, 3.0])
def test_gain_and_settled_level_are_found_whatever_the_prior(lag, wrong):
    errors, gains = [], []
    for seed in range(8):
        step, y, u, _ = known_plant(60, lag, seed=seed)
        found = settling(step, y, u, wrong * GAIN, np.full(60, 0.004))
        gains.append(found.gain / GAIN)
        errors.append(found.settled - (0.8 - GAIN * u[-1]))
    assert np.mean(gains) == pytest.approx(1.0, abs=0.25)
    # the settled level is known to the few readings that a lag leaves for it
    assert np.sqrt(np.mean(np.square(errors))) < 0.012


def test_a_slow_run_is_seen_to_have_further_to_go():
    rng = np.random.default_rng(0)
    k = np.arange(25)
    level = 0.8 + 0.1 * np.exp(-k / 16)  # ends at .822, on its way to .8
    y = level + 0.001 * rng.standard_normal(25)
    found = settling(10.0 * k, y, np.zeros(25), GAIN, np.full(25, 0.001))
    assert found.level == pytest.approx(level[-1], abs=0.002)
    assert found.level - found.settled > 0.008
    still = settling(10.0 * k, 0.8 + y - level, np.zeros(25), GAIN, np.full(25, 0.001))
    assert still.settled == pytest.approx(0.8, abs=0.002)


def test_turning_moves_the_settled_level_at_once():
    step, y, u, _ = known_plant(40, 2.0)
    found = settling(step, y, u, GAIN)
    assert found.after(1.0) == found.settled - found.gain
    assert found.after(0.0) == found.settled


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
    step, y, u, _ = known_plant(30, 2.0)
    holes = u.copy()
    same = np.flatnonzero(np.diff(u) == 0) + 1
    holes[same] = np.nan
    assert settling(step, y, holes, GAIN) == settling(step, y, u, GAIN)
    assert np.isnan(settling(step, np.full(30, np.nan), u, GAIN).settled)


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
    told, untold = settling(*given, kl), settling(*given)
    assert x - true > 0.03
    assert abs(told.settled - true) < 0.5 * abs(untold.settled - true)
    assert told.lag > 5 * lag


# ── the step that follows ─────────────────────────────────────────────────────────────────────


def knobs(u, now=None):
    """Ratios carried by the reward scale alone."""
    return InForce(u, np.ones(len(u)), u[-1] if now is None else now)


def held(n):
    return knobs(np.zeros(n))


def test_it_loosens_above_the_target_tightens_below_and_keeps_to_its_limits():
    step, se = 10.0 * np.arange(30), np.full(30, 0.004)
    wobble = 0.004 * np.sin(2.0 * np.arange(30))
    above = steer_by_plant(step, 0.8 + wobble, held(30), 0.65, GAIN, se)
    below = steer_by_plant(step, 0.6 + wobble, held(30), 0.65, GAIN, se)
    assert above.du == pytest.approx(Limits().up)
    assert -Limits().down <= below.du < -0.2
    near = steer_by_plant(step, above.target + wobble, held(30), 0.65, GAIN, se)
    assert abs(near.du) < 0.03


def test_a_missing_reading_never_loosens_and_few_readings_wait():
    step, se = 10.0 * np.arange(30), np.full(30, 0.004)
    y = 0.8 + 0.004 * np.sin(2.0 * np.arange(30))
    y[-1] = np.nan
    assert steer_by_plant(step, y, held(30), 0.65, GAIN, se).du == 0
    low = y - 0.3
    assert steer_by_plant(step, low, held(30), 0.65, GAIN, se).du < 0
    assert np.isnan(steer_by_plant(step[:2], y[:2], held(2), 0.65, GAIN, se[:2]).du)
    assert steer_by_plant(step[:2], low[:2], held(2), 0.65, GAIN, se[:2]).du < 0


def test_the_knobs_of_this_moment_count_and_without_ratios_the_line_answers():
    step, y, u, _ = known_plant(40, 2.0)
    floor = y[-1] - 0.1
    as_is = steer_by_plant(step, y, knobs(u), floor, GAIN)
    eased = steer_by_plant(step, y, knobs(u, u[-1] + 2), floor, GAIN)
    assert eased.du < 0 < as_is.du
    unknown = steer_by_plant(step, y, knobs(np.full(40, np.nan)), floor, GAIN)
    assert unknown == steer(step, y, floor, GAIN)


def test_a_fall_through_the_floor_is_caught_by_the_line():
    """A bank that has learnt a quiet plant is slow to believe in a fall; the line is not."""
    step = 10.0 * np.arange(46)
    y = np.concatenate([np.full(40, 0.70), 0.70 - 0.02 * np.arange(1, 7)])
    y += 0.002 * np.sin(2.0 * np.arange(46))
    turned = [steer_by_plant(step[:n], y[:n], held(n), 0.65, GAIN).du for n in (43, 44, 46)]
    assert min(turned) < -0.2
    assert turned[-1] < 0
