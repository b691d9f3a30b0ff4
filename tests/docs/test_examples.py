"""Every example runs, and the page that holds the whole algorithm gives the trainer's numbers."""

from __future__ import annotations

import importlib.util
import json
import re
import sys
from pathlib import Path
from types import ModuleType

import pytest
from typer.testing import CliRunner

import qdlaws as qd

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples"


def load(name: str) -> ModuleType:
    """The example of that file name as a module."""
    spec = importlib.util.spec_from_file_location(f"example_{name}", EXAMPLES / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def project_folder(monkeypatch):
    """The root of the project as the working folder, as the examples' commands have it."""
    monkeypatch.chdir(ROOT)


def test_the_page_of_examples_names_each_of_them():
    page = (EXAMPLES / "README.md").read_text(encoding="utf-8")
    linked = set(re.findall(r"\]\((\w[\w.]*)\)", page))
    there = {p.name for p in EXAMPLES.iterdir() if not p.name.startswith(("_", "README"))}
    assert linked == there


def test_a_table_is_fitted_and_its_columns_can_be_named(capsys, tmp_path):
    example = load("fit_a_csv")
    example.main([])
    assert "concave, with probability" in capsys.readouterr().out
    renamed = qd.example_log().to_frame().rename(columns={"quality": "points", "step": "turn"})
    renamed.to_csv(tmp_path / "my.csv", index=False)
    example.main([str(tmp_path / "my.csv"), "--quality", "points", "--step", "turn"])
    assert "concave, with probability" in capsys.readouterr().out


def test_advice_on_a_growing_log_stops_it_below_the_floor(tmp_path, capsys):
    advice = load("advise_live").main(tmp_path)
    assert advice.action == "stop"
    assert json.loads((tmp_path / "advice.json").read_text())["action"] == "stop"


def test_a_reward_of_the_readers_scores_a_molecule():
    pytest.importorskip("rdkit")
    spec = importlib.util.spec_from_file_location("rewards", EXAMPLES / "my_reward" / "rewards.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert module.aromatic_share("c1ccccc1") == 1.0
    assert module.aromatic_share("CCc1ccccc1") == pytest.approx(6 / 8)


SHORT = [
    "train.samples=8",
    "train.limit=24",
    "train.steps=2",
    "eval.every=2",
    "eval.samples=16",
    "eval.final=16",
]


def test_the_reward_and_the_task_of_the_reader_train(project_folder, tmp_path):
    pytest.importorskip("rdkit")
    from trainer import load_config, train

    train(load_config("examples/my_reward/small_rings.toml", SHORT), tmp_path / "rings")
    rows = qd.read(tmp_path / "rings").extra
    assert rows["reward/aromatic"].notna().all()
    mine = ["task.name=examples.my_task:make", "recipe.name=rloo", "train.prompts=2"]
    train(load_config("arithmetic", [*mine, *SHORT]), tmp_path / "sums")
    assert (tmp_path / "sums" / "summary.json").exists()


def test_a_task_of_the_readers_knows_a_right_sum_from_a_wrong_one():
    pytest.importorskip("torch")
    task = load("my_task").make(most=4)
    prompts = task.prompts()[:1] * 4
    assert [p.text for p in prompts[:1]] == ["5="]
    assert task.score(prompts, ["1+4", "1+1+1+2", "9+9", "5-"]).score.tolist() == [0.5, 1, 0, 0]
    assert task.keys(prompts[:2], ["4+1", "1+4"]) == ["1+4", "1+4"]
    assert task.measure(prompts, ["1+4", "4+1", "2+3", "3+2"])["diversity"].value == pytest.approx(
        2 / 3
    )


def test_the_configuration_of_reinvent4_is_read_without_a_loss_of_scores(tmp_path):
    pytest.importorskip("rdkit")
    from trainer import load_config
    from trainer.cli.app import app

    ours = tmp_path / "celecoxib.toml"
    file = EXAMPLES / "reinvent4_import" / "reinvent.toml"
    result = CliRunner().invoke(app, ["import", str(file), "--out", str(ours)])
    assert result.exit_code == 0, result.output
    config = load_config(str(ours))
    components = config.task.options["objective"]["components"]
    assert [part["objective"] for part in components] == ["qed", "similarity"]
    assert config.train.steps == 100


def test_trl_trains_with_the_callback_in_it(project_folder, tmp_path):
    pytest.importorskip("trl")
    pytest.importorskip("rdkit")
    trainer, _ = load("steer_trl").make_trainer(tmp_path, 2, qd.Goal(min_diversity=0.8), longest=12)
    trainer.train()
    log = qd.read(tmp_path / "qdlaws")
    assert len(log) == 1
    assert log.diversity[0] > 0.5


def test_the_algorithm_on_one_page_gives_the_numbers_of_the_trainer(
    project_folder, tmp_path, capsys
):
    """Ten steps of GRPO with a turned KL: samples, updates, evaluations and β agree to 1e-9."""
    pytest.importorskip("rdkit")
    example = load("mini_rl")
    from trainer import load_config, train

    options = example.Options(
        steps=10, samples=8, limit=24, evaluate_every=5, evaluation_samples=16
    )
    page = example.train(options)
    config = load_config(
        "molecules",
        [
            "policy.model=molecules-60k",
            "policy.dtype=float64",
            "recipe.name=grpo",
            f"recipe.kl={options.beta}",
            "control.name=kl_target",
            f"control.target={options.target_kl}",
            "control.advise=false",
            "train.prompts=1",
            "train.packed=false",  # transformers' own pass, as on the page
            f"train.samples={options.samples}",
            f"train.limit={options.limit}",
            f"train.lr={options.learning_rate}",
            "train.steps=10",
            "eval.every=5",
            "eval.samples=16",
            "eval.final=16",
        ],
    )
    train(config, tmp_path / "run")
    lines = (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()
    rows = [row for row in map(json.loads, lines) if row["phase"] == "eval"]
    assert [row["step"] for row in rows] == [0, 5, 10]
    assert rows[-1]["kl_coef"] < options.beta  # the controller has turned it
    for ours, theirs in zip(page.to_dict("records"), rows, strict=True):
        assert {name: theirs[name] for name in ours} == pytest.approx(ours, abs=1e-9)


def test_the_algorithm_fits_on_a_page():
    lines = (EXAMPLES / "mini_rl.py").read_text(encoding="utf-8").splitlines()
    assert len(lines) <= 260
