"""The loop: a run is a function of its configuration; killed, it goes on to the same numbers."""

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch

import qdlaws as qd
from qdlaws.errors import BadData, QdlawsError
from tests.helpers.small_run import config_of, largest_gap, rows, save_model, weights
from trainer.algorithms.objective import Recipe
from trainer.algorithms.recipes import ILLUSTRATIONS, RECIPES, illustrated
from trainer.config import at_step, load_config
from trainer.errors import RunFailed
from trainer.loop import resume, train
from trainer.runs import branch, sweep
from trainer.training import checkpoint
from trainer.training.run_folder import lock

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return save_model(tmp_path_factory.mktemp("model"))


@pytest.fixture(scope="module")
def whole(model, tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "whole"
    train(config_of(model), folder)
    return folder


def test_a_run_leaves_the_files_of_the_architecture(whole):
    assert load_config(whole / "config.toml").train.steps == 6
    evals = [r for r in rows(whole) if r["phase"] == "eval"]
    trains = [r for r in rows(whole) if r["phase"] == "train"]
    assert [r["step"] for r in evals] == [0, 2, 4, 6]
    assert [r["step"] for r in trains] == [1, 2, 3, 4, 5, 6]
    for name in ("quality", "diversity", "entropy", "kl"):
        assert f"{name}_se" in evals[0], name
    assert {"n_samples", "quality_kind", "diversity_kind", "entropy_kind"} <= evals[0].keys()
    assert {"kl_coef", "reward_scale", "entropy_coef"} <= evals[0].keys()
    assert checkpoint.checkpoint_steps(whole) == [0, 2, 4, 6]
    assert len((whole / "samples" / "step-000006.csv").read_text().splitlines()) == 33
    assert json.loads((whole / "summary.json").read_text())["ended"] == "done"


def test_training_raises_the_reward(model, tmp_path):
    train(config_of(model, "steps=40", "eval.every=20", "kl=0"), tmp_path / "long")
    evals = [r for r in rows(tmp_path / "long") if r["phase"] == "eval"]
    assert evals[-1]["quality"] > evals[0]["quality"] + 4 * evals[0]["quality_se"]
    assert evals[-1]["kl"] > evals[0]["kl"] + 1


def test_the_library_reads_the_run(whole):
    log = qd.read(whole)
    assert log.tool == "qdtrain"
    assert list(log.step) == [0, 2, 4, 6]
    assert log.kinds["entropy"] == "token_entropy"
    assert log.quality_se is not None


def test_checkpoints_load_unchanged_in_transformers(whole):
    from transformers import AutoModelForCausalLM, AutoTokenizer

    folder = whole / "checkpoints" / "step-000006"
    loaded = AutoModelForCausalLM.from_pretrained(folder)
    kept = weights(whole, 6)
    for name, value in loaded.state_dict().items():
        assert torch.equal(value, kept[name]), name
    assert AutoTokenizer.from_pretrained(folder).decode([5, 6], skip_special_tokens=True)


def test_the_same_configuration_gives_the_same_numbers(model, whole, tmp_path):
    train(config_of(model), tmp_path / "again")
    assert rows(tmp_path / "again") == rows(whole)


def test_a_new_run_is_packed_and_one_from_before_the_choice_goes_on_as_it_began(model, tmp_path):
    config = config_of(model)
    train(config, tmp_path / "packed")
    assert load_config(tmp_path / "packed" / "config.toml").train.packed is True
    plain = replace(config, train=replace(config.train, packed=False))
    for name in ("whole", "cut"):
        train(plain, tmp_path / name)
    assert rows(tmp_path / "whole") != rows(tmp_path / "packed")  # in the last bits
    path = tmp_path / "cut" / "config.toml"
    path.write_text(path.read_text().replace("packed = false\n", ""))
    for part in sorted((tmp_path / "cut" / "checkpoints" / "step-000006").iterdir()):
        part.unlink()
    (tmp_path / "cut" / "summary.json").unlink()
    resume(tmp_path / "cut", trust=True)
    assert rows(tmp_path / "cut") == rows(tmp_path / "whole")
    assert largest_gap(weights(tmp_path / "cut", 6), weights(tmp_path / "whole", 6)) == 0


@pytest.mark.parametrize("recipe", ["reinvent", "dapo", "clip_cov"])
def test_resume_after_a_cut_repeats_the_run_to_the_bit(recipe, model, tmp_path):
    extra = ["bucket=2"] if recipe == "reinvent" else []
    settings = [f"recipe={recipe}", *[f"recipe.{e}" for e in extra], "epochs=2", "minibatches=2"]
    config = config_of(model, *settings)
    train(config, tmp_path / "whole")
    train(config, tmp_path / "cut")
    for step in (4, 6):  # as after a kill: newer than the last complete checkpoint
        for path in sorted((tmp_path / "cut" / "checkpoints" / f"step-{step:06d}").iterdir()):
            path.unlink()
    with (tmp_path / "cut" / "metrics.jsonl").open("a") as file:
        file.write('{"step": 99, "phase": "tr')
    (tmp_path / "cut" / "summary.json").unlink()
    resume(tmp_path / "cut")
    assert rows(tmp_path / "cut") == rows(tmp_path / "whole")
    assert rows(tmp_path / "cut", "advice.jsonl") == rows(tmp_path / "whole", "advice.jsonl")
    assert largest_gap(weights(tmp_path / "cut", 6), weights(tmp_path / "whole", 6)) == 0
    grown = [(tmp_path / name / "samples" / "all.csv").read_text() for name in ("cut", "whole")]
    assert grown[0] == grown[1]


def _start(model, folder, *settings):
    config = [f"--set={s}" for s in settings]
    path = folder.parent / f"{folder.name}.toml"
    from trainer.config import to_toml

    path.write_text(to_toml(config_of(model)))
    here = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "trainer", "run", str(path), "--out", str(folder), "--quiet"]
    return subprocess.Popen([*command, *config], env=here, stderr=subprocess.PIPE, text=True)


def _wait_for(condition, seconds=120):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.02)


def test_kill_at_any_moment_then_resume(model, tmp_path):
    folder = tmp_path / "killed"
    process = _start(model, folder, "steps=4000", "eval.every=2")
    _wait_for(lambda: len(checkpoint.checkpoint_steps(folder)) >= 4)
    process.kill()
    process.wait()
    path = folder / "config.toml"
    last = checkpoint.checkpoint_steps(folder)[-1]
    end = last + 3
    path.write_text(path.read_text().replace("steps = 4000", f"steps = {end}"))
    resume(folder, trust=True)  # its configuration has changed
    train(config_of(model, f"steps={end}"), tmp_path / "whole")
    assert rows(folder) == rows(tmp_path / "whole")
    assert largest_gap(weights(folder, end), weights(tmp_path / "whole", end)) == 0


def test_sigterm_saves_and_leaves(model, tmp_path):
    folder = tmp_path / "asked"
    process = _start(model, folder, "steps=4000", "eval.every=1000", "eval.samples=8")
    _wait_for(lambda: (folder / "metrics.jsonl").exists() and len(rows(folder)) > 3)
    process.send_signal(signal.SIGTERM)
    assert process.wait(60) == 143
    last = checkpoint.checkpoint_steps(folder)[-1]
    assert last > 0
    assert last == rows(folder)[-1]["step"]


def test_two_runs_never_write_the_same_folder(model, tmp_path):
    folder = tmp_path / "one"
    with lock(folder), pytest.raises(BadData, match="another process is writing"):
        train(config_of(model), folder)
    train(config_of(model, "steps=1"), folder)
    with pytest.raises(BadData, match="holds a run already"):
        train(config_of(model), folder)


def test_a_branch_without_changes_is_the_run(whole, tmp_path):
    branch(whole, tmp_path / "same", 2)
    assert rows(tmp_path / "same") == rows(whole)
    grown = [(folder / "samples" / "all.csv").read_text() for folder in (tmp_path / "same", whole)]
    assert grown[0] == grown[1]


def test_a_branch_turns_a_knob_from_its_step_on(whole, tmp_path):
    branch(whole, tmp_path / "other", 2, ["recipe.kl=2.0"])
    kls = {r["step"]: r["kl_coef"] for r in rows(tmp_path / "other") if r["phase"] == "train"}
    assert kls == {1: 0.05, 2: 0.05, 3: 2.0, 4: 2.0, 5: 2.0, 6: 2.0}
    with pytest.raises(BadData, match="no checkpoint of step 3"):
        branch(whole, tmp_path / "none", 3)
    with pytest.raises(BadData, match="cannot change"):
        branch(whole, tmp_path / "none", 2, ["policy.dtype=float64"])


def test_a_sweep_runs_the_grid_and_goes_on(model, tmp_path):
    axes = {"recipe.kl": ["0.1", "1"], "train.seed": ["0", "1"]}
    config = config_of(model, "steps=2")
    runs = sweep(config, axes, tmp_path, jobs=1)
    assert [r.folder.name for r in runs] == [
        "kl=0.1,seed=0", "kl=0.1,seed=1", "kl=1,seed=0", "kl=1,seed=1",
    ]  # fmt: skip
    assert all(r.last["step"] == 2 for r in runs)
    stamp = (runs[0].folder / "metrics.jsonl").stat().st_mtime_ns
    again = sweep(config, axes, tmp_path, jobs=1)
    assert (again[0].folder / "metrics.jsonl").stat().st_mtime_ns == stamp


def test_policies_packed_in_one_process_give_the_same_runs(model, tmp_path):
    axes = {"recipe.kl": ["0.1", "1"]}
    apart, packed = (
        sweep(config_of(model, "steps=2"), axes, tmp_path / str(pack), jobs=2, pack=pack)
        for pack in (False, True)
    )
    assert [r.error for r in packed] == ["", ""]
    for one, other in zip(apart, packed, strict=True):
        assert rows(one.folder) == rows(other.folder)


def test_stages_change_what_they_name(model, tmp_path):
    config = config_of(
        model, "stages=[{at = 2, train.lr = 0.5, recipe.kl = 3.0, task.letters='ab'}]"
    )
    assert at_step(config, 1).train.lr == 0.01
    assert at_step(config, 2).train.lr == 0.5
    train(config, tmp_path / "staged")
    lines = rows(tmp_path / "staged")
    assert [r["lr"] for r in lines if r["phase"] == "train"] == [0.01, 0.01, *[0.5] * 4]
    assert [r["kl_coef"] for r in lines if r["phase"] == "train"] == [0.05, 0.05, *[3.0] * 4]
    evals = {r["step"]: r for r in lines if r["phase"] == "eval"}
    assert evals[2]["mark"] == 1
    assert evals[2]["n_prompts"] == 2
    assert "mark" not in evals[4]


def test_a_stage_can_evaluate_more_often(model, tmp_path):
    config = config_of(model, "eval.every=4", "stages=[{at = 4, eval.every = 1}]")
    train(config, tmp_path / "staged")
    evals = [r["step"] for r in rows(tmp_path / "staged") if r["phase"] == "eval"]
    assert evals == [0, 4, 5, 6]


def test_failed_scores_are_dropped_and_counted(model, tmp_path):
    train(config_of(model, "task.fail=0.3"), tmp_path / "failing")
    lines = rows(tmp_path / "failing")
    assert sum(r["failed"] for r in lines if r["phase"] == "train") > 5
    assert all(r["quality"] is not None for r in lines if r["phase"] == "eval")
    with pytest.raises(RunFailed, match="none of 16 completions has a score"):
        train(config_of(model, "task.fail=1.0"), tmp_path / "all")


def test_a_reward_that_stops_working_is_named_in_the_line(model, tmp_path):
    (tmp_path / "rows.csv").write_text("prompt\nab:\nbc:\ncd:\nde:\n")
    reward = "tests.helpers.example_rewards:tires"
    settings = [f"task.path={tmp_path}/rows.csv", f'task.rewards=["{reward}"]', "task.eval_share=0"]
    config = config_of(model, "task=dataset", *settings)
    words = "none of 16 completions has a score: .*reward tires failed: RuntimeError: enough"
    with pytest.warns(UserWarning, match="tires"), pytest.raises(RunFailed, match=words):
        train(config, tmp_path / "run")


def test_a_loss_that_is_not_finite_is_never_applied(model, tmp_path):
    config = config_of(model, "reward_scale=1e308", "kl=1e308", "steps=3")
    with pytest.raises(RunFailed, match=r"not\s+applied|nats per completion"):
        train(config, tmp_path / "broken")
    last = checkpoint.checkpoint_steps(tmp_path / "broken")[-1]
    kept = weights(tmp_path / "broken", last)
    assert all(torch.isfinite(v).all() for v in kept.values())


def test_an_exploding_kl_ends_the_run(model, tmp_path):
    with pytest.raises(RunFailed, match=r"more than train.max_kl"):
        train(config_of(model, "kl=0", "lr=0.5", "max_kl=0.5", "steps=30"), tmp_path / "far")


def test_a_full_disk_is_one_line(model, whole, tmp_path, monkeypatch):
    def full(*args, **kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(checkpoint, "save_file", full)
    with pytest.raises(QdlawsError, match="No space left on device; there is none before it"):
        train(config_of(model), tmp_path / "full")
    assert not list((tmp_path / "full" / "checkpoints").glob("*/state.json"))


@pytest.mark.parametrize("recipe", sorted(RECIPES))
def test_every_recipe_trains(recipe, model, tmp_path):
    binary = "binary" in illustrated(recipe).needs or recipe in ("dapo", "clip_cov", "kl_cov")
    settings = [f"recipe={recipe}", "steps=2", "eval.every=2"]
    if binary:
        settings += ["task.binary=true"]
    if recipe.startswith("dph"):
        settings += ["recipe.threshold=0", "train.prompts=2"]
    if recipe in ("mara", "mara_forward"):
        settings += ["recipe.threshold=0.3"]
    settings += [f"recipe.{key}={value}" for key, value in ILLUSTRATIONS.get(recipe, {}).items()]
    if recipe.startswith("dph"):
        with pytest.raises((BadData, RunFailed)):
            train(config_of(model, *settings), tmp_path / recipe)
        return
    train(config_of(model, *settings), tmp_path / recipe)
    before, after = weights(tmp_path / recipe, 0), weights(tmp_path / recipe, 2)
    told = [r for r in rows(tmp_path / recipe) if r["phase"] == "train"]
    moved = any(not torch.equal(before[k], after[k]) for k in before)
    assert moved == any(r["grad_norm"] > 0 for r in told)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (["recipe=grop"], "did you mean 'grpo'"),
        (["recipe.betta=1"], "did you mean 'beta'"),
        (["task=lettres:make"], "lettres"),
        (["recipe=nsr"], "rewards of 0 or 1"),
        (["policy.model=./nowhere"], "nowhere"),
        (["eval.samples=1"], "at least 4"),
    ],
)
def test_bad_configurations_are_one_line_before_anything_is_written(
    settings, message, model, tmp_path
):
    with pytest.raises(QdlawsError, match=message):
        train(config_of(model, *settings), tmp_path / "bad")
    assert not (tmp_path / "bad" / "metrics.jsonl").exists()


def test_adapters_train_resume_and_are_merged_on_export(model, tmp_path):
    pytest.importorskip("peft")
    from transformers import AutoModelForCausalLM

    config = config_of(model, "policy.lora_rank=2", "steps=4")
    train(config, tmp_path / "lora")
    folder = tmp_path / "lora" / "checkpoints" / "step-000004"
    merged = AutoModelForCausalLM.from_pretrained(folder).state_dict()
    before = weights(tmp_path / "lora", 0)
    assert any(not torch.equal(merged[name], before[name]) for name in before)
    torch.rand(3)  # whatever was drawn before: the adapters begin by the seed of the run
    train(config, tmp_path / "again")
    assert rows(tmp_path / "again") == rows(tmp_path / "lora")
    evals = [r for r in rows(tmp_path / "lora") if r["phase"] == "eval"]
    assert abs(evals[0]["kl"]) < 1e-6  # adapters begin as the reference
    assert abs(evals[-1]["kl"]) > 1e-6
    for path in folder.iterdir():
        path.unlink()
    (tmp_path / "lora" / "summary.json").unlink()
    resume(tmp_path / "lora")
    assert [r for r in rows(tmp_path / "lora") if r["phase"] == "eval"] == evals


def test_knobs_can_be_turned_from_outside(model, tmp_path):
    folder = tmp_path / "outside"

    def turn(row):
        if row["phase"] == "train" and row["step"] == 3:
            (folder / "knobs.json").write_text('{"kl": 0.7, "reward_scale": 2}')

    train(config_of(model), folder, turn)
    told = [(r["kl_coef"], r["reward_scale"]) for r in rows(folder) if r["phase"] == "train"]
    assert told == [(0.05, 1.0)] * 3 + [(0.7, 2.0)] * 3
    assert not (folder / "knobs.json").exists()


def test_a_senseless_knobs_file_is_set_aside_and_the_run_goes_on(model, whole, tmp_path):
    def wrong(row):
        (tmp_path / "wrong" / "knobs.json").write_text('{"kl": -0.7}')

    train(config_of(model), tmp_path / "wrong", wrong)
    assert rows(tmp_path / "wrong") == rows(whole)
    assert (tmp_path / "wrong" / "knobs.rejected.json").exists()


@pytest.mark.parametrize("recipe", ["rloo", "grpo"])
def test_without_a_kl_the_reference_is_not_evaluated_and_nothing_changes(
    recipe, model, tmp_path, monkeypatch
):
    config = config_of(model, f"recipe={recipe}", "kl=0")
    train(config, tmp_path / "lean")
    assert "train_kl" not in rows(tmp_path / "lean")[1]
    reads = Recipe.reads_reference
    monkeypatch.setattr(Recipe, "reads_reference", lambda recipe, kl: reads(recipe, 1.0))
    train(config, tmp_path / "full")
    assert "train_kl" in rows(tmp_path / "full")[1]
    assert largest_gap(weights(tmp_path / "lean", 6), weights(tmp_path / "full", 6)) == 0
