"""Folders: which files belong to a run, and when several runs are refused."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from qdlaws import BadLog
from qdlaws.readers import folder, merge_files, read
from tests.helpers.make_fixtures import FIXTURES
from tests.helpers.tracker_files import event_file, scalar_event


def jsonl(path: Path, rows) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def rows(first: int, last: int, scale: float = 0.01):
    return [{"step": s, "reward": scale * s, "entropy": 1.0} for s in range(first, last)]


def test_pieces_of_a_resumed_run_in_one_folder(tmp_path: Path):
    jsonl(tmp_path / "log-1.jsonl", rows(0, 30))
    jsonl(tmp_path / "log-10.jsonl", rows(40, 60, scale=0.03))
    jsonl(tmp_path / "log-9.jsonl", rows(20, 50, scale=0.02))
    log = read(tmp_path)
    np.testing.assert_array_equal(log.step, np.arange(60))
    scale = np.repeat([0.01, 0.02, 0.03], 20)
    np.testing.assert_allclose(log.quality, scale * np.arange(60))


def test_two_runs_in_one_folder_are_refused(tmp_path: Path):
    jsonl(tmp_path / "a" / "metrics.jsonl", rows(0, 30))
    jsonl(tmp_path / "b" / "metrics.jsonl", rows(5, 30))
    with pytest.raises(BadLog, match=r"2 runs: a/metrics.jsonl, b/metrics.jsonl; name one"):
        read(tmp_path)
    assert len(read([tmp_path / "a", tmp_path / "b"])) == 30  # named together, they are one run
    jsonl(tmp_path / "c" / "x.jsonl", rows(0, 30))
    jsonl(tmp_path / "c" / "y.jsonl", rows(0, 30))
    with pytest.raises(BadLog, match="2 runs"):
        read(tmp_path / "c")


def test_samples_beside_the_metrics_are_not_read(tmp_path: Path):
    jsonl(tmp_path / "metrics.jsonl", rows(0, 10))
    jsonl(tmp_path / "rollouts/step_1/traces.jsonl", [{"reward": 9.0, "text": "a"}] * 9)
    log = read(tmp_path)
    np.testing.assert_allclose(log.quality, 0.01 * np.arange(10))


def test_settings_beside_a_log_are_not_read(tmp_path: Path):
    shutil.copy(FIXTURES / "verl/console.log", tmp_path / "output.log")
    (tmp_path / "settings.json").write_text(json.dumps({"step": 5, "reward": 3, "lr": 1e-6}))
    (tmp_path / "list.json").write_text(json.dumps([1, 2, 3]))
    (tmp_path / "notes.txt").write_text("a, b\nc, d\n")
    (tmp_path / "model.bin").write_bytes(b"\x80\x02pickle")
    assert read(tmp_path).tool == "verl"


def test_a_wandb_folder_is_read_from_its_wandb_file(tmp_path: Path):
    """Its output.log may hold console lines too, cut at 4,096 characters."""
    run = tmp_path / "wandb" / "offline-run-1"
    (run / "files").mkdir(parents=True)
    shutil.copy(FIXTURES / "wandb/run-fixture.wandb", run)
    shutil.copy(FIXTURES / "verl/console.log", run / "files" / "output.log")
    log = read(tmp_path)
    assert log.names["quality"] == "train/reward"
    assert any("also holds verl" in note for note in log.notes)


def test_a_half_written_checkpoint_is_left_out(tmp_path: Path):
    shutil.copytree(FIXTURES / "trl", tmp_path / "out")
    state = tmp_path / "out/checkpoint-20/trainer_state.json"
    state.write_text(state.read_text()[:5000])
    log = read(tmp_path / "out", series="train")
    assert log.step[-1] == 10
    assert any("left out" in note for note in log.notes)


@pytest.mark.parametrize("path", ["x" * 5000, "a\0b", "/dev/null/x"])
def test_impossible_paths(path: str):
    with pytest.raises(BadLog):
        read(path)


def test_a_link_that_goes_in_circles_is_not_followed(tmp_path: Path):
    jsonl(tmp_path / "log.jsonl", rows(0, 10))
    (tmp_path / "self").symlink_to(tmp_path, target_is_directory=True)
    assert len(read(tmp_path)) == 10


def test_a_folder_with_too_many_files_says_so(tmp_path: Path, monkeypatch):
    """The first 5,000 entries in the order of the disk were looked at, without a word."""
    for s in range(30):
        content = event_file([scalar_event(s, {"reward": s})])
        (tmp_path / f"events.out.tfevents.{s:03}").write_bytes(content)
    assert len(read(tmp_path)) == 30
    for name, limit in (("MOST_FILES", 20), ("MOST_ENTRIES", 25)):
        with monkeypatch.context() as patch:
            patch.setattr(folder, name, limit)
            log = read(tmp_path)
            assert len(log) == limit
            assert any("only some of its files were looked at" in note for note in log.notes)


def test_no_log_among_too_many_files_says_so(tmp_path: Path, monkeypatch):
    for s in range(30):
        (tmp_path / f"{s:03}.txt").write_text("words")
    jsonl(tmp_path / "zzz.jsonl", rows(0, 9))
    monkeypatch.setattr(folder, "MOST_FILES", 20)
    with pytest.raises(
        BadLog, match=r"no log .*only some of its files were looked at.*: name a file"
    ):
        read(tmp_path)


def test_files_that_cannot_be_logs_do_not_count(tmp_path: Path, monkeypatch):
    for s in range(30):
        (tmp_path / f"{s:03}.png").write_bytes(b"picture")
    jsonl(tmp_path / "zzz.jsonl", rows(0, 9))
    monkeypatch.setattr(folder, "MOST_FILES", 20)
    assert len(read(tmp_path)) == 9


@pytest.mark.parametrize("name", ["trainer_state.json", "checkpoint-1/trainer_state.json", "a.csv"])
def test_a_pipe_in_a_folder_is_not_opened(tmp_path: Path, name):
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    os.mkfifo(path)
    jsonl(tmp_path / "log.jsonl", rows(0, 9))
    assert len(read(tmp_path)) == 9


def test_files_that_are_too_large_together_are_refused(tmp_path: Path, monkeypatch):
    for k in range(4):
        jsonl(tmp_path / f"log-{k}.jsonl", rows(10 * k, 10 * k + 10))
    assert len(read(tmp_path)) == 40
    monkeypatch.setattr(merge_files, "MOST_CELLS", 100)
    with pytest.raises(BadLog, match="more than 100 values: name one"):
        read(tmp_path)
