import math
import re
from fractions import Fraction

import numpy as np
import pytest

from qdlaws.errors import QdlawsError
from trainer.tasks import make_task


@pytest.fixture(scope="module")
def task():
    return make_task("arithmetic")


def prompt_for(task, n):
    return next(p for s in ("train", "eval") for p in task.prompts(s) if p.data["target"] == n)


@pytest.mark.parametrize(
    ("text", "score", "valid"),
    [
        ("20+4", 1, True),
        (" 4 * 6 ", 1, True),
        ("(9-5)*6", 1, True),
        ("48/2", 1, True),
        ("1/2*48", 1, True),
        ("24", 0, True),
        ("24+0", 0, True),
        ("24*1", 0, True),
        ("24+5-5", 0, True),
        ("20+5", 0, True),
        ("20+", 0, False),
        ("24=20+4", 0, False),
        ("5/0", 0, False),
        ("1+" * 20 + "4", 0, False),
        ("", 0, False),
    ],
)
def test_an_expression_of_the_number_scores_one(task, text, score, valid):
    result = task.score([prompt_for(task, 24)], [text])
    assert result.score.tolist() == [score]
    assert result.valid.tolist() == [valid]
    assert result.failed == 0


def test_invalid_can_be_dropped():
    task = make_task("arithmetic", invalid="nan")
    result = task.score([prompt_for(task, 24)] * 2, ["20+4", "20+"])
    assert result.score[0] == 1
    assert math.isnan(result.score[1])
    assert result.failed == 1


def test_equal_expressions_have_one_key(task):
    prompt = prompt_for(task, 24)
    keys = task.keys([prompt] * 5, ["20+4", "4+20", "12+12", "25", "?"])
    assert keys[0] == keys[1] == "4+20"
    assert keys[2] == "12+12"
    assert keys[3] == "25"
    assert keys[4] is None


def test_splits_are_disjoint_and_always_the_same(task):
    train = {p.data["target"] for p in task.prompts()}
    held = {p.data["target"] for p in task.prompts("eval")}
    assert train | held == set(range(5, 41))
    assert not train & held
    assert len(held) == 9
    again = {p.data["target"] for p in make_task("arithmetic").prompts("eval")}
    assert held == again
    with pytest.raises(QdlawsError, match="train and eval"):
        task.prompts("test")


def test_without_held_out_numbers_all_are_evaluated():
    task = make_task("arithmetic", eval_share=0)
    assert task.prompts("eval") == task.prompts()
    assert len(task.prompts()) == 36


def test_the_corpus_has_the_wanted_share_of_right_answers():
    for right in (0.0, 0.5, 1.0):
        task = make_task("arithmetic", right=right)
        pairs = task.corpus(1000, seed=3)
        by_text = {p.text: p for s in ("train", "eval") for p in task.prompts(s)}
        result = task.score([by_text[a] for a, _ in pairs], [b for _, b in pairs])
        assert result.valid.all()
        # four standard errors of a share of 1,000
        assert abs(result.score.mean() - right) <= 4 * math.sqrt(right * (1 - right) / 1000)


def test_answers_of_the_corpus_are_right_by_pythons_arithmetic(task):
    pairs = make_task("arithmetic", right=1.0).corpus(500, seed=0)
    for prompt, text in pairs:
        code = re.sub(r"\d+", r"F(\g<0>)", text)
        assert eval(code, {"F": Fraction}) == int(prompt[:-1])
        assert len(text) <= 24
    together = "".join(text for _, text in pairs)
    assert all(sign in together for sign in "+-*/()")
    sizes = {len(re.findall(r"\d+", text)) for _, text in pairs}
    assert {2, 3, 4} <= sizes
    assert pairs == make_task("arithmetic", right=1.0).corpus(500, seed=0)
    assert pairs != make_task("arithmetic", right=1.0).corpus(500, seed=1)


@pytest.mark.parametrize(
    "options",
    [{"operators": "+"}, {"operators": "-"}, {"operators": "/", "high": 40},
     {"min_operands": 4, "max_length": 30}, {"low": 1, "high": 1000}],
)  # fmt: skip
def test_options_reach_the_corpus(options):
    task = make_task("arithmetic", right=1.0, **options)
    by_text = {p.text: p for s in ("train", "eval") for p in task.prompts(s)}
    pairs = task.corpus(100, seed=0)
    assert task.score([by_text[a] for a, _ in pairs], [b for _, b in pairs]).score.all()


def test_measure_against_counting_by_hand(task):
    a, b = prompt_for(task, 24), prompt_for(task, 30)
    texts = ["20+4", "4+20", "12+12", "23+2", "15+15", "15+15", "31", "?"]
    result = task.measure([a] * 4 + [b] * 4, texts)
    # forms of a: A A B C, 5 of 6 pairs differ; of b: A A B, 2 of 3
    assert result["diversity"].value == pytest.approx((5 / 6 + 2 / 3) / 2)
    assert result["diversity"].se == pytest.approx(np.std([5 / 6, 2 / 3], ddof=1) / math.sqrt(2))
    assert result["diversity"].dropped == 1
    # right ones: A A B and A A
    assert result["diversity_correct"].value == pytest.approx((2 / 3 + 0) / 2)
    assert result["pass@1"].value == pytest.approx((3 / 4 + 2 / 4) / 2)
    assert result["pass@2"].value == pytest.approx((1 + (1 - 1 / 6)) / 2)
    assert result["pass@4"].value == 1
    assert result["solved"].value == 1
    assert result["valid_share"].value == pytest.approx(7 / 8)
    # of two of a's four samples: 1 − C(2,2)/C(4,2) for A, 1 − C(3,2)/C(4,2) for B; of b's: A alone
    expected = ((1 - 1 / 6) + (1 - 3 / 6) + (1 - 1 / 6)) / 2
    assert result["distinct_correct"].value == pytest.approx(expected)
    assert result["distinct_correct"].m == 2


def test_the_template_makes_the_prompts():
    task = make_task("arithmetic", template="Write an expression that equals {n}:")
    assert task.prompts()[0].text.startswith("Write an expression that equals ")
    assert task.traits.binary
    assert task.traits.many_prompts
    assert task.traits.highest == 1
    task.close()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"low": 0}, "1 <= low"),
        ({"operators": "^"}, "operators"),
        ({"template": "24"}, "template"),
        ({"right": 2}, "right=2"),
        ({"operators": "*"}, "found no expression for 5"),
        ({"max_length": 3}, "found no expression"),
        ({"max_length": 999}, "max_length"),
        ({"invalid": "no"}, "invalid"),
        ({"hihg": 5}, "did you mean 'high'"),
    ],
)
def test_bad_options_are_refused_in_one_line(options, message):
    with pytest.raises(QdlawsError, match=re.escape(message)):
        make_task("arithmetic", **options)
