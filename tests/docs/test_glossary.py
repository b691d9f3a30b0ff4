"""docs/glossary.md: each term once, in order, with the module that computes it."""

from __future__ import annotations

from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LINES = (ROOT / "docs" / "glossary.md").read_text(encoding="utf-8").splitlines()
ROWS = [
    [cell.strip().strip("`") for cell in line.strip("|").split("|")]
    for line in LINES
    if line.startswith("| ") and not line.startswith("| term")
]
TERMS = [row[0] for row in ROWS]


def test_terms_are_in_alphabetical_order_each_once():
    assert sorted(TERMS, key=str.lower) == TERMS
    assert len(set(TERMS)) == len(TERMS)


@pytest.mark.parametrize("row", ROWS, ids=TERMS)
def test_every_term_has_a_meaning_and_a_module_that_exists(row):
    assert len(row) == 4, "a | in a cell breaks the table"
    _, _, meaning, module = row
    assert len(meaning.split()) >= 5
    assert meaning.endswith(".")
    assert (ROOT / module).is_file()


def test_the_actions_the_verdicts_and_the_kinds_of_entropy_are_explained():
    text = "\n".join(LINES)
    for words in (
        ("continue", "stop", "wait", "tighten", "loosen"),
        ("concave", "convex", "linear", "unsupported"),
        ("tilt", "monotone", "folded", "unsettled"),
        ("token entropy", "sequence entropy", "token NLL", "sequence NLL", "unknown"),
    ):
        assert [word for word in words if word not in text] == []
