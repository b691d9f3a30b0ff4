"""Builds the wheel and tries it in empty environments, as somebody does who installs it.

    python release/wheel_check.py [--pythons 3.11 3.12] [--extras logs trainer] [--no-extras]

(``make wheel-check``). uv builds and installs; it is found beside the Python that runs this. On
every Python at hand the wheel alone is installed and its commands run from another folder; on the
newest that the constraints were made for, each extra alone. A Python that is not on this machine is
resolved only, from wheels alone. All of it goes into ``out/wheel-check``.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tomllib
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
WORK = ROOT / "out" / "wheel-check"
PYTHONS = ("3.11", "3.12", "3.13", "3.14")
EXTRAS_ON = "3.11"
"""The Python of constraints.txt."""
SECONDS = 1800


@dataclass(frozen=True)
class Check:
    """A command in an environment: what it must print, and whether it must succeed."""

    command: tuple[str, ...]
    prints: str = ""
    fails: bool = False


def python(code: str, prints: str = "", fails: bool = False) -> Check:
    """A line of Python as a check."""
    return Check(("python", "-c", code), prints, fails)


def first_block(page: Path) -> str:
    """The first block of Python of a page."""
    return page.read_text(encoding="utf-8").split("```python\n")[1].split("```")[0]


BARE = (
    python(first_block(ROOT / "README.md")),
    python("import qdlaws, sys; print('torch' in sys.modules)", "False"),
    python("import qdlaws as qd; print(qd.fit(qd.example_log()).rd.verdict)"),
    python("import qdlaws as qd; print(qd.example_log().source)", "example"),
    python("import qdlaws as qd; qd.example_log().to_frame().to_csv('run.csv', index=False)"),
    Check(("qdlaws", "fit", "run.csv"), "R"),
    Check(("qdlaws", "report", "run.csv", "--out", "report.html")),
    Check(("qdlaws", "--help"), "fit"),
    # What belongs to an extra says so in one line.
    Check(("qdtrain", "run", "demo", "--out", "run"), "pip install 'qdlaws[trainer]'", fails=True),
    python(
        "import qdlaws as qd\n"
        "try: qd.fit_many([qd.example_log()] * 2, n_jobs=2)\n"
        "except qd.QdlawsError as error: print(error)",
        "joblib",
    ),
    python(
        "import pathlib, qdlaws as qd\n"
        "pathlib.Path('log.parquet').write_bytes(b'PAR1' + bytes(64) + b'PAR1')\n"
        "try: qd.read('log.parquet')\n"
        "except qd.QdlawsError as error: print(error)",
        "pip install 'qdlaws[logs]'",
    ),
)
"""Without any extra."""

TINY = ["--set", "train.steps=1", "--set", "train.samples=4", "--set", "eval.samples=8"]
EXTRAS = {
    "trainer": (
        Check(("qdtrain", "configs"), "demo"),
        Check(("qdtrain", "run", "demo", "--out", "run", "--quiet", *TINY), "done after step 1"),
        python(
            "from trainer.policy.bundled_priors import model_source as m; print(m('molecules-60k'))"
        ),
    ),
    "lora": (python("import peft"),),
    "selfies": (python("import selfies"),),
    "trackers": (python("import tensorboard, wandb, mlflow"),),
    "logs": (
        python(
            "import qdlaws as qd; qd.example_log().to_frame().to_parquet('a.parquet')\n"
            "print(len(qd.read('a.parquet')) > 10)",
            "True",
        ),
    ),
    "fleet": (
        python(
            "import qdlaws as qd; print(len(qd.fit_many([qd.example_log()] * 2, n_jobs=2)))", "2"
        ),
    ),
    "ray": (python("import ray"),),
    "dask": (python("import distributed"),),
    "slurm": (python("import submitit"),),
    "trl": (python("import qdlaws.integrations.trl, trl"),),
    "texts": (python("import rapidfuzz, qdlaws.measure"),),
    "docs": (python("import sphinx, numpydoc, myst_nb"),),
    "dev": (python("import pytest, hypothesis, mypy"),),
}


def main() -> None:
    """Builds, tries, and ends with status 1 where anything was not as it should be."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pythons", nargs="*", default=PYTHONS)
    parser.add_argument("--extras", nargs="*", default=sorted(extras()))
    parser.add_argument("--no-extras", action="store_true")
    options = parser.parse_args()
    shutil.rmtree(WORK, ignore_errors=True)
    WORK.mkdir(parents=True)
    wheel = build()
    failures = []
    for version in options.pythons:
        interpreter = interpreter_of(version)
        if interpreter is None:
            failures += resolves(wheel, version)
        else:
            failures += tried(f"Python {version}", str(wheel), interpreter, BARE)
    failures += report_without_installing(wheel)
    for extra in [] if options.no_extras else options.extras:
        interpreter = interpreter_of(EXTRAS_ON) or Path(sys.executable)
        requirement = f"qdlaws[{extra}] @ {wheel.as_uri()}"
        failures += tried(f"extra {extra}", requirement, interpreter, EXTRAS[extra], pinned=True)
    for failure in failures:
        print(f"FAILED {failure}")
    print(f"{wheel.name}: {wheel.stat().st_size / 1e6:.1f} MB, {len(failures)} failures")
    raise SystemExit(bool(failures))


def extras() -> dict[str, list[str]]:
    """The extras of the project and their requirements."""
    with (ROOT / "pyproject.toml").open("rb") as file:
        named: dict[str, list[str]] = tomllib.load(file)["project"]["optional-dependencies"]
    return named


def build() -> Path:
    """The wheel, built from the sdist, which is built from this folder."""
    run([uv(), "build", "--quiet", "--out-dir", str(WORK / "dist"), str(ROOT)], ROOT).check()
    (wheel,) = (WORK / "dist").glob("*.whl")
    assert list((WORK / "dist").glob("*.tar.gz"))
    return wheel


def tried(
    name: str, requirement: str, interpreter: Path, checks: tuple[Check, ...], pinned: bool = False
) -> list[str]:
    """What went wrong in a new environment with this requirement."""
    folder = WORK / name.replace(" ", "-")
    elsewhere = folder / "elsewhere"
    run([uv(), "venv", "--quiet", "--python", str(interpreter), str(folder)], WORK).check()
    elsewhere.mkdir()
    pins = ["--constraints", str(ROOT / "constraints.txt")] if pinned else []
    place = str(folder / "bin" / "python")
    done = run([uv(), "pip", "install", "--python", place, *pins, requirement], WORK)
    if done.status:
        return [f"{name}: cannot be installed: {done.tail()}"]
    problems = []
    for check in checks:
        program = str(folder / "bin" / check.command[0])
        done = run([program, *check.command[1:]], elsewhere)
        words = " ".join(check.command)[:70]
        if bool(done.status) != check.fails or check.prints not in done.output:
            problems.append(f"{name}: {words!r} gave {done.status}: {done.tail()}")
        if "Traceback" in done.output:
            problems.append(f"{name}: {words!r} ended in a traceback: {done.tail()}")
    print(f"{name}: {len(checks)} checks, {len(problems)} failures", flush=True)
    shutil.rmtree(folder)  # an environment with torch has hundreds of megabytes
    return problems


def resolves(wheel: Path, version: str) -> list[str]:
    """Whether every dependency has a wheel for a Python that is not here."""
    wish = WORK / "wheel.in"
    wish.write_text(f"qdlaws @ {wheel.as_uri()}\n")
    command = [
        uv(),
        "pip",
        "compile",
        "--quiet",
        "--python-version",
        version,
        "--only-binary=:all:",
    ]
    done = run([*command, "--no-header", str(wish)], WORK)
    print(f"Python {version}: not on this machine, resolved from wheels: {not done.status}")
    return [f"Python {version}: {done.tail()}"] if done.status else []


def report_without_installing(wheel: Path) -> list[str]:
    """``uvx --from WHEEL qdlaws report``: the way of somebody who looks once."""
    example = WORK / "uvx"
    example.mkdir()
    (example / "run.csv").write_bytes((ROOT / "qdlaws/readers/example_run.csv").read_bytes())
    command = [uv(), "tool", "run", "--python", sys.executable, "--from", str(wheel)]
    done = run([*command, "qdlaws", "report", "run.csv", "--out", "report.html"], example)
    if done.status or not (example / "report.html").exists():
        return [f"uvx: {done.tail()}"]
    print("uvx qdlaws report: done")
    return []


# ---------------------------------------------------------------------- helpers


@dataclass(frozen=True)
class Done:
    """How a command ended."""

    status: int
    output: str

    def tail(self) -> str:
        """The last lines, in one."""
        return " / ".join(self.output.strip().splitlines()[-4:])[-400:]

    def check(self) -> None:
        """Ends here where it failed."""
        if self.status:
            raise SystemExit(self.tail())


def run(command: list[str], folder: Path) -> Done:
    """A command without what this project's own environment would give it."""
    own = {"PYTHONPATH", "VIRTUAL_ENV", "PYTHONHOME"}
    environment = {name: value for name, value in os.environ.items() if name not in own}
    environment.setdefault("UV_FIND_LINKS", environment.get("PIP_FIND_LINKS", ""))
    environment.update(UV_NO_CONFIG="1", UV_PYTHON_DOWNLOADS="never", MPLBACKEND="agg")
    done = subprocess.run(
        command, cwd=folder, env=environment, text=True, timeout=SECONDS, check=False,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    return Done(done.returncode, done.stdout)


def uv() -> str:
    """The program uv: beside this Python, or on the path."""
    beside = Path(sys.executable).parent / "uv"
    program = str(beside) if beside.exists() else shutil.which("uv")
    if program is None:
        raise SystemExit("uv was not found: pip install uv")
    return program


def interpreter_of(version: str) -> Path | None:
    """A Python of this version on the path, or of pyenv."""
    done = run([uv(), "python", "find", "--no-project", version], ROOT)
    if not done.status:
        return Path(done.output.strip().splitlines()[-1])
    pyenv = Path.home() / ".pyenv" / "versions"
    for folder in sorted(pyenv.glob(f"{version}.*")):
        return folder / "bin" / "python"
    return None


if __name__ == "__main__":
    main()
