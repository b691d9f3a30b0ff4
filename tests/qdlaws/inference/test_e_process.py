"""e-processes: error rate over all looks together, and power."""

import numpy as np
import pytest

from qdlaws.inference.e_process import gain_below, level_above, level_below
from qdlaws.inference.error_model import simulate

STEP = 10.0 * np.arange(100)
NOISES = {"white": (0.0, 1.0), "AR .8": (4.5, 0.0), "mixed": (8.0, 0.5)}


def noise(name: str, seed: int, n: int = 100) -> np.ndarray:
    memory, white = NOISES[name]
    rng = np.random.default_rng(seed)
    slow, sampling = simulate(np.arange(n), np.array([memory]), np.array([white]), None, rng)
    return 0.1 * (slow + sampling)[0]


def false_stops(test, y_of_seed, repeats: int, every: int) -> float:
    """Share of runs in which a look every few rows ever rejects the (true) null."""
    wrong = 0
    for seed in range(repeats):
        y = y_of_seed(seed)
        wrong += any(test(STEP[:k], y[:k]).at_level(0.05) for k in range(8, 101, every))
    return wrong / repeats


def naive_gain(step, y):
    """The naive one-sided t test of a line through the last 20 readings."""
    from scipy.special import stdtr

    t, z = step[-20:], y[-20:]
    x = t - t.mean()
    slope = (x @ z) / (x @ x)
    rest = z - z.mean() - slope * x
    se = np.sqrt(rest @ rest / (len(z) - 2) / (x @ x))

    class TTest:
        def at_level(self, alpha):
            return stdtr(len(z) - 2, (slope - 0.002) / se) < alpha

    return TTest()


@pytest.mark.parametrize("name", list(NOISES))
def test_repeated_looks_do_not_raise_the_false_stop_rate(name):
    """Nulls at their very edge. 40 runs: at a rate of .05 more than 5 wrong has chance .01."""

    def gains(seed):
        return 0.002 * STEP + noise(name, seed)

    def levels(seed):
        return 0.7 + noise(name, seed)

    assert false_stops(lambda t, y: gain_below(t, y, 0.002), gains, 40, 9) <= 0.125
    assert false_stops(lambda t, y: level_below(t, y, 0.7), levels, 40, 9) <= 0.125
    assert false_stops(naive_gain, gains, 40, 9) > 0.2


@pytest.mark.slow
@pytest.mark.parametrize("name", list(NOISES))
def test_looks_at_every_third_row(name):
    """300 runs: .05 + 3 binomial errors."""

    def gains(seed):  # a gain that falls to the edge, as a flattening law has it
        return 0.002 * STEP + 0.5 * (1 - np.exp(-STEP / 100)) + noise(name, seed)

    def levels(seed):
        return 0.7 + 0.2 * np.exp(-STEP / 200) + noise(name, seed)

    assert false_stops(lambda t, y: gain_below(t, y, 0.002), gains, 300, 3) <= 0.088
    assert false_stops(lambda t, y: level_below(t, y, 0.7), levels, 300, 3) <= 0.088


def test_e_values_have_mean_at_most_one_under_the_null():
    e = [np.exp(gain_below(STEP[:40], noise("white", s, 40), 0.0).log_e) for s in range(200)]
    assert np.mean(e) < 1.0
    e = [np.exp(level_below(STEP[:40], noise("white", s, 40), 0.0).log_e) for s in range(200)]
    assert np.mean(e) < 1.0


def test_a_plateau_is_detected_and_a_rise_is_not():
    detected = []
    for seed in range(10):
        y = np.minimum(STEP, 300) * 0.005 + 0.3 * noise("white", seed)
        detected.append(gain_below(STEP, y, 0.001).at_level())
        assert not gain_below(STEP[:30], y[:30], 0.001).at_level()
    assert np.mean(detected) >= 0.9


def test_a_broken_floor_is_detected_soon():
    """Falls through .7 at row 40 by .05 noise units a row; detected within 35 rows."""
    for seed in range(10):
        y = 0.9 - 0.0005 * STEP + 0.2 * noise("white", seed)
        assert level_below(STEP[:76], y[:76], 0.7).at_level()
        assert not level_below(STEP[:38], y[:38], 0.7).at_level()
        assert level_above(STEP[:76], -y[:76], -0.7).at_level()


def test_units_do_not_matter():
    """Right Haar priors: shifting y, and scaling y or step, leave the e-values alone."""
    y = 0.004 * STEP + noise("mixed", 0)
    one = gain_below(STEP, y, 0.003).log_e
    assert gain_below(STEP / 7 + 3, 5 - 0 + 10 * y, 0.003 * 70).log_e == pytest.approx(one)
    level = level_below(STEP, y, 0.2).log_e
    assert level_below(STEP, 10 * y, 2.0).log_e == pytest.approx(level)


def test_standard_errors_weigh_readings_and_gaps_are_left_out():
    y = np.minimum(STEP, 300) * 0.005 + 0.3 * noise("white", 1)
    se = np.full(100, 0.03)
    same = gain_below(STEP, y, 0.001, se).log_e
    assert same == pytest.approx(gain_below(STEP, y, 0.001).log_e)
    y[50] += 5
    se[50] = 50.0  # a reading with a huge standard error
    assert gain_below(STEP, y, 0.001, se).at_level()
    y[50] = np.nan
    assert gain_below(STEP, y, 0.001, se).at_level()
    assert gain_below(STEP[:3], y[:3], 0.001).p == 1.0
    assert gain_below(STEP, np.ones(100), 0.001).p == 1.0
