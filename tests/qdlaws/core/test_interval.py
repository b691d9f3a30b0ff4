"""Interval and Params: quantiles of draws, what is unknown, and how numbers are printed."""

from __future__ import annotations

import json

import numpy as np
import pytest

from qdlaws.core.interval import Interval, Params, interval, median, quantiles, show, unknown


def test_interval_is_the_equal_tailed_quantiles():
    draws = np.linspace(0, 1, 1001)
    assert interval(draws, 0.9) == pytest.approx((0.05, 0.5, 0.95, 0.9))


def test_interval_of_draws_that_mostly_do_not_exist_is_unknown_and_never_zero():
    draws = np.array([1.0, np.nan, np.nan, np.inf])
    assert not interval(draws).known
    assert all(np.isnan(v) for v in interval(draws)[:3])
    assert not interval(np.array([])).known
    assert interval(np.array([1.0, 2.0, 3.0, np.nan])).mid == 2.0


def test_intervals_print_the_median_and_both_ends():
    assert str(unknown()) == "unknown"
    assert str(Interval(1.0, 2.0, 3.0, 0.95)) == "2 [1, 3]"
    assert repr(Interval(1.0, 2.0, 3.0, 0.95)) == "Interval(2.0 [1.0, 3.0], 95%)"
    assert repr(unknown(0.9)) == "Interval(unknown, 90%)"


def test_an_interval_has_as_many_digits_as_its_width_deserves():
    assert show(Interval(0.5123, 0.5345, 0.5567, 0.95)) == "0.534 [0.512, 0.557]"
    assert show(Interval(float("nan"), float("nan"), float("nan"), 0.95)) == "unknown"


def test_parameters_are_read_by_attribute_and_a_wrong_name_lists_the_right_ones():
    params = Params(slope=unknown(), intercept=unknown())
    assert params.slope is params["slope"]
    with pytest.raises(AttributeError, match="slope, intercept"):
        params.curvature  # noqa: B018


@pytest.mark.parametrize("n", [1, 2, 3, 60, 2047])
def test_median_is_that_of_numpy(n: int) -> None:
    values = np.random.default_rng(n).standard_normal(n)
    assert median(values) == np.median(values)


@pytest.mark.parametrize("n", [1, 2, 3, 60, 2048])
def test_quantiles_are_those_of_numpy(n: int) -> None:
    levels = (0.0, 0.02, 0.025, 0.5, 0.84, 0.975, 1.0)
    values = np.random.default_rng(n).standard_normal(n)
    np.testing.assert_allclose(quantiles(values, levels), np.quantile(values, levels), rtol=1e-13)


def test_parameters_answer_like_every_result():
    params = Params(a=Interval(1.0, 2.0, 3.0, 0.9), b=unknown(0.9))
    assert json.loads(json.dumps(params.to_dict(), allow_nan=False))["b"]["mid"] is None
    assert params.to_frame()["parameter"].tolist() == ["a", "b"]
    assert repr(params) == "a 2.0 [1.0, 3.0]; b unknown"
    assert "90% intervals" in str(params.summary())
    assert "<td" in params._repr_html_()
