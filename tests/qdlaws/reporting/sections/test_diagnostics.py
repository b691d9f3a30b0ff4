"""Certificates, tests of the residuals and the composition check."""

from __future__ import annotations

from dataclasses import replace

import pytest

from qdlaws import LawFits, fit
from qdlaws.reporting.html import number
from qdlaws.reporting.run_data import RunView
from qdlaws.reporting.sections.diagnostics import checks_section
from tests.helpers.report_page import Page, short_run


@pytest.fixture(scope="module")
def fits() -> LawFits:
    return fit(short_run())


def test_the_residual_tests_are_those_of_the_law(fits):
    words = Page(checks_section([RunView("run", fits)])).words()
    tests = fits.rd.diagnostics()
    assert number(tests["durbin_watson"]) in words
    assert number(fits.rd.r2) in words


def test_certificates_are_shown_where_there_are_any(fits):
    assert "Do the intervals hold?" not in checks_section([RunView("run", fits)])
    certificates = {"quality on diversity": "reached 94%"}
    text = checks_section([RunView("run", fits, certificates=certificates)])
    assert "reached 94%" in text


def test_the_composition_is_checked_where_a_run_has_all_three_laws(fits):
    assert "agree with each other" not in checks_section([RunView("run", fits)])
    log = short_run()
    three = fit(replace(log, entropy=2 * log.diversity + 0.1))
    assert three.composition is not None
    words = Page(checks_section([RunView("run", three)])).words()
    assert "agree with each other" in words
    assert three.composition.verdict in words
