"""Runs of W&B, Trackio and MLflow by their addresses, without a network.

Trackio and MLflow write stores of their own here, where they are installed; W&B's public API is
replaced by one that gives recorded rows, and its signatures are checked where it is installed.
"""

from __future__ import annotations

import inspect
import sys
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from qdlaws import BadLog
from qdlaws.readers import read, read_many
from tests.helpers.make_fixtures import SERIES

STEPS, REWARD, ENTROPY = (np.array(column) for column in zip(*SERIES, strict=True))

# ---------------------------------------------------------------------- W&B

RECORDED = [
    row
    for step, reward, entropy in SERIES
    for row in (
        {"train/global_step": 10 * step, "train/reward": reward, "train/entropy": entropy,
         "train/reward_std": 0.1, "train/num_tokens": 9.0 * step, "train/kl": "NaN",
         "_step": 2 * step, "_timestamp": 1.7e9, "_runtime": 1.0},
        {"completions": {"_type": "table-file", "path": "x.json"}, "_step": 2 * step + 1},
    )
]  # fmt: skip


class RecordedRun:
    """The part of ``wandb.apis.public.Run`` that is used."""

    id, name = "abc123", "grpo-1"
    lastHistoryStep = 80  # noqa: N815

    def scan_history(self) -> Iterator[dict[str, Any]]:
        return iter(RECORDED)


class RecordedApi:
    """The part of ``wandb.Api`` that is used."""

    def run(self, path: str) -> RecordedRun:
        if path != "lab/math/abc123":
            raise ValueError(f"Could not find run <Run {path} (not found)>\nlog in first")
        return RecordedRun()

    def runs(self, path: str) -> list[RecordedRun]:
        other = RecordedRun()
        other.id, other.name = "def456", "grpo-2"
        return [RecordedRun(), other] if path == "lab/many" else [RecordedRun()]


@pytest.fixture
def wandb(monkeypatch: pytest.MonkeyPatch) -> None:
    module = types.ModuleType("wandb")
    vars(module)["Api"] = RecordedApi
    monkeypatch.setitem(sys.modules, "wandb", module)


@pytest.mark.usefixtures("wandb")
def test_every_row_of_a_wandb_run_is_read():
    for address in ("wandb:lab/math/abc123", "wandb:lab/math"):
        log = read(address)
        assert log.tool == "trl"
        np.testing.assert_array_equal(log.step, 10.0 * STEPS)
        np.testing.assert_allclose(log.quality, REWARD)
        np.testing.assert_allclose(log.entropy, ENTROPY)
    assert log.source == "wandb:lab/math"
    assert len(read(Path("wandb:lab/math/abc123"))) == len(STEPS)  # as the command line gives it


@pytest.mark.usefixtures("wandb")
def test_runs_of_a_wandb_project_are_listed_and_errors_are_one_line():
    with pytest.raises(BadLog, match=r"holds 2 runs: grpo-1 \(81 values\), grpo-2"):
        read("wandb:lab/many")
    with pytest.raises(BadLog, match="wandb says: Could not find run") as caught:
        read("wandb:lab/math/nothing")
    assert "\n" not in str(caught.value)


def test_the_names_of_the_wandb_client_are_those_that_are_used():
    tracker = pytest.importorskip("wandb")
    public = pytest.importorskip("wandb.apis.public")
    assert "path" in inspect.signature(tracker.Api.run).parameters
    assert "path" in inspect.signature(tracker.Api.runs).parameters
    parameters = list(inspect.signature(public.Run.scan_history).parameters.values())[1:]
    assert all(p.default is not inspect.Parameter.empty for p in parameters)


def test_a_tracker_that_is_not_installed_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "wandb", None)
    with pytest.raises(BadLog, match="needs wandb: pip install wandb"):
        read("wandb:a/b/c")
    with pytest.raises(BadLog, match="no such file"):
        read("wandby:a/b/c")


def test_a_file_of_that_name_is_a_file(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    Path("wandb:log").write_text("step,reward\n1,.1\n2,.2\n3,.3\n")
    assert len(read("wandb:log")) == 3


# ---------------------------------------------------------------------- Trackio, MLflow


def test_a_run_in_the_store_of_trackio(monkeypatch, tmp_path):
    monkeypatch.setenv("TRACKIO_DIR", str(tmp_path))
    tracker = pytest.importorskip("trackio")
    monkeypatch.setattr(pytest.importorskip("trackio.utils"), "TRACKIO_DIR", tmp_path)
    monkeypatch.setattr(pytest.importorskip("trackio.sqlite_storage"), "TRACKIO_DIR", tmp_path)
    for name, shift in (("first", 0.0), ("second", 1.0)):
        tracker.init(project="math", name=name, embed=False)
        for step, reward, entropy in SERIES:
            tracker.log({"reward": reward + shift, "entropy": entropy}, step=step)
        tracker.finish()
    log = read("trackio:math/second")
    np.testing.assert_array_equal(log.step, STEPS)
    np.testing.assert_allclose(log.quality, REWARD + 1)
    with pytest.raises(BadLog, match="holds 2 runs"):
        read("trackio:math")
    assert len(read_many("trackio:math")) == 2
    with pytest.raises(BadLog, match="trackio says: Project 'nothing' does not exist"):
        read("trackio:nothing/first")


def test_a_run_in_the_file_store_of_mlflow(monkeypatch, tmp_path):
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    tracker = pytest.importorskip("mlflow")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", (tmp_path / "mlruns").as_uri())
    tracker.set_tracking_uri((tmp_path / "mlruns").as_uri())
    tracker.set_experiment("math")
    for name, shift in (("first", 0.0), ("second", 1.0)):
        with tracker.start_run(run_name=name) as run:
            for step, reward, entropy in SERIES:
                row = {"reward": reward + shift, "entropy": entropy}
                tracker.log_metrics(row, step=step)
    for address in (f"mlflow:{run.info.run_id}", "mlflow:math/second"):
        log = read(address)
        np.testing.assert_array_equal(log.step, STEPS)
        np.testing.assert_allclose(log.quality, REWARD + 1)
        np.testing.assert_allclose(log.entropy, ENTROPY)
    with pytest.raises(BadLog, match="holds 2 runs"):
        read("mlflow:math")
    assert len(read_many("mlflow:math")) == 2
    with pytest.raises(BadLog, match="no experiment 'nothing'"):
        read("mlflow:nothing")
