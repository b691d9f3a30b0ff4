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


def test_a_table_without_a_step_is_numbered(write):
    log = read(write("reward,entropy\n.1,2\n.2,1\n.3,.5\n"))
    np.testing.assert_array_equal(log.step, [0, 1, 2])
    assert "numbered" in log.notes[0]
    assert log.is_numbered
    assert "row numbers 0…2" in repr(log)


@pytest.mark.parametrize("clock", ["_step", "env_step", "rollout/step", "system/step"])
def test_the_clock_is_the_column_that_covers_the_measured_rows(write, clock):
    rows = "".join(f"{'' if i % 8 else i},{10 * i},{i / 9},{9 - i},{i}.5\n" for i in range(24))
    log = read(write(f"step,{clock},reward,entropy,timing_s/step\n" + rows))
    np.testing.assert_array_equal(log.step, 10.0 * np.arange(24))
    assert any(f"column '{clock}'" in note and "12%" in note for note in log.notes)


def test_rows_without_a_measurement_do_not_choose_the_clock(write):
    """A tracker's count of log calls is in every row, the step where something was measured."""
    rows = "".join(f"{i // 4 if i % 4 == 0 else ''},{i},{i / 9 if i % 4 == 0 else ''}\n"
                   for i in range(40))  # fmt: skip
    log = read(write("step,_step,reward\n" + rows))
    np.testing.assert_array_equal(log.step, np.arange(10))


def test_a_duration_is_no_clock(write):
    rows = "".join(f"{30 - i % 3},{i / 9}\n" for i in range(20))
    assert read(write("timing/step,reward\n" + rows)).is_numbered
    assert read(write("gen/step,reward\n" + rows)).is_numbered  # falls as often as it rises


def test_counters_of_two_loops_are_one_clock_only_where_they_count_alike(write):
    def text(factor: int) -> str:
        each = (f"{i},,{i / 9},\n,{factor * i},,{9 - i}\n" for i in range(1, 21))
        return "rollout/step,train/step,rollout/reward,train/entropy\n" + "".join(each)

    log = read(write(text(1)))
    np.testing.assert_array_equal(log.step, np.arange(1, 21))
    assert np.isfinite(log.quality).all()
    assert np.isfinite(log.entropy).all()
    assert len(read(write(text(4)))) == 20  # the rows of one loop, never two units in one column


def test_evaluation_columns_of_a_plain_table_are_a_series(write):
    rows = "".join(
        f"{s},{s / 50},{s / 100 if s % 5 == 0 else ''},{1 - s / 100}\n" for s in range(50)
    )
    path = write("step,reward,eval/accuracy,entropy\n" + rows)
    log = read(path)
    assert log.names["quality"] == "eval/accuracy"
    np.testing.assert_array_equal(log.step, np.arange(0, 50, 5))
    np.testing.assert_allclose(log.entropy, 1 - np.arange(0, 50, 5) / 100)
    assert read(path, series="train").names["quality"] == "reward"
    assert read(path, quality="reward").names["quality"] == "reward"
    with pytest.raises(MissingColumn, match="no evaluation"):
        read(write("step,reward\n1,.1\n2,.2\n", "other"), series="eval")
    with pytest.raises(BadLog, match="series"):
        read(path, series="test")  # type: ignore[arg-type]


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
    choice = choose_columns(frame, dialect_of("csv", frame.columns))
    entropy = choice.frame.set_index("step")["entropy"]
    assert list(entropy.index) == list(range(0, 100, 10))
    assert np.all(np.abs(entropy.loc[:80] - entropy.loc[:80].index) <= 1)
    assert np.isnan(entropy.loc[90])
