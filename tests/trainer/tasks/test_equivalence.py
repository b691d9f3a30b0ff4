"""``task.equivalence``: keys and relations of pairs, and what is refused."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from qdlaws.errors import BadLog, QdlawsError
from trainer.tasks.equivalence import task_with_relation

HERE = "tests.helpers.example_rewards"


def matrix(texts, name="arithmetic", **options):
    task, relation = task_with_relation(name, options)
    return relation.matrix([task.prompts()[0]] * len(texts), texts)


def test_the_tasks_keys_stay_where_nothing_else_is_named():
    for options in ({}, {"equivalence": "task"}, {"equivalence": "task", "high": 20}):
        assert task_with_relation("arithmetic", options)[1] is None


def test_a_function_of_two_texts_sees_each_different_pair_once_and_equal_texts_are_the_same():
    same = matrix(["ab", "cd", "ab", "abc"], equivalence=f"{HERE}:as_long")
    assert same.astype(int).tolist() == [[1, 1, 1, 0], [1, 1, 1, 0], [1, 1, 1, 0], [0, 0, 0, 1]]


def test_similarity_of_texts_is_words_in_common_and_of_molecules_tanimoto():
    same = matrix(["a b c d", "a b x y", "a q r s"], equivalence="similarity:0.5")
    assert same.astype(int).tolist() == [[1, 1, 0], [1, 1, 0], [0, 0, 1]]
    pytest.importorskip("rdkit")
    texts = ["CCCCCCCO", "CCCCCCCCO", "c1ccccc1", "nonsense", "nonsense"]
    same = matrix(texts, "molecules", equivalence="similarity:0.5")
    assert same[0, 1]
    assert not same[0, 2]
    assert not same[3, :3].any()
    assert same[3, 4]


def test_a_named_key_takes_the_place_of_the_tasks():
    texts = ["1+2", "1 + 2", "2+1"]
    assert matrix(texts, equivalence="exact").sum() == 3
    same = matrix(texts, equivalence="normalised")
    assert same[0, 1]
    assert not same[0, 2]


def test_short_texts_are_compared_by_words_where_that_is_asked_for():
    texts = ["a b", "b c", "one two three four five six", "one two three four five nine"]
    plain = matrix(texts, equivalence="exact", equivalence_short_words=5)
    assert plain[0, 1]
    assert not plain[2, 3]


def test_a_dataset_tells_a_key_from_a_relation_by_the_columns(tmp_path):
    path = tmp_path / "rows.jsonl"
    path.write_text('{"prompt": "p", "topic": "t"}\n{"prompt": "q", "topic": "t"}\n')
    rows = {"path": str(path), "rewards": [f"{HERE}:short"], "workers": 0}
    task, relation = task_with_relation("dataset", {**rows, "equivalence": f"{HERE}:by_topic"})
    assert relation is None
    assert task.keys(task.prompts()[:1], ["abc"]) == [("t", 3)]
    task, relation = task_with_relation("dataset", {**rows, "equivalence": f"{HERE}:as_long"})
    assert relation.matrix(task.prompts()[:1] * 2, ["ab", "cd"]).all()
    assert task_with_relation("dataset", {**rows, "equivalence": "exact"})[1] is None


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"equivalence": "normalized"}, "did you mean 'normalised'"),
        ({"equivalence": "similarity:half"}, "a similarity above 0, up to 1"),
        ({"equivalence": "similarity:0"}, "a similarity above 0, up to 1"),
        ({"equivalence": f"{HERE}:first_word"}, "of two texts"),
        ({"equivalence_threshold": 0.3}, "of 'learned:FOLDER' alone"),
        ({"equivalence": "learned:x", "equivalence_threshold": 3}, "between 0 and 1"),
        ({"equivalence": "exact", "equivalence_short_words": -1}, "at least 0"),
    ],
)
def test_what_makes_no_sense_is_refused_in_one_line(options, message):
    with pytest.raises(QdlawsError, match=message):
        task_with_relation("arithmetic", options)


def test_a_folder_without_a_classifier_is_refused(tmp_path):
    with pytest.raises(BadLog, match=r"partition\.json"):
        task_with_relation("arithmetic", {"equivalence": f"learned:{tmp_path}"})


def test_the_users_own_exception_is_shown():
    with pytest.raises(QdlawsError, match="ZeroDivisionError"):
        matrix(["a", "b"], equivalence=f"{HERE}:undecided")


def test_a_classifier_is_used_at_its_threshold_or_another_and_warned_about_where_it_is_no_use(
    tmp_path, monkeypatch, caplog
):
    from qdlaws.measure.equivalence.learned import LearnedPartition
    from qdlaws.measure.equivalence.pairs import PartitionReport

    class Fixed:
        threshold = 0.5
        report = PartitionReport(0.9, 0.1, 0.1, 0.5, 0.5, 100, 100, 100, "pair")

        def equivalence(self, threshold=None):
            from qdlaws.measure import Equivalence

            cut = self.threshold if threshold is None else threshold
            table = np.array([[1, 0.4], [0.4, 1]])
            return Equivalence("fixed", lambda texts: table >= cut)

    loaded = []
    monkeypatch.setattr(
        LearnedPartition, "load", classmethod(lambda cls, path: loaded.append(path) or Fixed())
    )
    learned = {"equivalence": f"learned:{tmp_path}"}
    assert not matrix(["x", "y"], **learned)[0, 1]
    assert matrix(["x", "y"], **learned, equivalence_threshold=0.32)[0, 1]
    assert loaded == [Path(tmp_path)] * 2
    assert not caplog.records
    Fixed.report = replace(Fixed.report, accuracy=0.55)
    matrix(["x", "y"], **learned)
    assert "no better than a constant answer" in caplog.text
