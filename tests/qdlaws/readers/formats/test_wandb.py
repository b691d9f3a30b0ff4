"""W&B: offline runs and tables exported from its pages."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pytest

from qdlaws import BadLog
from qdlaws.readers import read
from tests.helpers.make_fixtures import FIXTURES, SERIES
from tests.helpers.tracker_files import BLOCK, history_record, wandb_file

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


def test_a_damaged_record_is_left_out_with_the_rest_of_its_block(tmp_path: Path):
    """One flipped bit of a value was read as another number."""
    rows = [{"_step": s, "reward": s / 8, "pad": "x" * 400} for s in range(400)]
    whole = bytearray(wandb_file(map(history_record, rows)))
    place = whole.index(b"12.5")
    whole[place] ^= 1
    (tmp_path / "run.wandb").write_bytes(whole)
    log = read(tmp_path)
    np.testing.assert_array_equal(log.quality, log.step / 8)
    assert 100 not in log.step
    assert 300 < len(log) < 400
    assert {0, 99, 399} <= set(log.step)
    assert any("1 blocks of 32 KiB are damaged (wrong checksum)" in note for note in log.notes)


def test_a_hole_between_blocks_is_damage_and_one_at_the_end_is_none(tmp_path: Path):
    rows = [{"_step": s, "reward": s, "pad": "x" * 400} for s in range(300)]
    whole = wandb_file(map(history_record, rows))
    (tmp_path / "run.wandb").write_bytes(whole[:BLOCK] + bytes(BLOCK) + whole[2 * BLOCK :])
    log = read(tmp_path)
    np.testing.assert_array_equal(log.quality, log.step)
    assert {0, 299} <= set(log.step)
    assert any("damaged" in note for note in log.notes)
    (tmp_path / "run.wandb").write_bytes(whole + bytes(-len(whole) % BLOCK))
    whole_log = read(tmp_path)
    assert len(whole_log) == 300
    assert not any("damaged" in note for note in whole_log.notes)


def test_a_record_in_many_chunks_takes_time_in_proportion(tmp_path: Path):
    """200,000 middle chunks took 43 seconds."""
    long = history_record({"_step": 1, "reward": 1, "pad": "x" * 500_000})
    rows = [history_record({"_step": s, "reward": s}) for s in (0, 2)]
    (tmp_path / "run.wandb").write_bytes(wandb_file([rows[0], long, rows[1]], chunk=7))
    began = time.monotonic()
    np.testing.assert_array_equal(read(tmp_path).quality, [0, 1, 2])
    assert time.monotonic() - began < 5
