"""The clock of a log: the column that counts the steps in which something was measured."""

from __future__ import annotations

import numpy as np
import pytest

from qdlaws.readers import read


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
