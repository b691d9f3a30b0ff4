"""One optimizer batch: which answers mean the same, by keys or by a learned partition."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from qdlaws.measure.equivalence.learned import train_partition
from tests.helpers.small_run import config_of, rows, save_model
from trainer.algorithms.objective import credit
from trainer.distributed.world import World
from trainer.loop import train
from trainer.training.progress import Progress
from trainer.training.rollout import collect
from trainer.training.setup import make_context, start


def with_and_without_a(count, seed=0):
    """Pairs of strings; they say the same where both hold an a, or neither does."""
    rng = np.random.default_rng(seed)
    texts = ["".join(rng.choice(list("abcdefg"), rng.integers(1, 9))) for _ in range(2 * count)]
    pairs = list(zip(texts[::2], texts[1::2], strict=True))
    return pairs, [("a" in x) == ("a" in y) for x, y in pairs]


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return save_model(tmp_path_factory.mktemp("rollout") / "model")


@pytest.fixture(scope="module")
def classifier(tmp_path_factory):
    pairs, same = with_and_without_a(600)
    size = {"width": 32, "layers": 1, "heads": 2, "epochs": 12}
    learned = train_partition(pairs, same, characters=True, **size)
    assert learned.report.accuracy > 0.75
    folder = tmp_path_factory.mktemp("classifier")
    learned.save(folder)
    return folder


def batch_under(model, *settings):
    context = make_context(
        config_of(model, "recipe=darling", "train.samples=8", *settings), World()
    )
    batch, _ = collect(context, start(context))
    return context, batch.rollouts


def test_a_learned_partition_changes_the_reward_of_darling_where_a_key_cannot(model, classifier):
    """The task's key is the multiset of letters: almost every random text has its own."""
    _, by_key = batch_under(model)
    context, learned = batch_under(model, f"task.equivalence=learned:{classifier}")
    assert torch.equal(by_key.score, learned.score)
    apart = learned.group[:, None] != learned.group[None, :]
    assert not learned.equivalent[apart].any()
    assert (learned.equivalent & ~by_key.equivalent).sum() > len(learned.score)
    knobs = context.recipe.knobs
    first = context.recipe.shape[0](by_key, knobs).reward
    second = context.recipe.shape[0](learned, knobs).reward
    assert ((first - second).abs() > 0.05).sum() >= 4
    signal = [credit(context.recipe, each, knobs).advantage for each in (by_key, learned)]
    assert not torch.allclose(*signal)


def test_a_run_with_a_relation_of_the_users_own_trains(model, tmp_path):
    same = "task.equivalence=tests.helpers.example_rewards:as_long"
    config = config_of(model, "recipe=darling", "train.steps=2", same)
    train(config, tmp_path / "run")
    assert [r["step"] for r in rows(tmp_path / "run") if "loss" in r][-1] == 2


def test_a_task_without_keys_takes_darling_once_a_relation_is_named(model, monkeypatch):
    from tests.helpers.letters import Letters
    from trainer.types import Traits

    plain = Letters.__init__

    def without(self, **options):
        plain(self, **options)
        self.traits = Traits("letters", True, False, 0.0, 1.0, False)

    monkeypatch.setattr(Letters, "__init__", without)
    with pytest.raises(ValueError, match="which answers of letters mean the same"):
        batch_under(model)
    _, rollouts = batch_under(model, "task.equivalence=similarity:0.5")
    assert rollouts.equivalent is not None


def test_answers_are_counted_for_each_prompt_over_the_run(model):
    """Historical exploration: drawn once more, every row has come at least once before."""
    settings = ("recipe=outcome_exploration", "recipe.weight=0.1", "recipe.how=historical")
    context = make_context(config_of(model, *settings), World())
    begun = start(context)
    first, progress = collect(context, begun)
    assert not first.rollouts.seen.any()
    assert sum(progress.buckets.counts.values()) == len(first.ids)
    again = replace(begun, buckets=Progress.from_state(progress.to_state()).buckets)
    second, progress = collect(context, again)
    assert second.rollouts.seen.min() >= 1
    assert sum(progress.buckets.counts.values()) == 2 * len(first.ids)
    reward = context.recipe.shape[1](second.rollouts, begun.knobs).reward
    bonus = 0.1 / (second.rollouts.seen + 1).double().sqrt()
    torch.testing.assert_close(reward - second.rollouts.reward, bonus)
