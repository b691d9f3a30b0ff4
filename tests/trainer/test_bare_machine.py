"""A GPU image without chemistry, fitting or drawing: the trainer trains there all the same."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.helpers.small_run import save_model

ROOT = Path(__file__).parents[2]
MISSING = ("rdkit", "lmfit", "statsmodels", "matplotlib")
BARE = f"""
import sys

class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {MISSING}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Missing())
"""


def bare(code, *arguments):
    """Runs the code in a Python without those packages."""
    return subprocess.run(
        [sys.executable, "-c", BARE + code, *map(str, arguments)],
        cwd=ROOT,
        env={"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "PATH": ""},
        capture_output=True,
        text=True,
        timeout=300,
    )


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return save_model(tmp_path_factory.mktemp("model"), letters="0123456789+-*/()=N: \n")


RUN = """
from pathlib import Path
import trainer
from trainer.cli.app import main
from trainer.config import Config, with_settings
from trainer.loop import train
from trainer.tasks import make_task

print(len(make_task("arithmetic").prompts("train")))
settings = [
    f"policy.model={sys.argv[1]}", "policy.device=cpu", "task=arithmetic", "recipe=grpo",
    "train.steps=2", "train.prompts=2", "train.samples=4", "train.limit=8", "train.threads=1",
    "eval.every=1", "eval.samples=16",
]
print(train(with_settings(Config(), settings), Path(sys.argv[2])).ended)
print(sorted({name.partition(".")[0] for name in sys.modules} & set(MISSING)))
""".replace("MISSING", repr(MISSING))


def test_a_run_with_advice_works_without_those_packages(model, tmp_path):
    done = bare(RUN, model, tmp_path / "run")
    assert done.returncode == 0, done.stderr[-3000:]
    number, ended, loaded = done.stdout.split("\n")[:3]
    assert int(number) > 0
    assert ended == "done"
    assert loaded == "[]"
    assert (tmp_path / "run" / "advice.jsonl").read_text().count("\n") == 3


def test_the_molecules_task_is_refused_in_one_line_without_rdkit():
    done = bare("from trainer.tasks import make_task\nmake_task('molecules', objective='qed')")
    assert done.returncode == 1
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith("qdlaws.errors.")
    assert "rdkit" in last
