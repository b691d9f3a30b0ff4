"""The bandit as a task: rewards, meanings and diversity are the exact ones."""

import numpy as np
import pytest

from qdlaws.errors import BadData
from trainer.tasks import make_task


def test_scores_are_the_rewards():
    task = make_task("bandit", contexts=3, actions=5, levels=None, seed=1)
    prompts = list(task.prompts())
    assert [p.text for p in prompts] == ["c0", "c1", "c2"]
    assert task.actions == ["a0", "a1", "a2", "a3", "a4"]
    rows = [p for p in prompts for _ in task.actions]
    scores = task.score(rows, task.actions * 3)
    np.testing.assert_array_equal(scores.score.reshape(3, 5), task.bandit.reward.numpy())
    assert scores.valid.all()
    assert (task.traits.many_prompts, task.traits.binary) == (True, False)


def test_a_text_that_is_no_action_is_invalid():
    task = make_task("bandit", contexts=1, actions=5)
    texts = ["a5", "a-1", "b2", "", "a 2", " a2 "]
    prompts = list(task.prompts()) * 6
    scores = task.score(prompts, texts)
    assert scores.valid.tolist() == [False] * 5 + [True]
    assert scores.score[:5].tolist() == [0] * 5
    assert task.keys(prompts, texts) == [None] * 5 + [2]
    assert task.traits.binary is True


def test_diversity_is_the_chance_that_two_actions_differ():
    task = make_task("bandit", kind="decaying")
    texts = [text for _, text in task.corpus(2000, seed=0)]
    result = task.measure(list(task.prompts()) * 2000, texts)["diversity"]
    p = task.bandit.reference.numpy()[0]
    assert abs(result.value - (1 - (p**2).sum())) < 4 * result.se
    assert 0 < result.se < 0.01
    many = make_task("bandit", contexts=3, actions=5)
    both = many.measure(
        [many.prompts()[i] for i in (0, 0, 1, 1, 2)], ["a0", "a1", "a2", "a2", "a1"]
    )
    assert both["diversity"].value == 0.5  # apart in the first context, together in the second


def test_the_corpus_is_drawn_from_the_reference():
    task = make_task("bandit", contexts=2, actions=4, seed=3)
    pairs = task.corpus(8000, seed=0)
    counts = np.zeros((2, 4))
    for prompt, text in pairs:
        counts[int(prompt[1:]), int(text[1:])] += 1
    expected = task.bandit.reference.numpy() * 4000
    assert (np.abs(counts - expected) < 5 * np.sqrt(expected)).all()


def test_bad_options_are_refused():
    with pytest.raises(BadData, match="did you mean 'decaying'"):
        make_task("bandit", kind="decayng")
    with pytest.raises(BadData, match="at least"):
        make_task("bandit", actions=1)
