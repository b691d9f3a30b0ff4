"""One process and several, few micro-batches and many: the same run."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from tests.helpers.small_run import config_of, largest_gap, rows, save_model, weights
from trainer.config import to_toml
from trainer.loop import train

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


def _launch(processes, words):
    here = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "OMP_NUM_THREADS": "1",
    }
    launch = [sys.executable, "-m", "torch.distributed.run", f"--nproc-per-node={processes}"]
    alone = ["--rdzv-backend=c10d", "--rdzv-endpoint=localhost:0"]
    command = [*launch, *alone, "-m", "trainer", *words]
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
}


@pytest.mark.slow
@pytest.mark.parametrize("name", list(SHARDED))
def test_a_model_spread_over_two_processes_gives_the_run_of_one(name, model, tmp_path):
    """FSDP2: the same tokens and weights, though every process holds half of each tensor."""
    settings = [*_settings("clip_cov" if name == "clip_cov" else "rloo"), *SHARDED[name]]
    train(config_of(model, *settings), tmp_path / "one")
    _torchrun(2, model, tmp_path / "two", [*settings, "policy.shard=true"])
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
    _launch(2, ["resume", str(tmp_path / "cut"), "--quiet"])
    assert rows(tmp_path / "cut") == rows(tmp_path / "whole")
    assert largest_gap(weights(tmp_path / "cut", 10), weights(tmp_path / "whole", 10)) == 0


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
