"""Rows of one step are merged; long logs stay within memory."""

from __future__ import annotations

import numpy as np
import pytest

from qdlaws.readers import read, table
from qdlaws.readers.table import Columns


def test_a_resumed_run_replaces_the_abandoned_rows(write):
    old = "".join(f"{s},{s / 100},1\n" for s in range(1, 21))
    new = "".join(f"{s},{s / 10},1\n" for s in range(11, 16))
    log = read(write("step,reward,entropy\n" + old + "step,reward,entropy\n" + new))
    np.testing.assert_array_equal(log.step, np.arange(1, 16))
    np.testing.assert_allclose(log.quality, [*np.arange(1, 11) / 100, *np.arange(11, 16) / 10])
    assert any("abandoned" in n for n in log.notes)


def test_rows_out_of_order_are_no_resumed_run(write):
    log = read(write("step,reward\n1,.1\n2,.2\n4,.4\n3,.3\n5,.5\n"))
    np.testing.assert_allclose(log.quality, [0.1, 0.2, 0.3, 0.4, 0.5])


def test_many_rows_of_a_step_are_averaged_with_a_standard_error(write):
    rng = np.random.default_rng(0)
    values = rng.normal(size=(5, 16))
    rows = "".join(f"{s},{v}\n" for s in range(5) for v in values[s])
    log = read(write("step,reward\n" + rows))
    np.testing.assert_allclose(log.quality, values.mean(axis=1))
    np.testing.assert_allclose(log.quality_se, values.std(axis=1, ddof=1) / 4)


def test_a_long_log_keeps_the_wanted_columns_and_averages_rows(monkeypatch):
    monkeypatch.setattr(table, "MAX_CELLS", 50_000)
    columns = Columns(wanted=lambda name: name in ("step", "reward"))
    for step in range(60_000):
        columns.add({"step": float(step), "reward": step / 2, "noise": 1.0, "more": 2.0})
    frame = columns.frame()
    assert list(frame.columns) == ["step", "reward"]
    assert frame.size <= 2 * 50_000
    np.testing.assert_allclose(frame["reward"], frame["step"] / 2)
    np.testing.assert_allclose(np.diff(frame["step"]), 4)
    assert len(frame) == 15_000
    assert any("mean of 4" in note for note in columns.notes())


def test_missing_values_stay_out_of_averaged_rows(monkeypatch):
    monkeypatch.setattr(table, "MAX_CELLS", 8_000)
    columns = Columns(wanted=lambda _: True)
    for step in range(8192):
        columns.add({"step": float(step)} | ({"reward": 3.0} if step % 4 == 0 else {}))
    reward = columns.frame()["reward"]
    assert set(reward.dropna()) == {3.0}
    assert len(reward) == 2048


def test_many_new_columns_late_in_a_log_do_not_fill_the_memory(monkeypatch):
    """A million rows and then one row of 9,900 new names were 79 GB."""
    monkeypatch.setattr(table, "MAX_CELLS", 10_000)
    for wanted in (lambda name: name in ("step", "reward"), lambda _: True):
        columns = Columns(wanted)
        for step in range(999):
            columns.add({"step": float(step), "reward": step / 2})
        columns.add({f"new{i}": 1.0 for i in range(99)} | {"step": 999.0, "reward": 499.5})
        for step in range(1000, 2048):
            columns.add({"step": float(step), "reward": step / 2})
        frame = columns.frame()
        assert frame.size <= 10_000 + 4096
        np.testing.assert_allclose(frame["reward"], frame["step"] / 2)
        np.testing.assert_allclose(np.diff(frame["step"]), np.diff(frame["step"])[0])
        assert frame["step"].iloc[-1] > 1900


@pytest.mark.parametrize("sizes", [[1000], [1] * 1000, [333, 1, 666], [7] * 142 + [6]])
def test_rows_in_blocks_are_averaged_as_single_rows_are(monkeypatch, sizes):
    monkeypatch.setattr(table, "MAX_CELLS", 300)
    steps = np.arange(1000.0)
    columns, start = Columns(), 0
    for size in sizes:
        part = steps[start : start + size]
        columns.extend({"step": part, "reward": np.where(part % 3 == 0, np.nan, part)})
        start += size
    frame = columns.frame()
    block = int(frame["step"].diff().iloc[-1])
    whole = steps[: len(frame) * block].reshape(-1, block)
    assert len(frame) == 1000 // block
    assert frame.size <= 300
    np.testing.assert_allclose(frame["step"], whole.mean(axis=1))
    reward = np.nanmean(np.where(whole % 3 == 0, np.nan, whole), axis=1)
    np.testing.assert_allclose(frame["reward"], reward, rtol=0.06)
