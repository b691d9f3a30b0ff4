"""Databases and file stores of MLflow and Trackio."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from qdlaws import BadLog, EntropyKind
from qdlaws.readers import read
from qdlaws.readers.formats import trackers_sqlite
from tests.helpers.make_fixtures import FIXTURES, SERIES

STEP, REWARD, ENTROPY = (np.array(column, float) for column in zip(*SERIES, strict=True))


def test_an_mlflow_database_of_two_runs_needs_a_name():
    with pytest.raises(BadLog, match=r"2 runs: .*run-0.*run-1"):
        read(FIXTURES / "mlflow/mlflow.db")
    log = read(FIXTURES / "mlflow", run="run-1")
    np.testing.assert_allclose(log.quality, REWARD[:20] + 1)
    assert len(read(FIXTURES / "mlflow/mlflow.db", run="run-0")) == 40
    with pytest.raises(BadLog, match="0 runs are called 'x'"):
        read(FIXTURES / "mlflow/mlflow.db", run="x")


def test_keys_of_an_mlflow_file_store_may_contain_slashes():
    log = read(FIXTURES / "mlruns")
    np.testing.assert_allclose(log.quality, REWARD)
    np.testing.assert_allclose(log.entropy, ENTROPY)
    np.testing.assert_allclose(log.extra["rewards/even/mean"], REWARD)


def test_a_trackio_database_is_read():
    for path in (FIXTURES / "trackio", FIXTURES / "trackio/fixtures.db"):
        log = read(path)
        np.testing.assert_array_equal(log.step, STEP)
        np.testing.assert_allclose(log.quality, REWARD)
        np.testing.assert_allclose(log.entropy, ENTROPY)
        assert log.kinds["entropy"] == EntropyKind.UNKNOWN  # nothing says who logged it


def trackio(path: Path, *statements: str) -> Path:
    with closing(sqlite3.connect(path)) as base:
        for statement in statements:
            base.execute(statement)
        base.commit()
    return path


def test_a_view_in_place_of_a_table_is_refused(tmp_path: Path):
    """A view over an endless query never came back."""
    endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT i"
    columns = {
        "trackio": "i AS step, '{}' AS metrics, 'a' AS run_name FROM n",
        "mlflow": "i AS step, 'a' AS key, 1 AS value, 'a' AS run_uuid, 0 AS is_nan FROM n",
    }
    for name, what in columns.items():
        query = f"CREATE VIEW metrics AS {endless.removesuffix('i')}{what}"
        with pytest.raises(BadLog, match="metrics is a view or a virtual table"):
            read(trackio(tmp_path / f"{name}.db", query))


TRACKIO = "CREATE TABLE metrics (step INTEGER, metrics TEXT, run_name TEXT)"


def test_a_huge_text_is_refused_in_one_line(tmp_path: Path):
    insert = "INSERT INTO metrics VALUES (1, replace(hex(zeroblob(10000000)), '0', 'x'), 'a')"
    with pytest.raises(BadLog, match="too big"):
        read(trackio(tmp_path / "a.db", TRACKIO, insert))


def test_a_query_that_takes_too_long_is_ended(tmp_path: Path, monkeypatch):
    rows = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000)"
    insert = f"""INSERT INTO metrics {rows} SELECT i, '{{"reward": 1}}', 'a' FROM n"""
    path = trackio(tmp_path / "a.db", TRACKIO, insert)
    assert len(read(path)) == 20_000
    monkeypatch.setattr(trackers_sqlite, "MAX_SECONDS", -1.0)
    with pytest.raises(BadLog, match="interrupted"):
        read(path)


def test_a_cut_step_of_an_mlflow_file_does_not_overwrite_an_early_step(tmp_path: Path):
    """ "120" cut to "12" gave step 12 the value of step 120, without a note."""
    metric = tmp_path / "run" / "metrics" / "reward"
    metric.parent.mkdir(parents=True)
    (tmp_path / "run" / "meta.yaml").write_text("name: run\n")
    text = "".join(f"{1000 + s} {s / 100} {s}\n" for s in range(1, 121))
    metric.write_text(text[:-2])
    log = read(tmp_path / "run")
    np.testing.assert_array_equal(log.step, np.arange(1, 120))
    np.testing.assert_array_equal(log.quality, log.step / 100)
    assert any("reward: half-written or damaged, left out: line 120" in n for n in log.notes)
