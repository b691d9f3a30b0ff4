"""The readings as the trend filter takes them: blocks, weights, refusals."""

import numpy as np
import pytest

import qdlaws as qd
from qdlaws.forecasting.series import series
from tests.helpers.forecast_runs import logarithmic_run


def test_long_series_are_averaged_in_blocks():
    data = series(logarithmic_run(n=3001), "entropy")
    assert data.block == 32
    assert len(data.s) <= 96
    assert data.last == 3001
    np.testing.assert_allclose(data.step[-1], np.arange(2971, 3003).mean() - 1)


def test_known_standard_errors_weigh_the_readings():
    log = logarithmic_run(n=20)
    se = np.where(np.arange(20) == 7, 0.3, 0.1)
    data = series(qd.RunLog.from_arrays(log.step, entropy=log.entropy, entropy_se=se), "entropy")
    plain = series(log, "entropy")
    np.testing.assert_allclose(data.noise / plain.noise, np.where(np.arange(20) == 7, 9.0, 1.0))


def test_too_few_readings_are_refused():
    with pytest.raises(qd.NotEnoughData, match="3 readings of entropy"):
        series(qd.RunLog.from_arrays([1, 2, 3], entropy=[1, 0.9, 0.8]), "entropy")
