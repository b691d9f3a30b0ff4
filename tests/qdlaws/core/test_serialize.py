"""Values for JSON, and probabilities in words."""

from __future__ import annotations

import json

import numpy as np
import pytest

from qdlaws.core.serialize import chance, plain, printable, printable_json


def test_unknown_numbers_are_null():
    assert plain({"a": np.array([1.0, np.nan, np.inf]), "b": (np.int64(2), None)}) == {
        "a": [1.0, None, None],
        "b": [2, None],
    }


@pytest.mark.parametrize(
    ("p", "words"),
    [(1.0, "over 99%"), (0.9951, "over 99%"), (0.99, "99%"), (0.5, "50%"), (0.0, "under 1%")],
)
def test_no_probability_is_a_certainty(p, words):
    assert chance(p) == words


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("reward\x1b]52;c;cm0=\x07", r"reward\x1b]52;c;cm0=\x07"),
        ("\x9b2J\x7f", r"\x9b2J\x7f"),
        ("a\rb", r"a\x0db"),
        ("abc\u202ecba\u2066", r"abc\u202ecba\u2066"),
        ("\udcff", r"\udcff"),
        ("é – 分\n\t", "é – 分\n\t"),
    ],
)
def test_what_a_terminal_would_obey_is_shown_as_an_escape(text, shown):
    assert printable(text) == shown


def test_a_json_text_without_control_characters_has_the_same_values():
    values = {"a\x7f": ["\x9b", "\u202e", "\ud800", "é\n"]}
    text = printable_json(json.dumps(values, ensure_ascii=False))
    assert text.isprintable()
    assert json.loads(text) == values
