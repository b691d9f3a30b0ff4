"""Numbers as people write them, and those that mean two things."""

from __future__ import annotations

import math

import pytest

from qdlaws.core.number_text import decimal_mark, is_ambiguous, number, numbers


@pytest.mark.parametrize(
    ("text", "point", "comma"),
    [
        ("1,234.5", 1234.5, math.nan),
        ("1.234,5", math.nan, 1234.5),
        ("1,460", 1460, 1.46),
        ("1.000", 1, 1000),
        ("0,460", math.nan, 0.46),
        ("0.460", 0.46, math.nan),
        ("12,345,678", 12345678, math.nan),
        ("1'234", 1234, 1234),
        ("-1 234 567", -1234567, -1234567),
        ("5.9e-05", 5.9e-5, math.nan),
        ("5,9e-05", math.nan, 5.9e-5),
        ("1.5", 1.5, math.nan),
        ("7", 7, 7),
        ("true", 1, 1),
        ("1e999", math.nan, math.nan),
        ("words", math.nan, math.nan),
    ],
)
def test_a_number_is_read_with_the_mark_of_its_table(text, point, comma):
    for mark, value in (("point", point), ("comma", comma)):
        assert number(text, mark) == pytest.approx(value, nan_ok=True)
        assert numbers([text], mark)[0] == pytest.approx(value, nan_ok=True)


def test_a_number_of_two_meanings_is_none():
    assert math.isnan(number("1,460"))
    assert is_ambiguous("1,460")
    assert not any(map(is_ambiguous, ["0,460", "1,46", "1,234.5", "1.460", "1,234,567", "7"]))
    assert number("1,234.5") == 1234.5
    assert number("1,234,567") == 1234567


@pytest.mark.parametrize(
    ("cells", "mark"),
    [
        (["0,460", "1,470"], "comma"),
        (["1,5", "1.000"], "comma"),
        (["1.234,5"], "comma"),
        (["1,234.5", "2,000"], "point"),
        (["2,000", "0.5"], "point"),
        (["1,460", "2,470"], "unclear"),
        (["0,5", "0.5"], "unclear"),
        (["1.234", "5", "words", "1.2.3"], "unclear"),
    ],
)
def test_the_decimal_mark_is_the_one_that_the_cells_leave_no_doubt_about(cells, mark):
    assert decimal_mark(cells) == mark
    assert decimal_mark(cells[::-1]) == mark
