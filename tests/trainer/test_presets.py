"""The bundled configurations run from the bundled priors."""

import pytest

from tests.helpers.small_run import rows
from trainer.config import load_config, presets
from trainer.config.settings import PRESETS
from trainer.loop import train
from trainer.policy.bundled_priors import PRIORS, prior_path

SMALL = ["steps=2", "seed=1", "eval.every=2", "eval.samples=32", "eval.final=32", "train.threads=1"]


@pytest.mark.parametrize("name", PRIORS)
def test_every_bundled_prior_is_there_with_the_command_that_makes_it(name):
    text = (prior_path(name) / "README.md").read_text()
    assert "qdtrain pretrain" in text
    assert (prior_path(name) / "model.safetensors").exists()


def test_the_bundled_priors_are_small():
    size = sum(f.stat().st_size for name in PRIORS for f in prior_path(name).iterdir())
    assert size < 6_000_000


@pytest.mark.parametrize("name", presets())
def test_every_key_of_a_bundled_configuration_says_what_it_means(name):
    lines = (PRESETS / f"{name}.toml").read_text().splitlines()
    assert [line for line in lines if " = " in line and " # " not in line] == []


@pytest.mark.slow
@pytest.mark.parametrize("name", presets())
def test_every_bundled_configuration_runs(name, tmp_path):
    few = [] if load_config(name).train.prompts == 1 else ["train.prompts=4"]
    train(load_config(name, [*SMALL, *few, "train.samples=8"]), tmp_path / "run")
    assert rows(tmp_path / "run")[-1]["step"] == 2


def test_the_demonstration_is_the_whole_loop(tmp_path):
    pytest.importorskip("rdkit")
    from qdlaws import Goal, report

    settings = [*SMALL, "steps=10", "policy.model=molecules-60k", "train.samples=16"]
    train(load_config("guided", settings), tmp_path / "run")
    last = rows(tmp_path / "run")[-1]
    assert last["quality"] > 0.4
    assert len(rows(tmp_path / "run", "advice.jsonl")) == 6
    path = report(tmp_path / "run", tmp_path / "report.html", Goal(min_diversity=0.8))
    text = path.read_text(encoding="utf-8")
    for heading in (
        "How it was steered",
        "Distance to the frontier",
        "Samples of the last evaluation",
    ):
        assert heading in text
    assert text.count("data:image/svg+xml") >= 16  # the best, and a diverse set
