"""No test reads or writes the user's cache unless it names a folder; none leaves a figure open."""

import os
import sys
from collections.abc import Iterator

import pytest

os.environ["QDLAWS_CACHE"] = "off"


@pytest.fixture(autouse=True)
def figures_are_closed() -> Iterator[None]:
    """Without it a command warns of too many open figures, those of the tests before it."""
    yield
    if pyplot := sys.modules.get("matplotlib.pyplot"):
        pyplot.close("all")
