"""Checkpoints are listed when complete, pruned but for the named one, and locked by one process."""

import pytest

from qdlaws.errors import BadData, BadLog
from trainer.training.checkpoint import checkpoint_steps, folder_of, load_state, lock, prune


@pytest.fixture
def run(tmp_path):
    for step in (0, 2, 4, 6):
        folder_of(tmp_path, step).mkdir(parents=True)
        (folder_of(tmp_path, step) / "state.json").write_text(f'{{"step": {step}}}')
    folder_of(tmp_path, 8).mkdir()  # not complete: it has no state
    return tmp_path


def test_only_complete_checkpoints_count(run):
    assert checkpoint_steps(run) == [0, 2, 4, 6]
    assert load_state(run) == (folder_of(run, 6), {"step": 6})
    assert load_state(run, 2) == (folder_of(run, 2), {"step": 2})


def test_a_missing_checkpoint_is_refused_with_those_that_exist(run, tmp_path):
    with pytest.raises(BadData, match=r"no checkpoint of step 3 in .*; there are 0, 2, 4, 6"):
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


def test_a_folder_is_held_by_one_at_a_time(tmp_path):
    folder, message = tmp_path / "run", "another process is writing"
    with lock(folder), pytest.raises(BadData, match=message), lock(folder):
        pass
    with lock(folder):
        assert (folder / ".lock").exists()
