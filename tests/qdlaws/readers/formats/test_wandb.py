"""W&B: offline runs and tables exported from its pages."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from qdlaws import BadLog
from qdlaws.readers import read
from tests.helpers.make_fixtures import FIXTURES, SERIES

STEP, REWARD, ENTROPY = (np.array(column, float) for column in zip(*SERIES, strict=True))


def test_the_step_of_an_offline_run_is_the_logged_one():
    log = read(FIXTURES / "wandb")
    np.testing.assert_array_equal(log.step, 10 * STEP)  # its own clock, not W&B's _step
    np.testing.assert_allclose(log.quality, REWARD)
    np.testing.assert_allclose(log.entropy, ENTROPY)
    np.testing.assert_array_equal(log.extra["nested/a"], STEP)
    np.testing.assert_array_equal(log.extra["big"], np.full(40, 2.0**40))
    np.testing.assert_array_equal(log.extra["flag"], np.ones(40))
    assert log.extra["kl"].isna().all()
    assert "nested/text" not in log.extra


def test_a_killed_run_is_read_up_to_the_break(tmp_path: Path):
    whole = (FIXTURES / "wandb/run-fixture.wandb").read_bytes()
    (tmp_path / "run.wandb").write_bytes(whole[: len(whole) // 2])
    log = read(tmp_path)
    assert 5 < len(log) < 40
    np.testing.assert_allclose(log.quality, REWARD[: len(log)])
    assert any("half a record" in note for note in log.notes)


def test_an_exported_table_of_one_run_is_read(write):
    head = '"Step","a - reward","a - reward__MIN","a - reward__MAX"'
    log = read(write(head + '\n"1","0.1","0.1","0.1"\n"2","0.2","0.2","0.2"\n'))
    np.testing.assert_allclose(log.quality, [0.1, 0.2])
    two = write(head + ',"b - reward","b - reward__MIN"\n1,.1,.1,.1,.5,.5\n2,.2,.2,.2,.6,.6\n')
    with pytest.raises(BadLog, match="2 runs: a, b"):
        read(two)
    np.testing.assert_allclose(read(two, run="b").quality, [0.5, 0.6])
