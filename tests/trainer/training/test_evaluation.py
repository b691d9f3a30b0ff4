"""The samples of an evaluation are spread evenly over the prompts of its split."""

from collections import Counter

import pytest

from qdlaws.errors import QdlawsError
from trainer.tasks.task import Prompt
from trainer.training.evaluation import spread, write_table

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
