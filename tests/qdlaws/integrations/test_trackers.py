"""Live series beside a run: what each tracker's own store holds afterwards."""

from __future__ import annotations

import json
import sqlite3
import sys
import time
from pathlib import Path

import pytest

from qdlaws import BadData, Goal
from qdlaws.integrations.trackers import TRACKERS, Poster
from qdlaws.integrations.watch import Update, watch_runs

RUN = Path(__file__).parents[3] / "data" / "runs" / "additive" / "metrics.jsonl"
LINES = RUN.read_text(encoding="utf-8").splitlines(keepends=True)
SERIES = {
    "qdlaws/stop",
    "qdlaws/confidence",
    "qdlaws/forecast/quality/low",
    "qdlaws/forecast/quality/high",
    "qdlaws/law/quality_on_diversity/probability",
}


@pytest.fixture(scope="module")
def updates(tmp_path_factory) -> list[Update]:
    """The updates of a run that grows: at 40, 60 and 101 evaluations."""
    log, out = tmp_path_factory.mktemp("runs") / "grpo-3" / "metrics.jsonl", []
    log.parent.mkdir()
    for lines in (40, 60, 101):
        log.write_text("".join(LINES[:lines]), encoding="utf-8")
        out += next(watch_runs([log], Goal(min_diversity=0.5)))
    return out


def post(name, updates):
    with Poster(name) as poster:
        for update in updates:
            poster.post([update])


class Recorded:
    """A tracker that keeps what it gets."""

    def __init__(self, source):
        self.source, self.posted, self.closed = source, [], False

    def post(self, step, numbers, words):
        self.posted.append((step, numbers, words))

    def close(self):
        self.closed = True


def test_verdict_forecast_and_advice_are_posted_at_the_steps_of_the_log(updates, monkeypatch):
    opened = []
    monkeypatch.setitem(
        TRACKERS, "tensorboard", lambda source: opened.append(Recorded(source)) or opened[-1]
    )
    post("tensorboard", [*updates, Update("runs/other", None, 0, None, "no such file")])
    (run,) = opened  # a run without advice yet opens none
    assert run.closed
    assert [step for step, _, _ in run.posted] == [195, 295, 500]
    for update, (_, numbers, words) in zip(updates, run.posted, strict=True):
        assert set(numbers) >= SERIES
        assert numbers["qdlaws/stop"] == float(update.advice.action == "stop")
        assert numbers["qdlaws/forecast/step"] > update.step
        verdict = words["qdlaws/verdict/quality_on_diversity"]
        assert verdict == update.fits.rd.verdict
        assert words["qdlaws/advice"] == str(update)


@pytest.mark.parametrize("name", TRACKERS)
def test_a_tracker_that_is_not_installed_is_one_line(name, updates, monkeypatch):
    for module in ("wandb", "trackio", "mlflow", "tensorboard.summary.writer.event_file_writer"):
        monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(BadData, match="pip install"):
        post(name, updates)


@pytest.mark.peers
def test_tensorboard_has_an_event_file_beside_the_run(updates):
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    post("tensorboard", updates)
    folder = Path(updates[0].source).parents[1] / "grpo-3-qdlaws"
    events = EventAccumulator(str(folder)).Reload()
    assert set(events.Tags()["scalars"]) >= SERIES
    assert [e.step for e in events.Scalars("qdlaws/stop")] == [195, 295, 500]
    words = events.Tensors("qdlaws/verdict/quality_on_diversity")[-1]
    assert words.tensor_proto.string_val[0].decode() == updates[-1].fits.rd.verdict


@pytest.mark.peers
def test_mlflow_has_a_run_in_its_file_store(updates, tmp_path, monkeypatch):
    mlflow = pytest.importorskip("mlflow")
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    mlflow.set_tracking_uri((tmp_path / "mlruns").as_uri())
    post("mlflow", updates)
    client = mlflow.MlflowClient()
    experiment = client.get_experiment_by_name("qdlaws")
    (run,) = client.search_runs([experiment.experiment_id])
    assert run.info.run_name == "grpo-3-qdlaws"
    assert run.info.status == "FINISHED"
    history = client.get_metric_history(run.info.run_id, "qdlaws/forecast/quality/low")
    assert [metric.step for metric in history] == [195, 295, 500]
    assert run.data.tags["qdlaws/verdict/quality_on_diversity"] == updates[-1].fits.rd.verdict


@pytest.mark.peers
def test_trackio_has_a_run_in_its_store(updates, tmp_path, monkeypatch):
    monkeypatch.setenv("TRACKIO_DIR", str(tmp_path / "trackio"))
    pytest.importorskip("trackio")
    post("trackio", updates)
    (store,) = (tmp_path / "trackio").glob("*.db")
    with sqlite3.connect(store) as base:
        rows = base.execute("select run_name, step, metrics from metrics order by step").fetchall()
    assert [(name, step) for name, step, _ in rows] == [
        ("grpo-3-qdlaws", step) for step in (195, 295, 500)
    ]
    assert set(json.loads(rows[-1][2])) >= SERIES


@pytest.mark.peers
def test_wandb_has_an_offline_run(updates, tmp_path, monkeypatch):
    pytest.importorskip("wandb")
    from qdlaws.readers.byte_source import Source
    from qdlaws.readers.detect import Options, read_file

    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_DIR", str(tmp_path))
    post("wandb", updates)
    (file,) = tmp_path.glob("wandb/offline-run-*/run-*.wandb")
    until = time.monotonic() + 30
    while file.stat().st_size < 1000 and time.monotonic() < until:
        time.sleep(0.1)  # W&B's own process writes the file after finish() has returned
    frame = read_file(Source(file), Options(None, SERIES)).frame
    assert list(frame["train/global_step"]) == [195, 295, 500]
    assert set(frame.columns) >= SERIES
