"""The baselines on series of their own kind."""

import numpy as np
import pytest

from qdlaws.forecasting.baselines import (
    BASELINES,
    EXPLAINED,
    LAWS,
    curve_fit_law,
    damped_holt,
    last_line,
    two_parameter_law,
)


def test_lines_and_laws_are_exact_on_their_own_kind():
    s = np.arange(40.0)
    assert last_line(s, 2 * s + 1, 100.0) == pytest.approx(201)
    h = np.linspace(1.5, 0.5, 40)
    assert two_parameter_law(h, 3 - 0.2 * np.exp(h), 0.1) == pytest.approx(3 - 0.2 * np.exp(0.1))
    value = curve_fit_law(h, 3 - 0.2 * np.exp(2 * h), 0.1)
    assert value == pytest.approx(3 - 0.2 * np.exp(0.2), rel=1e-4)


def test_damped_holt_is_that_of_statsmodels():
    from statsmodels.tsa.holtwinters import ExponentialSmoothing

    y = np.log(np.arange(1.0, 60)) + 0.01 * np.sin(np.arange(59))
    model = ExponentialSmoothing(
        y, trend="add", damped_trend=True, initialization_method="estimated"
    )
    expected = model.fit().forecast(10)[-1]
    assert damped_holt(np.arange(59.0) * 5, y, 68.0 * 5) == pytest.approx(expected)


def test_baselines_that_fail_give_nan():
    assert np.isnan(two_parameter_law(np.ones(9), np.arange(9.0), 0.5))
    assert np.isnan(curve_fit_law(np.full(9, np.nan), np.arange(9.0), 0.5))
    assert damped_holt(np.arange(9.0), np.ones(9), 20.0) == 1.0


def test_every_baseline_is_explained():
    assert set(EXPLAINED) == {*BASELINES, *LAWS}


def test_damped_holt_of_one_late_step_takes_no_memory_in_proportion_to_the_gap():
    """A step of 1e9 was an array of as many forecasts, one of 1e12 was 1.8 TiB."""
    s = np.arange(30.0)
    y = np.log(s + 1) + 0.01 * np.sin(s)
    settled = damped_holt(s, y, 29 + 10_000)
    for late in (1e6, 1e12, 1e300):
        assert damped_holt(s, y, late) == pytest.approx(settled, rel=1e-12)
