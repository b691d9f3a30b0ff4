"""Optional members of a task are used where there are some, and have a default where not."""

import json

import numpy as np
import pytest

from tests.helpers.small_run import config_of, rows, save_model
from trainer.loop import train
from trainer.tasks import capabilities
from trainer.tasks.task import Prompt, Scores
from trainer.types import Traits


class Bare:
    """Only the required members: the score is the share of the letter a."""

    name = "bare"
    traits = Traits("bare", False, False, 0.0, 1.0, True)

    def prompts(self, split="train"):
        return [Prompt(0, "a:")]

    def score(self, prompts, texts):
        share = np.array([t.count("a") / max(len(t), 1) for t in texts], float)
        return Scores(share, np.array([bool(t) for t in texts]))

    def keys(self, prompts, texts):
        return [text or None for text in texts]

    def measure(self, prompts, texts):
        return {}


class Full(Bare):
    """Every optional member, each with an answer that no default gives."""

    central = True

    def __init__(self):
        self.memory, self.closed = 0, False

    def buckets(self, prompts, texts):
        return [len(text) for text in texts]

    def distances(self, prompts, texts):
        return [[abs(len(a) - len(b)) for b in texts] for a in texts]

    def report(self):
        return {"calls": 7.0}

    sample_files = ("mine.csv",)

    def write_samples(self, folder, step, samples):
        (folder / "mine.csv").write_text(f"{step},{samples}")

    def state_dict(self):
        return {"memory": self.memory}

    def load_state(self, state):
        self.memory = state["memory"]

    def close(self):
        self.closed = True


TEXTS = ["ab", "ab", "abc", ""]
PROMPTS = [Prompt(0, "a:")] * 4


def test_the_defaults_of_a_task_with_only_the_required_members(tmp_path):
    task = Bare()
    assert capabilities.buckets(task, PROMPTS, TEXTS) == ["ab", "ab", "abc", None]
    apart = capabilities.distances(task, PROMPTS, TEXTS)
    assert apart[:3, :3].tolist() == [[0, 0, 1], [0, 0, 1], [1, 1, 0]]
    assert np.isnan(apart[3]).all()
    assert np.isnan(apart[:, 3]).all()
    assert not capabilities.scores_centrally(task)
    assert capabilities.report(task) == {}
    assert capabilities.sample_files(task) == ()
    assert capabilities.saved_state(task) is None
    capabilities.load_state(task, None)
    capabilities.write_samples(task, tmp_path, 3, None)
    capabilities.close(task)
    assert list(tmp_path.iterdir()) == []


def test_the_members_of_a_task_are_used_where_it_has_them(tmp_path):
    task = Full()
    assert capabilities.buckets(task, PROMPTS, TEXTS) == [2, 2, 3, 0]
    assert capabilities.distances(task, PROMPTS, TEXTS)[0].tolist() == [0, 0, 1, 2]
    assert capabilities.scores_centrally(task)
    assert capabilities.report(task) == {"calls": 7.0}
    capabilities.load_state(task, {"memory": 5})
    assert capabilities.saved_state(task) == {"memory": 5}
    capabilities.write_samples(task, tmp_path, 3, "samples")
    assert capabilities.sample_files(task) == ("mine.csv",)
    assert (tmp_path / "mine.csv").read_text() == "3,samples"
    capabilities.close(task)
    assert task.closed


def test_a_task_that_remembers_nothing_now_takes_no_saved_memory():
    task = Full()
    capabilities.load_state(task, None)
    assert task.memory == 0


def test_a_task_with_only_the_required_members_trains(tmp_path):
    config = config_of(save_model(tmp_path / "model"), "steps=2", f"task={__name__}:Bare")
    train(config, tmp_path / "run")
    assert rows(tmp_path / "run")[-1]["step"] == 2
    state = tmp_path / "run/checkpoints/step-000002/state.json"
    assert json.loads(state.read_text())["task"] is None


class Metered(Bare):
    """A task that counts the answers scored for each purpose."""

    def __init__(self):
        self.answers = {"train": 0, "evaluation": 0}

    def score(self, prompts, texts):
        return self.score_for("train", prompts, texts)

    def score_for(self, purpose, prompts, texts):
        self.answers[purpose] += len(texts)
        return super().score(prompts, texts)

    def report(self):
        return {f"scored_for_{purpose}": n for purpose, n in self.answers.items()}


def test_the_trainer_tells_a_task_which_scores_are_for_evaluations(tmp_path):
    config = config_of(save_model(tmp_path / "model"), "steps=2", f"task={__name__}:Metered")
    train(config, tmp_path / "run")
    last = rows(tmp_path / "run")[-1]
    assert last["scored_for_train"] == 2 * 4 * 4
    assert last["scored_for_evaluation"] > 0
    assert last["scored_for_evaluation"] % 32 == 0


def test_the_purpose_of_a_score_does_not_matter_to_a_task_that_does_not_ask():
    scores = capabilities.score_for(Bare(), "evaluation", PROMPTS, TEXTS)
    assert scores.score.tolist() == [0.5, 0.5, pytest.approx(1 / 3), 0]


@pytest.mark.parametrize(
    ("name", "protocols"),
    [
        ("molecules", ("Buckets", "CentralScoring", "Corpus", "Distances", "Report", "Resources")),
        ("molecules", ("SampleFiles", "State")),
        ("arithmetic", ("Corpus", "Resources")),
    ],
)
def test_bundled_tasks_have_the_capabilities_that_the_trainer_counts_on(name, protocols):
    from trainer.tasks import make_task

    pytest.importorskip("rdkit")
    task = make_task(name)
    for protocol in protocols:
        assert isinstance(task, getattr(capabilities, f"Has{protocol}")), protocol
    assert isinstance(task, capabilities.ScoresByPurpose) == (name == "molecules")
    capabilities.close(task)
