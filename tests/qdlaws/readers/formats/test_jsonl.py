"""JSON lines: our own runs, prime-rl, ms-swift, and cut lines."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from qdlaws import BadLog, EntropyKind
from qdlaws.readers import read


def jsonl(rows) -> str:
    return "".join(json.dumps(row) + "\n" for row in rows)


def test_evaluations_and_training_rows_of_our_format(write, tmp_path: Path):
    rows = []
    for step in range(0, 101, 5):
        rows.append({"step": step, "phase": "train", "reward": 0.5, "entropy": 9.0, "kl": 1.0})
        if step % 10 == 0:
            row = {"step": step, "phase": "eval", "quality": step / 100, "quality_se": 0.01}
            row |= {"diversity": 0.9, "diversity_se": 0.02, "entropy": 20.0, "entropy_se": 0.3}
            row |= {"n_samples": 64, "kl": 0.1, "knobs": {"kl": 0.05}}
            rows.append(row | {"kinds": {"entropy": "sequence_entropy", "quality": "validity"}})
    write(jsonl(rows), "metrics.jsonl")
    write(jsonl([{"step": 5, "action": "wait"}]), "advice.jsonl")
    (tmp_path / "samples").mkdir()
    log = read(tmp_path)
    assert log.tool == "qdtrain"
    np.testing.assert_array_equal(log.step, np.arange(0, 101, 10))
    np.testing.assert_allclose(log.quality, np.arange(11) / 10)
    assert set(log.quality_se) == {0.01}
    assert set(log.diversity_se) == {0.02}
    assert set(log.entropy_se) == {0.3}
    assert log.kinds["entropy"] == EntropyKind.SEQUENCE
    assert log.kinds["quality"] == "validity"
    assert set(log.extra["knobs/kl"]) == {0.05}
    train = read(tmp_path, series="train")
    assert train.names["quality"] == "train/reward"
    assert len(train) == 21
    for name in ("reward", "train/reward"):
        assert read(tmp_path, quality=name).names["quality"] == "train/reward"
    assert read(tmp_path, quality="kl").names["quality"] == "kl"


def test_a_few_cut_lines_are_noted_and_many_are_refused(write):
    rows = jsonl({"step": s, "reward": s / 10} for s in range(1, 40))
    log = read(write(rows + '{"step": 40, "rew'))
    assert len(log) == 39
    lines = rows.splitlines(keepends=True)
    killed = "".join(lines[:20]) + lines[20][:9] + "\n" + "".join(lines[21:])
    log = read(write(killed))
    assert len(log) == 38
    assert any("left out: line 21" in n for n in log.notes)
    with pytest.raises(BadLog, match="line 2: 4 of 5 lines"):
        read(write(lines[0] + "no json\n" * 30))


def test_the_files_of_a_prime_rl_run_are_joined(tmp_path: Path):
    (tmp_path / "trainer").mkdir()
    (tmp_path / "orchestrator").mkdir()
    parts, rewards = [], []
    for step in range(10):
        parts += [
            {"step": step, "time": 1.0, "perf/throughput": 10.0},
            {"step": step, "time": 1.1, "optim/lr": 1e-6},
            {
                "step": step,
                "time": 1.2,
                "entropy/all/mean": 1 - step / 20,
                "mismatch_kl/all/mean": 0.1,
            },
            {"step": step, "time": 1.3, "time/step": 3.0},
            {"step": step, "time": 1.4, "disk/used": 3.0},
        ]
        rewards.append({"step": step, "time": 2.0, "train/agg/all/agent/reward/mean": step / 10})
    (tmp_path / "trainer/metrics.jsonl").write_text(jsonl(parts))
    (tmp_path / "orchestrator/metrics.jsonl").write_text(jsonl(rewards))
    log = read(tmp_path)
    assert log.tool == "prime-rl"
    np.testing.assert_array_equal(log.step, np.arange(10))
    np.testing.assert_allclose(log.quality, np.arange(10) / 10)
    np.testing.assert_allclose(log.entropy, 1 - np.arange(10) / 20)
    assert "kl" not in log.kinds  # the trainer against the sampler is no KL to a reference
    assert log.kinds["mismatch_kl/all/mean"].endswith("the sampling policy")


def test_steps_of_ms_swift_are_read(write):
    rows = [
        {"loss": 0.1, "reward": s / 10, "reward_std": 0.2, "kl": 0.01, "entropy/mean": 1.0,
         "global_step/max_steps": f"{s}/20", "percentage": f"{5 * s}%", "elapsed_time": "3s"}
        for s in range(1, 21)
    ]  # fmt: skip
    log = read(write(jsonl([*rows, {"train_runtime": 3.0, "global_step/max_steps": "20/20"}])))
    assert log.tool == "ms-swift"
    np.testing.assert_allclose(log.quality, np.arange(1, 21) / 10)
    assert log.kinds["entropy"] == EntropyKind.TOKEN
