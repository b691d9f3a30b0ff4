"""docs/steering.md: its code is run as it stands."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest

from qdlaws import Goal
from qdlaws.integrations.watch import watch

DOC = (Path(__file__).parents[2] / "docs" / "steering.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```python\n(.*?)```", DOC, flags=re.S)


@pytest.fixture(scope="module")
def follow():
    space: dict = {}
    exec(next(block for block in BLOCKS if "def follow" in block), space)
    return space["follow"]


def test_the_reader_is_about_ten_lines():
    code = next(block for block in BLOCKS if "def follow" in block)
    assert len([line for line in code.splitlines() if line.strip()]) <= 12


def test_a_trainer_that_follows_it_holds_its_floor(follow, tmp_path):
    """A loop that knows no law: it reads advice.json after every evaluation."""
    rng = np.random.default_rng(0)
    log, advice = tmp_path / "metrics.jsonl", tmp_path / "advice.json"
    log.touch()
    beta, seen, d, rows = 0.1, None, 0.8, []
    for k in range(30):
        d += 0.3 * (0.8 - 0.07 * np.log(0.1 / beta) - 0.35 * (1 - np.exp(-k / 8)) - d)
        row = {"step": 10 * k, "phase": "eval", "n_samples": 400, "quality": 0.9 - d / 2}
        row |= {"diversity": d + 0.004 * rng.standard_normal(), "diversity_se": 0.004}
        row |= {"entropy": d, "kl_coef": beta}
        rows.append(d)
        with log.open("a") as file:
            file.write(json.dumps(row) + "\n")
        list(watch(log, Goal(min_diversity=0.65), write=advice, max_updates=1))
        stop, beta, seen = follow(advice, beta, seen)
        assert not stop
    assert beta > 0.5  # left alone it settles at .45
    assert min(rows) > 0.64
    assert np.mean(rows[-5:]) == pytest.approx(0.66, abs=0.02)
    assert follow(advice, beta, seen)[1:] == (beta, seen)  # acted on once


def test_without_a_file_or_advice_nothing_changes(follow, tmp_path):
    assert follow(tmp_path / "none.json", 0.1, None) == (False, 0.1, None)
    (tmp_path / "a.json").write_text(
        json.dumps({"action": "wait", "kl_factor": None, "last_step": 10})
    )
    assert follow(tmp_path / "a.json", 0.1, None) == (False, 0.1, 10)
    (tmp_path / "a.json").write_text(
        json.dumps({"action": "stop", "kl_factor": 100.0, "last_step": 20})
    )
    assert follow(tmp_path / "a.json", 0.1, 10) == (True, 0.2, 20)


def test_the_block_for_trl_makes_a_configuration_and_a_trainer_with_the_callback_in_it(
    monkeypatch, tmp_path
):
    trl = pytest.importorskip("trl")
    monkeypatch.chdir(tmp_path)

    class Trainer:
        """Stands for the reader's trainer, of which the block says nothing but these two."""

        def __init__(self, *rest, args, callbacks):
            self.args, self.callbacks, self.trained = args, callbacks, False

        def train(self):
            self.trained = True

    settings = {"use_cpu": True, "bf16": False}
    space = {
        "GRPOConfig": lambda **given: trl.GRPOConfig(**given, **settings),
        "GRPOTrainer": Trainer,
    }
    exec(next(block for block in BLOCKS if "import LawCallback" in block), space)
    trainer = space["trainer"]
    assert trainer.trained
    assert trainer.args.beta > 0
    assert [type(one).__name__ for one in trainer.callbacks] == ["LawCallback"]
