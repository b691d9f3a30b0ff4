"""The bank of trends: the Kalman filter against direct Gaussian algebra."""

import numpy as np
import pytest

from qdlaws.forecasting.trend_bank import filter_trends, trend_bank


def covariance(tau: np.ndarray, slope: float, roam: float, memory: float) -> np.ndarray:
    """Cov of the level at tau given level(tau_0) = 0, by integrating the kernel of the trend."""

    def of_integrated_trend(a: float, b: float) -> float:
        """∫_0^a ∫_0^b slope²·exp(−|u − v|/memory) du dv."""
        low, high = min(a, b), max(a, b)
        decay = np.exp(-low / memory) + np.exp(-high / memory) - np.exp(-(high - low) / memory) - 1
        return slope**2 * (2 * memory * low + memory**2 * decay)

    t = tau - tau[0]
    return np.array([[of_integrated_trend(a, b) + roam**2 * min(a, b) for b in t] for a in t])


@pytest.mark.parametrize("power", [-1.0, 0.0, 1.0])
def test_forecast_of_one_trend_is_the_gaussian_conditional(power):
    """Level ahead of the data against conditioning the joint normal."""
    rng = np.random.default_rng(3)
    s = np.array([1.0, 2, 3, 5, 8, 9, 13])
    y = rng.standard_normal(7)
    target = 20.0
    one = trend_bank((0.8,), (0.3,), (1.5,), (power,), (0.0,))
    f = filter_trends(one, s, y, np.ones(7))
    mean, variance = f.ahead(np.array([6]), np.array([target]))

    steps = np.append(s, target)
    tau = np.log(steps) if power == 0 else (steps / s[-1]) ** power / power
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
    one = trend_bank((slope,), (0.0,), (1e9,), (0.0,), (0.5,))
    s = np.array([1.0, 1.0 + 1e-9, 1.0 + 2e-9])
    f = filter_trends(one, s, np.array([0.0, 1.0, 0.5]), np.ones(3))
    mean, _ = f.ahead(np.array([2]), np.array([np.e]))
    level = f.level[-1, 0]
    np.testing.assert_allclose(
        mean[0, 0] - level, 0.5 * steady * np.sqrt(f.sigma2[-1, 0]), rtol=1e-5
    )
