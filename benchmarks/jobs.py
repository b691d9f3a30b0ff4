"""Run many independent jobs on a few processes, with a progress bar, so that a stop loses little.

Every finished job is one JSON line in a cache under ``out/`` (ignored by git), filed under its key
and a fingerprint of the code that it measures: an interrupted run goes on where it stopped, and a
changed statistic starts anew.
"""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import os
from collections.abc import Callable, Iterable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

CACHE = Path(__file__).parent.parent / "out" / "benchmarks"

STATISTICS = (
    "qdlaws.core.law",
    "qdlaws.inference.error_model",
    "qdlaws.inference.error_prior",
    "qdlaws.inference.kernel",
    "qdlaws.inference.latent_path",
    "qdlaws.inference.law_posterior",
    "qdlaws.inference.law_problem",
    "qdlaws.laws.adequacy",
    "qdlaws.laws.alternatives",
    "qdlaws.laws.evidence",
    "qdlaws.laws.fit",
    "qdlaws.laws.standstill",
    "qdlaws.laws.verdict",
)
"""The modules of qdlaws whose change makes a measured coverage or verdict stale."""


def fingerprint(*modules: str) -> str:
    """A hash of the source of modules (by default those of qdlaws that make a law)."""
    digest = hashlib.sha256()
    for name in modules or STATISTICS:
        spec = find_spec(name)
        assert spec is not None
        assert spec.origin is not None
        digest.update(Path(spec.origin).read_bytes())
    return digest.hexdigest()[:12]


def run_jobs(
    name: str,
    jobs: Iterable[tuple[str, tuple[Any, ...]]],
    work: Callable[..., dict[str, Any]],
    processes: int = 2,
) -> dict[str, dict[str, Any]]:
    """The results of ``work(*arguments)`` by key; ``jobs`` are (key, arguments), done in order.

    With no processes nothing is run: what the cache holds is returned.
    """
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeElapsedColumn

    path = CACHE / f"{name}.jsonl"
    path.parent.mkdir(parents=True, exist_ok=True)
    done = _read(path)
    wanted = dict(jobs)
    if not processes:
        return {key: done[key] for key in wanted if key in done}
    todo = [(work, key, arguments) for key, arguments in wanted.items() if key not in done]
    os.environ["OMP_NUM_THREADS"] = "1"
    columns = ("{task.description}", BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    context = multiprocessing.get_context("spawn")
    with Progress(*columns) as bar, path.open("a", encoding="utf-8") as out:
        task = bar.add_task(name, total=len(wanted), completed=len(wanted) - len(todo))
        with context.Pool(processes) as pool:
            for key, result in pool.imap_unordered(_call, todo):
                out.write(json.dumps({"key": key, "result": result}) + "\n")
                out.flush()
                done[key] = result
                bar.advance(task)
    return {key: done[key] for key in wanted}


def _call(job: tuple[Callable[..., dict[str, Any]], str, tuple[Any, ...]]) -> tuple[str, Any]:
    work, key, arguments = job
    return key, work(*arguments)


def _read(path: Path) -> dict[str, dict[str, Any]]:
    done = {}
    if path.exists():
        for line in path.read_text(encoding="utf-8").splitlines():
            try:
                record = json.loads(line)
            except json.JSONDecodeError:  # the line that was being written when the run stopped
                continue
            done[record["key"]] = record["result"]
    return done
