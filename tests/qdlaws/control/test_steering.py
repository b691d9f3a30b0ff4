"""The step of the log ratio: its limits, its guards, and what a missing reading does."""

from __future__ import annotations

import numpy as np
import pytest

from qdlaws.control.collapse_guard import ratio_ceiling
from qdlaws.control.knobs import InForce
from qdlaws.control.steering import Limits, steer, steer_by_plant
from tests.helpers.linear_plant import GAIN, linear_plant


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


@pytest.mark.filterwarnings("error")
def test_a_fall_of_any_speed_gives_no_warning():
    step = 10.0 * np.arange(30)
    for speed in (1e-300, 1e-306, 1e-312):
        assert np.isfinite(steer(step, -speed * step, 0.65, GAIN).du)


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
    step, y, u, _ = linear_plant(40, 2.0)
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


def test_the_line_alone_holds_the_floor_in_closed_loop():
    """A first-order lag on a static curve D(u) = .9 − .065·u, read every evaluation with noise."""
    shares, worst = [], []
    for seed in range(12):
        g = np.random.default_rng(seed)
        u, d, y = 0.5, 0.88, []
        for _ in range(120):
            d += 0.4 * (0.9 - 0.065 * u - d)
            y.append(d + 0.004 * g.normal())
            du = steer(np.arange(len(y)), np.array(y), 0.65, 0.065, np.full(len(y), 0.004)).du
            u += 0.0 if np.isnan(du) else du
        worst.append(d if len(y) < 10 else min(y[10:]))
        shares.append((0.9 - d) / 0.25)
    assert min(worst) > 0.635  # a reading is off by .004, the floor is .65
    assert np.mean(shares) > 0.9


def test_two_readings_only_tighten():
    stated = np.full(2, 0.004)
    low = steer(np.arange(2.0), np.array([0.6, 0.61]), 0.65, 0.065, stated)
    assert low.du < 0
    assert np.isnan(steer(np.arange(2.0), np.array([0.8, 0.8]), 0.65, 0.065, stated).du)
    assert np.isnan(steer(np.arange(2.0), np.array([0.6, 0.6]), 0.65, 0.065).du)
    assert np.isnan(steer(np.arange(2.0), np.full(2, np.nan), 0.65, 0.065).level)


COLLAPSE_FLOOR = 0.6


def test_an_accelerating_fall_tightens_before_a_line_through_five_readings_would():
    u = np.linspace(2, 4.4, 13)
    y = 0.87 + 0.002 * np.resize([1, -1], 13)
    y[-1] = 0.76  # the first reading of the fall, far above the floor
    fallen = steer_by_plant(10.0 * np.arange(13), y, knobs(u), COLLAPSE_FLOOR, GAIN)
    assert fallen.level + Limits().guard * fallen.slope > COLLAPSE_FLOOR
    assert fallen.du < -0.3
    y[-1] = 0.869
    assert steer_by_plant(10.0 * np.arange(13), y, knobs(u), COLLAPSE_FLOOR, GAIN).du > 0


def test_after_a_collapse_the_ratio_comes_back_faster_but_stays_below_the_ceiling():
    u = np.array([1.0, 2.0, 3.0, 4.0, 4.2, 3.5, 2.8, 2.0, 1.5])
    y = np.array([0.87, 0.87, 0.86, 0.85, 0.62, 0.3, 0.4, 0.8, 0.87])
    step = 10.0 * np.arange(len(y))
    back = steer_by_plant(step, y, knobs(u), COLLAPSE_FLOOR, GAIN)
    assert Limits().up < back.du <= Limits().home
    assert back.ceiling == ratio_ceiling(y, u, COLLAPSE_FLOOR) < 4.0
    above = steer_by_plant(step, y, knobs(u, 3.5), COLLAPSE_FLOOR, GAIN)
    assert above.du < 0


def letter_model(seed, evaluations=48, beta=0.05):
    """β (as u) and true diversity of a steered small model that is rewarded for one of 17 letters.

    Log odds z of the letter under a reward divided by its spread: ż ∝ √(p(1−p)) − .6·β·(z − z₀). It
    falls seven times as fast as the prior gain says, and comes back the faster the larger β is.
    """
    rng = np.random.default_rng(seed)
    start = z = -np.log(16)
    y, u, true = [], [], []
    for k in range(evaluations):
        for _ in range(5):
            p = 1 / (1 + np.exp(-z))
            z += 0.25 * (np.sqrt(p * (1 - p)) - 0.6 * beta * (z - start)) + 0.04 * rng.normal()
        p = 1 / (1 + np.exp(-z))
        true.append(1 - p**2 - (1 - p) ** 2 / 16)
        y.append(true[-1] + 0.015 * rng.normal())
        u.append(-np.log(beta))
        force = InForce(np.array(u), np.exp(-np.array(u)), u[-1])
        se = np.full(k + 1, 0.015)
        turned = steer_by_plant(5.0 * np.arange(k + 1), np.array(y), force, 0.6, GAIN, se).du
        beta *= np.exp(-np.nan_to_num(turned))
    return np.array(u), np.array(true)


def test_a_small_model_that_answers_strongly_settles():
    runs = [letter_model(seed) for seed in (0, 2, 3)]
    late = slice(24, None)
    assert np.mean([np.ptp(u[late]) for u, _ in runs]) < 0.5  # it swung by .85 on average
    assert min(d[late].min() for _, d in runs) > 0.55
    assert np.mean([d[late].mean() for _, d in runs]) < 0.72  # and quality is not given away


def test_after_swings_the_limits_are_halved_and_below_the_floor_the_way_down_is_not():
    limits = Limits()
    assert limits.calmed(1, below=False) == limits  # one way back is no swing
    second = limits.calmed(2, below=False)
    assert (second.up, second.home) == (limits.up / 2, limits.home / 2)
    assert second.down == pytest.approx(limits.down / 2)
    many = limits.calmed(9, below=False)
    assert many.up == pytest.approx(limits.up * limits.calmest)
    assert many.down == limits.up
    assert limits.calmed(9, below=True).down == limits.down


def test_a_steep_rise_holds_the_next_turn_back():
    y = np.array([0.80, 0.70, 0.55, 0.40, 0.31, 0.30, 0.45])
    u = np.array([3.0, 3.0, 3.0, 2.3, 1.6, 0.9, 0.2])
    step, se = 10.0 * np.arange(7), np.full(7, 0.01)
    assert steer_by_plant(step[:6], y[:6], knobs(u[:6], 0.2), 0.6, GAIN, se[:6]).du < -0.3
    assert steer_by_plant(step, y, knobs(u), 0.6, GAIN, se).du == 0


def test_a_collapse_is_answered_with_the_whole_turn_whatever_gain_is_believed():
    u = np.arange(3.24, 6.6, 0.16)[:21]
    y = np.full(21, 0.868) + 0.0015 * np.resize([1, -1], 21)
    y[-9:] = [0.849, 0.844, 0.840, 0.831, 0.818, 0.796, 0.766, 0.707, 0.649]
    step, se = 4.0 * np.arange(21), np.full(21, 0.002)
    for gain in (GAIN, 5 * GAIN):  # a plan may expect much; the fall itself looks like a large gain
        assert steer_by_plant(step, y, knobs(u), COLLAPSE_FLOOR, gain, se).du == -Limits().down
