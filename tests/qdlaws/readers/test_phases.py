"""Training and evaluation rows of one file, under one name."""

from __future__ import annotations

import json

import numpy as np
import pytest

from qdlaws.readers import read


def typed_rows(word: str, steps: int = 160, every: int = 4) -> list[dict[str, object]]:
    """Rollouts at every step, and evaluations under the same names at every fourth."""
    rows: list[dict[str, object]] = []
    for step in range(1, steps + 1):
        reward = 0.2 + 0.4 * step / steps
        rollout = {"reward": reward, "mean_token_entropy": 1.5 - step / steps}
        rows.append({"type": "rollout", "grpo_step": step, **rollout})
        rows.append({"type": "train", "grpo_step": step, "loss": 0.1, "token_entropy": 1.4})
        if step % every == 0:
            rows.append({"type": word, "grpo_step": step, "reward": reward + 0.1, "n": 64})
    return rows


@pytest.mark.parametrize("word", ["eval", "validation", "test", "eval_full"])
def test_typed_rows_are_told_apart(write, word):
    path = write("".join(json.dumps(row) + "\n" for row in typed_rows(word)), "metrics.jsonl")
    log = read(path)
    assert "the step is column 'grpo_step'" in log.notes
    assert log.names["quality"] == "eval/reward"
    np.testing.assert_array_equal(log.step, np.arange(4, 161, 4))
    np.testing.assert_allclose(log.quality, 0.3 + 0.4 * log.step / 160)
    train = read(path, series="train")
    np.testing.assert_allclose(train.quality, 0.2 + 0.4 * np.arange(1, 161) / 160)
    assert any(f"40 rows of evaluations (type '{word}')" in note for note in log.notes)


def test_few_typed_evaluations_do_not_displace_training(write):
    rows = typed_rows("eval", steps=120, every=20)
    path = write("".join(json.dumps(row) + "\n" for row in rows), "metrics.jsonl")
    log = read(path)
    np.testing.assert_allclose(log.quality, 0.2 + 0.4 * np.arange(1, 121) / 120)
    assert any("(eval/reward, 6 points)" in note for note in log.notes)


def test_a_column_of_words_tells_the_rows_of_a_table_apart(write):
    lines = [f"{i},train,{i / 99},{2 - i / 99}" for i in range(99)]
    lines += [f"{i},val,{1 + i / 99}," for i in range(0, 99, 3)]
    log = read(write("step,split,reward,entropy\n" + "\n".join(lines) + "\n"))
    assert log.names["quality"] == "eval/reward"
    np.testing.assert_allclose(log.quality, 1 + np.arange(0, 99, 3) / 99)


def test_a_clock_of_evaluations_tells_their_rows(write):
    rows = [{"train_step": i, "reward": i / 99, "entropy": 2 - i / 99} for i in range(99)]
    rows += [{"eval_step": i, "reward": 5.0 + i} for i in range(0, 99, 3)]
    log = read(write("".join(json.dumps(row) + "\n" for row in rows), "log.jsonl"), series="train")
    assert log.quality.max() <= 1


def test_words_that_name_no_phase_change_nothing(write):
    rows = [
        {"step": i, "type": "metrics", "reward": i / 9, "entropy": 1 / (i + 1)} for i in range(9)
    ]
    log = read(write("".join(json.dumps(row) + "\n" for row in rows), "log.jsonl"))
    assert log.names["quality"] == "reward"
    assert len(log) == 9
