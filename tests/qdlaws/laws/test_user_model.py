"""A user's lmfit model in place of the laws."""

from __future__ import annotations

import lmfit
import pytest

import qdlaws as qd
from tests.helpers.simulated import K, frame, log


def test_a_users_model_is_fitted_to_every_pair_of_columns():
    fits = qd.fit(log(), model=lmfit.models.LinearModel())
    assert {law.kind for law in fits.laws()} == {"rd", "rh", "hd"}
    assert fits.composition is None
    line = fits.hd
    assert line.params.slope.low < K < line.params.slope.high
    assert list(line.predict([0.4, 0.6]).columns) == ["x", "low", "mid", "high"]
    assert set(line.diagnostics()) == {"ljung_box_p", "durbin_watson", "breusch_pagan_p"}


def test_intervals_of_a_users_model_are_widened_where_the_residuals_persist():
    data = frame(n=200, kappa=0.0, rho=0.9)
    line = qd.fit(qd.RunLog.from_frame(data), model=lmfit.models.LinearModel()).rd
    assert line.effective_n < 60
    assert "autocorrelated" in line.reasons[0]
    plain = 2 * 1.96 * line.result.params["slope"].stderr
    assert line.params.slope.high - line.params.slope.low > 1.8 * plain


def test_a_users_model_with_more_parameters_than_points_is_refused():
    with pytest.raises(qd.NotEnoughData, match="4 points for the 5 parameters"):
        qd.fit(log(n=4), model=lmfit.models.PolynomialModel(degree=4))
