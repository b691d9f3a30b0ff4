"""One process and several, few micro-batches and many: the same run."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from small_run import config_of, largest_gap, rows, save_model, weights

from trainer.config import to_toml
from trainer.loop import train

ROOT = Path(__file__).parents[2]


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
    here = {
        **os.environ,
        "PYTHONPATH": f"{ROOT}{os.pathsep}{Path(__file__).parent}",
        "OMP_NUM_THREADS": "1",
    }
    launch = [sys.executable, "-m", "torch.distributed.run", f"--nproc-per-node={processes}"]
    alone = ["--rdzv-backend=c10d", "--rdzv-endpoint=localhost:0"]
    command = [*launch, *alone, "-m", "trainer", "run", str(path), "--out", str(folder), "--quiet"]
    done = subprocess.run(command, env=here, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[:9000]


@pytest.mark.parametrize("recipe", ["rloo", "dapo", "reinvent"])
def test_two_processes_are_one(recipe, model, tmp_path):
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


@pytest.mark.parametrize("recipe", ["rloo", "grpo", "clip_cov", "dr_grpo"])
def test_accumulation_changes_nothing(recipe, model, tmp_path):
    ends = []
    for number in (16, 8, 3, 1):
        folder = tmp_path / f"{recipe}-{number}"
        train(config_of(model, *_settings(recipe), f"micro_rows={number}"), folder)
        ends.append((weights(folder, 10), _tokens(folder), rows(folder)))
    for end, tokens, lines in ends[1:]:
        assert tokens == ends[0][1]
        assert largest_gap(end, ends[0][0]) < 1e-9
        told, first = ([r["loss"] for r in x if r["phase"] == "train"] for x in (lines, ends[0][2]))
        assert told == pytest.approx(first, rel=1e-9, abs=1e-12)
