"""Where nothing can be written every command ends in one line."""

import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

import qdlaws
from qdlaws.errors import QdlawsError
from qdlaws.integrations.watch import watch
from tests.helpers.read_only import make_read_only
from tests.helpers.small_run import config_of, save_model
from trainer.cli.answers import error_line
from trainer.cli.app import app
from trainer.config import to_toml
from trainer.loop import train

COMMANDS = {
    "run": "run CONFIG --out FOLDER/new --quiet",
    "resume": "resume FOLDER/run --trust --quiet",
    "branch": "branch FOLDER/run --trust --at 0 --out FOLDER/branch --quiet",
    "sweep": "sweep CONFIG --axis recipe.kl=1 --jobs 1 --out FOLDER/sweep",
    "evaluate": "evaluate FOLDER/run --trust --samples 8 --out FOLDER/samples.csv",
    "plan": "plan CONFIG --samples 160 --out FOLDER/plan.json",
}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A configuration, and a run that was killed before its summary."""
    base = tmp_path_factory.mktemp("made")
    config = config_of(save_model(base / "model"), "steps=2", "eval.samples=16")
    (base / "small.toml").write_text(to_toml(config))
    train(config, base / "run")
    (base / "run" / "summary.json").unlink()
    return base


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_on_a_read_only_folder_is_one_line(name, made, tmp_path, monkeypatch):
    folder = tmp_path / "folder"
    folder.mkdir()
    shutil.copytree(made / "run", folder / "run")
    before = sorted(str(path) for path in folder.rglob("*"))
    make_read_only(folder, monkeypatch)
    words = COMMANDS[name].replace("CONFIG", str(made / "small.toml"))
    done = CliRunner().invoke(app, words.replace("FOLDER", str(folder)).split())
    assert done.exit_code != 0
    line, _ = error_line(done.exception)
    assert "Read-only file system" in line
    assert "\n" not in line
    monkeypatch.undo()
    assert sorted(str(path) for path in folder.rglob("*")) == before


def test_watch_that_cannot_write_its_advice_is_one_line(tmp_path, monkeypatch):
    log = Path(qdlaws.__file__).parent / "readers" / "example_run.csv"
    make_read_only(tmp_path, monkeypatch)
    with pytest.raises(QdlawsError, match=r"cannot write .*advice\.json: Read-only file system"):
        list(watch(log, max_updates=1, write=tmp_path / "advice.json"))
