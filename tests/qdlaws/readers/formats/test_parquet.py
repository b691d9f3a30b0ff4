"""Parquet tables."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from qdlaws import BadLog
from qdlaws.readers import read, table
from qdlaws.readers.formats import parquet
from tests.helpers.make_fixtures import SERIES

STEP, REWARD, ENTROPY = (np.array(column, float) for column in zip(*SERIES, strict=True))


def test_an_exported_history_is_read(tmp_path: Path):
    pytest.importorskip("pyarrow")

    frame = pd.DataFrame(
        {"_step": STEP, "train/reward": REWARD, "entropy": ENTROPY, "text": "words"}
    )
    frame.loc[3, "entropy"] = np.nan
    frame.to_parquet(tmp_path / "history.parquet")
    log = read(tmp_path)
    np.testing.assert_allclose(log.quality, REWARD)
    assert np.isnan(log.entropy[3])
    assert np.isfinite(log.entropy).sum() == 39


def test_a_long_table_is_averaged_batch_by_batch(tmp_path: Path, monkeypatch):
    pytest.importorskip("pyarrow")
    steps = np.arange(4000.0)
    path = tmp_path / "a.parquet"
    pd.DataFrame({"step": steps, "reward": steps / 2, "unused": 1.0}).to_parquet(path)
    monkeypatch.setattr(table, "MAX_CELLS", 2500)
    monkeypatch.setattr(parquet, "MAX_CELLS", 2500)
    monkeypatch.setattr(parquet, "BATCH", 1000)
    log = read(path)
    np.testing.assert_allclose(log.quality, log.step / 2)
    assert 900 < len(log) <= 1250
    monkeypatch.setattr(parquet, "MAX_VALUES", 7000)
    with pytest.raises(BadLog, match="more than are read"):
        read(path)


def test_thousands_of_columns_take_time_in_proportion(tmp_path: Path):
    """9,990 columns took 9 to 30 seconds."""
    pa = pytest.importorskip("pyarrow")
    from pyarrow import parquet as file

    names = ["step", "reward", *(f"c{i}" for i in range(9000))]
    columns = pa.table([pa.array([0.0, 1.0])] * len(names), names=names)
    file.write_table(columns, tmp_path / "a.parquet")
    began = time.process_time()
    assert len(read(tmp_path / "a.parquet")) == 2
    assert time.process_time() - began < 6
