"""Keys by a function of the user's: in a process of its own, a failure costs its completion."""

import os

import pytest

from qdlaws.errors import QdlawsError
from tests.helpers import example_rewards
from trainer.tasks.scoring.user_keys import UserKeys
from trainer.tasks.scoring.user_rewards import Row


def row(text):
    return Row("q", text, {"topic": "x"})


@pytest.fixture
def keys_of():
    opened = []

    def make(function, **options):
        opened.append(UserKeys(function, **options))
        return opened[-1]

    yield make
    for keys in opened:
        keys.close()


def test_an_equivalence_by_name_runs_in_another_process_and_a_function_in_this_one(keys_of):
    elsewhere = keys_of("tests.helpers.example_rewards:process")
    assert elsewhere([row("a")]) != [os.getpid()]
    assert keys_of("tests.helpers.example_rewards:process", workers=0)([row("a")]) == [os.getpid()]
    assert keys_of(example_rewards.process)([row("a")]) == [os.getpid()]


def test_both_give_the_same_keys(keys_of):
    texts = ["one two", "one, two", "", "two"]
    name = "tests.helpers.example_rewards:first_word"
    with pytest.warns(UserWarning, match="first_word failed: IndexError"):
        here = keys_of(example_rewards.first_word)([row(t) for t in texts])
    with pytest.warns(UserWarning, match="first_word failed: IndexError"):
        assert keys_of(name)([row(t) for t in texts]) == here == ["one", "one,", None, "two"]


def test_one_that_hangs_or_dies_costs_its_completion(keys_of):
    keys = keys_of("tests.helpers.example_rewards:stuck", timeout=1.0)
    with pytest.warns(UserWarning, match="took longer than 1 s"):
        assert keys([row("hang"), row("a"), row("die"), row("b")]) == [None, 1.0, None, 1.0]


def test_what_cannot_be_compared_is_no_key(keys_of):
    keys = keys_of(lambda text: [text])
    with pytest.warns(UserWarning, match="unhashable"):
        assert keys([row("a")]) == [None]


def test_a_missing_column_is_named(keys_of):
    with pytest.raises(QdlawsError, match="needs missing_column"):
        keys_of(example_rewards.needs_more).check(["topic"])
