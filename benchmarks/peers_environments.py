"""Which peers of qdlaws run here: one environment a family, its tests, and the reasons of skips.

    python benchmarks/peers_environments.py [FAMILY …]

Every family gets an environment of its own under ``.peers/``, from ``peers_constraints.txt`` beside
this file; one that is there already is used again. The table is written into
``benchmarks/results/peers.md``, where families that did not run this time keep their rows. Neither
CI nor ``make test`` calls this: it downloads gigabytes.

REINVENT4 is in no registry: its family needs ``REINVENT4_SRC``, a checkout of its repository.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import time
import venv
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
HOME = ROOT / ".peers"
CONSTRAINTS = Path(__file__).with_name("peers_constraints.txt")
RESULTS = ROOT / "benchmarks" / "results" / "peers.md"
INTEGRATIONS = "tests/qdlaws/integrations"
READERS = "tests/qdlaws/readers"
TEST_TOOLS = ("pytest", "hypothesis", "-e", ".")

Row = tuple[str, str, str, str]
"""Family, test, outcome, reason."""


@dataclass(frozen=True)
class Family:
    """Packages that share an environment, and the tests that they make run."""

    packages: tuple[str, ...]
    tests: tuple[str, ...]
    main_pins: bool = True
    """Whether the versions of the project's own constraints.txt hold here too."""
    source: str = ""
    """The environment variable that names a source folder, for a package that is in no registry."""


CLUSTER = ("ray", "distributed", "submitit", "torch", "transformers", "safetensors", "joblib")
CLUSTER += ("filelock", "msgspec", "tomli-w", "jinja2")
REINVENT4 = (
    *("torch", "rdkit", "pumas", "molvs", "xxhash", "pydantic", "python-dotenv", "apted"),
    *("mmpdb<3", "polars<2", "PyYAML", "requests", "tqdm", "tensorboard"),
)
FAMILIES = {
    "trackers": Family(
        ("tensorboard", "wandb", "mlflow-skinny", "trackio", "arviz", "pyarrow"),
        (
            f"{INTEGRATIONS}/test_trackers.py",
            f"{READERS}/test_tracker_runs.py",
            f"{READERS}/formats/test_tensorboard.py",
            "tests/qdlaws/laws/test_arviz_view.py",
        ),
    ),
    "mlflow": Family(("mlflow", "pyarrow<26"), (f"{READERS}/test_tracker_runs.py",), False),
    "ray": Family(("ray[tune]", "optuna"), (f"{INTEGRATIONS}/test_tuning.py",)),
    "cluster": Family(
        CLUSTER, ("tests/qdlaws/core/test_parallel.py", "tests/trainer/test_clusters.py")
    ),
    "verl": Family(
        ("verl", "torch", "cachetools", "uvicorn", "fastapi", "TransferQueue"),
        (f"{INTEGRATIONS}/test_verl.py",),
        main_pins=False,
    ),
    "reinvent4": Family(
        REINVENT4,
        (f"{INTEGRATIONS}/test_reinvent4.py",),
        source="REINVENT4_SRC",
    ),
}
TORCHVISION = '''"""A stand-in: REINVENT4 imports torchvision for TensorBoard's pictures of molecules only."""
import sys
from unittest.mock import MagicMock

transforms = sys.modules["torchvision.transforms"] = MagicMock()
utils = sys.modules["torchvision.utils"] = MagicMock()
'''


def main() -> None:
    """Builds the environments, runs the tests, writes the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("families", nargs="*", help=f"of {', '.join(FAMILIES)}; all by default")
    chosen = parser.parse_args().families or list(FAMILIES)
    if unknown := set(chosen) - set(FAMILIES):
        parser.error(f"there is no family {', '.join(sorted(unknown))}")
    versions, rows = parsed(RESULTS.read_text(encoding="utf-8")) if RESULTS.exists() else ({}, [])
    for name in chosen:
        versions[name], made = outcomes(name, FAMILIES[name])
        rows = [row for row in rows if row[0] != name] + made
        RESULTS.write_text(page(versions, rows), encoding="utf-8")
    print(RESULTS.read_text(encoding="utf-8"))


def outcomes(name: str, family: Family) -> tuple[str, list[Row]]:
    """The versions of a family's packages, and what each of its tests came to."""
    began = time.monotonic()
    python, problem = environment(name, family)
    if problem:
        return "–", [(name, "–", "not built", problem)]
    done = subprocess.run(
        [str(python), "-m", "pytest", "-q", "-rA", "-p", "no:cacheprovider", *family.tests],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    print(f"{name}: {time.monotonic() - began:.0f} s", file=sys.stderr)
    (HOME / name / "pytest.log").write_text(done.stdout + done.stderr, encoding="utf-8")
    rows = [(name, *outcome) for outcome in summary(done.stdout)]
    last = (done.stdout.strip() or done.stderr.strip() or "no output").splitlines()[-1]
    return installed(python, family), rows or [(name, "–", "not run", last[:160])]


def environment(name: str, family: Family) -> tuple[Path, str]:
    """The Python of a family's environment, and why there is none."""
    folder = HOME / name
    python = folder / "bin" / "python"
    source = os.environ.get(family.source, "")
    if family.source and not source:
        return python, f"{family.source} names no source folder"
    if (folder / "installed").exists():
        return python, ""
    if not python.exists():
        venv.create(folder, with_pip=True)
    pins = ["-c", str(CONSTRAINTS), *(["-c", "constraints.txt"] if family.main_pins else [])]
    problem = pip(python, *pins, *family.packages, *TEST_TOOLS)
    if source and not problem:
        (site,) = folder.glob("lib/python3.*/site-packages")
        (site / "torchvision.py").write_text(TORCHVISION, encoding="utf-8")
        problem = pip(python, "--no-deps", source)
    if not problem:
        (folder / "installed").touch()
    return python, problem


def pip(python: Path, *arguments: str) -> str:
    """Installs; the first line of what went wrong, empty where nothing did."""
    command = [str(python), "-m", "pip", "install", "-q", *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if not done.returncode:
        return ""
    errors = [line for line in done.stderr.splitlines() if line.startswith("ERROR")]
    return (errors or ["pip failed"])[0][:160]


def installed(python: Path, family: Family) -> str:
    """The packages of a family with the versions in its environment."""
    names = [re.split(r"[\[<>=]", package)[0] for package in family.packages]
    names += ["reinvent"] if family.source else []
    code = "import sys, importlib.metadata as m\nfor n in sys.argv[1:]: print(n, m.version(n))"
    done = subprocess.run(
        [str(python), "-c", code, *names], capture_output=True, text=True, check=False
    )
    return ", ".join(done.stdout.splitlines()) or "–"


def summary(printed: str) -> list[tuple[str, str, str]]:
    """(test, outcome, reason) from the lines that ``pytest -rA`` prints at its end."""
    rows = []
    for line in printed.splitlines():
        if match := re.match(r"(PASSED|FAILED|ERROR) (\S+?\.py)(?:::(.+?))?(?: - (.*))?$", line):
            outcome, path, test, reason = match.groups()
            rows.append((test or Path(path).name, outcome.lower(), (reason or "")[:120]))
        elif match := re.match(r"SKIPPED \[(\d+)\] (\S+?):\d+: (.*)", line):
            count, path, reason = match.groups()
            rows.append((f"{count} of {Path(path).name}", "skipped", reason[:120]))
    return rows


def page(versions: dict[str, str], rows: list[Row]) -> str:
    """The tables of results: the environments, then the tests."""
    lines = ["# Peers: what ran, what was skipped, and why", ""]
    lines += ["Made by `make peers` (`benchmarks/peers_environments.py`), on a CPU.", ""]
    lines += ["| family | packages | passed | skipped | failed |", "|---|---|---|---|---|"]
    for name in sorted(FAMILIES):
        mine = [row for row in rows if row[0] == name]
        passed = sum(row[2] == "passed" for row in mine)
        skipped = sum(int(row[1].split()[0]) for row in mine if row[2] == "skipped")
        failed = sum(row[2] not in ("passed", "skipped") for row in mine)
        lines.append(
            f"| {name} | {versions.get(name, 'not run')} | {passed} | {skipped} | {failed} |"
        )
    lines += ["", "| family | test | outcome | reason |", "|---|---|---|---|"]
    ordered = sorted(rows, key=lambda row: (row[0], row[2] == "passed", row[1]))
    lines += [f"| {' | '.join(cell.replace('|', '/') for cell in row)} |" for row in ordered]
    return "\n".join(lines) + "\n"


def parsed(text: str) -> tuple[dict[str, str], list[Row]]:
    """The versions and the rows of a page that :func:`page` wrote."""
    cells = [line.strip("| ").split(" | ") for line in text.splitlines() if line.startswith("| ")]
    versions = {row[0]: row[1] for row in cells if len(row) == 5 and row[0] in FAMILIES}
    # an empty reason is cut off with the bar
    tests = [(*row, "")[:4] for row in cells if len(row) in (3, 4) and row[0] in FAMILIES]
    return versions, [(a, b, c, d.strip("| ")) for a, b, c, d in tests]


if __name__ == "__main__":
    main()
