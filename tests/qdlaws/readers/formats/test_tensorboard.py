"""TensorBoard event files, beside TensorBoard's own reading of them."""

from __future__ import annotations

import shutil
import time
from pathlib import Path

import numpy as np
import pytest

from qdlaws import BadLog, EntropyKind
from qdlaws.readers import read
from qdlaws.readers.formats import tensorboard
from tests.helpers.make_fixtures import FIXTURES, SERIES
from tests.helpers.tracker_files import event_file, restart_event, scalar_event

STEP, REWARD, ENTROPY = (np.array(column, float) for column in zip(*SERIES, strict=True))


def test_events_of_trl_equal_its_trainer_state():
    events = read(FIXTURES / "trl-tensorboard", series="train")
    state = read(FIXTURES / "trl", series="train")
    assert events.tool == "trl"
    np.testing.assert_array_equal(events.step, state.step)
    np.testing.assert_allclose(events.quality, state.quality, rtol=1e-6)  # written as float32
    np.testing.assert_allclose(events.entropy, state.entropy, rtol=1e-6)


def test_the_folders_of_add_scalars_are_one_reinvent_run():
    log = read(FIXTURES / "reinvent-tensorboard")
    np.testing.assert_allclose(log.quality, REWARD, rtol=1e-6)
    np.testing.assert_allclose(log.entropy, 10 * ENTROPY, rtol=1e-6)
    np.testing.assert_allclose(log.diversity, ENTROPY / 3, rtol=1e-6)
    np.testing.assert_allclose(log.extra["kl"], 30 - 10 * ENTROPY, rtol=1e-5)
    assert log.kinds["entropy"] == EntropyKind.SEQUENCE_NLL


def test_points_after_a_restart_replace_older_ones():
    log = read(FIXTURES / "tensorboard-restarted")
    np.testing.assert_array_equal(log.step, STEP)
    np.testing.assert_allclose(log.quality, REWARD + (STEP >= 20), rtol=1e-6)


@pytest.mark.peers
def test_points_equal_those_that_tensorboard_reads():
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    folder = FIXTURES / "trl-tensorboard"
    peer = accumulator.EventAccumulator(str(folder), size_guidance={"scalars": 0, "tensors": 0})
    peer.Reload()
    log = read(folder, series="train")
    points = peer.Scalars("train/reward")
    np.testing.assert_allclose(log.quality, [p.value for p in points])
    np.testing.assert_allclose(log.step, [p.step for p in points])


def test_an_event_folder_of_two_runs_is_refused(tmp_path: Path):
    for name in ("one", "two"):
        shutil.copytree(FIXTURES / "trl-tensorboard", tmp_path / name)
    with pytest.raises(BadLog, match="2 runs: one, two"):
        read(tmp_path)


def events(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


def test_records_with_a_wrong_checksum_are_left_out_with_a_note(tmp_path: Path):
    """One flipped bit of a value was read as 1.7e38."""
    whole = event_file(scalar_event(s, {"reward": s / 8}) for s in range(16))
    size = len(whole) // 16
    flipped = bytearray(whole)
    flipped[5 * size + size - 5] ^= 0x40
    log = read(events(tmp_path / "events.out.tfevents.1", bytes(flipped)))
    np.testing.assert_array_equal(log.step, [s for s in range(16) if s != 5])
    np.testing.assert_array_equal(log.quality, log.step / 8)
    assert any("1 of 16 records are damaged (wrong checksum)" in note for note in log.notes)


def test_a_file_of_which_no_checksum_is_right_is_refused(tmp_path: Path):
    records = (event_file([scalar_event(s, {"reward": s})])[:-4] + bytes(4) for s in range(3))
    with pytest.raises(BadLog, match=r"no scalars .*3 of 3 records are damaged"):
        read(events(tmp_path / "events.out.tfevents.1", b"".join(records)))


def test_room_that_was_set_aside_and_not_written_ends_the_file(tmp_path: Path):
    whole = event_file(scalar_event(s, {"reward": s}) for s in range(3))
    log = read(events(tmp_path / "events.out.tfevents.1", whole + bytes(4000)))
    np.testing.assert_array_equal(log.quality, [0, 1, 2])
    assert any("ends in half a record" in note for note in log.notes)


def test_thousands_of_restarts_take_time_in_proportion(tmp_path: Path):
    """3,000 restarts over 90,000 points took more than a minute."""
    parts = []
    for k in range(1500):
        parts.append(restart_event(10 * k))
        parts += [scalar_event(10 * k + i, {"reward": k, "entropy": i}) for i in range(20)]
    began = time.monotonic()
    log = read(events(tmp_path / "events.out.tfevents.1", event_file(parts)))
    assert time.monotonic() - began < 20
    np.testing.assert_array_equal(log.step, np.arange(15_010))
    np.testing.assert_array_equal(log.quality, np.minimum(log.step // 10, 1499))
    np.testing.assert_array_equal(log.entropy[:-10], log.step[:-10] % 10)


def test_a_restart_of_a_folder_leaves_the_other_folders_alone(tmp_path: Path):
    for name, start in (("", None), ("Score_total", 2), ("Score_other", None)):
        (tmp_path / name).mkdir(exist_ok=True)
        parts = [scalar_event(s, {"Score" if name else "reward": s}) for s in range(4)]
        parts += [] if start is None else [restart_event(start)]
        events(tmp_path / name / "events.out.tfevents.1", event_file(parts))
    log = read(tmp_path, quality="reward")
    np.testing.assert_array_equal(log.extra["Score/total"], [0, 1, np.nan, np.nan])
    np.testing.assert_array_equal(log.extra["Score/other"], [0, 1, 2, 3])


def test_tags_that_share_no_steps_stay_within_memory(tmp_path: Path, monkeypatch):
    """9,999 tags of 10 own steps each, 4.3 MB, were a table of 8 GB."""
    monkeypatch.setattr(tensorboard, "MAX_CELLS", 5000)
    rows = (scalar_event(s, {f"tag{s % 200}": 1, "reward": s}) for s in range(2000))
    path = events(tmp_path / "events.out.tfevents.1", event_file(rows))
    log = read(path)
    np.testing.assert_array_equal(log.quality, np.arange(2000))
    assert any("columns that no law uses were left out" in note for note in log.notes)


def test_a_long_run_is_averaged_and_a_longer_one_is_refused(tmp_path: Path, monkeypatch):
    rows = [scalar_event(s, {"reward" if s % 2 else "entropy": s}) for s in range(2000)]
    path = events(tmp_path / "events.out.tfevents.1", event_file(rows))
    monkeypatch.setattr(tensorboard, "MAX_CELLS", 2000)
    log = read(path)
    np.testing.assert_allclose(log.step, np.arange(1000) * 2 + 0.5)
    np.testing.assert_allclose(log.quality, log.step + 0.5)
    np.testing.assert_allclose(log.entropy, log.step - 0.5)
    assert any("each row is the mean of 2 logged steps" in note for note in log.notes)
    monkeypatch.setattr(tensorboard, "MAX_POINTS", 1500)
    with pytest.raises(BadLog, match="more than 1,500 points"):
        read(path)
