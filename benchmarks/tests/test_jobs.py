"""The cache of finished jobs survives a stop, and is left behind by a changed statistic."""

from __future__ import annotations

import json
from importlib.util import find_spec
from pathlib import Path

import jobs
import pytest


def test_an_interrupted_benchmark_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs, "CACHE", tmp_path)
    whole = json.dumps({"key": "done", "result": {"reps": 7}})
    (tmp_path / "try.jsonl").write_text(whole + "\n" + whole[:20])  # stopped while it wrote
    results = jobs.run_jobs("try", [("done", ()), ("open", ())], dict, processes=0)
    assert results == {"done": {"reps": 7}}


def test_the_fingerprint_covers_the_modules_that_make_a_law() -> None:
    assert [name for name in jobs.STATISTICS if find_spec(name) is None] == []
    assert jobs.fingerprint() == jobs.fingerprint(*jobs.STATISTICS)
    assert jobs.fingerprint() != jobs.fingerprint(*jobs.STATISTICS[1:])
