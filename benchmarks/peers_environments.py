"""Which peers of qdlaws run here: one environment a family, its tests, and the reasons of skips.

    python benchmarks/peers_environments.py [FAMILY …]

Every family gets an environment of its own under ``.peers/``, from ``peers_constraints.txt`` beside
this file; what is there already is used again. The table is written into
``benchmarks/results/peers.md``. Neither CI nor ``make test`` calls this: it downloads gigabytes.
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


@dataclass(frozen=True)
class Family:
    """Packages that share an environment, and the tests that they make run."""

    packages: tuple[str, ...]
    tests: tuple[str, ...]
    main_pins: bool = True
    """Whether the versions of the project's own constraints.txt hold here too."""


CLUSTER = ("ray", "distributed", "submitit", "torch", "transformers", "safetensors", "joblib")
CLUSTER += ("filelock", "msgspec", "tomli-w", "jinja2")
FAMILIES = {
    "trackers": Family(
        ("tensorboard", "wandb", "mlflow-skinny", "trackio"),
        (f"{INTEGRATIONS}/test_trackers.py",),
    ),
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
        ("mmpdb", "pumas", "molvs", "apted", "python-dotenv", "tensorboard", "torch", "rdkit"),
        (f"{INTEGRATIONS}/test_reinvent4.py",),
    ),
}


def main() -> None:
    """Builds the environments, runs the tests, writes the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("families", nargs="*", choices=[*FAMILIES, []], help="all by default")
    chosen = parser.parse_args().families or list(FAMILIES)
    rows = [row for name in chosen for row in outcomes(name, FAMILIES[name])]
    RESULTS.write_text(page(rows), encoding="utf-8")
    print(RESULTS.read_text(encoding="utf-8"))


def outcomes(name: str, family: Family) -> list[tuple[str, str, str, str]]:
    """(family, test, passed or skipped or failed, reason) of each test of a family."""
    began = time.monotonic()
    python, problem = environment(name, family)
    if problem:
        return [(name, "–", "not built", problem)]
    done = subprocess.run(
        [str(python), "-m", "pytest", "-q", "-rA", "-p", "no:cacheprovider", *family.tests],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    print(f"{name}: {time.monotonic() - began:.0f} s", file=sys.stderr)
    return [(name, *outcome) for outcome in summary(done.stdout)]


def environment(name: str, family: Family) -> tuple[Path, str]:
    """The Python of a family's environment, and why there is none."""
    folder = HOME / name
    python = folder / "bin" / "python"
    if (folder / "installed").exists():
        return python, ""
    if not python.exists():
        venv.create(folder, with_pip=True)
    pins = ["-c", str(CONSTRAINTS), *(["-c", "constraints.txt"] if family.main_pins else [])]
    packages = [*family.packages, "pytest", "hypothesis", "-e", "."]
    done = subprocess.run(
        [str(python), "-m", "pip", "install", "-q", *pins, *packages],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        errors = [line for line in done.stderr.splitlines() if line.startswith("ERROR")]
        return python, (errors or ["pip failed"])[0][:160]
    (folder / "installed").touch()
    return python, ""


def summary(printed: str) -> list[tuple[str, str, str]]:
    """(test, outcome, reason) from the lines that ``pytest -rA`` prints at its end."""
    rows = []
    for line in printed.splitlines():
        if found := re.match(r"(PASSED|FAILED|ERROR) (\S+?\.py)::(\S+)(?: - (.*))?", line):
            outcome, _, test, reason = found.groups()
            rows.append((test, outcome.lower(), (reason or "")[:120]))
        elif found := re.match(r"SKIPPED \[(\d+)\] (\S+?):\d+: (.*)", line):
            count, path, reason = found.groups()
            rows.append((f"{count} of {Path(path).name}", "skipped", reason[:120]))
    return rows


def page(rows: list[tuple[str, str, str, str]]) -> str:
    """The table of results."""
    lines = ["# Peers: what ran, what was skipped, and why", ""]
    lines += ["Made by `python benchmarks/peers_environments.py`.", ""]
    lines += ["| family | test | outcome | reason |", "|---|---|---|---|"]
    lines += [f"| {' | '.join(cell.replace('|', '/') for cell in row)} |" for row in rows]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
