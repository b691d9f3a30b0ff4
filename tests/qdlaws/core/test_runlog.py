"""RunLog: its construction from tables, slices by step, marks and regimes."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import qdlaws as qd
from tests.helpers.simulated import refused, run


def test_text_in_a_number_column_is_named_with_its_row() -> None:
    quality = [0.1] * 7 + ["oops"] + [0.2] * 32
    refused(lambda: qd.RunLog.from_frame(run(quality=quality)), "quality", "'oops'", "row 7")


def test_duplicate_steps_are_refused_or_merged_as_stated() -> None:
    frame = run()
    frame.loc[5, "step"] = 4.0
    refused(lambda: qd.RunLog.from_frame(frame), "duplicate steps: 4")
    first = qd.RunLog.from_frame(frame, duplicates="first")
    last = qd.RunLog.from_frame(frame, duplicates="last")
    mean = qd.RunLog.from_frame(frame, duplicates="mean")
    row = 4
    assert first.quality[row] == frame.quality[4]
    assert last.quality[row] == frame.quality[5]
    assert mean.quality[row] == pytest.approx((frame.quality[4] + frame.quality[5]) / 2)


def test_decreasing_steps_are_the_same_run() -> None:
    ordered, reversed_ = (qd.fit(qd.RunLog.from_frame(f)) for f in (run(), run().iloc[::-1]))
    assert ordered.rd.to_dict() == reversed_.rd.to_dict()


def test_rows_that_are_not_numbers_are_dropped_and_counted() -> None:
    frame = run(60)
    frame.loc[[3, 9], "quality"] = [np.nan, np.inf]
    frame.loc[12, "step"] = np.nan
    log = qd.RunLog.from_frame(frame)
    assert log.dropped == 1
    fits = qd.fit(log)
    assert fits.rd.dropped == 2
    assert fits.rd.n == 57
    assert fits.hd.dropped == 0


def test_a_missing_column_is_named_with_those_that_there_are() -> None:
    refused(lambda: qd.RunLog.from_frame(run(), quality="reward"), "'reward'", "diversity")
    refused(lambda: qd.RunLog.from_frame(run().drop(columns="step")), "step", "quality")
    refused(lambda: qd.RunLog.from_frame(run()[["step"]]), "quality='reward'")


@pytest.mark.parametrize(
    "column",
    [
        [1 + 2j] * 40,
        pd.date_range("2026-01-01", periods=40),
        [[1]] * 40,
        [{"a": 1}] * 40,
    ],
    ids=["complex", "dates", "lists", "dicts"],
)
def test_columns_of_other_types_are_refused(column: object) -> None:
    refused(lambda: qd.RunLog.from_frame(run(quality=column)), "quality")


def test_two_columns_of_one_name_are_refused() -> None:
    frame = run()
    frame = pd.concat([frame, frame[["quality"]]], axis=1)
    refused(lambda: qd.RunLog.from_frame(frame), "quality", "2 columns")


def test_standard_errors_are_taken_from_the_column_beside_the_measurement() -> None:
    frame = run().assign(quality_se=0.1, reward=1.0)
    assert np.all(qd.RunLog.from_frame(frame).quality_se == 0.1)
    assert qd.RunLog.from_frame(frame, quality="reward").quality_se is None
    frame.loc[0, "quality_se"] = -1.0
    refused(lambda: qd.RunLog.from_frame(frame), "negative standard errors")


def test_records_and_arrays_give_the_same_log() -> None:
    frame = run(n=5)
    one = qd.RunLog.from_records(frame.to_dict("records"))
    two = qd.RunLog.from_arrays(frame["step"], **{c: frame[c] for c in frame.columns[1:]})
    pd.testing.assert_frame_equal(one.to_frame(), two.to_frame())
    pd.testing.assert_frame_equal(one.to_frame(), frame)


def test_a_slice_by_step_takes_its_rows_and_their_extra_columns() -> None:
    log = qd.RunLog.from_frame(run().assign(kl=np.arange(40.0)))
    part = log[10:20]
    assert list(part.step) == list(range(10, 20))
    assert list(part.extra["kl"]) == list(range(10, 20))
    assert len(log[30:]) == 10
    refused(lambda: log[0:10:2], "sliced by step")


def test_marks_part_a_log_into_regimes() -> None:
    log = qd.RunLog.from_frame(run(), marks=[25]).with_marks(10)
    assert log.marks == (10.0, 25.0)
    assert [len(piece) for piece in log.pieces()] == [10, 15, 15]
    assert np.array_equal(np.bincount(log.regime()), [10, 15, 15])
    assert all(piece.marks == () for piece in log.pieces())


def test_a_column_that_the_run_lacks_is_named_with_those_that_it_has() -> None:
    log = qd.RunLog.from_frame(run().drop(columns="entropy"))
    with pytest.raises(qd.MissingColumn, match="no entropy; it has quality, diversity"):
        log.column("entropy")


def test_the_arrays_of_a_log_are_read_only() -> None:
    log = qd.RunLog.from_frame(run())
    with pytest.raises(ValueError, match="read-only"):
        log.quality[0] = 0.0


def test_blocks_are_means_of_consecutive_rows_and_end_at_marks():
    log = qd.RunLog.from_arrays(
        np.arange(10), quality=np.arange(10.0), quality_se=np.ones(10), entropy=np.arange(10.0)
    ).with_marks(5)
    blocks = log.in_blocks(4)
    assert blocks.step.tolist() == [2, 4, 7, 9]
    assert blocks.quality.tolist() == [1, 3.5, 6, 8.5]
    assert blocks.quality_se == pytest.approx([3**-0.5, 2**-0.5, 3**-0.5, 2**-0.5])
    assert blocks.marks == (5,)
    assert log.in_blocks(10) is log
    assert log.in_blocks(4, ends=[8]).step.tolist() == [2, 4, 7, 8, 9]


def test_a_reading_that_is_unknown_is_left_out_of_the_mean_of_its_block():
    quality = np.array([1.0, np.nan, 3.0, np.nan])
    blocks = qd.RunLog.from_arrays(np.arange(4), quality=quality).in_blocks(2)
    assert blocks.quality.tolist() == [1.0, 3.0]
    bare = qd.RunLog(step=np.arange(4.0), quality=quality)  # no table of other columns
    assert bare.in_blocks(2).quality.tolist() == [1.0, 3.0]
