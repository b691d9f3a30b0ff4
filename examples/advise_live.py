"""Advice on a log while it grows, in the process that trains.

    python examples/advise_live.py

The training here is made up: a run along a known law, one line of JSON per evaluation. Put your
own loop in its place. Where the trainer is another process, the command
``qdlaws watch LOG --write advice.json`` does the same from outside.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np

import qdlaws as qd
from qdlaws.integrations.watch import watch
from qdlaws.simulation import ERROR_MODELS, falling_path, simulate, true_law

GOAL = qd.Goal(min_diversity=0.45, budget_steps=600)


def evaluations(seed: int = 0) -> Iterator[dict[str, float]]:
    """Your trainer: after every evaluation, its step, quality and diversity."""
    rng = np.random.default_rng(seed)
    law = true_law(kappa=2.0, change=-0.5, low=0.3, high=0.8)
    path = falling_path(60, low=0.3, high=0.8)
    run = simulate(rng, law, path, sigma=0.01, errors=ERROR_MODELS["rho=.5"], x_noise=0.01)
    for step, d, r in zip(range(0, 600, 10), run.x, run.y, strict=True):
        yield {"step": step, "phase": "eval", "quality": float(r), "diversity": float(d)}


def main(folder: Path | None = None) -> qd.Advice | None:
    folder = folder or Path(tempfile.mkdtemp())
    log, newest = folder / "metrics.jsonl", None
    log.touch()
    for row in evaluations():
        with log.open("a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")
        if row["step"] % 100:  # a look costs a fraction of a second: not at every evaluation
            continue
        update = next(iter(watch(log, GOAL, write=folder / "advice.json", max_updates=1)))
        print(update)
        newest = update.advice
        if newest is not None and newest.action == "stop":
            print("stop at step", row["step"], "and keep checkpoint", newest.checkpoint)
            break
    return newest


if __name__ == "__main__":
    main()
