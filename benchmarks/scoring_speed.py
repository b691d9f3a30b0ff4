"""What scoring molecules costs, in this process, from memory, spread over processes, overlapped.

    python benchmarks/scoring_speed.py [--quick]

QED of 1,000 drug-like molecules (the WEHI set of rdkit's wheel), in batches of 100, as a run asks
for them. The peer is a plain loop over rdkit. "overlapped" runs a step of torch (products of
matrices on one thread, tuned to take as long as scoring a batch) while a batch is being scored;
its peer does one after the other. Each row is the best of some runs, taken in turn; all scores
are checked to be equal to the bit. Processes are started before the clock is. The second time is
the processor time of the training process alone: what scoring takes from it. It does not see what
else the machine is doing, which the first does: with fewer idle cores than processes nothing that
is spread or overlapped can be faster.
"""

from __future__ import annotations

import argparse
import csv
import math
import os
import time
from collections.abc import Callable
from pathlib import Path

os.environ["OMP_NUM_THREADS"] = os.environ["OPENBLAS_NUM_THREADS"] = "1"

import numpy as np
import torch

from trainer.tasks import make_task

BATCH = 100


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="200 molecules, one run")
    options = parser.parse_args()
    count, runs = (200, 1) if options.quick else (1000, 3)
    torch.set_num_threads(1)
    texts = molecules(count)
    batches = [texts[i : i + BATCH] for i in range(0, count, BATCH)]
    print(f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores; {count} molecules, QED\n")
    print("| what | s | CPU of this process, ms a molecule | against | times faster |")
    print("|---|---|---|---|---|")
    scoring(batches, runs)
    overlapping(batches, runs)


def scoring(batches: list[list[str]], runs: int) -> None:
    """The loop, the task without and with memory, one and two processes."""
    ways = {
        "plain loop over rdkit": lambda: loop,
        "in this process": lambda: scorer(0),
        "1 worker": lambda: scorer(1),
        "2 workers": lambda: scorer(2),
    }
    best, rows = compare(ways, batches, runs)
    plain, here = best["plain loop over rdkit"], best["in this process"]
    n = sum(map(len, batches))
    report("plain loop over rdkit", plain, n)
    report("task, in this process", here, n, plain, "the loop")
    known = scorer(0)
    known(batches)
    times, again = timed(known, batches)
    assert again == rows
    report("task, all seen before", times, n, here, "this process")
    for name in ("1 worker", "2 workers"):
        report(f"task, {name}", best[name], n, here, "this process")


def overlapping(batches: list[list[str]], runs: int) -> None:
    """A step of torch a batch: after the score, or while it is worked out."""
    (_, used), _ = timed(scorer(0), batches)
    step = torch_step(used / len(batches))
    ways = {
        "the steps alone": lambda: lambda batches: [step() for _ in batches] and None,
        "in turn": lambda: in_turn(step),
        "overlapped, 1 worker": lambda: overlapped(step, 1),
        "overlapped, 2 workers": lambda: overlapped(step, 2),
    }
    best, _ = compare(ways, batches, runs)
    n = sum(map(len, batches))
    report("torch steps alone", best["the steps alone"], n)
    report("step and score, in turn", best["in turn"], n)
    for name in ("overlapped, 1 worker", "overlapped, 2 workers"):
        report(f"step and score, {name}", best[name], n, best["in turn"], "in turn")


Scores = list[float] | None
Way = Callable[[list[list[str]]], Scores]
Times = tuple[float, float]  # by the clock, CPU of this process


def compare(
    ways: dict[str, Callable[[], Way]], batches: list[list[str]], runs: int
) -> tuple[dict[str, Times], Scores]:
    """Best times of each way, made afresh (no memory) for every run; all must agree."""
    best, found = dict.fromkeys(ways, (math.inf, math.inf)), []
    for _ in range(runs):
        for name, make in ways.items():
            way = make()
            times, scores = timed(way, batches)
            best[name] = (min(best[name][0], times[0]), min(best[name][1], times[1]))
            if scores is not None:
                found.append(scores)
            if hasattr(way, "close"):
                way.close()
    assert all(scores == found[0] for scores in found)
    return best, found[0]


def timed(way: Way, batches: list[list[str]]) -> tuple[Times, Scores]:
    forget()
    start, used = time.perf_counter(), time.process_time()
    scores = way(batches)
    return (time.perf_counter() - start, time.process_time() - used), scores


def forget() -> None:
    """Canonical forms are remembered for the whole process; every run starts without."""
    from trainer.tasks.molecules.smiles import _canonical

    _canonical.cache_clear()


def loop(batches: list[list[str]]) -> list[float]:
    from rdkit import Chem
    from rdkit.Chem import QED

    # the canonical form first, as a cache needs it and as the task scores it
    canonical = [Chem.MolToSmiles(Chem.MolFromSmiles(text)) for batch in batches for text in batch]
    return [QED.qed(Chem.MolFromSmiles(text)) for text in canonical]


class scorer:  # noqa: N801 - used as a function
    """The task; its processes are up before the clock starts."""

    def __init__(self, workers: int) -> None:
        self.task = make_task("molecules", workers=workers)
        warm = [(f"C{'C' * i}" + "O") for i in range(4 * max(workers, 1))]
        self.task.score(list(self.task.prompts()) * len(warm), warm)
        self.close = self.task.close

    def __call__(self, batches: list[list[str]]) -> list[float]:
        prompts = list(self.task.prompts()) * BATCH
        return [x for batch in batches for x in self.task.score(prompts, batch).score.tolist()]


def in_turn(step: Callable[[], None]) -> Way:
    score = scorer(0)

    def run(batches: list[list[str]]) -> list[float]:
        scores: list[float] = []
        for batch in batches:
            scores += score([batch])
            step()
        return scores

    return run


class overlapped:  # noqa: N801
    def __init__(self, step: Callable[[], None], workers: int) -> None:
        self.step, self.scorer = step, scorer(workers)
        self.close = self.scorer.close

    def __call__(self, batches: list[list[str]]) -> list[float]:
        task = self.scorer.task
        scores: list[float] = []
        for batch in batches:
            pending = task.submit(list(task.prompts()) * len(batch), batch)
            self.step()
            scores += pending.result().score.tolist()
        return scores


def torch_step(seconds: float) -> Callable[[], None]:
    """Products of matrices that take about so long on one idle core."""
    a = torch.randn(256, 256)
    start, number = time.process_time(), 0
    while time.process_time() - start < 0.5:
        torch.mm(a, a)
        number += 1
    repeats = max(1, round(number * seconds / 0.5))

    def step() -> None:
        for _ in range(repeats):
            torch.mm(a, a)

    return step


def molecules(count: int) -> list[str]:
    """Distinct drug-like molecules, drawn from a screening library."""
    from rdkit import RDConfig

    file = Path(RDConfig.RDDataDir) / "Pains" / "test_data" / "wehi_mols.csv"
    with file.open() as lines:
        found = list(dict.fromkeys(line[0] for line in csv.reader(lines)))
    rng = np.random.default_rng(0)
    return [found[i] for i in rng.permutation(len(found))[:count]]


def report(what: str, times: Times, n: int, peer: Times | None = None, against: str = "") -> None:
    faster = "" if peer is None else f"{peer[0] / times[0]:.2f}"
    each = 1000 * times[1] / n
    print(f"| {what} | {times[0]:.3f} | {each:.3f} | {against} | {faster} |", flush=True)


if __name__ == "__main__":
    main()
