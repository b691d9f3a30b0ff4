"""The GPU benchmark runs from end to end on a CPU, so that it cannot fail on the day."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from importlib.util import find_spec, module_from_spec, spec_from_file_location
from pathlib import Path

import gpu
import pytest

TINY = gpu.Setting("cpu", tiny=True)
IN_PROCESS = [name for name in gpu.PARTS if name not in ("tests", "modes")]


@pytest.fixture(autouse=True)
def _benchmarks_importable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(Path(gpu.__file__).parent))


@pytest.mark.parametrize("name", IN_PROCESS)
def test_every_part_runs_on_a_cpu(name: str) -> None:
    part = gpu.PARTS[name]
    missing = [package for package in part.needs if find_spec(package) is None]
    if missing:
        pytest.skip(f"{missing[0]} is not installed")
    rows = list(part.run(TINY))
    assert rows
    for row in rows:
        assert row["value"] is None or math.isfinite(row["value"]), row
    if name == "resume":
        assert rows[0]["value"] == 0
    if name == "shard":
        assert rows[1]["value"] < 1e-5
        assert rows[2]["value"] == 0


def test_steps_with_the_rollouts_of_vllm_run_against_its_stand_in(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    file = gpu.ROOT / "tests" / "helpers" / "stand_in_vllm.py"
    spec = spec_from_file_location("vllm", file)
    assert spec is not None
    assert spec.loader is not None
    vllm = module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "vllm", vllm)
    spec.loader.exec_module(vllm)
    step, gap = gpu.vllm_steps(TINY)
    assert step["peer_value"] > 0
    assert 0 <= gap["value"] < 1e-5  # the stand-in reads the same weights


@pytest.mark.slow
def test_a_step_runs_in_every_mode_on_a_cpu() -> None:
    assert len(list(gpu.modes(TINY))) == 7


def program(out: Path, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, gpu.__file__, "--device", "cpu", "--tiny", "--out", str(out)]
    return subprocess.run([*command, *words], capture_output=True, text=True, timeout=300)


def test_rows_are_written_as_they_come_and_parts_can_be_repeated(tmp_path: Path) -> None:
    out = tmp_path / "gpu.jsonl"
    first = program(out, "--only", "memory")
    assert first.returncode == 0, first.stderr
    assert "| memory | peak memory is read on CUDA only" in first.stdout
    with out.open("a") as file:
        for value in (1.0, 2.0):
            file.write(json.dumps({"part": "lora", "begins": True}) + "\n")
            step = gpu.row("step", value, "s", "all weights", 4.0)
            file.write(json.dumps({"part": "lora", **step}) + "\n")
    assert gpu.table(out).count("| lora |") == 1
    assert "| lora | step | 2 | s | all weights | 4 | 2.00 |  |" in gpu.table(out)


def test_a_part_that_is_not_there_and_a_machine_without_a_device_are_refused(
    tmp_path: Path,
) -> None:
    wrong = program(tmp_path / "x", "--only", "trll")
    assert wrong.returncode == 2
    assert "no part 'trll'" in wrong.stderr
    command = [sys.executable, gpu.__file__, "--device", "cpu"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 2
    assert "--device cpu --tiny" in done.stderr


def test_a_part_ends_at_its_limit_and_one_that_fails_says_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import argparse
    import time

    options = argparse.Namespace(device="nowhere", tiny=True, out=tmp_path / "gpu.jsonl")
    gpu.run_parts(["lora", "shard"], options, time.monotonic() + 5)
    assert gpu.table(options.out).count("no time was left") >= 1
    gpu.run_parts(["shard"], options, time.monotonic() + 120)
    assert "failed: " in gpu.table(options.out)
    monkeypatch.setitem(gpu.PARTS, "shard", gpu.Part(gpu.sharded, seconds=1))
    gpu.run_parts(["shard"], options, time.monotonic() + 120)
    assert "stopped after 1 s" in gpu.table(options.out)
