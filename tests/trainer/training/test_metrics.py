"""Every logged name is documented; files survive kills."""

from pathlib import Path

import pytest

from qdlaws.errors import BadData, QdlawsError
from tests.helpers.small_run import config_of, rows, save_model
from trainer.control import run_log
from trainer.loop import train
from trainer.training import metrics
from trainer.training.metrics import (
    JsonLines,
    check_sinks,
    cut_back,
    describe,
    numbers_of,
    open_sinks,
    read_rows,
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    model = save_model(tmp_path_factory.mktemp("model"))
    out = tmp_path_factory.mktemp("runs") / "run"
    train(config_of(model, "steps=2", "recipe=grpo", "task.binary=true"), out)
    return out


def test_every_logged_name_has_a_definition(folder):
    ignored = ("_kind", "_m")
    names = {n for row in rows(folder) for n in row if not n.endswith(ignored)}
    assert [n for n in sorted(names) if not describe(n)] == []


def test_lines_survive_a_kill_and_can_be_cut_back(tmp_path):
    file = JsonLines(tmp_path / "a.jsonl")
    file.write({"step": 1, "x": float("nan")})
    size = file.size()
    file.write({"step": 2})
    file._file.write(b'{"step": 3, "ph')
    file._file.flush()
    assert [r["step"] for r in read_rows(tmp_path / "a.jsonl")] == [1, 2]
    assert read_rows(tmp_path / "a.jsonl")[0]["x"] is None
    file.close()
    cut_back(tmp_path / "a.jsonl", size)
    assert [r["step"] for r in read_rows(tmp_path / "a.jsonl")] == [1]
    with pytest.raises(BadData, match="has 23 bytes"):
        cut_back(tmp_path / "a.jsonl", 1000)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no full device")
def test_a_full_disk_is_one_line_that_closing_the_file_does_not_mask(tmp_path):
    (tmp_path / "a.jsonl").symlink_to("/dev/full")
    file = JsonLines(tmp_path / "a.jsonl")
    with pytest.raises(QdlawsError, match=r"cannot write .*No space left"):
        file.write({"step": 1})
    file.close()


def test_a_log_that_cannot_be_opened_is_one_line(tmp_path):
    with pytest.raises(QdlawsError, match="cannot write"):
        JsonLines(tmp_path / "missing" / "a.jsonl")


def test_a_run_that_is_read_equals_the_view_of_the_trainer(folder):
    import pandas as pd

    import qdlaws as qd

    read, seen = qd.read(folder), run_log(read_rows(folder / "metrics.jsonl"))
    pd.testing.assert_frame_equal(read.to_frame(), seen.to_frame(), check_exact=True)
    assert dict(read.kinds) == dict(seen.kinds)
    assert read.extra["n_samples"].tolist() == [32, 32]
    goal = qd.Goal(min_diversity=0.1)
    assert qd.choose(read, goal).to_dict() == qd.choose(seen, goal).to_dict()


def test_sinks_are_named_and_numbers_prefixed(tmp_path):
    with pytest.raises(BadData, match="unknown sink 'wandbb'"):
        open_sinks(("wandbb",), tmp_path, "p", {})
    with pytest.raises(BadData, match="did you mean 'wandb'"):
        check_sinks(["wandbb"])
    row = {"step": 3, "phase": "eval", "quality": 0.5, "quality_kind": "mean", "kl": None}
    assert numbers_of(row) == {"eval/quality": 0.5}


def test_a_sink_whose_package_is_missing_is_refused_before_the_run_begins(tmp_path, monkeypatch):
    monkeypatch.setattr(metrics, "find_spec", lambda name: None)
    model = save_model(tmp_path / "model")
    with pytest.raises(BadData, match=r"pip install wandb, or the extra 'qdlaws\[trackers\]'"):
        train(config_of(model, 'log.sinks=["wandb"]'), tmp_path / "run")
    assert not (tmp_path / "run" / "config.toml").exists()


def test_tensorboard_holds_the_same_numbers(tmp_path):
    pytest.importorskip("tensorboard")
    import qdlaws as qd

    model = save_model(tmp_path / "model")
    out = tmp_path / "run"
    train(config_of(model, "steps=4", "eval.every=1", 'log.sinks=["tensorboard"]'), out)
    tracked = qd.read(out / "tensorboard", series="eval")
    ours = qd.read(out)
    assert tracked.quality == pytest.approx(ours.quality, abs=1e-6)
