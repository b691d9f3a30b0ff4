"""Values for JSON, and probabilities in words."""

from __future__ import annotations

import numpy as np
import pytest

from qdlaws.core.serialize import chance, plain


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
