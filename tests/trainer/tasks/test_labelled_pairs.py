"""Pairs that say the same or not, from a table and from a task's keys."""

import pytest

from qdlaws.errors import BadData, NotEnoughData
from tests.helpers.letters import Letters
from trainer.tasks import make_task
from trainer.tasks.labelled_pairs import pairs_of_file, pairs_of_task


def test_a_table_of_pairs_with_groups_and_words_for_labels(tmp_path):
    path = tmp_path / "pairs.csv"
    path.write_text("a,b,same,group\nx y,y x,yes,1\nx,z,0,2\n")
    read = pairs_of_file(path)
    assert read.pairs == [("x y", "y x"), ("x", "z")]
    assert read.same == [True, False]
    assert len(set(read.groups)) == 2
    assert not read.spelled


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a,c,same\nx,y,1\n", "no column 'b'"),
        ("a,b,same\nx,y,perhaps\n", "0 or 1 was needed"),
    ],
)
def test_a_table_without_a_column_or_label_is_refused(tmp_path, text, message):
    path = tmp_path / "pairs.csv"
    path.write_text(text)
    with pytest.raises(BadData, match=message):
        pairs_of_file(path)


def test_the_labels_of_a_task_are_its_keys_within_a_prompt():
    task = make_task("arithmetic", high=20)
    made = pairs_of_task(task, examples=1500, seed=1)
    prompt = task.prompts()[:1]
    for (a, b), same in zip(made.pairs, made.same, strict=True):
        first, second = task.keys(prompt * 2, [a, b])
        assert (first == second) == same
        assert a != b
    assert sum(made.same) * 2 == len(made.same) >= 80
    assert made.spelled


def test_a_task_that_gives_too_few_pairs_is_refused():
    with pytest.raises(NotEnoughData, match="more --examples may help"):
        pairs_of_task(Letters(), examples=20)
