import math
import warnings
from functools import partial

import numpy as np
import pytest

from qdlaws.errors import QdlawsError
from tests.helpers import example_rewards as example
from trainer.tasks.scoring.user_rewards import Rewards, weighted


def call(functions, completions, weights=None, columns=None, prompts=None):
    rewards = Rewards(functions, weights)
    prompts = ["p"] * len(completions) if prompts is None else prompts
    return rewards, *rewards(prompts, completions, columns or {})


def test_sum_of_weights_times_rewards():
    _, score, parts = call(
        [example.correct, example.short], ["7", "abc"], [2, -1], {"answer": ["7", "8"]}
    )
    assert parts["correct"].tolist() == [1, 0]
    assert parts["short"].tolist() == [0.5, 0.25]
    assert score.tolist() == [2 - 0.5, -0.25]


def test_one_failed_reward_fails_the_sum_of_its_row_only():
    with pytest.warns(UserWarning, match=r"touchy failed.*it went boom"):
        rewards, score, parts = call([example.touchy, example.short], ["boom", "fine"])
    assert np.isnan(score).tolist() == [True, False]
    assert np.isnan(parts["touchy"]).tolist() == [True, False]
    assert parts["short"][0] == 1 / 5
    assert rewards.failures == {"touchy": 1, "short": 0}
    assert list(rewards.messages) == ["touchy"]
    assert rewards.messages["touchy"].startswith("RuntimeError: it went boom (example_rewards.py")


def test_failures_are_counted_and_warned_about_once():
    rewards = Rewards([example.touchy])
    with pytest.warns(UserWarning, match="touchy") as counted:
        rewards(["p"] * 3, ["boom", "word", "boom"], {})
    assert len(counted) == 1
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        rewards(["p"] * 3, ["nan", "inf", "fine"], {})
    assert rewards.failures == {"touchy": 5}
    assert rewards.messages["touchy"].startswith("RuntimeError: it went boom")


@pytest.mark.parametrize("text", ["boom", "word", "nan", "inf"])
def test_values_that_are_not_finite_numbers_are_nan(text):
    with pytest.warns(UserWarning, match="touchy"):
        _, score, _ = call([example.touchy], [text])
    assert math.isnan(score[0])


def test_none_leaves_a_reward_out_of_the_sum():
    columns = {"answer": ["a", "b"], "topic": ["skip", "x"]}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        rewards, score, parts = call([example.keyed, example.short], ["a", "b"], None, columns)
        assert score.tolist() == [0.5, 1.5]
        assert math.isnan(parts["keyed"][0])
        _, alone, _ = call([example.keyed], ["a", "b"], None, columns)
        assert math.isnan(alone[0])
        assert alone[1] == 1
    assert rewards.failures == {"keyed": 0, "short": 0}


def test_a_first_parameter_annotated_as_a_list_takes_the_batch():
    def lengths(texts: list[str], answer):
        assert len(answer) == len(texts)
        return [float(len(text)) for text in texts]

    def in_words(texts: "Sequence[str]"):  # noqa: F821  a name imported for the checker only
        return [1.0] * len(texts)

    _, score, parts = call([lengths, in_words], ["a", "bcd"], columns={"answer": ["x", "y"]})
    assert parts["lengths"].tolist() == [1, 3]
    assert score.tolist() == [2, 4]


def test_a_batch_that_raises_is_scored_row_by_row():
    with pytest.warns(UserWarning, match="boom in the batch"):
        rewards, score, _ = call([example.touchy_batch], ["ab", "boom", "abcd"])
    assert score[0] == 2
    assert math.isnan(score[1])
    assert score[2] == 4
    assert rewards.failures == {"touchy_batch": 1}


def test_a_batch_of_another_length_fails_as_a_whole():
    """Row by row it would give a number each, and nobody knows whose they are."""
    with pytest.warns(UserWarning, match="too_few failed: it gave 1 numbers for 2 completions"):
        rewards, score, _ = call([example.too_few], ["a", "b"])
    assert np.isnan(score).all()
    assert rewards.failures == {"too_few": 2}


@pytest.mark.parametrize("workers", [0, 1])
def test_a_reward_that_always_fails_is_refused_with_its_reason(workers):
    rewards = Rewards(["tests.helpers.example_rewards:touchy"], workers=workers)
    with (
        pytest.warns(UserWarning, match="touchy"),
        pytest.raises(QdlawsError, match=r"not one completion.*reward touchy failed: RuntimeError"),
    ):
        rewards(["p"] * 16, ["boom"] * 16, {})
    rewards.close()
    with pytest.warns(UserWarning, match="touchy"):
        rewards, _, _ = call([example.touchy], ["fine"] + ["boom"] * 15)
    rewards(["p"] * 16, ["boom"] * 16, {})  # it has worked before


@pytest.mark.parametrize("form", ["single", "batch"])
@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("exit", "SystemExit: 0"),
        ("large", "a number that is too large"),
        ("larger", "a number that is too large"),
        ("word", "it gave 'high', not a number"),
        ("list", "it gave a list, not a number"),
    ],
)
def test_every_odd_answer_is_the_failure_of_its_row(form, text, words):
    function = {"single": example.odd, "batch": example.odd_batch}[form]
    with pytest.warns(UserWarning, match=words):
        rewards, score, _ = call([function], [text, "fine"])
    assert np.isnan(score).tolist() == [True, False]
    assert list(rewards.failures.values()) == [1]


@pytest.fixture
def in_a_process():
    """Rewards by name, which run in a process of their own, closed after the test."""
    opened = []

    def make(*names, **options):
        opened.append(Rewards([f"tests.helpers.example_rewards:{n}" for n in names], **options))
        return opened[-1]

    yield make
    for rewards in opened:
        rewards.close()


def test_rewards_by_name_run_elsewhere_to_the_same_numbers(in_a_process):
    columns = {"answer": ["7", "8"], "topic": ["skip", "x"]}
    texts = ["7", "abc"]
    names = ("correct", "short", "keyed", "process")
    elsewhere = in_a_process(*names)
    score, parts = elsewhere(["p", "q"], texts, columns)
    _, same, same_parts = call([getattr(example, n) for n in names], texts, None, columns)
    assert parts["process"][0] != same_parts["process"][0] == example.process("")
    for name in names[:3]:
        np.testing.assert_array_equal(parts[name], same_parts[name])
    np.testing.assert_array_equal(score - parts["process"], same - same_parts["process"])


@pytest.mark.parametrize("together", [False, True])
def test_a_reward_that_hangs_or_dies_costs_its_rows_only(in_a_process, together):
    rewards = in_a_process("stuck_batch" if together else "stuck", timeout=1.0)
    with pytest.warns(UserWarning, match="took longer than|ended with status 7"):
        score, _ = rewards(["p"] * 4, ["fine", "hang", "die", "fine"], {})
    assert np.isnan(score).tolist() == [False, True, True, False]
    assert list(rewards.failures.values()) == [2]


def test_prints_of_a_reward_do_not_reach_stdout(in_a_process, capfd):
    in_a_process("loud")(["p"], ["a"], {})
    call([example.loud], ["a"])
    streams = capfd.readouterr()
    assert streams.out == ""
    assert streams.err.count("loud") == 2


def test_a_missing_column_is_named():
    with pytest.raises(QdlawsError, match="needs missing_column; there are prompt, answer"):
        Rewards([example.needs_more]).check(["answer"])
    Rewards([example.correct, example.keyed, example.short]).check(["answer", "topic"])


def test_messages_are_passed_as_messages():
    wanted = [[{"role": "user", "content": "echo"}]] * 2
    _, score, _ = call([example.chat], ["echo", "no"], prompts=wanted)
    assert score.tolist() == [1, 0]


def test_numbers_of_any_kind_and_functions_of_any_kind():
    class Callable:
        def __call__(self, completion, prompt):
            return np.float32(len(prompt))

    def flag(text, *, strict=False, **kwargs):
        return bool(text) and not strict

    functions = [Callable(), flag, partial(example.correct, answer="b"), flag]
    rewards, score, parts = call(functions, ["a", "b"], None, {"answer": ["a", "a"]})
    assert list(parts) == ["Callable", "flag", "partial", "flag_2"]
    assert parts["Callable"].tolist() == [1, 1]
    assert parts["flag"].tolist() == [1, 1]
    assert score.dtype == np.float64
    assert rewards.failures["flag"] == 0


def test_weighted_sums_are_nan_where_a_part_is():
    parts = {"a": np.array([1.0, np.nan]), "b": np.array([2.0, 2.0])}
    total = weighted(parts, {"a": 1.0, "b": 0.5}, 2)
    assert total[0] == 2
    assert math.isnan(total[1])


@pytest.mark.parametrize(
    ("functions", "weights", "message"),
    [
        ([], None, "a list of"),
        ("m:f", None, "a list of"),
        ([example.short], [1, 2], "2 weights for 1 rewards"),
        ([example.short], [math.nan], "finite"),
        ([3], None, "not a function"),
        ([lambda: 1], None, "no parameter"),
        (["no_such_module:f"], None, "no_such_module"),
        (["math"], None, "package.module:name"),
    ],
)
def test_bad_rewards_are_refused_in_one_line(functions, weights, message):
    with pytest.raises(QdlawsError, match=message):
        Rewards(functions, weights)
