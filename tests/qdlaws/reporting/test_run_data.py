"""The numbers behind the page are those of the log and the fit, thinned and strict JSON."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from qdlaws import fit, forecast, read
from qdlaws.reporting.run_data import RunView, beyond_of, curve_of, page_data, readings_of
from tests.helpers.report_page import short_run

EXAMPLE = Path(__file__).parents[3] / "data" / "runs" / "additive"


@pytest.fixture(scope="module")
def example() -> RunView:
    fits = fit(read(EXAMPLE))
    return RunView("additive", fits, forecast=forecast(fits, 250))


def test_readings_laws_and_forecast_reach_the_script_as_they_are(example):
    log, law = example.log, example.fits.rd
    data = json.loads(page_data([example]))
    run = data["runs"][0]
    assert run["name"] == "additive"
    np.testing.assert_array_equal(run["data"]["step"], log.step)
    for column in ("quality", "diversity", "entropy", "quality_se"):
        np.testing.assert_allclose(run["data"][column], getattr(log, column), rtol=1e-5)
    curve = run["laws"]["rd"]
    assert curve["verdict"] == law.verdict
    assert curve["supported"]
    np.testing.assert_allclose(curve["mid"], law.predict(curve["x"])["mid"], rtol=2e-5)
    ahead = run["forecast"]["quality"]
    assert (ahead["step"][0], ahead["step"][-1]) == (log.step[-1], log.step[-1] + 250)
    assert np.all(np.array(ahead["low"]) <= np.array(ahead["high"]))
    assert data["pairs"]["rd"] == ["diversity", "quality"]


def test_a_curve_spans_the_run_and_carries_its_band(example):
    curve = curve_of(example.fits.rd, points=9)
    assert len(curve.x) == 9
    assert np.all(curve.low <= curve.mid)
    assert np.all(curve.mid <= curve.high)


def test_a_law_goes_on_to_the_outermost_readings(example):
    rng = np.random.default_rng(3)
    log = short_run(60)
    fits = fit(replace(log, diversity=log.diversity + 0.05 * rng.standard_normal(60)))
    law, (left, right) = fits.rd, beyond_of(fits.rd)
    assert left.x[0] == law.x.min()
    assert left.x[-1] == law.range[0]
    assert right.x[-1] == law.x.max()
    sides = json.loads(page_data([RunView("noisy", fits)]))["runs"][0]["laws"]["rd"]["beyond"]
    np.testing.assert_allclose(sides[0]["mid"], left.mid, rtol=1e-5)


def test_a_law_that_could_not_be_fitted_has_no_curve():
    log = short_run()
    log = replace(log, entropy=log.diversity, diversity=np.full(40, 0.5))
    fits = fit(log)
    assert curve_of(fits.rd) is None
    assert curve_of(fits.rh) is not None
    laws = json.loads(page_data([RunView("flat", fits)]))["runs"][0]["laws"]
    assert set(laws) == {"rh"}


def test_long_runs_are_thinned_and_many_runs_share_the_points():
    view = RunView("long", fit(short_run(2501)))
    steps = json.loads(page_data([view]))["runs"][0]["data"]["step"]
    assert 1900 <= len(steps) <= 2000
    assert (steps[0], steps[-1]) == (0, 25_000)
    crowd = json.loads(page_data([view] * 100))
    assert sum(len(run["data"]["step"]) for run in crowd["runs"]) <= 20_000


def test_unknown_values_are_null():
    quality = np.array(short_run().quality)
    quality[[0, 7]] = np.nan
    view = RunView("gaps", fit(replace(short_run(), quality=quality)))
    values = json.loads(page_data([view]))["runs"][0]["data"]["quality"]
    assert (values[0], values[7]) == (None, None)
    assert 0 not in values


def test_all_regimes_are_drawn_and_their_borders_marked():
    view = RunView("two regimes", fit(short_run().with_marks(200)))
    run = json.loads(page_data([view]))["runs"][0]
    assert len(run["data"]["step"]) == 40
    assert run["marks"] == [200]


def test_no_name_can_end_the_script_element():
    view = RunView("</script><!--&", fit(short_run()))
    text = page_data([view])
    assert not set("<>&") & set(text)
    assert json.loads(text)["runs"][0]["name"] == "</script><!--&"


def test_a_short_table_of_readings_is_spread_evenly():
    steps = readings_of(RunView("run", fit(short_run(300))), most=20)["step"]
    assert len(steps) == 20
    assert np.ptp(np.diff(steps)) <= 10  # never two apart by more than one row
