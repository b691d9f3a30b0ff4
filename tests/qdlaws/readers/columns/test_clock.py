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
    assert len(read(write(text(7).replace("140", "155")))) == 20  # never two units in one column


@pytest.mark.parametrize("first", [0, 1])
def test_a_loop_that_counts_a_whole_number_of_times_as_fast_joins_the_other(write, first):
    """slime counts rollouts and updates: four updates a rollout were rows without a reward."""
    lines = ["rollout/step,train/step,_step,rollout/reward,train/entropy"]
    for i in range(20):
        lines.append(f"{i + first},,{5 * i},{i / 20},")
        lines += [f",{4 * i + k + first},{5 * i + k + 1},,{9 - i - k / 10}" for k in range(4)]
    log = read(write("\n".join(lines) + "\n"))
    np.testing.assert_array_equal(log.step, np.arange(20) + first)
    np.testing.assert_allclose(log.quality, np.arange(20) / 20)
    np.testing.assert_allclose(log.entropy, 9 - np.arange(20) - 0.3)
    assert "the step is column 'rollout/step', 4 of 'train/step' are one" in log.notes
