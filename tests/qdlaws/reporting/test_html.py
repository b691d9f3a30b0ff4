"""Small pieces of HTML: nothing from a log becomes markup, nothing empty is shown."""

from __future__ import annotations

import numpy as np

from qdlaws.core.summary import Summary
from qdlaws.reporting import html
from tests.helpers.report_page import Page

EVIL = '<b onload="x">&'


def test_everything_but_raw_text_is_escaped():
    parts = [
        html.section(EVIL, html.note(EVIL), "name"),
        html.fold(EVIL, html.bullets([EVIL])),
        html.table([EVIL], [[EVIL]], EVIL),
        html.facts(Summary("", rows=((EVIL, EVIL),))),
        html.picture(EVIL, "<svg></svg>", EVIL),
        html.badge(EVIL),
    ]
    for part in parts:
        page = Page(part)
        assert "b" not in [tag for tag, _ in page.elements]
        assert EVIL in page.words()
    assert "<td><b>1</b></td>" in html.table(["n"], [[html.Raw("<b>1</b>")]])


def test_empty_parts_leave_nothing_behind():
    assert html.section("Title", "", "name") == ""
    assert html.fold("Title", "") == ""
    assert html.bullets([]) == ""
    assert html.facts(Summary("a heading")) == ""


def test_columns_of_numbers_are_marked():
    text = html.table(["run", "R²"], [["a", "0.9"]], numbers=1)
    assert '<td>a</td><td class="number">0.9</td>' in text
    assert '<th scope="col" class="number">R²</th>' in text


def test_unknown_numbers_are_a_dash_and_tiny_p_values_a_bound():
    assert html.number(0.12345) == "0.123"
    assert html.number(np.nan) == "–"
    assert html.p_value(3e-7) == "< 0.0001"
    assert html.p_value(0.0421) == "0.042"
    assert html.p_value(np.nan) == "–"


def test_folded_parts_are_printed_unless_they_say_otherwise():
    assert '<details class="printed">' in html.fold("Title", "body")
    assert "<details>" in html.fold("Title", "body", printed=False)
