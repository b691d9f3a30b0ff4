"""Every study runs from end to end in seconds, and its page is the one of its results."""

from __future__ import annotations

import importlib.util
import json
import pickle
import shutil
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from qdlaws.errors import WorkerLost

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


@pytest.mark.parametrize("on", ["ray", pytest.param("2", marks=pytest.mark.slow)])
def test_runs_at_once_give_the_lines_of_runs_one_after_the_other(tmp_path, monkeypatch, on):
    from studies import study as studies
    from studies.dph.run import tiny

    if on == "ray":  # the engine's part is done here: a task pickled, its result given back
        monkeypatch.setattr(
            studies,
            "run_tasks",
            lambda function, tasks, **_: [
                (i, function(pickle.loads(pickle.dumps(task)))) for i, task in enumerate(tasks)
            ],
        )
    lines = []
    for name, place in (("alone", None), ("two", on)):
        study = tiny(tmp_path / name, tmp_path / "scratch" / name)
        study = replace(study, seeds=1 if on == "ray" else 2)
        study.folder.mkdir()
        study.run(place)
        done = sorted(study.done().items())
        assert [key for key, _ in done] == [
            (arm.name, seed) for arm in study.arms for seed in range(study.seeds)
        ]
        lines.append([{k: line[k] for k in ("steps", "figures", "kinds")} for _, line in done])
        before = study.results.read_text()
        study.run(place)  # nothing is left to do
        assert study.results.read_text() == before
    assert lines[0] == lines[1]


def test_a_run_whose_worker_was_lost_is_left_for_the_next_call(tmp_path, monkeypatch, capsys):
    from studies import study as studies
    from studies.dph.run import tiny

    lost = WorkerLost("a process was killed, perhaps for want of memory")
    monkeypatch.setattr(studies, "run_tasks", lambda function, tasks, **_: [(0, lost)])
    study = tiny(tmp_path / "results", tmp_path / "scratch")
    study.folder.mkdir()
    study.run("ray")
    assert study.done() == {}
    assert "killed" in capsys.readouterr().out


def test_functions_of_a_program_are_sent_to_workers_as_those_of_its_module(monkeypatch):
    from studies import study as studies
    from studies.dph import run

    def by_set(folder):  # as the program itself defines it
        raise AssertionError

    by_set.__module__ = "__main__"
    program = str(ROOT / "studies/dph/run.py")
    monkeypatch.setattr(sys.modules["__main__"], "__file__", program, raising=False)
    study = replace(run.study_of(ROOT / "studies/dph", ROOT), figures=by_set)
    assert studies._importable(study).figures is run.by_set


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
