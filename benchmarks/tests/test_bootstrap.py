"""The vectorised least-squares refits against scipy on the same data, and against their own law."""

from __future__ import annotations

import numpy as np
import pytest
from bootstrap import bootstrap_refits, refit
from scipy.optimize import curve_fit

from qdlaws import BadData, Law
from qdlaws.core.law import shape
from qdlaws.simulation import ERROR_MODELS, cramer_rao, falling_path, true_law

TIGHT = {"xtol": 1e-15, "ftol": 1e-15, "gtol": 1e-15}


def _run(kappa: float, n: int = 80, sigma: float = 0.02) -> tuple[np.ndarray, np.ndarray, Law]:
    rng = np.random.default_rng(3)
    x = 0.2 + np.sort(rng.random(n)) ** 2
    law = Law(0.2, 1.2, np.float64(kappa), np.float64(1.0), np.float64(-1.0))
    return x, law.value(x) + sigma * rng.standard_normal((6, n)), law


@pytest.mark.parametrize("kappa", [-6.0, -1.0, 0.0, 0.5, 3.0, 9.0])
def test_refit_is_what_curve_fit_finds(kappa: float) -> None:
    x, series, _ = _run(kappa)
    found = refit(x, series)
    u = (x - found.law.x_lo) / found.law.width

    def model(u: np.ndarray, p: float, q: float, k: float) -> np.ndarray:
        return p + q * shape(k, u)

    def gradient(u: np.ndarray, p: float, q: float, k: float) -> np.ndarray:
        h = 1e-5
        bend = (shape(k + h, u) - shape(k - h, u)) / (2 * h)
        return np.column_stack([np.ones_like(u), shape(k, u), q * bend])

    for i, y in enumerate(series):
        (p, q, k), _ = curve_fit(model, u, y, p0=(1.0, -1.0, kappa), jac=gradient, **TIGHT)
        # curve_fit stops where RSS is flat to rounding; 40 digits have ours within 5e-11
        assert found.law.kappa[i] == pytest.approx(k, abs=3e-8 * max(1, abs(k)))
        assert found.law.p[i] == pytest.approx(p, abs=1e-9)
        assert found.law.q[i] == pytest.approx(q, abs=1e-8)
        assert found.rss[i] == pytest.approx(((y - model(u, p, q, k)) ** 2).sum(), rel=1e-9)


def test_refit_with_memory_is_generalised_least_squares() -> None:
    x, series, _ = _run(2.0)
    step = np.cumsum(np.random.default_rng(0).integers(1, 4, len(x))).astype(float)
    found = refit(x, series, step, memory=5.0)
    u = (x - found.law.x_lo) / found.law.width
    sigma = np.exp(-np.abs(np.subtract.outer(step, step)) / 5.0)

    def model(u: np.ndarray, p: float, q: float, k: float) -> np.ndarray:
        return p + q * shape(k, u)

    for i, y in enumerate(series):
        (_, _, k), _ = curve_fit(model, u, y, p0=(1.0, -1.0, 2.0), sigma=sigma, **TIGHT)
        assert found.law.kappa[i] == pytest.approx(k, abs=2e-6)  # of a numerical gradient


def test_a_series_without_noise_gives_its_law_back() -> None:
    x, _, law = _run(2.5)
    found = refit(x, law.value(x))
    at = np.linspace(0.0, 1.5, 7)
    assert np.allclose(found.law.value(at)[0], law.value(at), atol=1e-9)
    assert found.rss[0] < 1e-10


def test_bootstrap_draws_have_the_spread_of_explicit_series() -> None:
    """10,000 draws in the plane against 4,000 full simulated series: two roads to one answer."""
    x, series, _ = _run(2.0)
    y = series[0]
    fast = bootstrap_refits(x, y, 10_000)
    fit = refit(x, y)
    sigma = np.sqrt(fit.rss[0] / (len(x) - 3))
    noise = np.random.default_rng(8).standard_normal((4000, len(x)))
    slow = refit(x, fit.law.value(x) + sigma * noise)
    for name in ("kappa", "p", "q"):
        a, b = getattr(fast.law, name), getattr(slow.law, name)
        assert a.std() == pytest.approx(b.std(), rel=0.05)  # 4 s.e. of a ratio of the two
        assert a.mean() == pytest.approx(b.mean(), abs=5 * b.std() / np.sqrt(4000))
    assert fast.rss.mean() == pytest.approx(slow.rss.mean(), rel=0.02)
    assert fast.rss.std() == pytest.approx(slow.rss.std(), rel=0.06)


def test_bootstrap_series_that_need_finer_shapes_keep_their_errors() -> None:
    """Where noise makes steps of many series: the same share of them as among explicit series."""
    x, series, _ = _run(1.0, sigma=0.7)
    y = series[0]
    fit, count = refit(x, y), 4000
    sigma = np.sqrt(fit.rss[0] / (len(x) - 3))
    noise = np.random.default_rng(9).standard_normal((count, len(x)))
    fast = bootstrap_refits(x, y, count)
    slow = refit(x, fit.law.value(x) + sigma * noise)
    far = np.abs(slow.law.kappa) > 5
    assert 0.1 < far.mean() < 0.9
    four = 4 * np.sqrt(0.5 / count)  # standard errors of the difference of two shares
    for edge in (-40, -12, -5, 0, 5, 12, 40):
        shares = [(refits.law.kappa > edge).mean() for refits in (fast, slow)]
        assert shares[0] == pytest.approx(shares[1], abs=four)
    spread = [refits.rss.std() for refits in (fast, slow)]
    assert fast.rss.mean() == pytest.approx(slow.rss.mean(), abs=5 * spread[1] / np.sqrt(count))
    assert spread[0] == pytest.approx(spread[1], rel=0.07)


@pytest.mark.parametrize("n", [4, 7, 15])
def test_bootstrap_of_a_few_points(n: int) -> None:
    x, series, _ = _run(1.0, n=n)
    refits = bootstrap_refits(x, series[0], 500)
    assert np.isfinite(refits.rss).all()
    assert refits.rss.mean() < 1.3 * (n - 2) * refit(x, series[0]).rss[0] / (n - 3)


def test_a_step_is_told_by_its_curvature_at_the_end() -> None:
    x = np.linspace(0.0, 1.0, 60)
    found = refit(x, np.where(x > 0.99, 0.0, 1.0))
    assert abs(found.law.kappa[0]) >= 48


def test_bad_input() -> None:
    with pytest.raises(BadData, match="constant"):
        refit(np.ones(10), np.arange(10.0))
    with pytest.raises(BadData, match="at least 4"):
        bootstrap_refits(np.array([1.0, 2, 3]), np.array([3.0, 1, 2]))


def test_least_squares_refits_reach_the_cramer_rao_bound_under_white_errors() -> None:
    law, path, x = true_law(2.0), falling_path(200), np.array([0.0, 0.2, 0.7, 1.2])
    noise = np.random.default_rng(2).standard_normal((4000, 200))
    spread = refit(path, law.value(path) + 0.02 * noise).law.value(x).std(0)
    bound = cramer_rao(law, path, 0.02, ERROR_MODELS["rho=0"], x).value
    assert spread == pytest.approx(bound, rel=0.05)  # 4 standard errors of a standard deviation
