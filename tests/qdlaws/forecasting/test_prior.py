"""The prior of forecasts: its use, its checks, and its contract."""

import json
from dataclasses import replace

import numpy as np
import pytest

import qdlaws as qd
from qdlaws.forecasting.forecast import forecast
from qdlaws.forecasting.prior import DEFAULT_PRIOR
from tests.helpers.forecast_runs import law_run


def test_a_prior_without_trends_forecasts_no_change():
    still = replace(DEFAULT_PRIOR, slope={0.0: 1.0}, roam={0.0: 1.0})
    fc = forecast(law_run()[:101], 100, prior=still)
    assert fc.final["quality"].mid == pytest.approx(fc.now["quality"].mid)


def test_weights_must_be_positive():
    with pytest.raises(qd.BadData, match="positive weights"):
        replace(DEFAULT_PRIOR, roam={0.0: 0.0})


def test_weights_of_the_bank_are_products_that_sum_to_one():
    weight = np.exp(DEFAULT_PRIOR.log_weight)
    assert weight.sum() == pytest.approx(1.0)
    first = [list(getattr(DEFAULT_PRIOR, name).values()) for name in ("slope", "roam")]
    ratio = first[0][0] / first[0][1]
    assert weight[0] / weight[len(weight) // len(first[0])] == pytest.approx(ratio)


def test_it_answers_like_every_result():
    assert len(repr(DEFAULT_PRIOR)) < 200
    assert "1200 runs" in repr(DEFAULT_PRIOR)
    assert "<b>Forecast prior learnt from 1200 runs" in DEFAULT_PRIOR._repr_html_()
    frame = DEFAULT_PRIOR.to_frame()
    np.testing.assert_allclose(frame.groupby("setting")["share"].sum(), 1.0)
    values = json.loads(json.dumps(DEFAULT_PRIOR.to_dict(), allow_nan=False))
    assert values["width"] == DEFAULT_PRIOR.width
    assert values["slope"]["0.5"] == 0.197


def test_plot_has_one_panel_a_setting():
    import matplotlib as mpl

    mpl.use("Agg")
    figure = DEFAULT_PRIOR.plot()
    assert [ax.get_xlabel() for ax in figure.axes] == ["slope", "roam", "memory", "power"]
