"""Batches, loss and learning rate of the training by maximum likelihood."""

import math

import numpy as np
import pytest
import torch

from trainer.policy.tokenizer import character_tokenizer
from trainer.pretrain.datasets import text_rows
from trainer.pretrain.maximum_likelihood import (
    Row,
    Schedule,
    batch_loss,
    batches,
    maximize_likelihood,
    mean_loss,
)
from trainer.pretrain.model import build_model


def test_batches_hold_every_row_once_and_keep_the_budget():
    rng = np.random.default_rng(0)
    rows = [Row(tuple([1] * int(n))) for n in rng.integers(3, 60, size=2000)]
    parts = batches(rows, 1000, rng)
    assert sorted(np.concatenate(parts).tolist()) == list(range(2000))
    padded = [len(part) * max(len(rows[i].ids) for i in part) for part in parts]
    assert max(padded) <= 1000
    assert sum(len(row.ids) for row in rows) > 0.9 * sum(padded)  # little padding
    assert [len(part) for part in batches([Row((1,) * 50)] * 3, 10, rng)] == [1, 1, 1]


def test_the_loss_is_the_one_of_transformers(small):
    tokenizer = character_tokenizer(["abcde"])
    model = build_model(small, tokenizer)
    rows = text_rows([("ab", "cde"), ("a", "b")], tokenizer)
    one, two = rows
    labels = [torch.tensor([[-100] * r.first + list(r.ids[r.first :])]) for r in rows]
    theirs = [
        model(input_ids=torch.tensor([r.ids]), labels=label).loss.item()
        for r, label in zip(rows, labels, strict=True)
    ]
    counts = [len(one.ids) - one.first, len(two.ids) - two.first]
    expected = np.average(theirs, weights=counts)
    assert batch_loss(model, rows).item() == pytest.approx(expected, rel=1e-5)
    assert mean_loss(model, rows, budget=1) == pytest.approx(expected, rel=1e-5)
    assert math.isnan(mean_loss(model, [], budget=1))


def test_the_learning_rate_warms_up_and_falls():
    schedule = Schedule(0.02, steps=100, warmup=0.1)
    rates = [schedule.rate(step) for step in range(100)]
    assert rates[0] == pytest.approx(0.002)
    assert max(rates) == pytest.approx(0.02)
    assert int(np.argmax(rates)) in (9, 10)
    assert np.all(np.diff(rates[10:]) < 0)
    assert rates[-1] < 0.02 * 0.02


def test_part_of_an_epoch_is_part_of_its_batches(small):
    model = build_model(small, character_tokenizer(["abc"]))
    rows = [Row((1, 4, 5, 2))] * 100
    steps = []
    maximize_likelihood(
        model,
        rows,
        epochs=2.5,
        peak=0.01,
        budget=40,
        seed=(0,),
        on_step=lambda *a: steps.append(a),
    )
    assert steps[-1][:2] == (25, 25)
