"""A run that was killed before its first checkpoint begins anew; any other folder is left alone."""

import pytest

from tests.helpers.saved_checkpoints import make_checkpoint
from trainer.training.fresh_start import clear, has_progress


@pytest.fixture
def killed(tmp_path):
    """What a run leaves that is killed while it writes its first checkpoint."""
    (tmp_path / "samples").mkdir()
    for name in ("config.toml", "start.json", "advice.jsonl", "samples/step-000000.csv"):
        (tmp_path / name).write_text("")
    (tmp_path / "metrics.jsonl").write_text('{"step": 0, "phase": "eval"}\n{"ste')
    return tmp_path


def test_a_run_without_a_first_checkpoint_has_nothing_to_lose(killed, tmp_path):
    assert not has_progress(killed)
    assert not has_progress(tmp_path / "new")


@pytest.mark.parametrize(
    "name", ["summary.json", "checkpoint", "a later row", "another tool's log"]
)
def test_whatever_would_be_lost_counts(name, killed):
    if name == "checkpoint":
        make_checkpoint(killed, 0)
    elif name == "a later row":
        (killed / "metrics.jsonl").write_text('{"step": 0}\n{"step": 1}\n')
    elif name == "another tool's log":
        (killed / "config.toml").unlink()
    else:
        (killed / name).write_text("{}")
    assert has_progress(killed)


def test_only_the_files_of_the_run_are_removed(killed):
    kept = ("plan.json", "notes.txt", "samples/notes.csv", "samples/step-backup.csv", "knobs.json")
    for name in kept:
        (killed / name).write_text("mine")
    clear(killed)
    left = {str(p.relative_to(killed)) for p in killed.rglob("*") if p.is_file()}
    assert left == {"config.toml", *kept}
