"""lmfit's least squares, residual diagnostics and the HAC line beside the posterior."""

from __future__ import annotations

import numpy as np
import pytest

import qdlaws as qd
from qdlaws.laws.classical import exponential, start_values
from tests.helpers.simulated import log


@pytest.fixture(scope="module")
def fits() -> qd.LawFits:
    return qd.fit(log(n=80, seed=3))


def test_least_squares_agrees_with_the_posterior_under_white_errors() -> None:
    law = qd.fit(log(n=200, rho=0.0, sigma=0.01, kappa=2.5)).rd
    result = law.to_lmfit()
    interval = result.conf_interval(sigmas=[2])
    assert set(interval) == {"a", "b", "c"}
    c = result.params["c"]
    assert law.params.c.mid == pytest.approx(c.value, abs=0.5 * c.stderr)


def test_diagnostics_separate_independent_from_persistent_errors() -> None:
    white = qd.fit(log(n=150, rho=0.0)).rd.diagnostics()
    slow = qd.fit(log(n=150, rho=0.8)).rd.diagnostics()
    assert white["ljung_box_p"] > 0.01
    assert slow["ljung_box_p"] < 1e-6
    assert slow["durbin_watson"] < 1 < white["durbin_watson"]


def test_the_interval_of_the_hac_slope_holds_the_posterior_median(fits) -> None:
    hac, params = fits.hd.hac(), fits.hd.params
    assert hac.slope.low < params.slope.mid < hac.slope.high


@pytest.mark.parametrize("c", [-3.0, -0.2, 0.5, 4.0])
def test_start_values_are_near_the_law_that_made_the_data(c: float) -> None:
    x = np.linspace(0.1, 0.9, 50)
    a, b, start = start_values(x, exponential(x, 0.3, 1.2, c))
    np.testing.assert_allclose(
        exponential(x, a, b, start), exponential(x, 0.3, 1.2, c), atol=0.02 * abs(c)
    )
