"""Runs beside each other: one law or not, in a sentence and a table."""

from __future__ import annotations

import pytest

from qdlaws import Comparison, RunLog, compare, fit
from qdlaws.reporting.run_data import RunView
from qdlaws.reporting.sections.comparison import compared, comparison_section
from tests.helpers.report_page import Page, short_run


def view(name: str, log: RunLog) -> RunView:
    return RunView(name, fit(log))


@pytest.fixture(scope="module")
def alike() -> list[RunView]:
    return [view(f"run {seed}", short_run(seed=seed)) for seed in (3, 4)]


def test_runs_of_one_law_and_of_two_are_told_apart(alike):
    assert "No difference" in compared(alike).conclusion
    log = short_run(seed=5)
    higher = RunLog.from_arrays(log.step, quality=log.quality + 0.3, diversity=log.diversity)
    assert "do not share one law" in compared([*alike, view("higher", higher)]).conclusion


def test_every_run_has_its_coefficients_with_errors(alike):
    comparison = compared(alike)
    assert isinstance(comparison, Comparison)
    words = Page(comparison_section(comparison)).words()
    value = compare([v.fits for v in alike]).table["value"][0]
    assert f"{value:.3g} ±" in words
    assert all(v.name in words for v in alike)


def test_runs_that_cannot_be_compared_say_why(alike):
    only_entropy = RunLog.from_arrays(
        range(40), quality=short_run().quality, entropy=short_run().diversity
    )
    text = compared([alike[0], view("entropy", only_entropy)])
    assert isinstance(text, str)
    assert text in Page(comparison_section(text)).words()
