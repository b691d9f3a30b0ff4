"""The columns and the series that a log is read with."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from qdlaws import BadLog, MissingColumn
from qdlaws.readers import read
from qdlaws.readers.columns.column_choice import choose_columns
from qdlaws.readers.columns.tool_names import dialect_of
from tests.helpers.make_fixtures import FIXTURES

STEPS = np.arange(20.0)


def chosen(columns: dict[str, float], tool: str = "jsonl", **options):
    frame = pd.DataFrame({name: value + STEPS / 100 for name, value in columns.items()})
    frame["step"] = STEPS
    dialect = dialect_of(tool, frame.columns)
    return dialect, choose_columns(frame, dialect, **options)


def test_named_columns_are_taken(write):
    path = write("t,loss,success,h\n10,1,0.1,3\n20,1,0.2,2\n30,1,0.3,1\n")
    log = read(path, step="t", quality="success", entropy="h")
    np.testing.assert_array_equal(log.step, [10, 20, 30])
    assert dict(log.names) == {"quality": "success", "entropy": "h"}
    with pytest.raises(MissingColumn, match="for diversity"):
        read(path, diversity="div")
    with pytest.raises(MissingColumn, match="for step"):
        read(path, step="tt")


def test_a_name_that_is_missing_suggests_similar_ones():
    with pytest.raises(MissingColumn, match="did you mean critic/score/mean"):
        read(FIXTURES / "verl/console.log", quality="critic/score")


def test_evaluation_columns_of_a_plain_table_are_a_series(write):
    path = write(with_evaluations(50, every=3))
    log = read(path)
    assert log.names["quality"] == "eval/accuracy"
    np.testing.assert_array_equal(log.step, np.arange(0, 50, 3))
    np.testing.assert_allclose(log.entropy, 1 - np.arange(0, 50, 3) / 100)
    assert any("(reward, 50 points) is read with series='train'" in note for note in log.notes)
    assert read(path, series="train").names["quality"] == "reward"
    assert read(path, quality="reward").names["quality"] == "reward"
    with pytest.raises(MissingColumn, match="no evaluation"):
        read(write("step,reward\n1,.1\n2,.2\n", "other"), series="eval")
    with pytest.raises(BadLog, match="series"):
        read(path, series="test")  # type: ignore[arg-type]


def with_evaluations(rows: int, every: int, evaluated: str = "{}") -> str:
    """A table of training rows, every so many of them with an accuracy on held-out questions."""
    lines = (
        f"{s},{s / 50},{evaluated.format(s / 100) if s % every == 0 else ''},{1 - s / 100}\n"
        for s in range(rows)
    )
    return "step,reward,eval/accuracy,entropy\n" + "".join(lines)


@pytest.mark.parametrize(
    ("rows", "every", "series"),
    [(400, 22, "train"), (400, 20, "eval"), (40, 4, "eval"), (40, 5, "train"), (60, 6, "train")],
)
def test_evaluation_needs_twenty_points_or_eight_and_a_quarter_of_the_rows(
    write, rows, every, series
):
    log = read(write(with_evaluations(rows, every)))
    assert log.names["quality"] == ("reward" if series == "train" else "eval/accuracy")
    points = len(range(0, rows, every))
    other = f"eval/accuracy, {points} points" if series == "train" else f"reward, {rows} points"
    assert any(other in note for note in log.notes)


def test_an_evaluation_that_never_moves_is_not_preferred(write):
    log = read(write(with_evaluations(60, 2, evaluated="0.5")))
    assert log.names["quality"] == "reward"
    assert any("every evaluation is 0.5" in note for note in log.notes)
    assert read(write(with_evaluations(60, 2, evaluated="0.5")), series="eval").quality[0] == 0.5


def test_auxiliary_validation_needs_series_eval():
    columns = {"critic/score/mean": 0.9, "actor/entropy": 1.0, "val-aux/m/reward/mean@8": 0.2}
    _, choice = chosen(columns)
    assert choice.columns["quality"] == "critic/score/mean"
    _, choice = chosen(columns, series="eval")
    assert choice.columns["quality"] == "val-aux/m/reward/mean@8"


def test_a_diversity_that_only_evaluations_measure_joins_the_training_series():
    frame = pd.DataFrame({"step": STEPS, "reward": STEPS, "entropy": 2.0})
    frame["eval/diversity"] = np.where(STEPS % 5 == 0, 0.5, np.nan)
    choice = choose_columns(frame, dialect_of("csv", frame.columns))
    assert choice.columns["diversity"] == "eval/diversity"
    assert len(choice.frame) == 20
    assert choice.frame["eval/diversity"].notna().sum() == 4
    assert any("only evaluations measure" in note for note in choice.notes)
    assert "diversity" not in choose_columns(frame, dialect_of("csv", frame), "train").columns


def test_evaluations_borrow_training_values_of_the_nearest_step_only():
    frame = pd.DataFrame({"step": np.arange(0.0, 100.0)})
    frame["reward"] = np.where(frame["step"] % 2 == 1, 1.0, np.nan)
    frame["entropy"] = np.where(frame["step"] % 2 == 1, frame["step"], np.nan)
    frame.loc[frame["step"] > 80, "entropy"] = np.nan
    frame["eval/reward"] = np.where(frame["step"] % 10 == 0, frame["step"], np.nan)
    choice = choose_columns(frame, dialect_of("csv", frame.columns), "eval")
    entropy = choice.frame.set_index("step")["entropy"]
    assert list(entropy.index) == list(range(0, 100, 10))
    assert np.all(np.abs(entropy.loc[:80] - entropy.loc[:80].index) <= 1)
    assert np.isnan(entropy.loc[90])
