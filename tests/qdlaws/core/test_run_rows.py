"""Rows of our own metrics.jsonl mean the same wherever they are read."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import qdlaws as qd
from qdlaws.core.json_lines import read_json_lines
from qdlaws.core.run_rows import extra_column, run_log
from qdlaws.errors import NotEnoughData

RUNS = sorted(p for p in (Path(__file__).parents[3] / "data/runs").iterdir() if p.is_dir())


def evaluation(step: int, **more: object) -> dict[str, object]:
    return {
        "step": step, "phase": "eval", "quality": step / 100, "quality_se": 0.01,
        "diversity": 0.9 - step / 200, "diversity_se": 0.01, "entropy": 2.0, "n_samples": 200,
        "kl": 0.1, "kl_coef": 0.05, "entropy_kind": "sequence_entropy", **more,
    }  # fmt: skip


def training(step: int, **more: object) -> dict[str, object]:
    return {"step": step, "phase": "train", "reward": step / 50, "kl_coef": 0.07, **more}


def written(folder: Path, rows: list[dict[str, object]]) -> Path:
    path = folder / "metrics.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def assert_equal(one: qd.RunLog, other: qd.RunLog) -> None:
    pd.testing.assert_frame_equal(one.to_frame(), other.to_frame(), check_exact=True)
    assert dict(one.kinds) == dict(other.kinds)
    assert dict(one.names) == dict(other.names)
    assert (one.marks, one.tool) == (other.marks, other.tool)


@pytest.mark.parametrize("folder", RUNS, ids=lambda p: p.name)
def test_example_runs_read_alike(folder: Path):
    assert_equal(qd.read(folder), run_log(read_json_lines(folder / "metrics.jsonl").rows))


def test_a_run_with_training_rows_stages_and_gaps_reads_alike(tmp_path: Path):
    rows: list[dict[str, object]] = []
    for step in range(0, 60, 5):
        rows.append(training(step))
        if step % 10 == 0:
            rows.append(evaluation(step, mark=int(step == 30)))
    rows[1]["quality"] = None
    rows[4] |= {"quality": None, "diversity": None, "entropy": None}
    rows[4]["knobs"] = {"kl": 0.5}
    log = run_log(rows)
    assert_equal(qd.read(written(tmp_path, rows)), log)
    np.testing.assert_array_equal(log.step, range(0, 60, 10))  # a row of nulls is still a row
    assert log.marks == (30.0,)
    assert log.kinds["entropy"] == "sequence_entropy"
    assert log.extra["n_samples"].tolist() == [200] * 6
    assert log.extra["kl_coef"].tolist() == [0.05] * 6
    assert log.extra["train/kl_coef"].tolist() == [0.07] * 6
    assert log.extra["train/reward"].tolist() == [s / 50 for s in range(0, 60, 10)]


def test_a_resumed_run_reads_alike(tmp_path: Path):
    rows = [evaluation(s) for s in (*range(0, 60, 10), *range(20, 50, 10))]
    log = run_log(rows)
    assert_equal(qd.read(written(tmp_path, rows)), log)
    np.testing.assert_array_equal(log.step, range(0, 50, 10))
    assert "steps after 40 of the abandoned branch left out" in log.notes[0]


def test_the_same_checkpoint_is_chosen_with_the_same_words(tmp_path: Path):
    rng = np.random.default_rng(3)
    rows = [
        evaluation(s, quality=0.5 + 0.002 * s + rng.normal(0, 0.03), quality_se=0.03)
        for s in range(0, 100, 10)
    ]
    one = qd.choose(qd.read(written(tmp_path, rows)), qd.Goal(min_diversity=0.5))
    other = qd.choose(run_log(rows), qd.Goal(min_diversity=0.5))
    assert one.to_dict() == other.to_dict()
    assert "evaluation samples at checkpoint" in str(one.measure)


def test_a_row_without_a_phase_is_an_evaluation():
    rows = [{k: v for k, v in evaluation(s).items() if k != "phase"} for s in (0, 10)]
    assert_equal(run_log(rows), run_log([evaluation(0), evaluation(10)]))


def test_no_evaluations_are_no_log():
    with pytest.raises(NotEnoughData, match="no evaluation among the rows"):
        run_log([training(0)])
    with pytest.raises(NotEnoughData, match="no evaluation among the rows"):
        run_log([])


def test_extra_columns_of_saved_tables_keep_their_old_names_readable():
    frame = pd.DataFrame({"step": [1, 2], "quality": [0.1, 0.2], "eval/n_samples": [20, 30]})
    log = qd.RunLog.from_frame(frame)
    np.testing.assert_array_equal(extra_column(log, "n_samples"), [20, 30])
    assert extra_column(log, "kl") is None
