"""Killed, interrupted, stopped or damaged: a run loses nothing and goes on to the same numbers."""

import json
import os
import shutil
import signal

import pytest
import torch

from qdlaws.core.advice import Advice
from qdlaws.errors import BadData, BadLog, QdlawsError
from tests.helpers.saved_checkpoints import flip_bit
from tests.helpers.small_run import config_of, largest_gap, rows, save_model, weights
from trainer import loop
from trainer.control import Decision
from trainer.loop import resume, train
from trainer.runs import branch, prepare_branch, sweep
from trainer.training import checkpoint
from trainer.training.checkpoint import checkpoint_steps, folder_of
from trainer.training.evaluate_checkpoint import evaluate_checkpoint
from trainer.training.run_control import RunControl
from trainer.training.run_folder import lock


class Kill(BaseException):
    """Nothing in a run catches it, as nothing catches a SIGKILL."""


def kill_at(step, phase="train", then=None):
    """A watcher in which the run ends, after the row of that step is written."""

    def watch(row):
        if row["phase"] == phase and row["step"] == step:
            if then is not None:
                then()
            raise Kill

    return watch


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return save_model(tmp_path_factory.mktemp("model"))


@pytest.fixture(scope="module")
def whole(model, tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "whole"
    train(config_of(model), folder)
    return folder


@pytest.fixture
def copied(whole, tmp_path):
    """A copy of the whole run, as if it had been killed before its summary."""
    shutil.copytree(whole, tmp_path / "run")
    (tmp_path / "run" / "summary.json").unlink()
    return tmp_path / "run"


def same_run(folder, other, step=6):
    assert rows(folder) == rows(other)
    assert rows(folder, "advice.jsonl") == rows(other, "advice.jsonl")
    assert largest_gap(weights(folder, step), weights(other, step)) == 0
    grown = [(run / "samples" / "all.csv").read_text() for run in (folder, other)]
    assert grown[0] == grown[1]
    assert checkpoint_steps(folder) == checkpoint_steps(other)


# ---------------------------------------------------------------------- before the first checkpoint


@pytest.mark.parametrize("again", ["run", "resume"])
def test_a_run_killed_before_its_first_checkpoint_begins_anew(again, model, whole, tmp_path):
    folder = tmp_path / "run"
    with pytest.raises(Kill):
        train(config_of(model), folder, kill_at(0, "eval"))
    assert not checkpoint_steps(folder)
    (folder / "notes.txt").write_text("mine")
    if again == "run":
        train(config_of(model), folder)
    else:
        resume(folder)
    same_run(folder, whole)
    assert (folder / "notes.txt").read_text() == "mine"


def test_a_run_that_begins_anew_takes_no_knobs_from_the_one_before(model, tmp_path):
    folder = tmp_path / "run"
    with pytest.raises(Kill):
        train(config_of(model, "kl=9"), folder, kill_at(0, "eval"))
    train(config_of(model, "steps=1"), folder)
    assert {row["kl_coef"] for row in rows(folder)} == {0.05}


def test_a_run_whose_checkpoints_are_gone_is_neither_begun_anew_nor_cut(copied, model):
    shutil.rmtree(copied / "checkpoints")
    before = (copied / "metrics.jsonl").read_bytes()
    with pytest.raises(BadLog, match="nothing to go on from"):
        resume(copied, trust=True)
    with pytest.raises(BadData, match="holds a run already"):
        train(config_of(model), copied)
    assert (copied / "metrics.jsonl").read_bytes() == before


# ---------------------------------------------------------------------- signals


def test_a_signal_at_a_step_that_is_saved_anyway_saves_it_once(model, tmp_path, monkeypatch):
    saved = []
    save = checkpoint.save_checkpoint

    def counted(run, step, *rest):
        saved.append(step)
        return save(run, step, *rest)

    monkeypatch.setattr(checkpoint, "save_checkpoint", counted)

    def watch(row):
        if row["phase"] == "eval" and row["step"] == 4:
            os.kill(os.getpid(), signal.SIGTERM)

    outcome = train(config_of(model, "checkpoint.keep=1"), tmp_path / "run", watch)
    assert (outcome.ended, outcome.step) == ("interrupted", 4)
    assert saved == [0, 2, 4]


def test_an_interrupted_run_ends_as_the_unbroken_one_with_the_same_checkpoints(model, tmp_path):
    config = config_of(model, "checkpoint.keep=2", "control.advise=true")
    train(config, tmp_path / "whole")

    def watch(row):
        if row["phase"] == "train" and row["step"] == 3:
            os.kill(os.getpid(), signal.SIGTERM)

    assert train(config, tmp_path / "run", watch).step == 3
    assert 3 in checkpoint_steps(tmp_path / "run")
    resume(tmp_path / "run")
    same_run(tmp_path / "run", tmp_path / "whole")


# ---------------------------------------------------------------------- knobs and stages


def test_a_turn_of_the_knobs_survives_a_kill(model, tmp_path):
    def turn_at_3(folder, end=None):
        def watch(row):
            if row["phase"] == "train" and row["step"] == 3:
                (folder / "knobs.json").write_text('{"kl": 0.7}')
            if row["phase"] == "train" and row["step"] == end:
                raise Kill

        return watch

    settings = ["checkpoint.every=4", "steps=8"]
    train(config_of(model, *settings), tmp_path / "whole", turn_at_3(tmp_path / "whole"))
    with pytest.raises(Kill):
        train(config_of(model, *settings), tmp_path / "run", turn_at_3(tmp_path / "run", end=4))
    assert checkpoint_steps(tmp_path / "run") == [0]
    resume(tmp_path / "run")
    assert [r["kl_coef"] for r in rows(tmp_path / "run") if r["phase"] == "train"] == (
        [0.05] * 3 + [0.7] * 5
    )
    same_run(tmp_path / "run", tmp_path / "whole", 8)


@pytest.mark.parametrize("killed", [False, True])
def test_the_mark_of_a_stage_between_evaluations_is_on_the_next_one(killed, model, tmp_path):
    config = config_of(
        model, "eval.every=3", "checkpoint.every=2", "stages=[{at = 2, train.lr = 0.5}]"
    )
    folder = tmp_path / "run"
    if killed:
        with pytest.raises(Kill):
            train(config, folder, kill_at(3))
        assert checkpoint_steps(folder) == [0, 2]
        resume(folder)
    else:
        train(config, folder)
    marks = {r["step"]: r.get("mark") for r in rows(folder) if r["phase"] == "eval"}
    assert marks == {0: None, 3: 1, 6: None}


# ---------------------------------------------------------------------- stopped


def test_a_stopped_run_that_is_killed_before_its_summary_stays_stopped(
    model, tmp_path, monkeypatch
):
    def stop_at_4(control, folder, knobs, step):
        action = "stop" if step == 4 else "continue"
        advice = Advice(action=action, step=float(step), reasons=("a test",))
        return Decision(advice, knobs, stopped=step == 4)

    monkeypatch.setattr(RunControl, "decide", stop_at_4)
    folder = tmp_path / "run"
    assert train(config_of(model), folder).ended == "stopped"
    (folder / "summary.json").unlink()
    outcome = resume(folder)
    assert (outcome.ended, outcome.step) == ("stopped", 4)
    assert json.loads((folder / "summary.json").read_text())["ended"] == "stopped"
    monkeypatch.undo()
    assert branch(folder, tmp_path / "branch").step == 6


# ---------------------------------------------------------------------- damage


def test_a_damaged_newest_checkpoint_is_named_and_the_one_before_is_used(copied, whole, caplog):
    flip_bit(folder_of(copied, 6) / "model.safetensors")
    resume(copied, trust=True)
    assert "step-000006 cannot be used: model.safetensors is not as it was saved" in caplog.text
    same_run(copied, whole)


def test_a_log_that_is_shorter_than_at_the_newest_checkpoint_uses_the_one_before(copied, whole):
    log = copied / "metrics.jsonl"
    log.write_bytes(log.read_bytes()[:-30])
    resume(copied, trust=True)
    same_run(copied, whole)


def test_where_every_checkpoint_is_damaged_nothing_is_cut(copied):
    for step in checkpoint_steps(copied):
        flip_bit(folder_of(copied, step) / "optimizer.safetensors")
    with (copied / "metrics.jsonl").open("a") as file:
        file.write('{"step": 7}\n')
    before = (copied / "metrics.jsonl").read_bytes()
    with pytest.raises(BadLog, match="nothing was changed"):
        resume(copied, trust=True)
    assert (copied / "metrics.jsonl").read_bytes() == before
    assert checkpoint_steps(copied) == [0, 2, 4, 6]


@pytest.mark.parametrize("name", ["../victim", "../../victim.csv", "samples/../../victim"])
def test_a_state_that_names_a_file_outside_is_refused(name, copied, tmp_path):
    victim = copied / name
    victim.write_text("0123456789")
    for step in checkpoint_steps(copied):
        path = folder_of(copied, step) / "state.json"
        state = json.loads(path.read_text())
        state["sizes"][name] = 3
        del state["format"]
        path.write_text(json.dumps(state))
        (path.parent / "manifest.json").unlink()
    for action in (
        lambda: resume(copied, trust=True),
        lambda: branch(copied, tmp_path / "branch", 2, trust=True),
    ):
        with pytest.raises(QdlawsError, match="no file that a run writes"):
            action()
        assert victim.read_text() == "0123456789"
    assert not (tmp_path / "branch").exists()


@pytest.mark.parametrize("name", ["start.json", "summary.json"])
@pytest.mark.parametrize("content", ["", '{"knobs": {"kll": 1}, "gain": 0', "[1]", "\x00"])
def test_a_damaged_file_of_a_run_is_one_line_with_its_name(name, content, copied):
    (copied / name).write_text(content)
    with pytest.raises(BadLog, match=f"{name} is damaged.*remove it"):
        resume(copied, trust=True)


def test_an_evaluation_names_a_damaged_checkpoint(copied, caplog):
    flip_bit(folder_of(copied, 6) / "model.safetensors")
    assert evaluate_checkpoint(str(copied), samples=8, trust=True)["step"] == 4
    assert "step-000006 cannot be used" in caplog.text
    with pytest.raises(BadLog, match="the newest whole one is step-000004"):
        evaluate_checkpoint(str(folder_of(copied, 6)), samples=8, trust=True)


def test_weights_of_another_shape_are_one_line(copied, model):
    from safetensors.torch import save_file

    for step in checkpoint_steps(copied):
        (folder_of(copied, step) / "manifest.json").unlink()
        path = folder_of(copied, step) / "state.json"
        path.write_text(path.read_text().replace('"format": 2', '"format": 1'))
        tensors = {"lm_head.weight": torch.zeros(3)}
        save_file(tensors, folder_of(copied, step) / "model.safetensors")
    with pytest.raises(QdlawsError, match=r"step-000006.* does not fit the policy"):
        resume(copied, trust=True)


@pytest.mark.parametrize("memory", [{}, {"calls": 1}, [1], 7])
def test_a_memory_of_another_task_is_one_line(memory, copied):
    for step in checkpoint_steps(copied):
        path = folder_of(copied, step) / "state.json"
        state = {**json.loads(path.read_text()), "task": memory, "format": 1}
        path.write_text(json.dumps(state))
        (path.parent / "manifest.json").unlink()
    with pytest.raises(BadLog, match=r"step-000006/state\.json does not fit the task"):
        resume(copied, trust=True)


def test_a_users_files_in_the_samples_stay(copied):
    for name in ("notes.csv", "step-backup.csv"):
        (copied / "samples" / name).write_text("mine")
    shutil.rmtree(folder_of(copied, 6))
    resume(copied, trust=True)
    for name in ("notes.csv", "step-backup.csv"):
        assert (copied / "samples" / name).read_text() == "mine"


# ---------------------------------------------------------------------- two processes, full disks


def test_a_sweep_leaves_the_run_of_another_sweep_alone(model, tmp_path):
    folder = tmp_path / "kl=1"
    with lock(folder):
        for name in ("metrics.jsonl", "config.toml"):
            (folder / name).write_text("")
        (run,) = sweep(config_of(model, "steps=1"), {"recipe.kl": ["1"]}, tmp_path, jobs=1)
        assert "another process is writing" in run.error
        assert (folder / "metrics.jsonl").exists()


def test_a_sweep_goes_on_with_a_run_killed_before_its_first_checkpoint(model, tmp_path):
    config = config_of(model, "steps=1", "kl=1")
    with pytest.raises(Kill):
        train(config, tmp_path / "kl=1", kill_at(0, "eval"))
    (run,) = sweep(config, {"recipe.kl": ["1"]}, tmp_path, jobs=1)
    assert (run.error, run.last["step"]) == ("", 1)


def test_a_branch_that_was_cut_short_is_branched_again(whole, tmp_path, monkeypatch):
    from trainer import runs

    def killed(path, text):
        raise Kill

    monkeypatch.setattr(runs, "write_atomically", killed)
    with pytest.raises(Kill):
        prepare_branch(whole, tmp_path / "branch", 2, [])
    monkeypatch.undo()
    branch(whole, tmp_path / "branch", 2)
    assert rows(tmp_path / "branch") == rows(whole)


@pytest.mark.parametrize(
    "error", [OSError(28, "No space left on device"), Exception("No space left (os error 28)")]
)
def test_a_full_disk_while_the_tokenizer_is_saved_is_one_line(error, model, tmp_path, monkeypatch):
    def full(*args, **kwargs):
        raise error

    monkeypatch.setattr(checkpoint, "save_policy", full)
    with pytest.raises(QdlawsError, match=r"No space left.*there is none before it"):
        train(config_of(model), tmp_path / "full")
    assert not list((tmp_path / "full" / "checkpoints").iterdir())


def test_a_full_disk_while_a_task_writes_its_samples_is_one_line(model, tmp_path, monkeypatch):
    def full(*args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(loop.capabilities, "write_samples", full)
    with pytest.raises(QdlawsError, match=r"cannot write samples to .*No space left"):
        train(config_of(model), tmp_path / "full")
