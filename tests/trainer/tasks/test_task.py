"""Making tasks by name, and the scores every task gives."""

import subprocess
import sys

import numpy as np
import pytest

from qdlaws.errors import BadData, QdlawsError
from trainer.tasks import TASKS, make_task, task_options
from trainer.tasks.task import Scores


def test_a_wrong_name_is_refused_with_the_nearest():
    with pytest.raises(QdlawsError) as caught:
        make_task("molecule")
    assert "did you mean 'molecules'" in str(caught.value)
    assert all(name in str(caught.value) for name in TASKS)


def test_a_task_can_be_made_by_a_function_of_the_user(tmp_path, monkeypatch):
    (tmp_path / "my_task.py").write_text(
        "class Mine:\n    name = 'mine'\n    traits = prompts = score = keys = measure = None\n"
        "    def __init__(self, size=3, *, word):\n"
        "        self.size, self.word = size, word\n"
        "class Part:\n    name = 'part'\n"
        "def number(): return 3\n"
        "def broken(): raise OSError('no data')\n"
        "def leaves(): raise SystemExit(0)\n"
    )
    monkeypatch.chdir(tmp_path)  # a console script does not search the working folder by itself
    monkeypatch.setattr(sys, "path", [p for p in sys.path if p])
    task = make_task("my_task:Mine", word="a")
    assert (task.name, task.size, task.word) == ("mine", 3, "a")
    assert list(task_options("my_task:Mine")) == ["size", "word"]
    with pytest.raises(QdlawsError, match=r"no option 'wrod'.*did you mean 'word'"):
        make_task("my_task:Mine", wrod="a")
    with pytest.raises(QdlawsError, match="missing a required argument: 'word'"):
        make_task("my_task:Mine")
    for name, words in (
        ("Part", r"made 'Part', which has no traits, prompts, score, keys, measure: a Task"),
        ("number", "made 'int', which has no name, traits"),
        ("broken", r"OSError: no data \(my_task.py, line 9\)"),
        ("leaves", "SystemExit: 0"),
    ):
        with pytest.raises(QdlawsError, match=words):
            make_task(f"my_task:{name}")
    sys.modules.pop("my_task")


def test_scores_count_failed_and_capped_answers():
    score = np.array([0.5, np.nan, np.nan, 0.0])
    over = np.array([False, True, False, False])
    scores = Scores(score, np.ones(4, bool), {}, over, spent=True)
    assert (len(scores), scores.failed, scores.capped) == (4, 1, 1)
    assert Scores(score, np.ones(4, bool)).failed == 2
    with pytest.raises(BadData, match=r"found qed of shape \(3,\) for 4 scores"):
        Scores(score, np.ones(4, bool), {"qed": np.ones(3)})


@pytest.mark.parametrize("name", ["molecules", "bandit"])
def test_the_table_of_recipes_describes_the_default_task(name):
    from trainer.algorithms import suitability

    pytest.importorskip("rdkit")
    assert make_task(name).traits == suitability.TASKS[name]


def test_the_package_imports_without_rdkit_and_torch():
    code = (
        "import sys; sys.modules['rdkit'] = sys.modules['torch'] = None\n"
        "import trainer.tasks\n"
        "from trainer.tasks.molecules import composite, reinvent_csv, smiles, task\n"
        "from trainer.tasks.scoring import oracle\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
