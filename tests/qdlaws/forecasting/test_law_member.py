"""The law as a forecaster of quality: its weight, and its record within the run."""

import numpy as np
import pytest

import qdlaws as qd
from qdlaws.forecasting.column import clock
from qdlaws.forecasting.forecast import forecast
from qdlaws.forecasting.law_member import rolling_record
from qdlaws.forecasting.prior import DEFAULT_PRIOR
from qdlaws.laws.fit import fit
from tests.helpers.forecast_runs import law_run


def swinging_run(seed, lag=1.0):
    """R a curved law of an H that swings in log step; with a lag the log shows the H of earlier."""
    rng = np.random.default_rng(seed)
    step = np.arange(1.0, 201)
    entropy = 0.8 + 0.3 * np.cos(2.2 * np.log(step))
    quality = 2 - np.exp(1.5 * entropy) + 0.01 * rng.standard_normal(200)
    shown = np.interp(lag * step, step, entropy) + 0.003 * rng.standard_normal(200)
    return qd.RunLog.from_arrays(step, quality=quality, entropy=shown)


def test_a_supported_law_has_a_weight_and_the_reasons_state_it():
    fc = forecast(fit(law_run()[:101]), horizon=100)
    weight = fc.by_column["quality"].law_weight
    assert 0 < weight < 1
    assert [r for r in fc.reasons if "comes from the fitted curve" in r] == [
        f"{weight:.0%} of the forecast of quality comes from the fitted curve, "
        "the rest from the trend"
    ]
    np.testing.assert_allclose(fc.by_column["quality"].weight.sum(), 1.0)


def test_a_law_gains_weight_by_its_earlier_forecasts():
    """The true law scores better than the trends, the law of a lagging H worse."""
    for seed in range(3):
        true, lagging = swinging_run(seed), swinging_run(seed, lag=0.45)
        quality = clock(true, "quality")
        assert rolling_record(quality, clock(true, "entropy")) > 0
        assert rolling_record(quality, clock(lagging, "entropy")) < 0
    weight = forecast(fit(swinging_run(0)), 40).by_column["quality"].law_weight
    assert weight > DEFAULT_PRIOR.law


def test_unsupported_laws_stay_out():
    rng = np.random.default_rng(1)
    step = np.arange(1.0, 101)
    log = qd.RunLog.from_arrays(
        step, quality=rng.standard_normal(100), entropy=1 + 0.1 * rng.standard_normal(100)
    )
    fits = fit(log)
    assert not fits.rh.supported
    with_laws, without = forecast(fits, 50), forecast(log, 50)
    assert with_laws.final == without.final
    assert not any("curve" in r for r in with_laws.reasons)


@pytest.mark.parametrize("n", [18, 46])
def test_a_quality_constant_up_to_its_last_reading_overflows_nothing(n):
    """No law can be fitted earlier in the run."""
    step = np.arange(n) * 10.0
    quality = np.where(step < step[-1], -1.0, 0.0)
    log = qd.RunLog.from_arrays(step, quality=quality, entropy=np.exp(-np.arange(n) / 5))
    fc = forecast(fit(log), 100)
    assert fc.final["quality"].low <= fc.final["quality"].mid <= fc.final["quality"].high
