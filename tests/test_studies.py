"""Every study runs from end to end in seconds, and its page is the one of its results."""

from __future__ import annotations

import importlib.util
import json
import shutil
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
STUDIES = sorted(path.parent for path in (ROOT / "studies").glob("*/run.py"))


def load(folder: Path):
    name = f"study_{folder.name}"
    spec = importlib.util.spec_from_file_location(name, folder / "run.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("folder", STUDIES, ids=lambda folder: folder.name)
def test_the_page_is_the_one_of_the_committed_results(folder, tmp_path):
    """Numbers may move in their last digit with the machine; words and layout may not."""
    if not (folder / "results.jsonl").exists():
        pytest.skip("no run has been finished")
    copy = tmp_path / folder.name
    shutil.copytree(folder, copy)
    module = load(folder)
    written = (copy / "README.md").read_text(encoding="utf-8").splitlines()
    module.page(module.study_of(copy, tmp_path))
    again = (copy / "README.md").read_text(encoding="utf-8").splitlines()
    assert [line.split("|")[1:3] for line in again] == [line.split("|")[1:3] for line in written]


@pytest.mark.parametrize("folder", STUDIES, ids=lambda folder: folder.name)
def test_a_tiny_run_goes_through_the_whole_pipeline(folder, tmp_path, monkeypatch):
    module = load(folder)
    study = module.tiny(tmp_path / "results", tmp_path / "scratch")
    study.folder.mkdir()
    study.run()
    lines = [json.loads(line) for line in study.results.read_text().splitlines()]
    assert len(lines) == len(study.arms) * study.seeds
    study.run()  # nothing is left to do
    assert len(study.results.read_text().splitlines()) == len(lines)
    module.page(study)
    page = (study.folder / "README.md").read_text(encoding="utf-8")
    assert f"{len(lines)} of {len(lines)} runs" in page


def test_an_interrupted_run_is_not_recorded(tmp_path, monkeypatch):
    module = load(STUDIES[0])
    study = module.tiny(tmp_path / "results", tmp_path / "scratch")
    study.folder.mkdir()
    import trainer
    from trainer.loop import Outcome

    monkeypatch.setattr(
        trainer, "train", lambda config, out: Outcome(out, 3, "interrupted", None), raising=False
    )
    with pytest.raises(SystemExit, match="interrupted at step 3"):
        study.run()
    assert study.done() == {}
