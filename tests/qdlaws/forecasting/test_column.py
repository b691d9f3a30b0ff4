"""The clock: the filter against direct Gaussian algebra, then behaviour."""

import numpy as np
import pytest

import qdlaws as qd
from qdlaws.forecasting.column import clock, series
from qdlaws.forecasting.prior import DEFAULT_PRIOR
from qdlaws.forecasting.stacking import (
    mixture_cdf,
    mixture_quantiles,
    slots,
    stack,
    tail_mean,
    width_factor,
)
from qdlaws.forecasting.trend_bank import bank, filtered


def covariance(tau: np.ndarray, slope: float, roam: float, memory: float) -> np.ndarray:
    """Cov of the level at tau given level(tau_0) = 0, by integrating the kernel of the trend."""

    def wander(a: float, b: float) -> float:
        """∫_0^a ∫_0^b slope²·exp(−|u − v|/memory) du dv."""
        low, high = min(a, b), max(a, b)
        decay = np.exp(-low / memory) + np.exp(-high / memory) - np.exp(-(high - low) / memory) - 1
        return slope**2 * (2 * memory * low + memory**2 * decay)

    t = tau - tau[0]
    return np.array([[wander(a, b) + roam**2 * min(a, b) for b in t] for a in t])


@pytest.mark.parametrize("power", [-1.0, 0.0, 1.0])
def test_filter_is_the_gaussian_conditional(power):
    """Level ahead of the data against conditioning the joint normal, for a member alone."""
    rng = np.random.default_rng(3)
    s = np.array([1.0, 2, 3, 5, 8, 9, 13])
    y = rng.standard_normal(7)
    target = 20.0
    member = bank((0.8,), (0.3,), (1.5,), (power,), (0.0,))
    f = filtered(member, s, y, np.ones(7))
    mean, variance = f.ahead(np.array([6]), np.array([target]))

    at = np.append(s, target)
    tau = np.log(at) if power == 0 else (at / s[-1]) ** power / power
    # A diffuse first level: a large constant in the covariance.
    joint = covariance(tau, 0.8, 0.3, 1.5) + 1e7
    k = joint[:7, :7] + np.eye(7)
    expected = joint[7, :7] @ np.linalg.solve(k, y)
    spread = joint[7, 7] - joint[7, :7] @ np.linalg.solve(k, joint[:7, 7])
    np.testing.assert_allclose(mean[0, 0], expected, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(variance[0, 0] / f.sigma2[-1, 0], spread, rtol=1e-4)


@pytest.mark.parametrize(("slope", "steady"), [(0.5, 0.5), (2.0, 2.0), (40.0, 2.0)])
def test_drift_is_the_mean_trend(slope, steady):
    """Without data on the trend the level goes on at drift·min(slope, 2)·σ per e-fold."""
    member = bank((slope,), (0.0,), (1e9,), (0.0,), (0.5,))
    s = np.array([1.0, 1.0 + 1e-9, 1.0 + 2e-9])
    f = filtered(member, s, np.array([0.0, 1.0, 0.5]), np.ones(3))
    mean, _ = f.ahead(np.array([2]), np.array([np.e]))
    level = f.level[-1, 0]
    np.testing.assert_allclose(
        mean[0, 0] - level, 0.5 * steady * np.sqrt(f.sigma2[-1, 0]), rtol=1e-5
    )


def test_mixture_quantiles_invert_the_mixture():
    rng = np.random.default_rng(0)
    mean, variance = rng.normal(size=(4, 6)), rng.uniform(0.1, 3, (4, 6))
    weight = rng.dirichlet(np.ones(6))
    p = np.array([0.03, 0.5, 0.9])
    q = mixture_quantiles(mean, variance, weight, p)
    for i in range(3):
        np.testing.assert_allclose(mixture_cdf(mean, variance, weight, q[:, i]), p[i], atol=1e-8)


def test_one_normal_has_its_own_quantiles():
    q = mixture_quantiles(
        np.array([[2.0]]), np.array([[9.0]]), np.ones(1), np.array([0.1, 0.5, 0.9])
    )
    np.testing.assert_allclose(q[0], [2 - 3 * 1.2815516, 2, 2 + 3 * 1.2815516], atol=1e-6)


def test_slots_look_back_and_never_ahead():
    s, y = np.arange(1.0, 101), np.arange(100.0)
    at = slots(s, y)
    assert at.known[:, 0].all()
    assert (s[at.row[at.known]] < at.s[at.known]).all()
    mean_s, mean_y, count = tail_mean(s, y, 100.0)
    assert (mean_s, mean_y, count) == (95.5, 94.5, 10)


def test_stack_weighs_by_the_record():
    logs = np.zeros((1, 2, 2))
    logs[0, :, 1] = np.log(0.5)  # the second member was half as likely, twice
    weight = stack(np.log([0.5, 0.5]), logs, np.array([1.0]), recency=0.5)
    np.testing.assert_allclose(weight[1] / weight[0], 0.5**1.5)


def test_width_follows_the_misses():
    inside = np.tile([-1.0, 0.0, 1.0], (5, 1))
    wider = width_factor(np.full(5, 9.0), inside, 1.0, 0.1, 0.2)
    narrower = width_factor(np.zeros(5), inside, 1.0, 0.1, 0.2)
    np.testing.assert_allclose([wider, narrower], np.exp([5 * 0.1 * 0.8, -5 * 0.1 * 0.2]))


def logarithmic(n=200, noise=0.1, seed=0, **options):
    rng = np.random.default_rng(seed)
    step = np.arange(1.0, n + 1)
    y = 3.0 - 0.4 * np.log(step) + noise * rng.standard_normal(n)
    return qd.RunLog.from_arrays(step, entropy=y, **options)


def test_a_trend_in_log_step_goes_on():
    """Twice the step: −.4·ln 2 = −.28; shrinkage may halve it but not lose it."""
    c = clock(logarithmic())
    low, mid, high = c.at(400)[["low", "mid", "high"]].iloc[0]
    truth = 3 - 0.4 * np.log(400)
    assert low < truth < high
    assert abs(mid - truth) < 0.1
    assert c.trend == pytest.approx(-0.4, abs=0.15)


def test_the_present_is_filtered():
    """The level now is nearer the truth than a reading is: within half its noise."""
    errors = [clock(logarithmic(seed=k)).now.mid - (3 - 0.4 * np.log(200)) for k in range(8)]
    assert np.sqrt(np.mean(np.square(errors))) < 0.05


def test_units_do_not_matter():
    log = logarithmic()
    c = clock(log).at([300, 400])
    shifted = qd.RunLog.from_arrays(10 * log.step + 7, quality=5 * log.entropy - 100)
    other = clock(shifted, "quality", prior=_no_drift()).at([3007, 4007])
    for name in ("low", "mid", "high"):
        np.testing.assert_allclose(other[name], 5 * c[name] - 100, rtol=1e-4)


def _no_drift():
    from dataclasses import replace

    return replace(DEFAULT_PRIOR, drift=0.0)


def test_intervals_nest_and_grow():
    c = clock(logarithmic())
    narrow, wide = c.at([220, 400, 900], level=0.5), c.at([220, 400, 900], level=0.95)
    assert (wide["low"] < narrow["low"]).all()
    assert (wide["high"] > narrow["high"]).all()
    assert np.all(np.diff(wide["high"] - wide["low"]) > 0)
    one, level = c.at(300, readings=1), c.at(300)
    assert (one["high"] - one["low"]).item() > (level["high"] - level["low"]).item()


def test_reached_tells_when_and_whether():
    c = clock(logarithmic())
    soon = c.reached(c.now.mid - 0.1, horizon=400)
    assert 200 < soon.low < soon.mid
    truth = 200 * np.exp(0.1 / 0.4)
    assert soon.low < truth < (soon.high if np.isfinite(soon.high) else np.inf)
    never = c.reached(c.now.mid + 5, horizon=400)
    assert not never.known
    assert never.probability < 0.02
    assert "within the horizon" in str(never)


def test_entropy_stays_positive():
    step = np.arange(1.0, 60)
    log = qd.RunLog.from_arrays(step, entropy=np.maximum(0.5 - 0.01 * step, 0.01))
    assert (clock(log).at([60, 200, 1000])[["low", "mid"]] >= 0).all(axis=None)


def test_a_constant_is_not_certain():
    c = clock(qd.RunLog.from_arrays(np.arange(20), entropy=np.full(20, 0.3)))
    row = c.at(40).iloc[0]
    assert row["mid"] == 0.3
    assert np.isnan(row["low"])
    assert np.isnan(row["high"])
    assert np.isnan(c.reached(0.2, 100).probability)


def test_long_series_are_averaged_in_blocks():
    data = series(logarithmic(n=3001), "entropy")
    assert data.block == 32
    assert len(data.s) <= 96
    assert data.last == 3001
    np.testing.assert_allclose(data.s[-1], np.arange(2970, 3002).mean())


def test_missing_readings_and_steps_are_no_trouble():
    log = logarithmic()
    y = log.entropy.copy()
    y[::3] = np.nan
    holes = qd.RunLog.from_arrays(log.step, entropy=y)
    a, b = clock(holes).at(400)["mid"].item(), clock(log).at(400)["mid"].item()
    assert a == pytest.approx(b, abs=0.08)


def test_too_few_readings_are_refused():
    with pytest.raises(qd.NotEnoughData, match="3 readings of entropy"):
        clock(qd.RunLog.from_arrays([1, 2, 3], entropy=[1, 0.9, 0.8]))
    with pytest.raises(qd.MissingColumn):
        clock(logarithmic(), "diversity")
    with pytest.raises(qd.BadData, match="steps from 200"):
        clock(logarithmic()).at(10)
