"""The examples of the documentation: a task is one small class, a reward is one function."""

import json

import pytest

from qdlaws.errors import QdlawsError
from trainer.tasks import make_task


@pytest.fixture(autouse=True)
def _found(monkeypatch, request):
    monkeypatch.syspath_prepend(str(request.path.parent))


def test_a_task_of_the_user_is_one_small_class():
    task = make_task("tests.helpers.example_rewards:Vowels", letters=4)
    prompt = task.prompts()[0]
    result = task.score([prompt] * 4, ["aeio", "abab", "ab", "a1aa"])
    assert result.score.tolist() == [1, 0.5, 0, 0]
    assert result.valid.tolist() == [True, True, False, False]
    assert task.keys([prompt] * 2, ["abab", "baab"]) == ["aabb", "aabb"]
    figures = task.measure([prompt] * 6, ["aeio", "oiea", "abab", "abcd", "abcd", "?"])
    # of five with a key: A A B C C, 8 of 10 pairs differ
    assert figures["diversity"].value == pytest.approx(0.8)
    assert figures["vowels"].value == pytest.approx((1 + 1 + 0.5 + 0.25 + 0.25 + 0) / 6)
    assert len(task.corpus(5, 0)) == 5
    with pytest.raises(QdlawsError, match="did you mean 'letters'"):
        make_task("tests.helpers.example_rewards:Vowels", leters=4)


def test_a_reward_of_the_user_is_one_function(tmp_path):
    path = tmp_path / "sums.jsonl"
    rows = [{"prompt": f"{i}+1=", "answer": str(i + 1)} for i in range(20)]
    path.write_text("\n".join(map(json.dumps, rows)))
    task = make_task(
        "dataset",
        path=str(path),
        rewards=["tests.helpers.example_rewards:correct", "tests.helpers.example_rewards:short"],
        weights=[1.0, 0.1],
        binary=False,
    )
    prompts = task.prompts()[:2]
    result = task.score(prompts, [prompts[0].data["answer"], "no idea"])
    assert result.parts["correct"].tolist() == [1, 0]
    assert result.score[0] == pytest.approx(1 + 0.1 / (1 + len(prompts[0].data["answer"])))
    assert result.score[1] == pytest.approx(0.1 / 8)


def test_unknown_names_are_refused_in_one_line():
    for spec in ("tests.helpers.example_rewards:Nothing", "no_such_module:f", "nothing"):
        with pytest.raises(QdlawsError):
            make_task(spec)
