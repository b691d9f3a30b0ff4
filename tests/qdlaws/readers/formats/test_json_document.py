"""JSON documents: the trainer state of TRL and transformers."""

from __future__ import annotations

import json

import numpy as np
import pytest

from qdlaws import BadLog, EntropyKind
from qdlaws.readers import read
from qdlaws.readers.formats import json_document
from tests.helpers.make_fixtures import FIXTURES


def test_the_longest_history_of_a_checkpoint_folder_is_read():
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


def test_evaluations_of_a_trainer_state_are_used_from_eight_points_on():
    log = read(FIXTURES / "trl")
    assert log.kinds["quality"] == "eval_reward"
    assert log.names["entropy"] == "eval_entropy"
    assert list(log.step) == list(range(2, 21, 2))
    assert any("evaluation series, 10 points" in note for note in log.notes)
    short = read(FIXTURES / "trl/checkpoint-10")
    assert short.kinds["quality"] == "train_reward"
    assert any("only 5 evaluations" in note for note in short.notes)
    assert len(read(FIXTURES / "trl/checkpoint-10", series="eval")) == 5


def test_a_document_of_too_many_values_is_refused_before_it_is_parsed(write, monkeypatch):
    monkeypatch.setattr(json_document, "MAX_VALUES", 1000)
    with pytest.raises(BadLog, match="more than 1,000 values in one document"):
        read(write("[" + "{}," * 1000 + "{}]"))
