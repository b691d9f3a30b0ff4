"""``qdtrain pretrain`` has the options of PretrainOptions, no more and no less."""

import shlex
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

import trainer.pretrain.make_prior
from trainer.cli.app import app
from trainer.pretrain.options import PretrainOptions

runner = CliRunner()


@pytest.fixture
def made(monkeypatch):
    """The options that a command line led to; nothing is trained."""
    options = []

    def pretrain(given, display):
        options.append(given)
        return given.out

    monkeypatch.setattr(trainer.pretrain.make_prior, "pretrain", pretrain)
    return options


CHANGED = PretrainOptions(
    out=Path("priors/mine"),
    task="arithmetic",
    size="96-4-6-256",
    representation="selfies",
    longest=80,
    epochs=1.5,
    polish_beta=0.7,
    completion_only=False,
    seed=3,
)


@pytest.mark.parametrize("options", [PretrainOptions(out=Path("priors/mine")), CHANGED])
def test_the_command_that_a_model_card_prints_makes_the_same_options(options, made):
    done = runner.invoke(app, shlex.split(options.command())[1:])
    assert done.exit_code == 0, done.output
    assert made == [options]
    assert "README.md says how good it is" in done.stdout


def test_a_file_of_molecules_is_a_path(made):
    runner.invoke(app, ["pretrain", "--out", "mine", "--smiles", "some.smi"])
    assert made == [replace(PretrainOptions(out=Path("mine")), smiles=Path("some.smi"))]


def test_every_option_has_a_line_of_help():
    from trainer.cli.pretrain import _parameters

    silent = [p.name for p in _parameters() if not p.annotation.__metadata__[0].help]
    assert silent == []
