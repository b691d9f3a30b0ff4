"""What a sweep gains from more processes and from Ray and Dask, and what a task costs on each.

    python benchmarks/scale.py [--quick] [--runs 16] [--memory] [--out benchmarks/results/scale.md]

Sixteen runs of 60 steps on the bundled bandit, whose steps are hundredths of a second: nearly the
worst case, since a worker needs seconds before its first step. Ray and Dask are measured where they
are installed (``make peers``, family ``cluster``). The overhead of a task is the time of a sum of
two numbers, once the workers are there. ``--memory`` counts the bytes of weights, gradients and
optimizer of real steps beside the formula of docs/scale.md; it needs no rival.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from tables import markdown

HERE = Path(__file__).resolve()
ROOT = HERE.parents[1]
PLACES = (
    ("local", 1, "one process", "joblib"),
    ("local", 2, "two processes", "joblib"),
    ("ray", 2, "local Ray, two workers", "ray"),
    ("dask", 2, "local Dask, two workers", "distributed"),
)


@dataclass(frozen=True)
class Timing:
    """Seconds by the clock, and of CPU in this process and those that it has ended."""

    clock: float
    cpu: float


def main() -> None:
    """Measures each place in a process of its own and writes the page."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="four runs of five steps")
    parser.add_argument("--runs", type=int, default=16)
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--tasks", type=int, default=200)
    parser.add_argument("--memory", action="store_true", help="only the table of memory")
    parser.add_argument("--out", type=Path, help="write the page here too")
    parser.add_argument("--one", nargs=2, metavar=("PLACE", "JOBS"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.quick:
        options.runs, options.steps, options.tasks = 4, 5, 20
    if options.one:
        on, jobs = options.one[0], int(options.one[1])
        print(json.dumps(one_place(on, jobs, options.runs, options.steps, options.tasks)))
        return
    begun = f"{time.strftime('%-d %B %Y')}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}"
    memory_part = memory_page() if find_spec("rdkit") else ""  # its policies write molecules
    for rows in [[]] if options.memory else scaling_rows(options):  # written after each row
        page = scaling_page(options, begun, rows) + memory_part
        if options.out is not None:
            options.out.write_text(page, encoding="utf-8")
    print(page)


# ---------------------------------------------------------------------- a sweep and its tasks


def one_place(on: str, jobs: int, runs: int, steps: int, tasks: int) -> dict[str, float]:
    """The time of the sweep and of empty tasks, in this process."""
    from qdlaws.core.parallel import run_tasks
    from trainer.config import load_config
    from trainer.runs import sweep

    os.chdir(ROOT)
    seeds = [str(seed) for seed in range(runs)]
    settings = [f"train.steps={steps}", f"eval.every={steps}", "policy.device=cpu"]
    with tempfile.TemporaryDirectory() as folder:
        began = now()
        done = sweep(
            load_config("bandit", settings), {"train.seed": seeds}, Path(folder), jobs, on=on
        )
        taken = since(began)
        assert not any(run.error for run in done), done
    began = now()
    ends = [now() for _ in run_tasks(sum, [(1, 2)] * tasks, on=on, jobs=jobs)]
    first, last = ends[0].clock - began.clock, ends[-1].clock - ends[0].clock
    return {"sweep": taken.clock, "first": first, "task": last / max(tasks - 1, 1)}


def scaling_rows(options: argparse.Namespace) -> Iterator[list[list[str]]]:
    """The rows of the table of places, as they come."""
    rows: list[list[str]] = []
    alone = None
    for on, jobs, words, package in PLACES:
        if find_spec(package) is None:
            rows.append([words, f"{package} is not installed", "", "", "", ""])
            yield rows
            continue
        words_of_command = [sys.executable, str(HERE), "--one", on, str(jobs)]
        words_of_command += ["--runs", str(options.runs), "--steps", str(options.steps)]
        words_of_command += ["--tasks", str(options.tasks)]
        before = children()
        done = subprocess.run(words_of_command, capture_output=True, text=True, check=False)
        if done.returncode:
            rows.append([words, (done.stderr.strip().splitlines() or ["failed"])[-1], *[""] * 4])
            yield rows
            continue
        cpu = children() - before
        figures = json.loads(done.stdout.splitlines()[-1])
        alone = alone or figures["sweep"]
        rows.append(
            [
                words,
                f"{figures['sweep']:.1f}",
                f"{alone / figures['sweep']:.2f}",
                f"{cpu:.0f}",
                f"{figures['first']:.1f}",
                f"{1000 * figures['task']:.1f}",
            ]
        )
        yield rows


def scaling_page(options: argparse.Namespace, begun: str, rows: list[list[str]]) -> str:
    """The table of places."""
    if not rows:
        return ""
    head = ["where", "sweep, s", "times one process", "CPU, s", "first task after, s"]
    head += ["each further task, ms"]
    return "\n".join(
        [
            f"# A sweep of {options.runs} tiny runs",
            "",
            f"`python benchmarks/scale.py --steps {options.steps} --tasks {options.tasks}`, {begun} "
            f"when it began. Every run is {options.steps} steps on the bandit; each row "
            "is a process of its own that starts its workers, which import torch. CPU is of this "
            "process and all that ended with it (Ray's and Dask's workers may outlive it and count "
            "less). With other work on the machine, compare CPU and not seconds.",
            "",
            markdown(head, rows),
            "",
            "",
        ]
    )


def children() -> float:
    """Seconds of CPU of all processes that ended."""
    times = os.times()
    return times.children_user + times.children_system


def now() -> Timing:
    """This moment."""
    return Timing(time.perf_counter(), time.process_time())


def since(began: Timing) -> Timing:
    """The time from that moment on."""
    return Timing(time.perf_counter() - began.clock, time.process_time() - began.cpu)


# ---------------------------------------------------------------------- memory of a parameter


def memory_page() -> str:
    """Bytes of the tensors that a step leaves behind, for each parameter, beside the formula."""
    rows = [
        [name, f"{count:,}", *(f"{value:.2f}" for value in measured), f"{formula:.3g}"]
        for name, count, measured, formula in memory()
    ]
    head = ["policy", "parameters", "policy", "reference", "gradients", "optimizer", "formula"]
    return "\n".join(
        [
            "# Bytes for each parameter",
            "",
            "What a step holds between backward and the optimizer, counted tensor by tensor, and the "
            "sum that [docs/scale.md](../../docs/scale.md) gives. Activations and rollouts come on "
            "top.",
            "",
            markdown(head, rows),
            "",
        ]
    )


def memory() -> Iterator[tuple[str, int, list[float], float]]:
    """(name, parameters, bytes a parameter of each kind of tensor, formula) of some policies."""
    import torch

    from trainer.config import load_config
    from trainer.distributed.world import World
    from trainer.training.setup import make_context
    from trainer.training.update import make_optimizer

    cases: list[tuple[str, list[str], float]] = [
        ("molecules-250k, float32", ["policy.model=molecules-250k"], 20),
        ("molecules-1m, float32", ["policy.model=molecules-1m"], 20),
        ("molecules-250k, bfloat16", ["policy.model=molecules-250k", "policy.dtype=bfloat16"], 10),
    ]
    if find_spec("peft"):
        cases.append(("molecules-1m, float32, LoRA of rank 2", LORA, 4))
    for name, settings, formula in cases:
        config = load_config("molecules", [*settings, "policy.device=cpu"])
        context = make_context(config, World())
        try:
            optimizer = make_optimizer(context)
            for weight in context.trained:
                weight.grad = torch.zeros_like(weight)
            optimizer.step()
            policy = list(context.policy.model.parameters())
            reference = list(context.reference.model.parameters())
            shared = {id(p) for p in policy}
            count = sum(p.numel() for p in reference if id(p) not in shared) or sum(
                p.numel() for p in policy if not p.requires_grad
            )
            parts = [
                sizes(policy),
                sizes([p for p in reference if id(p) not in shared]),
                sizes([p.grad for p in policy if p.grad is not None]),
                sizes([v for state in optimizer.state.values() for v in state.values()]),
            ]
            trained = sum(p.numel() for p in policy if p.requires_grad)
            expected = formula + 16 * trained / count if trained < count else formula
            yield name, count, [part / count for part in parts], expected
        finally:
            context.close()


LORA = ["policy.model=molecules-1m", "policy.lora_rank=2"]


def sizes(tensors: list[Any]) -> int:
    """Bytes of tensors."""
    return sum(t.numel() * t.element_size() for t in tensors)


if __name__ == "__main__":
    main()
