"""One process and several, few micro-batches and many: the same run.

Two processes in the fast tests; four, and models that are spread, in the slow ones.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from qdlaws.errors import BadData
from tests.helpers.small_run import config_of, largest_gap, rows, save_model, weights
from trainer.config import to_toml
from trainer.distributed.world import World
from trainer.loop import train
from trainer.training.export_checkpoint import export_checkpoint
from trainer.training.setup import make_context

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return save_model(tmp_path_factory.mktemp("model"), torch.float64)


def _settings(recipe):
    extra = ["recipe.bucket=3"] if recipe == "reinvent" else []
    binary = ["task.binary=true"] if recipe in ("dapo", "clip_cov") else []
    return [f"recipe={recipe}", *extra, *binary, "policy.dtype=float64", "steps=10", "eval.every=5"]


def _tokens(folder):
    return [(folder / "samples" / f"step-{s:06d}.csv").read_text() for s in (0, 5, 10)]


def _torchrun(processes, model, folder, settings):
    path = folder.parent / f"{folder.name}.toml"
    path.write_text(to_toml(config_of(model, *settings)))
    _launch(processes, ["run", str(path), "--out", str(folder), "--quiet"])


def _launch(processes, words, launch=()):
    here = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "OMP_NUM_THREADS": "1",
    }
    torchrun = ["torch.distributed.run", f"--nproc-per-node={processes}"]
    alone = ["--rdzv-backend=c10d", "--rdzv-endpoint=localhost:0"]
    command = [sys.executable, "-m", *(launch or [*torchrun, *alone]), "-m", "trainer", *words]
    done = subprocess.run(command, env=here, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[:9000]


@pytest.mark.parametrize("recipe", ["rloo", "dapo", "reinvent"])
def test_two_processes_give_the_run_of_one(recipe, model, tmp_path):
    settings = _settings(recipe)
    train(config_of(model, *settings), tmp_path / "one")
    _torchrun(2, model, tmp_path / "two", settings)
    assert _tokens(tmp_path / "two") == _tokens(tmp_path / "one")
    assert largest_gap(weights(tmp_path / "two", 10), weights(tmp_path / "one", 10)) < 1e-9


def test_a_process_without_samples_takes_part(model, tmp_path):
    settings = [*_settings("rloo"), "train.prompts=1", "train.samples=6"]
    train(config_of(model, *settings), tmp_path / "one")
    _torchrun(2, model, tmp_path / "two", settings)
    assert largest_gap(weights(tmp_path / "two", 10), weights(tmp_path / "one", 10)) < 1e-9


SHARDED = {
    "rloo": [],  # the reference is asked in every step
    "uneven": ["train.prompts=3", "micro_rows=3", "clip_norm=0.01"],  # 2 micro-batches beside 4
    "empty": ["train.prompts=1", "train.samples=6", "epochs=2"],  # one process has no samples
    "clip_cov": ["minibatches=2"],
    "gradient checkpointing": ["policy.gradient_checkpointing=true"],
    "four": ["train.prompts=3"],
}


@pytest.mark.slow
@pytest.mark.parametrize("name", list(SHARDED))
def test_a_model_spread_over_processes_gives_the_run_of_one(name, model, tmp_path):
    """FSDP2: the same tokens and weights, though every process holds half of each tensor."""
    settings = [*_settings("clip_cov" if name == "clip_cov" else "rloo"), *SHARDED[name]]
    train(config_of(model, *settings), tmp_path / "one")
    _torchrun(4 if name == "four" else 2, model, tmp_path / "two", [*settings, "policy.shard=true"])
    assert _tokens(tmp_path / "two") == _tokens(tmp_path / "one")
    assert largest_gap(weights(tmp_path / "two", 10), weights(tmp_path / "one", 10)) < 1e-9
    for key in ("loss", "grad_norm"):
        losses, first = (
            [r[key] for r in rows(tmp_path / run) if r["phase"] == "train"]
            for run in ("two", "one")
        )
        assert losses == pytest.approx(first, rel=1e-9, abs=1e-12)


@pytest.mark.slow
def test_a_spread_run_resumes_from_its_checkpoint(model, tmp_path):
    """Weights and optimizer are saved whole and spread again: the rest of the run is the same."""
    settings = [*_settings("rloo"), "policy.shard=true"]
    _torchrun(2, model, tmp_path / "whole", settings)
    shutil.copytree(tmp_path / "whole", tmp_path / "cut")
    shutil.rmtree(tmp_path / "cut" / "checkpoints" / "step-000010")
    (tmp_path / "cut" / "summary.json").unlink()
    _launch(2, ["resume", str(tmp_path / "cut"), "--quiet", "--trust"])
    assert rows(tmp_path / "cut") == rows(tmp_path / "whole")
    assert largest_gap(weights(tmp_path / "cut", 10), weights(tmp_path / "whole", 10)) == 0


def _cut(whole, folder, step=10):
    """A copy of a run as if it had been killed before its checkpoint of this step."""
    shutil.copytree(whole, folder)
    shutil.rmtree(folder / "checkpoints" / f"step-{step:06d}")
    (folder / "summary.json").unlink()
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("processes", [2, 4])
def test_a_run_saved_in_parts_resumes_to_the_same_bits(processes, model, tmp_path):
    """Each process writes its part; put together they are the weights of the run of one."""
    settings = _settings("rloo")
    train(config_of(model, *settings), tmp_path / "one")
    parts = ["policy.shard=true", "checkpoint.parts=true"]
    _torchrun(processes, model, tmp_path / "whole", [*settings, *parts])
    saved = tmp_path / "whole" / "checkpoints" / "step-000005"
    assert len(list(saved.glob("*.safetensors"))) == processes
    cut = _cut(tmp_path / "whole", tmp_path / "cut")
    _launch(processes, ["resume", str(cut), "--quiet", "--trust"])
    assert rows(cut) == rows(tmp_path / "whole")
    for name in ("whole", "cut"):
        export_checkpoint(tmp_path / name, tmp_path / "models" / name, trust=True)
    whole, again = (
        load_file(tmp_path / "models" / name / "model.safetensors") for name in ("whole", "cut")
    )
    assert largest_gap(whole, again) == 0
    assert largest_gap(whole, weights(tmp_path / "one", 10)) < 1e-9


@pytest.mark.slow
def test_a_layer_at_a_time_gives_the_run_of_gathered_weights(model, tmp_path):
    """Three groups on two processes: one draws and scores more than the other."""
    settings = [*_settings("rloo"), "train.prompts=3", "train.sampler=generate", "micro_rows=2"]
    spread = [*settings, "policy.shard=true"]
    _torchrun(2, model, tmp_path / "gathered", spread)
    _torchrun(2, model, tmp_path / "layers", [*spread, "policy.gather=false"])
    assert _tokens(tmp_path / "layers") == _tokens(tmp_path / "gathered")
    assert largest_gap(weights(tmp_path / "layers", 10), weights(tmp_path / "gathered", 10)) < 1e-9


def test_the_engine_is_refused_where_no_process_holds_whole_weights(model, tmp_path):
    config = config_of(model, "policy.shard=true", "policy.gather=false")
    with pytest.raises(BadData, match=r"train\.sampler = 'generate'"):
        make_context(config, World(0, 2))


@pytest.mark.slow
def test_adapters_of_a_spread_model_give_the_run_of_one_and_resume(model, tmp_path):
    pytest.importorskip("peft")
    settings = [*_settings("rloo"), "policy.lora_rank=3", "policy.lora_alpha=6"]
    train(config_of(model, *settings), tmp_path / "one")
    parts = ["policy.shard=true", "checkpoint.parts=true"]
    _torchrun(2, model, tmp_path / "two", [*settings, *parts])
    assert _tokens(tmp_path / "two") == _tokens(tmp_path / "one")
    cut = _cut(tmp_path / "two", tmp_path / "cut")
    _launch(2, ["resume", str(cut), "--quiet", "--trust"])
    export_checkpoint(cut, tmp_path / "merged", trust=True)
    merged = load_file(tmp_path / "merged" / "model.safetensors")
    assert largest_gap(merged, weights(tmp_path / "one", 10)) < 1e-9


@pytest.mark.slow
def test_accelerate_launches_a_run_as_torchrun_does(model, tmp_path):
    pytest.importorskip("accelerate")
    settings = _settings("rloo")
    train(config_of(model, *settings), tmp_path / "one")
    path = tmp_path / "two.toml"
    path.write_text(to_toml(config_of(model, *settings, "policy.shard=true")))
    launch = ["accelerate.commands.launch", "--cpu", "--num_processes=2", "--num_machines=1"]
    launch += ["--mixed_precision=no", "--dynamo_backend=no", "--main_process_port=0"]
    _launch(2, ["run", str(path), "--out", str(tmp_path / "two"), "--quiet"], launch)
    assert largest_gap(weights(tmp_path / "two", 10), weights(tmp_path / "one", 10)) < 1e-9


@pytest.mark.parametrize("recipe", ["rloo", "grpo", "clip_cov", "dr_grpo"])
def test_gradient_accumulation_changes_nothing(recipe, model, tmp_path):
    ends = []
    for number in (16, 8, 3, 1):
        folder = tmp_path / f"{recipe}-{number}"
        train(config_of(model, *_settings(recipe), f"micro_rows={number}"), folder)
        ends.append((weights(folder, 10), _tokens(folder), rows(folder)))
    for end, tokens, lines in ends[1:]:
        assert tokens == ends[0][1]
        assert largest_gap(end, ends[0][0]) < 1e-9
        losses, first = (
            [r["loss"] for r in x if r["phase"] == "train"] for x in (lines, ends[0][2])
        )
        assert losses == pytest.approx(first, rel=1e-9, abs=1e-12)
