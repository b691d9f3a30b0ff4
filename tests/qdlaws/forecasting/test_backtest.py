"""backtest: its numbers against hand-made ones, its verdict on simulated runs."""

import json

import numpy as np
import pytest

import qdlaws as qd
from qdlaws.forecasting.backtest import OURS, backtest
from qdlaws.forecasting.baselines import BASELINES


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


def test_table_holds_the_targets_and_readings_of_the_run(rising):
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


def test_every_baseline_has_errors(rising):
    assert set(rising.errors.columns) == {OURS, *BASELINES, "b − a·exp(H)", "curve_fit law"}


def test_errors_are_medians_and_coverage_a_share(rising):
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
    """Up, down, up again: each trend is followed by its opposite."""
    rng = np.random.default_rng(4)
    step = np.arange(1.0, 201)
    zigzag = np.interp(step, [0, 30, 45, 70, 100, 150, 200], [0, 1, 0.2, 1.4, 0.1, 1.8, 0])
    b = backtest(qd.RunLog.from_arrays(step, quality=zigzag + 0.01 * rng.standard_normal(200)))
    assert b.trusted is False
    assert "not" in b.verdict


def test_forecasts_use_readings_before_their_origin_only():
    """Changing the readings after an origin changes no forecast made there."""
    log = run()
    changed = log.quality.copy()
    changed[60:] += 5
    other = qd.RunLog.from_arrays(log.step, quality=changed, entropy=log.entropy)
    a, b = backtest(log).table, backtest(other).table
    early = a["origin"] <= 60
    for column in ("low", "mid", "high", *BASELINES):
        np.testing.assert_allclose(a.loc[early, column], b.loc[early, column])


def test_other_columns_and_runs_without_entropy():
    b = backtest(run(entropy=False))
    assert "curve_fit law" not in b.table.columns
    h = backtest(run(), "entropy")
    assert h.column == "entropy"
    assert h.median_errors[OURS] < h.median_errors["last value"]


def test_runs_too_short_are_refused_or_get_no_verdict():
    with pytest.raises(qd.NotEnoughData, match="10 or more"):
        backtest(run(n=8))
    with pytest.raises(qd.NotEnoughData, match="never moves"):
        backtest(qd.RunLog.from_arrays(np.arange(30), quality=np.ones(30)))
    short = backtest(run(n=12, entropy=False))
    assert short.trusted is None or isinstance(short.trusted, bool)
    assert backtest(run(n=40), origins=(0.5,)).trusted is None


def test_it_answers_like_every_result(rising):
    values = json.loads(json.dumps(rising.to_dict(), allow_nan=False))
    keys = {"column", "trusted", "verdict", "level", "coverage", "sd", "errors", "table"}
    assert set(values) == keys
    assert set(values["errors"]) == set(rising.errors.columns)
    assert values["verdict"] == rising.verdict
    assert len(values["table"]) == len(rising.table) == len(rising.to_frame())
    text = str(rising)
    assert rising.verdict.startswith(rising.conclusion)
    assert " ".join(text.split()).endswith(f"{rising.conclusion[1:]}.")
    assert "later readings inside the 80% interval" in text
    assert "the last value + half an s.d." in text
    assert len(repr(rising)) < 200
    assert "Backtest of quality" in rising._repr_html_()


def test_plot_shows_forecasts_and_later_readings(rising):
    import matplotlib as mpl

    mpl.use("Agg")
    labels = rising.plot().get_legend_handles_labels()[1]
    assert sorted(labels) == [
        "forecast of the end of the run, 80% interval",
        "forecast of twice the step, 80% interval",
        "reading at the end of the run",
        "reading at twice the step",
    ]


def test_a_forecast_that_any_simpler_one_beats_is_not_trusted(rising):
    from dataclasses import replace

    table = rising.table.copy()
    table["damped Holt"] = table["observed"]
    beaten = replace(rising, table=table)
    assert beaten.trusted is False
    assert "damped Holt" in beaten.conclusion
