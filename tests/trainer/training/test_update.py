"""The learning rate follows its schedule; mini-batches part a batch by whole groups."""

from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch

from trainer.config import TrainOptions
from trainer.training.update import _minibatches, learning_rate, rows_of
from trainer.types import Rollouts

TRAIN = TrainOptions(lr=0.1, steps=10, warmup=2)


@pytest.mark.parametrize(
    ("schedule", "rates"),
    [
        ("constant", {0: 0.05, 1: 0.1, 2: 0.1, 9: 0.1}),
        ("linear", {0: 0.05, 1: 0.1, 2: 0.1, 6: 0.05, 10: 0.0}),
        ("cosine", {0: 0.05, 1: 0.1, 2: 0.1, 6: 0.05, 10: 0.0}),
    ],
)
def test_the_rate_warms_up_and_then_follows_its_schedule(schedule, rates):
    train = replace(TRAIN, schedule=schedule)
    for step, rate in rates.items():
        assert learning_rate(train, step) == pytest.approx(rate, abs=1e-12)


def rollouts(groups):
    group = torch.tensor(groups)
    n = len(groups)
    return Rollouts.of(
        torch.arange(n, dtype=torch.float64),
        group,
        torch.ones(n, 2, dtype=torch.bool),
        torch.zeros(n, 2, dtype=torch.float64),
        equivalent=torch.eye(n, dtype=torch.bool),
    )


def minibatches(number, groups, epoch=0):
    context = SimpleNamespace(config=SimpleNamespace(train=replace(TRAIN, minibatches=number)))
    return _minibatches(context, rollouts(groups), 3, epoch)


def test_minibatches_part_the_batch_by_whole_groups_in_another_order_every_epoch():
    groups = [0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5]
    first, second = minibatches(3, groups), minibatches(3, groups, epoch=1)
    for parts in (first, second):
        assert sorted(torch.cat(parts).tolist()) == list(range(12))
        for part in parts:
            assert len({groups[row] for row in part.tolist()}) == 2
    assert [p.tolist() for p in first] != [p.tolist() for p in second]
    assert [p.tolist() for p in first] == [p.tolist() for p in minibatches(3, groups)]


def test_with_fewer_groups_than_minibatches_rows_are_parted():
    parts = minibatches(2, [0, 0, 0, 0])
    assert sorted(len(part) for part in parts) == [2, 2]


def test_rows_of_a_batch_keep_what_belongs_to_them():
    part = rows_of(rollouts([0, 0, 1, 1]), torch.tensor([3, 1]))
    assert part.score.tolist() == [3, 1]
    assert part.group.tolist() == [1, 0]
    assert part.equivalent.tolist() == [[True, False], [False, True]]
    assert part.seen is None
