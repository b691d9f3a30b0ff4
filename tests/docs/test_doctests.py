"""The examples in docstrings do what they show."""

from __future__ import annotations

import doctest
import importlib

import pytest

from tests.helpers.import_graph import modules

WITH_EXAMPLES = [
    name
    for package in ("qdlaws", "trainer")
    for name, path in modules(package).items()
    if ">>> " in path.read_text(encoding="utf-8")
]


@pytest.mark.parametrize("name", WITH_EXAMPLES)
def test_the_examples_of_a_module_run(name):
    result = doctest.testmod(
        importlib.import_module(name), optionflags=doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS
    )
    assert result.attempted > 0
    assert result.failed == 0


def test_there_are_examples():
    assert WITH_EXAMPLES
