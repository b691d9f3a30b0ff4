"""docs/metrics.md and docs/files.md say what a run writes."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
METRICS = (ROOT / "docs" / "metrics.md").read_text(encoding="utf-8")
FILES = (ROOT / "docs" / "files.md").read_text(encoding="utf-8")
NAMES = set(re.findall(r"`([^`]+)`", METRICS))
SUFFIXES = ("_se", "_kind", "_m")


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """The folder of two steps on the bandit."""
    pytest.importorskip("torch")
    from trainer import load_config, train

    folder = tmp_path_factory.mktemp("runs") / "bandit"
    train(load_config("bandit", ["steps=2", "eval.every=1", "eval.samples=16"]), folder)
    return folder


def explained(key: str) -> bool:
    """Whether the page has the key, or what it is the error, the kind or the size of."""
    stem = next((key.removesuffix(s) for s in SUFFIXES if key.endswith(s)), key)
    named = stem.startswith("reward/") and "reward/NAME" in NAMES
    return key in NAMES or stem in NAMES or named


def test_every_key_of_a_line_is_on_the_page(run):
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    keys = {key for line in lines for key in line} - {"phase"}
    assert sorted(key for key in keys if not explained(key)) == []


def test_every_file_of_a_run_is_on_the_page(run):
    inside = {path.name for path in run.iterdir() if not path.name.startswith(".")}
    assert sorted(n for n in inside if f"`{n}`" not in FILES and f"`{n}/" not in FILES) == []


def test_a_key_that_the_page_lacks_would_be_seen():
    assert explained("quality_se")
    assert not explained("cakes")
