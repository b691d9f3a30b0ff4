"""report(): from logs, fits and paths to one file, or to nothing at all."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from qdlaws import Goal, QdlawsError, RunLog, fit, report
from qdlaws.reporting.build import RunLeftOut
from tests.helpers.report_page import Page, data_of, short_run

EXAMPLE = Path(__file__).parents[3] / "data" / "runs" / "additive"


def words_of(path: Path) -> str:
    return Page(path.read_text(encoding="utf-8")).words()


def test_a_path_a_log_and_a_fit_are_all_runs(tmp_path):
    out = tmp_path / "three.html"
    runs = [EXAMPLE, short_run(source="a/log"), fit(short_run(seed=4, source="b/log"))]
    assert report(runs, out, certificates=False) == out
    names = [run["name"] for run in data_of(out.read_text(encoding="utf-8"))["runs"]]
    assert names == ["runs/additive", "a/log", "b/log"]


def test_a_run_that_is_left_out_gives_a_warning_with_the_reason(tmp_path):
    runs = [short_run(source="a/x"), short_run(3, source="short")]
    with pytest.warns(RunLeftOut, match="short is left out: .*5 are needed"):
        report(runs, tmp_path / "r.html", certificates=False)


def test_the_forecast_reaches_to_the_budget_of_steps(tmp_path):
    out = report(short_run(), tmp_path / "r.html", Goal(budget_steps=500), certificates=False)
    ahead = data_of(out.read_text(encoding="utf-8"))["runs"][0]["forecast"]["quality"]
    assert (ahead["step"][0], ahead["step"][-1]) == (390, 500)


def test_the_page_of_a_log_in_epochs_speaks_of_epochs(tmp_path):
    log = short_run()
    note = "the step is column 'epoch'"
    log = replace(log, step=(log.step + 0.5) / 1000, notes=(*log.notes, note))
    path = report(log, tmp_path / "r.html", Goal(budget_steps=2), certificates=False)
    text = path.read_text()
    assert data_of(text)["clock"] == "epoch"
    assert "2 epochs at most" in text
    assert "checkpoints, epochs 0.0" in text
    assert "against epoch of one run" in text


def test_the_same_runs_give_the_same_bytes(tmp_path):
    fits = fit(short_run())
    first = report(fits, tmp_path / "1.html", certificates=False).read_bytes()
    assert report(fits, tmp_path / "2.html", certificates=False).read_bytes() == first


def test_certificates_are_in_the_page(tmp_path):
    words = words_of(report(short_run(), tmp_path / "c.html", certificates=True))
    assert "simulated runs" in words


def test_a_model_of_the_user_stands_in_place_of_the_laws(tmp_path):
    from lmfit.models import QuadraticModel

    fits = fit(short_run(), model=QuadraticModel())
    assert "user model" in words_of(report(fits, tmp_path / "user.html"))


def test_a_run_without_a_trade_off_says_so(tmp_path):
    rng = np.random.default_rng(0)
    log = RunLog.from_arrays(
        range(60), quality=rng.standard_normal(60), diversity=rng.standard_normal(60)
    )
    words = words_of(report(log, tmp_path / "none.html"))
    assert "No trade-off between quality and diversity can be seen" in words


def test_bad_input_is_refused_and_nothing_is_written(tmp_path):
    out = tmp_path / "r.html"
    with pytest.raises(QdlawsError, match="at least one run"):
        report([], out)
    with pytest.raises(QdlawsError, match="5 are needed"):
        report(short_run(3), out)
    with pytest.raises(QdlawsError, match="none of 2 runs"):
        report([short_run(3), short_run(4)], out)
    with pytest.raises(QdlawsError, match="entropy"):
        report(short_run(), out, Goal(min_entropy=1.0))
    with pytest.raises(QdlawsError, match="cannot write"):
        report(short_run(), tmp_path / "no" / "r.html", certificates=False)
    assert not list(tmp_path.iterdir())


def test_a_folder_whose_name_is_no_text_is_reported(tmp_path):
    """Bytes that are not UTF-8 ended in a traceback and left a temporary file."""
    folder = Path(os.fsdecode(os.fsencode(tmp_path) + b"/run-\xff\xfe"))
    folder.mkdir()
    short_run().to_frame().to_csv(folder / "log.csv", index=False)
    out = report(folder, tmp_path / "r.html", certificates=False)
    assert "run-" in words_of(out)
    assert {path.name for path in tmp_path.iterdir()} == {folder.name, "r.html"}
