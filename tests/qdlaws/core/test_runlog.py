"""RunLog: rows, columns and steps as handed in are taken, settled or refused in one line."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import qdlaws as qd
from tests.helpers.simulated import refused, run


def test_text_in_a_number_column_is_named_with_its_row() -> None:
    quality = [0.1] * 7 + ["oops"] + [0.2] * 32
    refused(lambda: qd.RunLog.from_frame(run(quality=quality)), "quality", "'oops'", "row 7")


def test_duplicate_steps_are_named_and_can_be_settled() -> None:
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


def test_a_column_is_asked_for_by_its_right_name() -> None:
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
