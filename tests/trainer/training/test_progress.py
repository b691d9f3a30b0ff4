"""The progress of a run survives a checkpoint's JSON."""

import json

import pytest

from trainer.algorithms.diversity_filter import FilterMemory
from trainer.algorithms.replay import Buckets, Memory
from trainer.training.progress import Progress
from trainer.types import Knobs, ReplayPlan

FULL = Progress(
    step=12,
    cursor=48,
    samples=192,
    knobs=Knobs(kl=0.3, reward_scale=2.0, entropy=0.01),
    memory=Memory(ReplayPlan(size=2, per_step=1), (("a:", "key", "text"), "plain"), (0.9, 0.5)),
    buckets=Buckets({("C", 1): 3, "scaffold": 1}),
    filter=FilterMemory({("C", 1): 2, "": 1}, {"CCO": None, ("a", 2): None}, {"c1ccccc1": None}),
    kept=8,
)


@pytest.mark.parametrize("progress", [Progress(), FULL])
def test_what_is_saved_is_what_is_loaded(progress):
    state = json.loads(json.dumps({**progress.to_state(), "task": None, "sizes": {}}))
    assert Progress.from_state(state) == progress


def test_the_scaffold_counts_of_an_older_state_fill_the_diversity_filter():
    state = FULL.to_state()
    del state["filter"]
    older = Progress.from_state(json.loads(json.dumps(state)))
    assert older.filter == FilterMemory({("C", 1): 3, "scaffold": 1})
