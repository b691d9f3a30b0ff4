"""The laws as figures, and the choice of runs and axes."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from html import escape

import numpy as np
import pytest

from qdlaws import RunLog, fit
from qdlaws.reporting.run_data import RunView, page_data
from qdlaws.reporting.sections.laws import controls, explorer, laws_section
from tests.helpers.report_page import Page, short_run


@pytest.fixture(scope="module")
def views() -> list[RunView]:
    return [RunView(f"run {seed}", fit(short_run(seed=seed))) for seed in (3, 4)]


def test_every_law_has_a_figure_with_verdict_numbers_and_curve(views):
    text = laws_section(views[:1])
    law = views[0].fits.rd
    assert f'<span class="badge {law.verdict}">' in text
    assert law.reasons[0] in Page(text).words()
    assert "The curve as a table" in text
    assert "Entropy" not in text  # the log has no such column


def test_the_letters_of_the_formulas_are_explained(views):
    assert "quality (R), diversity (D) and entropy (H)" in Page(laws_section(views)).words()


def test_one_legend_holds_the_marks_that_are_drawn(views):
    text = laws_section(views[:1])
    assert text.count('<ul class="marks">') == 1
    assert "the law in its 95% band" in text
    assert "no law" not in text  # every curve here is one
    flat = replace(short_run(), quality=np.sin(7.0 * np.arange(40)))
    assert "a curve that is no law" in laws_section([RunView("flat", fit(flat))])


def test_a_card_shows_its_verdict_in_words_and_folds_the_rest(views):
    text = laws_section(views[:1])
    badge, figure, folded = (
        text.index(part) for part in ("clear trade-off", '<svg class="chart', "<details")
    )
    assert badge < figure < folded
    assert (
        folded < text.index("R = b − a·exp(c·D)") < text.index(escape(views[0].fits.rd.reasons[0]))
    )


def test_one_name_for_different_measures_is_pointed_out(views):
    assert "not one measure" not in laws_section(views)
    mixed = [
        RunView(kind, fit(replace(short_run(), kinds={"diversity": kind})))
        for kind in ("hamming", "iSIM")
    ]
    words = Page(laws_section(mixed)).words()
    assert "diversity is not one measure here" in words
    assert "hamming in 1 run, iSIM in 1 run" in words


def test_any_column_can_be_put_on_either_axis(views):
    options = re.findall(r"<option>(\w+)</option>", explorer(views))
    assert options == ["quality", "diversity", "step", "quality", "diversity"]


def test_notes_of_the_reader_stand_with_the_readings_of_several_runs():
    noted = [RunView(n, fit(short_run(notes=[f"note on {n}"]))) for n in ("a", "b")]
    assert "note on b" in explorer(noted)
    assert "note on a" not in explorer(noted[:1])  # the sources of a single run have it


def test_only_several_runs_can_be_chosen_among(views):
    assert controls(views[:1]) == ""
    parsed = Page(controls(views))
    assert [box["data-run"] for box in parsed.all("input")] == ["0", "1"]


def test_a_stretch_that_the_law_leaves_out_is_grey_and_in_the_legend():
    rng = np.random.default_rng(5)
    x = np.append(np.linspace(0.9, 0.3, 60), np.full(60, 0.3)) + 0.002 * rng.normal(size=120)
    y = 1 - 0.1 * np.exp(2 * x) + 0.004 * rng.normal(size=120)
    fits = fit(RunLog.from_arrays(np.arange(120), quality=y, diversity=x))
    text = laws_section([RunView("still", fits)])
    assert "left out: the run stands still there" in text
    grey = re.findall(r'class="dots m0 out" d="([^"]*)"', text)[-1]
    assert grey.count("M") == len(fits.rd.left_out.step)
    page = json.loads(page_data([RunView("still", fits)]))["runs"][0]
    assert page["laws"]["rd"]["left_out"] == [fits.rd.left_out.step[0], 119]
