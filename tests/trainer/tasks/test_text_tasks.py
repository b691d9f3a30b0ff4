"""What all text tasks share."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest

from qdlaws.measure import Estimate
from trainer.tasks import make_task

NAMES = ("arithmetic", "sql", "stories")

CODE = """
import json, sys
from trainer.tasks import make_task
seen = {}
for name in ("arithmetic", "sql", "stories"):
    task = make_task(name)
    pairs = task.corpus(40, 7)
    prompts = [task.prompts()[i % 10] for i in range(40)]
    texts = [b for _, b in pairs]
    seen[name] = [
        [[p.number, p.text] for p in task.prompts("eval")],
        pairs,
        task.score(prompts, texts).score.tolist(),
        [repr(k) for k in task.keys(prompts, texts)],
        {k: [e.value, e.se] for k, e in task.measure(prompts, texts).items()},
    ]
heavy = {"torch", "rdkit", "transformers", "datasets"} & set(sys.modules)
assert not heavy, heavy
print(json.dumps(seen))
"""


@pytest.fixture(scope="module")
def elsewhere():
    """What another process, which hashes strings otherwise, makes of the tasks."""
    counted = [
        subprocess.run(
            [sys.executable, "-c", CODE],
            check=True,
            capture_output=True,
            text=True,
            env={**os.environ, "PYTHONHASHSEED": str(seed)},
        ).stdout
        for seed in (1, 2)
    ]
    assert counted[0] == counted[1]
    return json.loads(counted[0])


def test_tasks_are_the_same_in_every_process_and_need_no_torch_or_rdkit(elsewhere):
    """Worker processes and scoring scripts stay light; a resumed run sees the same task."""
    assert set(elsewhere) == set(NAMES)
    for name in ("arithmetic", "stories"):
        pairs = make_task(name).corpus(40, 7)
        assert [list(pair) for pair in pairs] == elsewhere[name][1]


@pytest.mark.parametrize("name", ["arithmetic", "stories"])
def test_text_tasks_have_the_members_that_the_loop_uses(name):
    task = make_task(name)
    assert task.name == name
    assert task.traits.name == name
    prompts = [p for p in task.prompts()[:5] for _ in range(4)]
    texts = [b for _, b in task.corpus(20, 0)]
    scores = task.score(prompts, texts)
    assert len(scores) == 20
    assert scores.score.dtype == np.float64
    assert len(task.keys(prompts, texts)) == 20
    result = task.measure(prompts, texts)
    assert {"diversity", "unique_share", "valid_share"} <= set(result)
    assert all(isinstance(estimate, Estimate) for estimate in result.values())
    with pytest.raises(ValueError, match="zip"):
        task.score(prompts[:3], texts)
    empty = task.score([], [])
    assert len(empty) == 0
    assert np.isnan(task.measure([], [])["diversity"].value)
    task.close()


@pytest.mark.parametrize("name", ["arithmetic", "stories"])
def test_a_collapse_lowers_the_measured_diversity(name):
    """All samples of a prompt the same: no diversity left, and still a standard error of 0."""
    task = make_task(name)
    pairs = [
        next(pair for pair in task.corpus(500, 0) if pair[0] == p.text) for p in task.prompts()[:4]
    ]
    by_text = {p.text: p for p in task.prompts()}
    prompts = [by_text[a] for a, _ in pairs for _ in range(6)]
    texts = [b for _, b in pairs for _ in range(6)]
    result = task.measure(prompts, texts)
    assert result["diversity"].value == 0
    assert result["unique_share"].value == pytest.approx(1 / 3)
