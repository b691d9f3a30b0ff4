"""The forecast of one column: behaviour on runs whose future is known, and its contract."""

import json
from dataclasses import replace

import numpy as np
import pytest

import qdlaws as qd
from qdlaws.forecasting.column import bounds, clock
from qdlaws.forecasting.prior import DEFAULT_PRIOR
from tests.helpers.forecast_runs import logarithmic_run


def test_a_trend_in_log_step_goes_on():
    """Twice the step: −.4·ln 2 = −.28; shrinkage may halve it but not lose it."""
    c = clock(logarithmic_run())
    low, mid, high = c.at(400)[["low", "mid", "high"]].iloc[0]
    truth = 3 - 0.4 * np.log(400)
    assert low < truth < high
    assert abs(mid - truth) < 0.14
    assert c.trend == pytest.approx(-0.4, abs=0.15)


def test_the_present_level_is_nearer_the_truth_than_a_reading():
    """Within half the noise of a reading."""
    errors = [clock(logarithmic_run(seed=k)).now.mid - (3 - 0.4 * np.log(200)) for k in range(8)]
    assert np.sqrt(np.mean(np.square(errors))) < 0.05


def test_units_do_not_matter():
    log = logarithmic_run()
    c = clock(log).at([300, 400])
    shifted = qd.RunLog.from_arrays(10 * log.step + 7, quality=5 * log.entropy - 100)
    other = clock(shifted, "quality", prior=replace(DEFAULT_PRIOR, drift=0.0)).at([3007, 4007])
    for name in ("low", "mid", "high"):
        np.testing.assert_allclose(other[name], 5 * c[name] - 100, rtol=1e-4)


def test_intervals_nest_and_grow():
    c = clock(logarithmic_run())
    narrow, wide = c.at([220, 400, 900], level=0.5), c.at([220, 400, 900], level=0.95)
    assert (wide["low"] < narrow["low"]).all()
    assert (wide["high"] > narrow["high"]).all()
    assert np.all(np.diff(wide["high"] - wide["low"]) > 0)
    one, level = c.at(300, readings=1), c.at(300)
    assert (one["high"] - one["low"]).item() > (level["high"] - level["low"]).item()


def test_crossing_gives_the_step_and_the_probability():
    c = clock(logarithmic_run())
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


def test_a_constant_column_has_no_interval():
    c = clock(qd.RunLog.from_arrays(np.arange(20), entropy=np.full(20, 0.3)))
    row = c.at(40).iloc[0]
    assert row["mid"] == 0.3
    assert np.isnan(row["low"])
    assert np.isnan(row["high"])
    assert np.isnan(c.reached(0.2, 100).probability)
    assert "has always been 0.3" in str(c)
    assert json.loads(json.dumps(c.to_dict(), allow_nan=False))["now"]["low"] is None


def test_missing_readings_change_the_forecast_little():
    log = logarithmic_run()
    y = log.entropy.copy()
    y[::3] = np.nan
    holes = qd.RunLog.from_arrays(log.step, entropy=y)
    a, b = clock(holes).at(400)["mid"].item(), clock(log).at(400)["mid"].item()
    assert a == pytest.approx(b, abs=0.08)


def test_missing_columns_and_past_steps_are_refused():
    with pytest.raises(qd.MissingColumn):
        clock(logarithmic_run(), "diversity")
    with pytest.raises(qd.BadData, match="steps from 200"):
        clock(logarithmic_run()).at(10)


def test_reasons_say_how_far_the_forecast_may_be_used():
    c = clock(logarithmic_run())
    near, far = " ".join(c.reasons(100)), " ".join(c.reasons(1000))
    change = c.at(300)["mid"].item() - c.now.mid
    assert f"expected change until step 300: {change:+.2g}" in near
    assert "do not rely" not in near
    assert "6.0 times the steps run so far: far beyond the data" in far


def test_it_answers_like_every_result():
    c = clock(logarithmic_run())
    assert len(repr(c)) < 200
    assert "entropy from step 200 to 299.5" in repr(c)
    assert "<b>entropy from step 200 to 299.5" in c._repr_html_()
    frame = c.to_frame()
    assert list(frame.columns) == ["column", "step", "low", "mid", "high"]
    assert (frame["step"].iloc[0], frame["step"].iloc[-1], len(frame)) == (200, 299.5, 11)
    values = json.loads(json.dumps(c.to_dict(), allow_nan=False))
    assert values["forecast"][-1]["mid"] == frame["mid"].iloc[-1]


def test_plot_shows_the_readings_and_three_intervals():
    import matplotlib as mpl

    mpl.use("Agg")
    ax = clock(logarithmic_run()).plot()
    labels = ax.get_legend_handles_labels()[1]
    assert labels == [
        "reading, pale to dark with time",
        "95% interval",
        "80% interval",
        "50% interval",
        "forecast",
        "now",
    ]


@pytest.mark.parametrize(
    ("column", "readings", "limits"),
    [
        ("quality", [0.0, 0.6], (0.0, 1.0)),
        ("quality", [-0.3, 0.6], (-1.0, 1.0)),
        ("quality", [0.2, 7.0], (-np.inf, np.inf)),
        ("diversity", [0.9, 0.1], (0.0, 1.0)),
        ("diversity", [9.0, 12.0], (0.0, np.inf)),
        ("entropy", [0.9, 0.1], (0.0, np.inf)),
        ("entropy", [-0.1, 0.1], (-np.inf, np.inf)),
    ],
)
def test_a_column_keeps_to_the_range_of_its_kind(column, readings, limits):
    assert bounds(column, np.array(readings)) == limits


def test_a_forecast_stays_inside_the_range_and_never_reaches_beyond_it():
    step = np.arange(1.0, 61)
    noise = 0.02 * np.random.default_rng(0).standard_normal(60)
    log = qd.RunLog.from_arrays(step, quality=np.clip(0.2 * np.log(step) + noise, 0, 1))
    c = clock(log, "quality", level=0.95)
    table = c.at([60, 200, 1000])
    assert table["high"].max() <= 1
    assert table["low"].min() >= 0
    assert c.reached(1.01, 1000).probability == 0
