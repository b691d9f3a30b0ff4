"""Checkpoints are whole or not at all, at every moment; damaged ones are named and passed over."""

import shutil
from pathlib import Path

import pytest

from qdlaws.errors import BadData, BadLog
from tests.helpers.saved_checkpoints import flip_bit, make_checkpoint
from trainer.training import checkpoint
from trainer.training.checkpoint import (
    checkpoint_steps,
    due_steps,
    folder_of,
    load_state,
    newest_whole,
    prune,
    set_aside,
    tidy,
)


@pytest.fixture
def run(tmp_path):
    for step in (0, 2, 4, 6):
        make_checkpoint(tmp_path, step)
    folder_of(tmp_path, 8).mkdir()  # not complete: it has no state
    stranger = tmp_path / "checkpoints" / "step-foo"
    stranger.mkdir()
    (stranger / "state.json").write_text("{}")
    return tmp_path


def everything(folder: Path) -> dict[str, bytes]:
    """Every file below a folder and what is in it."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def test_only_complete_checkpoints_count(run):
    assert checkpoint_steps(run) == [0, 2, 4, 6]
    for step, folder in ((None, folder_of(run, 6)), (2, folder_of(run, 2))):
        path, state = load_state(run, step)
        assert (path, state["step"]) == (folder, int(folder.name[5:]))


def test_a_missing_checkpoint_is_refused_with_those_that_exist(run, tmp_path):
    with pytest.raises(
        BadData, match=r"no checkpoint of step 3 in .*; nearest are 0, 2, 4, 6, of 4"
    ):
        load_state(run, 3)
    with pytest.raises(BadLog, match="nothing to go on from"):
        load_state(tmp_path / "empty")


@pytest.mark.parametrize(
    ("keep", "named", "left"),
    [
        (None, None, [0, 2, 4, 6]),
        (1, None, [6]),
        (2, 0, [0, 4, 6]),
        (0, 2, [2, 6]),  # the newest is always kept: a run goes on from it
    ],
)
def test_all_but_the_newest_and_the_named_are_removed(run, keep, named, left):
    prune(run, keep, named)
    assert checkpoint_steps(run) == left


def test_the_checkpoint_of_an_interruption_takes_no_place_of_those_that_were_due(tmp_path):
    for step in (2, 4, 5):
        make_checkpoint(tmp_path, step, interrupted=step == 5)
    prune(tmp_path, 2)
    assert checkpoint_steps(tmp_path) == [2, 4, 5]
    make_checkpoint(tmp_path, 6)
    prune(tmp_path, 2)
    assert checkpoint_steps(tmp_path) == [4, 6]
    assert due_steps(tmp_path) == [4, 6]


def test_a_removal_that_is_killed_leaves_no_half_checkpoint(run, monkeypatch):
    def killed(path, **options):
        (path / "optimizer.safetensors").unlink()
        raise KeyboardInterrupt

    monkeypatch.setattr(shutil, "rmtree", killed)
    with pytest.raises(KeyboardInterrupt):
        prune(run, 3)
    monkeypatch.undo()
    assert checkpoint_steps(run) == [2, 4, 6]
    tidy(run)
    names = {path.name for path in (run / "checkpoints").iterdir()}
    assert not [name for name in names if name.startswith(".")]


@pytest.mark.parametrize("renames", [0, 1])
def test_a_replacement_that_is_killed_leaves_a_whole_checkpoint(renames, run, monkeypatch):
    half = make_checkpoint(run, 10).rename(run / "checkpoints" / ".step-000006.ab.tmp")
    done = []

    def rename(path, target):
        if len(done) == renames:
            raise KeyboardInterrupt
        done.append(shutil.move(path, target))

    monkeypatch.setattr(Path, "rename", rename)
    with pytest.raises(KeyboardInterrupt):
        checkpoint._put(half, folder_of(run, 6))
    monkeypatch.undo()
    tidy(run)
    assert newest_whole(run)[0] == folder_of(run, 6)
    assert not list((run / "checkpoints").glob(".*"))


def test_a_damaged_checkpoint_is_passed_over_and_set_aside(run, caplog):
    flip_bit(folder_of(run, 6) / "optimizer.safetensors")
    folder, state, damaged = newest_whole(run)
    assert (folder, state["step"]) == (folder_of(run, 4), 4)
    set_aside(damaged)
    assert "optimizer.safetensors is not as it was saved" in caplog.text
    assert checkpoint_steps(run) == [0, 2, 4]
    assert (run / "checkpoints" / "step-000006.damaged" / "state.json").exists()
    prune(run, 1)
    assert checkpoint_steps(run) == [4]


def test_where_no_checkpoint_is_whole_one_line_says_so_and_nothing_is_changed(run):
    for step in (0, 2, 4, 6):
        flip_bit(folder_of(run, step) / "state.json")
    before = everything(run)
    with pytest.raises(BadLog, match=r"step-000006 cannot be used: .* nor can the 3 before it"):
        newest_whole(run)
    assert everything(run) == before


def test_a_named_checkpoint_that_is_damaged_is_refused_with_the_newest_whole_one(run):
    flip_bit(folder_of(run, 2) / "state.json")
    with pytest.raises(BadLog, match="the newest whole one is step-000006"):
        load_state(run, 2)
