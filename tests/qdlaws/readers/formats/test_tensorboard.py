"""TensorBoard event files, beside TensorBoard's own reading of them."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from qdlaws import BadLog, EntropyKind
from qdlaws.readers import read
from tests.helpers.make_fixtures import FIXTURES, SERIES

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
