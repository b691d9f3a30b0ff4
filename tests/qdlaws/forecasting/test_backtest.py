"""backtest: its numbers against hand-made ones, its verdict on runs of known character."""

import json

import numpy as np
import pytest

import qdlaws as qd
from qdlaws.forecasting.backtest import OURS, backtest
from qdlaws.forecasting.baselines import (
    BASELINES,
    curve_fit_law,
    damped_holt,
    last_line,
    two_parameter_law,
)


def run(n=120, noise=0.05, seed=0, entropy=True):
    rng = np.random.default_rng(seed)
    step = np.arange(1.0, n + 1)
    columns = {"quality": np.log(step) / 3 + noise * rng.standard_normal(n)}
    if entropy:
        columns["entropy"] = 1 - 0.15 * np.log(step) + 0.01 * rng.standard_normal(n)
    return qd.RunLog.from_arrays(step, **columns)


@pytest.fixture(scope="module")
def rising():
    return backtest(run())


def test_the_table_is_what_the_run_says(rising):
    log = run()
    assert rising.sd == pytest.approx(log.quality.std())
    row = rising.table.iloc[-1]
    assert row["target"] == pytest.approx(log.step[-12:].mean())
    assert row["observed"] == pytest.approx(log.quality[-12:].mean())
    last = log.quality[log.step == row["origin"]].item()
    assert row["last value"] == last
    prefix = log.quality[log.step <= row["origin"]]
    assert row["last + sd/2"] == pytest.approx(last + prefix.std() / 2)
    assert (rising.table["target"] > rising.table["origin"]).all()


def test_all_baselines_are_there(rising):
    assert set(rising.errors.columns) == {OURS, *BASELINES, "b − a·exp(H)", "curve_fit law"}


def test_errors_and_coverage_are_counted_right(rising):
    t = rising.table
    expected = (t["last value"] - t["observed"]).abs().median() / rising.sd
    assert rising.median_errors["last value"] == pytest.approx(expected)
    inside = ((t["low"] <= t["observed"]) & (t["observed"] <= t["high"])).mean()
    assert rising.coverage == inside


def test_a_steady_run_is_trusted(rising):
    assert rising.trusted is True
    assert rising.median_errors[OURS] < rising.median_errors["last value"]
    assert rising.verdict.startswith("trust the forecasts")
    assert "\n" not in rising.verdict


def test_a_run_that_breaks_is_not_trusted():
    """Up, down, up again: each trend that is believed is betrayed by the next."""
    rng = np.random.default_rng(4)
    step = np.arange(1.0, 201)
    zigzag = np.interp(step, [0, 30, 45, 70, 100, 150, 200], [0, 1, 0.2, 1.4, 0.1, 1.8, 0])
    b = backtest(qd.RunLog.from_arrays(step, quality=zigzag + 0.01 * rng.standard_normal(200)))
    assert b.trusted is False
    assert "not" in b.verdict


def test_it_knows_only_the_past():
    """Changing the readings after an origin changes no forecast made there."""
    log = run()
    changed = log.quality.copy()
    changed[60:] += 5
    other = qd.RunLog.from_arrays(log.step, quality=changed, entropy=log.entropy)
    a, b = backtest(log).table, backtest(other).table
    early = a["origin"] <= 60
    for column in ("low", "mid", "high", *BASELINES):
        np.testing.assert_allclose(a.loc[early, column], b.loc[early, column])


def test_other_columns_and_no_entropy():
    b = backtest(run(entropy=False))
    assert "curve_fit law" not in b.table.columns
    h = backtest(run(), "entropy")
    assert h.column == "entropy"
    assert h.median_errors[OURS] < h.median_errors["last value"]


def test_too_short_runs():
    with pytest.raises(qd.NotEnoughData, match="10 or more"):
        backtest(run(n=8))
    with pytest.raises(qd.NotEnoughData, match="never moves"):
        backtest(qd.RunLog.from_arrays(np.arange(30), quality=np.ones(30)))
    short = backtest(run(n=12, entropy=False))
    assert short.trusted is None or isinstance(short.trusted, bool)
    assert backtest(run(n=40), origins=(0.5,)).trusted is None


def test_summary_and_dict(rising):
    said = rising.to_dict()
    json.dumps(said, allow_nan=False)
    assert said["verdict"] == rising.verdict
    assert len(said["table"]) == len(rising.table)
    text = str(rising.summary())
    assert rising.verdict in text
    assert "damped Holt" in text


# ---------------------------------------------------------------------- the baselines


def test_lines_and_laws_meet_their_own_kind():
    s = np.arange(40.0)
    assert last_line(s, 2 * s + 1, 100.0) == pytest.approx(201)
    h = np.linspace(1.5, 0.5, 40)
    assert two_parameter_law(h, 3 - 0.2 * np.exp(h), 0.1) == pytest.approx(3 - 0.2 * np.exp(0.1))
    value = curve_fit_law(h, 3 - 0.2 * np.exp(2 * h), 0.1)
    assert value == pytest.approx(3 - 0.2 * np.exp(0.2), rel=1e-4)


def test_damped_holt_is_statsmodels():
    from statsmodels.tsa.holtwinters import ExponentialSmoothing

    y = np.log(np.arange(1.0, 60)) + 0.01 * np.sin(np.arange(59))
    model = ExponentialSmoothing(
        y, trend="add", damped_trend=True, initialization_method="estimated"
    )
    expected = model.fit().forecast(10)[-1]
    assert damped_holt(np.arange(59.0) * 5, y, 68.0 * 5) == pytest.approx(expected)


def test_baselines_that_cannot_say_nan():
    assert np.isnan(two_parameter_law(np.ones(9), np.arange(9.0), 0.5))
    assert np.isnan(curve_fit_law(np.full(9, np.nan), np.arange(9.0), 0.5))
    assert damped_holt(np.arange(9.0), np.ones(9), 20.0) == 1.0
