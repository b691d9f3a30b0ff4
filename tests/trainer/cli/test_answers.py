"""stdout has the answer alone, and every command answers in one line where it cannot go on."""

import json
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from qdlaws.errors import BadData, QdlawsError
from tests.helpers.small_run import config_of, save_model
from trainer.cli.answers import EXTRA, error_line, nothing_on_stdout
from trainer.config import to_toml

ROOT = Path(__file__).parents[3]

WITHOUT_EXTRA = f"""
import sys

class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {EXTRA}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Missing())
from trainer.cli import main
main()
"""


def qdtrain(words, code="from trainer.cli import main; main()", **options):
    """The command in a process of its own."""
    return subprocess.run(
        [sys.executable, "-c", code, *map(str, words)],
        capture_output=True, text=True, timeout=120,
        env={**os.environ, "PYTHONPATH": str(ROOT)}, **options,
    )  # fmt: skip


@pytest.mark.parametrize(
    "words",
    [
        ["run", "demo", "--out", "x"],
        ["resume", "x"],
        ["branch", "x", "--out", "y"],
        ["sweep", "demo", "--out", "x", "--axis", "seed=1"],
        ["evaluate", "x"],
        ["plan", "demo"],
        ["recipes"],
        ["configs"],
        ["pretrain", "--out", "x"],
    ],
)
def test_without_the_extra_every_command_is_one_line(words, tmp_path):
    done = qdtrain(words, WITHOUT_EXTRA, cwd=tmp_path)
    assert done.returncode == 2, done.stderr
    assert re.fullmatch(
        r"qdtrain: the trainer needs the package \w+, which is not installed: "
        r"pip install 'qdlaws\[trainer\]'\n",
        done.stderr,
    )
    assert done.stdout == ""
    assert list(tmp_path.iterdir()) == []


def test_without_the_extra_the_help_is_shown():
    done = qdtrain(["--help"], WITHOUT_EXTRA)
    assert done.returncode == 0
    assert "pretrain" in done.stdout


def test_the_packages_of_the_extra_are_named():
    extra = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    needs = extra["optional-dependencies"]["trainer"]
    assert {re.split(r"[<>=]", need)[0].replace("-", "_") for need in needs} == set(EXTRA)


def test_a_wheel_owns_two_packages():
    find = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"]
    assert find == {"find": {"include": ["qdlaws*", "trainer*"]}}
    text = (ROOT / "docs" / "SECURITY.md").read_text(encoding="utf-8")
    assert "two top-level packages, `qdlaws` and `trainer`" in text


def test_control_characters_of_a_file_do_not_reach_the_terminal():
    line, status = error_line(BadData("unknown section [\x1b]52;c;cm0=\x07]"))
    assert (line, status) == (r"unknown section [\x1b]52;c;cm0=\x07]", 2)


def test_a_fault_of_ours_keeps_its_traceback():
    assert error_line(ValueError("x")) is None
    assert error_line(ModuleNotFoundError("No module named 'mine'", name="mine")) is None
    assert error_line(QdlawsError("two\nlines")) == ("two lines", 2)


def test_nothing_reaches_stdout_until_the_answer(capfd):
    with nothing_on_stdout(True):
        print("by Python")
        os.write(1, b"by the system\n")
        subprocess.run([sys.executable, "-c", "print('by a child')"], check=True)
    print("{}")
    streams = capfd.readouterr()
    assert streams.out == "{}\n"
    assert all(word in streams.err for word in ("Python", "system", "child"))
    with nothing_on_stdout(False):
        os.write(1, b"shown\n")
    assert capfd.readouterr().out == "shown\n"


TASK = """
import os, sys
from tests.helpers.letters import make as letters

print("at import")

def make(leave=False, **options):
    print("when made")
    task = letters(**options)
    score = task.score
    def loud(prompts, texts):
        os.write(1, b"while scoring\\n")
        if leave:
            sys.exit(0)
        return score(prompts, texts)
    task.score = loud
    return task
"""


@pytest.fixture
def config(tmp_path):
    """A configuration with a task that prints, in the working folder."""
    (tmp_path / "my_task.py").write_text(TASK)
    small = config_of(save_model(tmp_path / "model"), "task=my_task:make", "steps=1")
    (tmp_path / "small.toml").write_text(to_toml(small))
    return tmp_path / "small.toml"


def test_json_stands_alone_beside_a_task_that_prints(config, tmp_path):
    words = [tmp_path / "model", "--config", config, "--samples", "8", "--json"]
    done = qdtrain(["evaluate", *words], cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["n_samples"] == 8
    assert "while scoring" in done.stderr


@pytest.mark.parametrize(
    ("words", "status"),
    [
        (["evaluate", "model", "--config", "small.toml", "--samples", "8", "--json"], 2),
        (["plan", "small.toml", "--samples", "50"], 2),
        (["run", "small.toml", "--out", "run", "--quiet"], 1),
    ],
)
def test_sys_exit_in_a_task_is_no_success(config, tmp_path, words, status):
    done = qdtrain([*words, "--set", "task.leave=true"], cwd=tmp_path)
    assert done.returncode == status, done.stderr
    line = done.stderr.strip().splitlines()[-1]
    assert "code of the task ended the program: SystemExit: 0 (my_task.py" in line
    assert "Traceback" not in done.stderr
