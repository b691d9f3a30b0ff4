"""forecast: runs whose future is known, questions that are refused, and the contract."""

import json
from dataclasses import replace

import numpy as np
import pytest

import qdlaws as qd
from qdlaws.core.interval import show
from qdlaws.forecasting.column import clock
from qdlaws.forecasting.forecast import forecast, half_of
from qdlaws.laws.fit import fit
from tests.helpers.forecast_runs import law_curve, law_run


@pytest.fixture(scope="module")
def fc():
    return forecast(fit(law_run()[:101]), horizon=100)


def test_every_column_is_forecast(fc):
    assert fc.columns == ("quality", "diversity", "entropy")
    table = fc.at([150, 200])
    assert list(table.columns) == ["column", "step", "low", "mid", "high"]
    assert len(table) == 6
    assert (table["low"] < table["mid"]).all()
    assert (table["mid"] < table["high"]).all()


def test_intervals_hold_the_later_truth(fc):
    quality, entropy = law_curve(200.0)
    for name, value in (("quality", quality), ("entropy", entropy)):
        assert fc.final[name].low < value < fc.final[name].high
    last = fc.now["quality"].mid
    assert abs(fc.final["quality"].mid - quality) < 0.65 * abs(last - quality)


def test_final_is_the_end_of_the_horizon(fc):
    table = fc.at(200).set_index("column")
    for name, interval in fc.final.items():
        assert interval.mid == table.loc[name, "mid"]
        assert interval.level == 0.8


def test_crossing_of_a_value_is_dated_with_its_probability(fc):
    quality, _ = law_curve(125.0)
    soon = fc.step_when(quality=quality)
    assert 100 <= soon.low < 125
    assert soon.probability > 0.4
    never = fc.step_when(quality=5.0)
    assert not never.known
    assert np.isnan(never.mid)
    assert never.probability < 0.02
    _, entropy = law_curve(140.0)
    assert fc.step_when(entropy=entropy).probability > 0.5
    with pytest.raises(qd.BadData, match="one of"):
        fc.step_when(quality=0.5, entropy=0.1)
    with pytest.raises(qd.BadData, match="one of"):
        fc.step_when()


def test_intervals_grow_with_the_horizon(fc):
    q = fc.at([110, 150, 200, 400]).query("column == 'quality'")
    assert np.all(np.diff(q["high"] - q["low"]) > 0)


def test_a_flat_run_is_forecast_flat():
    rng = np.random.default_rng(2)
    log = qd.RunLog.from_arrays(np.arange(1.0, 201), quality=rng.standard_normal(200))
    fc = forecast(log, 200)
    assert abs(fc.final["quality"].mid) < 0.35
    assert fc.final["quality"].low < 0 < fc.final["quality"].high


def test_a_mark_restarts_the_time_of_a_run():
    log = law_run().with_marks(120)
    fc = forecast(fit(log), 50)
    assert fc.by_column["quality"].data.origin == 119
    assert fc.step == 200


def test_it_answers_like_every_result(fc):
    values = json.loads(json.dumps(fc.to_dict(), allow_nan=False))
    assert set(values) == {"step", "horizon", "level", "now", "final", "reasons"}
    assert set(values["final"]) == {"quality", "diversity", "entropy"}
    assert values["horizon"] == 100
    assert any("expected change until step 200" in reason for reason in values["reasons"])
    assert "<b>Forecast of" in fc._repr_html_()
    assert repr(fc).startswith("<Forecast of a run: Until step 200: quality rises from")
    frame = fc.to_frame(steps=3)
    assert frame[frame["column"] == "quality"]["step"].tolist() == [100, 150, 200]


def test_the_summary_is_one_table_and_one_line_that_repeats_nothing(fc):
    summary = fc.summary()
    assert summary.table[0][1:] == ("now, step 100", "at step 200")
    assert [row[0] for row in summary.table[1:]] == list(fc.columns)
    assert show(fc.final["quality"]) == " ".join(summary.table[1][2].split())
    assert summary.conclusion.startswith("Until step 200: quality rises from")
    assert not any("expected change" in remark for remark in summary.remarks)
    assert max(map(len, summary.text(60).splitlines())) <= 60


def test_plot_has_one_panel_a_column(fc):
    import matplotlib as mpl

    mpl.use("Agg")
    figure = fc.plot()
    assert [ax.get_ylabel() for ax in figure.axes] == list(fc.columns)


def test_bad_questions_are_refused():
    with pytest.raises(qd.BadData, match="positive number of steps"):
        forecast(law_run(), horizon=0)
    with pytest.raises(qd.BadData, match="between 0 and 1"):
        forecast(law_run(), level=80)
    with pytest.raises(qd.NotEnoughData, match="4 readings of quality"):
        forecast(law_run()[:5])
    with pytest.raises(qd.MissingColumn, match="no forecast of diversity"):
        forecast(qd.RunLog.from_arrays(np.arange(9), quality=np.arange(9.0))).step_when(diversity=1)


def test_a_column_with_too_few_readings_is_left_out():
    step = np.arange(1.0, 21)
    diversity = np.where(step < 4, 0.5, np.nan)
    fc = forecast(qd.RunLog.from_arrays(step, quality=np.log(step), diversity=diversity), 20)
    assert fc.columns == ("quality",)
    assert any("no forecast of diversity" in r for r in fc.reasons)


@pytest.mark.slow
def test_a_break_of_the_trend_to_come_is_held_about_every_second_time():
    """200 runs whose trend breaks at a random step, mostly after the forecast is made.

    Intervals are calibrated on real runs (benchmarks/forecast_real.py).
    """
    rng = np.random.default_rng(12)
    inside = []
    for _ in range(200):
        n = int(rng.integers(60, 300))
        t = np.arange(1, n + 1) / n
        when = rng.uniform(0.05, 0.95)
        path = rng.normal(0.5, 0.7) * t + rng.normal(0, 0.7) * np.maximum(t - when, 0)
        y = path + rng.uniform(0.05, 0.3) * rng.standard_normal(n)
        cut, tail = int(n * rng.choice([0.25, 0.5, 0.75])), n // 10
        log = qd.RunLog.from_arrays(np.arange(n), quality=y)
        c = clock(log.take(slice(0, cut)), "quality")
        row = c.at([log.step[-tail:].mean()], readings=tail).iloc[0]
        inside.append(row["low"] <= y[-tail:].mean() <= row["high"])
    assert 0.45 < np.mean(inside) < 0.97


def test_import_is_light():
    import subprocess
    import sys

    code = (
        "import sys, qdlaws.forecasting.forecast, qdlaws.forecasting.backtest\n"
        "heavy = {'statsmodels', 'lmfit', 'matplotlib', 'scipy.stats'} & set(sys.modules)\n"
        "sys.exit(str(heavy) if heavy else 0)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_warning_about_the_horizon_is_given_once():
    far = [r for r in forecast(law_run(), horizon=1000).reasons if "far beyond the data" in r]
    assert far == [
        "step 1200 is 6.0 times the steps run so far: far beyond the data, do not rely on it"
    ]


def epochs_log() -> qd.RunLog:
    """200 readings within a tenth of an epoch."""
    epoch = np.linspace(0, 0.1, 200)
    quality = 0.5 + epoch + 0.01 * np.random.default_rng(0).standard_normal(200)
    notes = ("the step is column 'epoch'",)
    return replace(qd.RunLog.from_arrays(epoch, quality=quality), notes=notes)


def test_the_forecast_looks_half_of_the_run_ahead_on_any_clock():
    """It looked 500 ahead on every clock: 4976 times the epochs of this run."""
    fc = forecast(epochs_log())
    assert fc.horizon == pytest.approx(0.05)
    assert not any("far beyond the data" in reason for reason in fc.reasons)
    assert forecast(law_run()).horizon == half_of(law_run().step) == 100
    assert half_of(np.arange(6.0)) == 3  # 2.5 steps are no whole number
    assert half_of(np.array([7.0])) == 1


def test_the_words_and_axes_of_a_log_in_epochs_speak_of_epochs():
    import matplotlib as mpl

    mpl.use("Agg")
    fc = forecast(epochs_log(), horizon=1)
    words = " ".join([*fc.reasons, str(fc), str(fc.by_column["quality"])])
    assert "expected change until epoch 1.1" in words
    assert "times the epochs run so far" in words
    assert "quality from epoch 0.1 to 0.15" in words
    assert " step " not in words.replace("the step is column", "")
    assert fc.plot().axes[-1].get_xlabel() == "epoch"
    assert fc.by_column["quality"].plot().get_xlabel() == "epoch"
    assert ", at epochs 0." in str(qd.backtest(epochs_log(), origins=(0.5,)))
    crossing = str(fc.step_when(quality=0.6))
    assert not crossing.startswith("step 0 ")
