"""The checkpoints that exist are read from the folder of the log."""

import json

import numpy as np
import pytest

from qdlaws import RunLog, advise
from qdlaws.advice.saved_checkpoints import saved_steps


def log_at(path) -> RunLog:
    step = np.arange(0.0, 200.0, 10.0)
    noise = 0.01 * np.random.default_rng(0).normal(size=len(step))
    return RunLog.from_arrays(step, quality=0.3 + 0.002 * step + noise, source=str(path))


@pytest.mark.parametrize("name", ["checkpoint-40", "global_step_40", "checkpoints/step-000040"])
def test_folders_of_every_trainer_are_seen(tmp_path, name):
    (tmp_path / name).mkdir(parents=True)
    (tmp_path / "samples-80").mkdir()
    (tmp_path / "log.csv").write_text("step,quality\n")
    assert saved_steps(log_at(tmp_path)).tolist() == [40]
    assert saved_steps(log_at(tmp_path / "log.csv")).tolist() == [40]
    assert saved_steps(log_at(tmp_path / name)).tolist() == [40]


def test_the_interval_of_saving_stands_in_for_folders(tmp_path):
    (tmp_path / "trainer_state.json").write_text(json.dumps({"save_steps": 60}))
    assert saved_steps(log_at(tmp_path)).tolist() == [60, 120, 180]
    (tmp_path / "trainer_state.json").write_text("[half")
    assert not len(saved_steps(log_at(tmp_path)))


def test_a_log_without_a_folder_has_no_checkpoints(tmp_path):
    assert not len(saved_steps(log_at("")))
    assert not len(saved_steps(log_at(tmp_path / "gone.csv")))


def test_advice_names_a_checkpoint_that_exists_or_else_a_row(tmp_path):
    assert "best row" in str(advise(log_at(tmp_path)).summary())
    for step in (40, 120):
        (tmp_path / f"checkpoint-{step}").mkdir()
    advice = advise(log_at(tmp_path))
    assert advice.checkpoint == 120
    assert "keep checkpoint" in str(advice.summary())
    assert advice.choice.saved
