"""What every bundled task promises to the loop, and to the table of recipes."""

import numpy as np
import pytest

from trainer.algorithms.suitability import TASKS
from trainer.tasks import make_task

NAMES = ["molecules", "arithmetic", "sql", "stories", "bandit"]


@pytest.fixture(scope="module", params=NAMES)
def task(request):
    made = make_task(request.param)
    yield made
    made.close()


def test_the_table_of_recipes_agrees_with_the_task(task):
    assert task.traits == TASKS[task.name]


def test_every_task_scores_measures_and_has_keys(task):
    pairs = task.corpus(600, 0)
    prompts = list(task.prompts("train"))
    by_text = {q.text: q for q in prompts}
    finite = [(by_text[p], c) for p, c in pairs if p in by_text] or [(prompts[0], pairs[0][1])]
    finite = finite[:60]
    wanted = [q for q, _ in finite] + [prompts[0], prompts[0]]
    texts = [c for _, c in finite] + ["", "%%%"]
    scores = task.score(wanted, texts)
    assert len(scores) == len(texts)
    assert not scores.valid[-1]
    assert scores.score[-1] == 0
    known_scores = scores.score[np.isfinite(scores.score)]
    assert known_scores.min() >= task.traits.lowest
    assert known_scores.max() <= task.traits.highest
    assert scores.score[:-2].max() > 0
    keys = task.keys(wanted, texts)
    assert keys[-1] is None
    assert keys[0] is not None
    many = [wanted[0]] * 20
    result = task.measure(many, [texts[i % len(finite)] for i in range(20)])
    assert 0 <= result["diversity"].value <= 1
    assert result["diversity"].se >= 0 or result["diversity"].reason


def test_train_and_eval_prompts_are_disjoint(task):
    train, held = ({q.number for q in task.prompts(s)} for s in ("train", "eval"))
    assert train
    assert held
    assert task.name in ("molecules", "bandit", "stories") or not train & held
