"""Several files of one run as one table."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from qdlaws import BadLog
from qdlaws.readers import read
from tests.helpers.make_fixtures import FIXTURES, SERIES

STEP, REWARD, ENTROPY = (np.array(column, float) for column in zip(*SERIES, strict=True))


def test_verl_console_and_jsonl_of_one_run_are_joined(tmp_path: Path):
    """A resumed verl run erases its JSONL, so the first part is only in the console log."""
    lines = (FIXTURES / "verl/console.log").read_text().splitlines(keepends=True)
    rows = (FIXTURES / "verl/experiment.jsonl").read_text().splitlines(keepends=True)
    (tmp_path / "console.log").write_text("".join(lines[:22]))
    (tmp_path / "run.jsonl").write_text("".join(rows[18:]))
    log = read([tmp_path / "console.log", tmp_path / "run.jsonl"], series="train")
    np.testing.assert_array_equal(log.step, STEP)
    np.testing.assert_allclose(log.quality, REWARD)


def test_files_of_different_tools_are_not_one_run():
    with pytest.raises(BadLog, match="different tools"):
        read([FIXTURES / "verl/console.log", FIXTURES / "trackio/fixtures.db"])
