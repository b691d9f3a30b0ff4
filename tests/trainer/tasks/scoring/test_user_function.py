"""A function of the user's in a process of its own answers there, and fails in one line."""

import os

import numpy as np
import pytest

from qdlaws.errors import QdlawsError
from trainer.tasks.scoring.user_function import UserFunction

STUCK = "tests.helpers.example_rewards:stuck"


@pytest.fixture
def function_of():
    opened = []

    def make(reference, **options):
        opened.append(UserFunction(reference, "equivalence", **options))
        return opened[-1]

    yield make
    for function in opened:
        function.close()


def test_its_value_comes_from_another_process(function_of):
    process = function_of("tests.helpers.example_rewards:process")
    assert process("a") != os.getpid()
    assert process.each([("a",), ("b",)]) == [process("a")] * 2


@pytest.mark.parametrize(
    ("text", "words"), [("hang", "took longer than 1 s"), ("die", "ended with status 7")]
)
def test_one_that_hangs_or_dies_is_one_line(function_of, text, words):
    with pytest.raises(QdlawsError, match=f"equivalence {STUCK}: .*{words}"):
        function_of(STUCK, timeout=1.0)(text)


def test_a_tensor_comes_as_an_array(function_of):
    rows = function_of("tests.helpers.example_rewards:embed", of_list=True)(["a", "bb"])
    assert isinstance(rows, np.ndarray)
    assert rows.tolist() == [[1.0, 1.0], [2.0, 1.0]]
