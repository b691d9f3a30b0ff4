"""Parquet tables."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from qdlaws.readers import read
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
