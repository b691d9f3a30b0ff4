"""The samples of an evaluation are spread evenly over the prompts of its split."""

from collections import Counter

import numpy as np
import pytest

from qdlaws.errors import QdlawsError
from tests.helpers.small_run import config_of, save_model
from trainer.distributed.world import World
from trainer.tasks.task import Prompt, Scores
from trainer.training.evaluation import evaluate, spread, write_table
from trainer.training.rollout import collect
from trainer.training.setup import make_context, start

PROMPTS = [Prompt(i, str(i)) for i in range(10)]


@pytest.mark.parametrize(
    ("samples", "most", "prompts", "each"),
    [
        (40, None, 10, {4}),
        (25, None, 10, {2, 3}),
        (8, None, 4, {2}),  # two of each at least: diversity is measured within prompts
        (40, 4, 4, {10}),
        (1, None, 1, {1}),
    ],
)
def test_samples_are_spread_evenly(samples, most, prompts, each):
    rows = Counter(prompt.number for prompt in spread(PROMPTS, samples, most))
    assert sum(rows.values()) == samples
    assert len(rows) == prompts
    assert set(rows.values()) == each


def test_few_prompts_are_taken_from_the_whole_split():
    assert sorted({p.number for p in spread(PROMPTS, 10, 5)}) == [0, 2, 4, 6, 8]


def test_a_table_that_cannot_be_written_is_one_line_and_goes_through_no_link(tmp_path):
    victim = tmp_path / "victim"
    victim.write_text("mine")
    (tmp_path / "table.csv").symlink_to(victim)
    with pytest.raises(QdlawsError, match="a symbolic link stands there"):
        write_table(tmp_path / "table.csv", [{"completion": "a"}])
    assert victim.read_text() == "mine"
    with pytest.raises(QdlawsError, match="cannot write"):
        write_table(victim / "table.csv", [])


def test_a_table_without_rows_has_a_header(tmp_path):
    write_table(tmp_path / "samples" / "none.csv", [])
    assert (tmp_path / "samples" / "none.csv").read_text().strip() == "completion"


def test_quality_is_unknown_and_not_0_where_only_invalid_answers_have_a_score(
    tmp_path, monkeypatch
):
    """Every fourth answer is invalid, which is worth 0, and the reward fails on all others."""
    context = make_context(config_of(save_model(tmp_path / "model")), World())
    worth = {"valid": 0.5}

    def score(prompts, texts):
        invalid = np.arange(len(texts)) % 4 == 0
        return Scores(np.where(invalid, 0.0, worth["valid"]), ~invalid)

    monkeypatch.setattr(context.task, "score", score)
    assert evaluate(context, 0, 16).row["quality"] == 0.375
    assert collect(context, start(context))[0].facts["reward"] == 0.375
    worth["valid"] = np.nan
    row = evaluate(context, 0, 16).row
    assert row["quality"] is None
    assert row["n_failed"] == 12
    assert np.isnan(collect(context, start(context))[0].facts["reward"])
