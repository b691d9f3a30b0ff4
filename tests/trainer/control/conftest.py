"""A simulated run under control that the tests of several modules replay."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.helpers.control_logs import START, guided
from trainer.analysis.simulated_run import QED, simulate


@pytest.fixture(scope="session")
def noisy_run():
    """A law-guided run with missing readings."""
    return simulate(replace(QED, missing=0.2), guided(), START, steps=300, seed=3)
