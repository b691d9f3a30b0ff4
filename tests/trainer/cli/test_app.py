"""The commands as a person types them."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tests.helpers.small_run import config_of, rows, save_model
from trainer.cli.app import app
from trainer.config import to_toml

runner = CliRunner()


@pytest.fixture(scope="module")
def config(tmp_path_factory):
    folder = tmp_path_factory.mktemp("config")
    path = folder / "small.toml"
    path.write_text(to_toml(config_of(save_model(folder / "model"))))
    return path


@pytest.fixture(scope="module")
def run(config, tmp_path_factory):
    out = tmp_path_factory.mktemp("runs") / "run"
    done = runner.invoke(app, ["run", str(config), "--out", str(out)])
    assert done.exit_code == 0, done.output
    assert "done after step 6" in done.stdout
    return out


def test_evaluate_a_run_a_checkpoint_and_a_model(run, config):
    model = json.loads(json.dumps(str(config.parent / "model")))
    for source, extra in (
        (run, []),
        (run / "checkpoints/step-000002", []),
        (model, ["--config", str(config)]),
    ):
        done = runner.invoke(app, ["evaluate", str(source), "--samples", "40", "--json", *extra])
        assert done.exit_code == 0, done.output
        row = json.loads(done.stdout)
        assert row["n_samples"] == 40
        assert row["kl_se"] is not None
    assert abs(row["kl"]) < 1e-5  # the model is its own reference


def test_plan_says_what_to_expect(config):
    done = runner.invoke(app, ["plan", str(config), "--samples", "400", "--json"])
    assert done.exit_code == 0, done.output
    plan = json.loads(done.stdout)
    quality = [r["quality"] for r in plan["table"] if r["quality"] is not None]
    assert quality == sorted(quality)
    kls = [r["kl"] for r in plan["table"] if r["kl"] is not None]
    assert kls[0] == pytest.approx(0, abs=1e-9)
    shown = runner.invoke(app, ["plan", str(config), "--samples", "400"])
    assert "prior" in shown.stdout


def test_branch_and_resume(run, tmp_path):
    out = tmp_path / "branch"
    done = runner.invoke(
        app, ["branch", str(run), "--at", "4", "--out", str(out), "--set", "steps=8"]
    )
    assert done.exit_code == 0, done.output
    assert rows(out)[-1]["step"] == 8
    resumed = runner.invoke(app, ["resume", str(out), "--quiet"])
    assert resumed.exit_code == 0
    assert rows(out)[-1]["step"] == 8


def test_sweep_prints_the_ends(config, tmp_path):
    pytest.importorskip("joblib")
    words = ["sweep", str(config), "--out", str(tmp_path), "--axis", "recipe.kl=.1,1", "--json"]
    done = runner.invoke(app, [*words, "--set", "steps=2", "--jobs", "1"])
    assert done.exit_code == 0, done.output
    ends = json.loads(done.stdout[done.stdout.index("[{") :])
    assert [end["settings"] for end in ends] == [["recipe.kl=.1"], ["recipe.kl=1"]]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["run", "nothing", "--out", "x"], "no configuration 'nothing'"),
        (["run", "demo", "--out", "x", "--set", "stepz=1"], "did you mean 'steps'"),
        (["plan", "bandit", "--samples", "0"], "a plan from 0 samples; at least 50 are needed"),
        (["resume", "nowhere"], "nowhere holds no run"),
        (["evaluate", "nowhere"], "say with --config"),
        (["branch", "nowhere", "--out", "x"], "no checkpoint in nowhere"),
    ],
)
def test_bad_input_is_one_line_and_status_2(words, message, tmp_path):
    root = str(Path(__file__).parents[3])
    done = subprocess.run(
        [sys.executable, "-m", "trainer", *words],
        capture_output=True, text=True, cwd=tmp_path, env={"PYTHONPATH": root, "PATH": ""},
    )  # fmt: skip
    assert done.returncode == 2, done.stderr
    assert message in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert list(tmp_path.iterdir()) == []


def test_a_run_that_breaks_ends_in_one_line_and_status_1(config, tmp_path):
    words = ["run", str(config), "--out", "broken", "--quiet", "--set=task.fail=1.0"]
    done = subprocess.run(
        [sys.executable, "-m", "trainer", *words],
        capture_output=True, text=True, cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])},
    )  # fmt: skip
    assert done.returncode == 1, done.stderr
    assert done.stderr.startswith("qdtrain: step 1: none of 16 completions has a score")
    assert len(done.stderr.strip().splitlines()) == 1


def test_commands_are_completed_in_a_shell():
    code = "import sys; sys.argv = ['qdtrain']; from trainer.cli import main; main()"
    asked = {"_QDTRAIN_COMPLETE": "complete_bash", "COMP_WORDS": "qdtrain re", "COMP_CWORD": "1"}
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, **asked},
        capture_output=True,
        text=True,
        check=True,
    )
    assert set(done.stdout.split()) >= {"resume", "recipes"}
