"""A task of the user's in a process of its own answers as in this one, and harms only itself."""

import json
import os
import subprocess
import time
from types import SimpleNamespace

import numpy as np
import pytest

from qdlaws.errors import QdlawsError
from tests.helpers.small_run import config_of, rows, save_model
from trainer.errors import TaskFailed
from trainer.loop import train
from trainer.tasks import capabilities, make_task
from trainer.tasks.task_process import FIGURES, OPTIONAL, TaskProcess

LETTERS = "tests.helpers.letters:make"
HOSTILE = "tests.helpers.hostile_task:make"


@pytest.fixture
def task_of():
    opened = []

    def make(reference, seconds=10.0, **options):
        opened.append(TaskProcess(reference, options, seconds))
        return opened[-1]

    yield make
    for task in opened:
        task.close()


def test_it_answers_as_the_task_in_this_process(task_of, tmp_path):
    here, there = make_task(LETTERS, letters="abc"), task_of(LETTERS, letters="abc")
    prompts = here.prompts()[:2] * 3
    texts = ["aab", "b", "", "ab", "ccc", "abab"]
    assert (there.name, there.traits) == (here.name, here.traits)
    assert list(there.prompts("train")) == list(here.prompts("train"))
    for one in (here, there):
        one.score(prompts, texts)
    assert there.keys(prompts, texts) == here.keys(prompts, texts)
    assert repr(there.measure(prompts, texts)) == repr(here.measure(prompts, texts))
    assert there.score(prompts, texts).parts.keys() == {"share"}
    np.testing.assert_array_equal(
        capabilities.distances(there, prompts, texts), capabilities.distances(here, prompts, texts)
    )
    assert capabilities.saved_state(there) == {"asked": 12}
    capabilities.load_state(there, {"asked": 5})
    assert capabilities.saved_state(there) == {"asked": 5}
    assert capabilities.sample_files(there) == ("all.csv",)
    samples = SimpleNamespace(texts=texts, scores=None, logp=np.zeros(6), ref_logp=np.zeros(6))
    capabilities.write_samples(there, tmp_path, 3, samples)
    assert (tmp_path / "all.csv").read_text().startswith("3,aab\n3,b\n")
    assert there.corpus(3, 0) == here.corpus(3, 0)


def test_an_argument_that_can_be_gone_through_once_arrives_as_a_list(task_of, tmp_path):
    (tmp_path / "filtered_task.py").write_text(
        "from tests.helpers.letters import Letters\n"
        "class Filtered(Letters):\n"
        "    filters = ('usual', 'odd')\n"
        "    def filter_buckets(self, prompts, texts, by, known, similarity):\n"
        "        return [*known, by]\n"
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(tmp_path))
        task = task_of("filtered_task:Filtered")
    assert task.filters == ("usual", "odd")
    for known in ({"x": 1}.keys(), (name for name in ["x"])):
        assert task.filter_buckets([], ["a", "b"], "odd", known, 0.4) == ["x", "odd"]


def test_every_optional_member_of_a_task_is_passed_on():
    """Those that its protocols name, so that a new one is not forgotten."""
    named = [getattr(capabilities, name) for name in capabilities.__all__ if name != "Samples"]
    protocols = [one for one in named if getattr(one, "_is_protocol", False)]
    members = {m for one in protocols for m in (*vars(one), *one.__annotations__) if m[0] != "_"}
    passed = {*OPTIONAL, *FIGURES, "write_samples", "close"}
    assert members - passed == set()


def test_members_that_the_task_lacks_have_their_defaults(task_of, tmp_path):
    (tmp_path / "plain_task.py").write_text(
        "from tests.helpers.letters import Letters\n"
        "class Plain:\n"
        "    def __init__(self):\n"
        "        inner = Letters()\n"
        "        for name in ('name', 'traits', 'prompts', 'score', 'keys', 'measure'):\n"
        "            setattr(self, name, getattr(inner, name))\n"
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(tmp_path))
        task = task_of("plain_task:Plain")
    assert capabilities.saved_state(task) is None
    assert capabilities.report(task) == {}
    assert not capabilities.scores_centrally(task)
    assert capabilities.sample_files(task) == ()
    assert capabilities.buckets(task, task.prompts()[:1], ["ba"]) == ["ab"]


@pytest.mark.parametrize(
    ("how", "words"),
    [
        ("hang", r"score: took longer than 1.2 s \(task.answer_seconds = 0.02 each\)"),
        ("die", "score: its scoring process ended with status 3"),
        ("leave", "score: code of the task ended the program: SystemExit: 0"),
        ("raise", r"score: KeyError: 'no such.*letter' \(hostile_task.py, line \d+\)"),
    ],
)
def test_a_call_that_goes_wrong_is_one_line_that_names_it(task_of, how, words):
    task = task_of(HOSTILE, 0.02, how=how)
    with pytest.raises(TaskFailed, match=f"task {HOSTILE}: {words}") as caught:
        task.score(task.prompts()[:1], ["a"])
    assert "\n" not in str(caught.value)


def test_a_refusal_of_the_task_keeps_its_words(task_of):
    with pytest.raises(QdlawsError, match=r"has no option 'leters'.*did you mean 'letters'"):
        task_of("tests.helpers.example_rewards:Vowels", leters=4)


def test_what_it_prints_does_not_reach_stdout(task_of, capfd):
    task = task_of(HOSTILE, how="print")
    task.score(task.prompts()[:1], ["a"])
    assert capfd.readouterr().out == ""


@pytest.mark.skipif(not hasattr(os, "killpg"), reason="the system has no process groups")
def test_what_it_has_started_ends_with_it(task_of, tmp_path):
    task = task_of(HOSTILE, how="spawn", note=str(tmp_path / "pid"))
    task.score(task.prompts()[:1], ["a"])
    pid = (tmp_path / "pid").read_text()
    task.close()
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        state = subprocess.run(["ps", "-o", "stat=", "-p", pid], capture_output=True, text=True)
        if state.returncode or state.stdout.startswith("Z"):
            return
        time.sleep(0.1)
    pytest.fail("it outlived the task")


def test_a_run_with_the_task_in_its_process_or_another_is_the_same(tmp_path):
    model = save_model(tmp_path / "model")
    for name in ("true", "false"):
        train(config_of(model, f"task.in_process={name}", "steps=2"), tmp_path / name)
    assert rows(tmp_path / "true") == rows(tmp_path / "false")
    states = [
        json.loads((tmp_path / name / "checkpoints/step-000002/state.json").read_text())["task"]
        for name in ("true", "false")
    ]
    assert states[0] == states[1] == {"asked": 2 * 16 + 2 * 32}
