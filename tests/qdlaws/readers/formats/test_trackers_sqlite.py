"""Databases and file stores of MLflow and Trackio."""

from __future__ import annotations

import numpy as np
import pytest

from qdlaws import BadLog, EntropyKind
from qdlaws.readers import read
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
