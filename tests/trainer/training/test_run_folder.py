"""A run writes into its own folder and through no link; what is not its own in there stays."""

import os
import signal
import subprocess
import sys

import pytest

from qdlaws.errors import BadData, QdlawsError
from trainer.training.run_folder import check_files, cut_files, growing_files, lock, tidy


@pytest.fixture
def run(tmp_path):
    folder = tmp_path / "run"
    (folder / "samples").mkdir(parents=True)
    return folder


def test_files_are_cut_back_to_the_checkpoint_and_the_users_stay(run):
    (run / "metrics.jsonl").write_text('{"step": 1}\n{"step": 2}\n{"ste')
    (run / "samples" / "all.csv").write_text("1,a\n2,b\n")
    names = ("step-000002.csv", "step-000004.csv", "notes.csv", "step-backup.csv")
    for name in names:
        (run / "samples" / name).write_text("text")
    cut_files(run, 2, {"metrics.jsonl": 12, "samples/all.csv": 4, "samples/gone.csv": 7})
    assert (run / "metrics.jsonl").read_text() == '{"step": 1}\n'
    assert (run / "samples" / "all.csv").read_text() == "1,a\n"
    left = {path.name for path in (run / "samples").iterdir()}
    assert left == {"all.csv", *names} - {"step-000004.csv"}


@pytest.mark.parametrize(
    "name",
    [
        "../victim",
        "samples/../../victim.csv",
        "samples/a/b.csv",
        "samples/..csv",
        "/etc/passwd",
        "config.toml",
        "samples\\a.csv",
        "samples/C:a.csv",
        "samples/a.txt",
        "metrics.jsonl\n",
    ],
)
def test_a_state_that_names_another_file_is_refused_before_anything_is_cut(name, run):
    (run / "metrics.jsonl").write_text("0123456789")
    (run.parent / "victim").write_text("0123456789")
    with pytest.raises(BadData, match="no file that a run writes"):
        cut_files(run, 0, {"metrics.jsonl": 3, name: 3})
    assert (run / "metrics.jsonl").read_text() == "0123456789"
    assert (run.parent / "victim").read_text() == "0123456789"


@pytest.mark.parametrize("size", [-1, 1.5, True, "3", None])
def test_a_size_that_is_none_is_refused(size, run):
    with pytest.raises(BadData, match="the size"):
        growing_files(run, {"metrics.jsonl": size})


@pytest.mark.parametrize("name", ["metrics.jsonl", "start.json", "checkpoints", "samples/a.csv"])
def test_a_link_in_the_place_of_a_file_is_refused(name, run):
    victim = run.parent / "victim"
    victim.write_text("0123456789")
    (run / name).symlink_to(victim)
    with pytest.raises(BadData, match="through links"):
        check_files(run)


def test_logs_are_cut_through_no_link(run):
    victim = run.parent / "victim"
    victim.write_text("0123456789")
    (run / "metrics.jsonl").symlink_to(victim)
    with pytest.raises(OSError, match=r"."):
        cut_files(run, 0, {"metrics.jsonl": 3})
    assert victim.read_text() == "0123456789"


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no pipes")
@pytest.mark.parametrize("name", ["metrics.jsonl", ".lock"])
def test_a_pipe_in_the_place_of_a_file_is_refused_at_once(name, run):
    os.mkfifo(run / name)
    with pytest.raises(BadData, match="is no file"), lock(run):
        check_files(run)


def test_the_lock_is_taken_through_no_link(run):
    victim = run.parent / "victim"
    victim.write_text("0123456789")
    (run / ".lock").symlink_to(victim)
    with pytest.raises(BadData, match="through links"), lock(run):
        pass
    assert victim.read_text() == "0123456789"


def test_a_folder_is_held_by_one_at_a_time(tmp_path):
    folder, message = tmp_path / "run", "another process is writing"
    with lock(folder), pytest.raises(BadData, match=message), lock(folder):
        pass
    with lock(folder):
        assert (folder / ".lock").exists()


def test_a_run_that_is_refused_leaves_no_folder_that_was_made_for_it(tmp_path):
    with pytest.raises(BadData), lock(tmp_path / "runs" / "a"):
        raise BadData("this recipe does not fit the task")
    assert not list(tmp_path.iterdir())
    (tmp_path / "mine").mkdir()
    with pytest.raises(BadData), lock(tmp_path / "mine"):
        raise BadData("this recipe does not fit the task")
    assert (tmp_path / "mine").is_dir()


def test_whatever_a_run_has_written_stays(tmp_path):
    with lock(tmp_path / "run"):
        (tmp_path / "run" / "notes.txt").write_text("mine")
    assert (tmp_path / "run" / "notes.txt").exists()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the system has no fork")
def test_what_a_run_has_forked_does_not_hold_its_folder(tmp_path):
    code = (
        "import os, signal, sys, time\n"
        "from pathlib import Path\n"
        "from trainer.training.run_folder import lock\n"
        "with lock(Path(sys.argv[1])):\n"
        "    child = os.fork()\n"
        "    if not child:\n"
        "        time.sleep(60)\n"
        "        os._exit(0)\n"
        "    print(child, flush=True)\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE
    ) as run:
        child = int(run.stdout.readline())
        try:
            assert run.wait(60) == -signal.SIGKILL
            with lock(tmp_path):
                pass
        finally:
            os.kill(child, signal.SIGKILL)


def test_a_file_in_the_place_of_the_folder_is_one_line(tmp_path):
    (tmp_path / "file").write_text("")
    with (
        pytest.raises(QdlawsError, match=r"cannot use .*file as the folder"),
        lock(tmp_path / "file"),
    ):
        pass


def test_temporary_files_of_the_trainer_are_removed_and_no_others(run):
    ours = (".start.json.0123456789abcdef.tmp", "samples/.step-000002.csv.12ab.tmp")
    others = (".advice.json.12ab.tmp", "notes.tmp", ".config.toml.swp", "samples/.x.tmp")
    for name in (*ours, *others):
        (run / name).write_text("")
    tidy(run)
    left = {str(path.relative_to(run)) for path in run.rglob("*") if path.is_file()}
    assert left == set(others)
