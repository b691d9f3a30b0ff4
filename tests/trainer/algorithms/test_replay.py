import math

import pytest
import torch

from qdlaws.errors import BadData
from trainer.algorithms.replay import Buckets, Memory, StoredSamples, confirm, partition
from trainer.types import ReferencePlan, ReplayPlan


def stored(n):
    return StoredSamples(
        prompt=torch.arange(n),
        tokens=torch.arange(2 * n).view(n, 2),
        mask=torch.ones(n, 2).bool(),
        ref_logp=-torch.arange(2.0 * n).view(n, 2),
    )


def test_partition_by_the_number_of_correct_attempts():
    score = torch.zeros(4, 8)
    for prompt, right in enumerate((8, 6, 5, 0)):
        score[prompt, :right] = 1
    parts = partition(score, ReferencePlan(threshold=6))
    assert parts.near_perfect.tolist() == [0, 1]
    assert parts.exploration.tolist() == [2, 3]
    assert parts.summary() == "2 of 4 prompts are rehearsed, 2 explored"


def test_attempts_that_failed_are_not_correct_and_are_counted():
    score = torch.ones(1, 8)
    score[0, :3] = math.nan
    parts = partition(score, ReferencePlan(threshold=6))
    assert parts.exploration.tolist() == [0]
    assert parts.failed == 3
    assert "3 attempts could not be scored" in parts.summary()


def test_partition_says_what_is_wrong():
    with pytest.raises(BadData, match=r"found scores of shape \(2, 4\), needed \(prompts, 8\)"):
        partition(torch.ones(2, 4), ReferencePlan())
    with pytest.raises(BadData, match="threshold 9"):
        partition(torch.ones(2, 8), ReferencePlan(threshold=9))


def test_only_confirmed_samples_are_stored():
    kept = confirm(stored(4), torch.tensor([1.0, 0.0, math.nan, 1.0]))
    assert kept.prompt.tolist() == [0, 3]
    assert kept.ref_logp[1].tolist() == [-6.0, -7.0]
    with pytest.raises(BadData, match="2 scores for 4"):
        confirm(stored(4), torch.ones(2))


def test_rehearsal_cycles_through_all_and_depends_on_nothing_but_its_arguments():
    items = stored(10)
    seen = torch.cat([items.at(step, per_step=4, seed=1).prompt for step in range(5)])
    assert sorted(seen[:10].tolist()) == list(range(10))
    assert sorted(seen[10:].tolist()) == list(range(10))
    assert seen[:10].tolist() != seen[10:].tolist()
    again = items.at(3, per_step=4, seed=1)
    assert again.prompt.tolist() == seen[12:16].tolist()
    assert torch.equal(again.tokens[:, 0], 2 * again.prompt)
    assert len(items.rows(torch.tensor([], dtype=torch.long)).at(0, 4, 1)) == 0


def test_memory_keeps_the_best_different_completions():
    memory = Memory(ReplayPlan(size=3, per_step=2))
    memory = memory.remember(["a", "b", "c"], [0.5, 0.9, math.nan])
    memory = memory.remember(["a", "d", "e"], [0.7, 0.1, 0.8])
    assert memory.keys == ("b", "e", "a")
    assert memory.scores == (0.9, 0.8, 0.7)
    draws = [memory.draw(torch.Generator().manual_seed(seed)) for seed in range(200)]
    assert all(len(set(draw)) == 2 for draw in draws)
    assert {key for draw in draws for key in draw} == {"a", "b", "e"}
    assert Memory().draw(torch.Generator()) == []


def test_every_remembered_completion_is_as_likely_to_be_replayed():
    memory = Memory(ReplayPlan(size=4, per_step=1)).remember("abcd", [0.9, 0.5, 0.01, 0.0])
    rng = torch.Generator().manual_seed(0)
    drawn = [memory.draw(rng)[0] for _ in range(4000)]
    excess = [(drawn.count(key) - 1000) ** 2 / 1000 for key in "abcd"]
    assert sum(excess) < 16.3  # χ² of 3 degrees of freedom, p = .001


def test_buckets_count_what_scores():
    buckets = Buckets().add(["x", "x", "y", None], [0.9, 0.1, 0.5, 0.9], threshold=0.4)
    assert buckets.seen(["x", "y", "z", None]).tolist() == [1, 1, 0, 0]
    assert buckets.add(["x"], [math.nan]).counts == buckets.counts
