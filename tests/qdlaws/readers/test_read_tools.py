"""Every tool's own file, as the tool wrote it, read back to the numbers it was told."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from qdlaws import BadLog, EntropyKind, MissingColumn
from qdlaws.readers import read, tools
from tests.helpers.make_fixtures import FIXTURES, SERIES

STEP, REWARD, ENTROPY = (np.array(column, float) for column in zip(*SERIES, strict=True))


def test_trainer_state_of_a_checkpoint_folder_takes_the_longest_history():
    log = read(FIXTURES / "trl", series="train")
    rows = json.loads((FIXTURES / "trl/checkpoint-20/trainer_state.json").read_text())[
        "log_history"
    ]
    truth = {r["step"]: r for r in rows if "reward" in r}
    assert log.tool == "trl"
    assert list(log.step) == sorted(truth) == list(range(1, 21))
    np.testing.assert_allclose(log.quality, [truth[s]["reward"] for s in sorted(truth)])
    np.testing.assert_allclose(log.entropy, [truth[s]["entropy"] for s in sorted(truth)])
    np.testing.assert_allclose(log.extra["kl"], [truth[s]["kl"] for s in sorted(truth)])
    assert log.kinds["entropy"] == EntropyKind.TOKEN
    assert log.kinds["quality"] == "train_reward"
    assert "per token, against the reference" in log.kinds["kl"]
    assert any("longest of 2" in note for note in log.notes)


def test_trainer_state_prefers_evaluation_where_it_has_eight_points():
    log = read(FIXTURES / "trl")
    assert log.kinds["quality"] == "eval_reward"
    assert log.names["entropy"] == "eval_entropy"
    assert list(log.step) == list(range(2, 21, 2))
    assert any("evaluation series, 10 points" in note for note in log.notes)
    short = read(FIXTURES / "trl/checkpoint-10")
    assert short.kinds["quality"] == "train_reward"
    assert any("5 usable points" in note for note in short.notes)
    assert len(read(FIXTURES / "trl/checkpoint-10", series="eval")) == 5


def test_batch_size_turns_a_logged_spread_into_a_standard_error():
    plain = read(FIXTURES / "trl", series="train")
    log = read(FIXTURES / "trl", series="train", batch_size=16)
    assert plain.quality_se is None
    np.testing.assert_allclose(log.quality_se, log.extra["reward_std"] / 4)


def test_tensorboard_of_trl_holds_the_same_as_its_trainer_state():
    events = read(FIXTURES / "trl-tensorboard", series="train")
    state = read(FIXTURES / "trl", series="train")
    assert events.tool == "trl"
    np.testing.assert_array_equal(events.step, state.step)
    np.testing.assert_allclose(events.quality, state.quality, rtol=1e-6)  # written as float32
    np.testing.assert_allclose(events.entropy, state.entropy, rtol=1e-6)


def test_reinvent_tensorboard_joins_the_folders_of_add_scalars():
    log = read(FIXTURES / "reinvent-tensorboard")
    np.testing.assert_allclose(log.quality, REWARD, rtol=1e-6)
    np.testing.assert_allclose(log.entropy, 10 * ENTROPY, rtol=1e-6)
    np.testing.assert_allclose(log.diversity, ENTROPY / 3, rtol=1e-6)
    np.testing.assert_allclose(log.extra["kl"], 30 - 10 * ENTROPY, rtol=1e-5)
    assert log.kinds["entropy"] == EntropyKind.SEQUENCE_NLL


def test_tensorboard_restart_discards_what_the_new_run_wrote_again():
    log = read(FIXTURES / "tensorboard-restarted")
    np.testing.assert_array_equal(log.step, STEP)
    np.testing.assert_allclose(log.quality, REWARD + (STEP >= 20), rtol=1e-6)


@pytest.mark.peers
def test_tensorboard_itself_agrees_on_its_own_files():
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    folder = FIXTURES / "trl-tensorboard"
    peer = accumulator.EventAccumulator(str(folder), size_guidance={"scalars": 0, "tensors": 0})
    peer.Reload()
    log = read(folder, series="train")
    points = peer.Scalars("train/reward")
    np.testing.assert_allclose(log.quality, [p.value for p in points])
    np.testing.assert_allclose(log.step, [p.step for p in points])


def test_wandb_offline_run():
    log = read(FIXTURES / "wandb")
    np.testing.assert_array_equal(log.step, 10 * STEP)  # its own clock, not W&B's _step
    np.testing.assert_allclose(log.quality, REWARD)
    np.testing.assert_allclose(log.entropy, ENTROPY)
    np.testing.assert_array_equal(log.extra["nested/a"], STEP)
    np.testing.assert_array_equal(log.extra["big"], np.full(40, 2.0**40))
    np.testing.assert_array_equal(log.extra["flag"], np.ones(40))
    assert log.extra["kl"].isna().all()
    assert "nested/text" not in log.extra


def test_wandb_run_that_was_killed_is_read_up_to_the_break(tmp_path: Path):
    whole = (FIXTURES / "wandb/run-fixture.wandb").read_bytes()
    (tmp_path / "run.wandb").write_bytes(whole[: len(whole) // 2])
    log = read(tmp_path)
    assert 5 < len(log) < 40
    np.testing.assert_allclose(log.quality, REWARD[: len(log)])
    assert any("half a record" in note for note in log.notes)


def test_mlflow_database_asks_which_run():
    with pytest.raises(BadLog, match=r"2 runs: .*run-0.*run-1"):
        read(FIXTURES / "mlflow/mlflow.db")
    log = read(FIXTURES / "mlflow", run="run-1")
    np.testing.assert_allclose(log.quality, REWARD[:20] + 1)
    assert len(read(FIXTURES / "mlflow/mlflow.db", run="run-0")) == 40
    with pytest.raises(BadLog, match="0 runs are called 'x'"):
        read(FIXTURES / "mlflow/mlflow.db", run="x")


def test_mlflow_file_store_finds_keys_in_folders():
    log = read(FIXTURES / "mlruns")
    np.testing.assert_allclose(log.quality, REWARD)
    np.testing.assert_allclose(log.entropy, ENTROPY)
    np.testing.assert_allclose(log.extra["rewards/even/mean"], REWARD)


def test_trackio_database():
    for path in (FIXTURES / "trackio", FIXTURES / "trackio/fixtures.db"):
        log = read(path)
        np.testing.assert_array_equal(log.step, STEP)
        np.testing.assert_allclose(log.quality, REWARD)
        np.testing.assert_allclose(log.entropy, ENTROPY)
        assert log.kinds["entropy"] == EntropyKind.UNKNOWN  # nothing says who logged it


def test_stated_kinds_win():
    log = read(FIXTURES / "trackio", kinds={"entropy": "token_entropy"})
    assert log.kinds["entropy"] == EntropyKind.TOKEN


@pytest.mark.parametrize("name", ["console.log", "experiment.jsonl"])
def test_verl_console_and_file_logger(name: str):
    log = read(FIXTURES / "verl" / name, series="train")
    assert log.tool == "verl"
    np.testing.assert_array_equal(log.step, STEP)
    np.testing.assert_allclose(log.quality, REWARD)
    np.testing.assert_allclose(log.entropy, ENTROPY)
    assert log.names["quality"] == "critic/score/mean"
    assert log.names["kl"] == "actor/kl_loss"
    assert log.kinds["actor/ppo_kl"].endswith("the policy before the update")
    evaluation = read(FIXTURES / "verl" / name, series="eval")
    np.testing.assert_array_equal(evaluation.step, STEP[4::5])
    np.testing.assert_allclose(evaluation.quality, REWARD[4::5] / 2)
    np.testing.assert_allclose(evaluation.entropy, ENTROPY[4::5])  # lent by training


def test_verl_console_and_jsonl_of_one_run_are_joined(tmp_path: Path):
    """A resumed verl run erases its JSONL, so the first part is only in the console log."""
    lines = (FIXTURES / "verl/console.log").read_text().splitlines(keepends=True)
    rows = (FIXTURES / "verl/experiment.jsonl").read_text().splitlines(keepends=True)
    (tmp_path / "console.log").write_text("".join(lines[:22]))
    (tmp_path / "run.jsonl").write_text("".join(rows[18:]))
    log = read([tmp_path / "console.log", tmp_path / "run.jsonl"], series="train")
    np.testing.assert_array_equal(log.step, STEP)
    np.testing.assert_allclose(log.quality, REWARD)


def test_parquet_like_the_history_export_of_wandb(tmp_path: Path):
    pytest.importorskip("pyarrow")
    import pandas as pd

    frame = pd.DataFrame(
        {"_step": STEP, "train/reward": REWARD, "entropy": ENTROPY, "text": "words"}
    )
    frame.loc[3, "entropy"] = np.nan
    frame.to_parquet(tmp_path / "history.parquet")
    log = read(tmp_path)
    np.testing.assert_allclose(log.quality, REWARD)
    assert np.isnan(log.entropy[3])
    assert np.isfinite(log.entropy).sum() == 39


def test_a_missing_name_is_met_with_near_ones():
    with pytest.raises(MissingColumn, match="did you mean critic/score/mean"):
        read(FIXTURES / "verl/console.log", quality="critic/score")


def test_tools_lists_what_can_be_read():
    words = " ".join(tools().values())
    for name in ("TRL", "verl", "REINVENT4", "Saturn", "TensorBoard", "W&B", "MLflow", "Trackio"):
        assert name in words


def test_an_event_folder_of_two_runs_is_refused(tmp_path: Path):
    for name in ("one", "two"):
        shutil.copytree(FIXTURES / "trl-tensorboard", tmp_path / name)
    with pytest.raises(BadLog, match="2 runs: one, two"):
        read(tmp_path)
