"""The files of a run are written here: metrics, advice, samples, trackers, the summary."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from qdlaws.core.atomic_write import write_atomically
from trainer.config import Config, to_toml
from trainer.distributed.world import World
from trainer.tasks import capabilities
from trainer.training.context import RunContext
from trainer.training.evaluation import Evaluation, write_table
from trainer.training.metrics import JsonLines, Sink, cut_back, numbers_of, open_sinks
from trainer.training.progress import Progress

__all__ = ["RunWriter", "Watcher", "cut_files"]

Watcher = Callable[[dict[str, Any]], None]
FILES = ("metrics.jsonl", "advice.jsonl")


class RunWriter:
    """The files of a run; only the leading process writes them."""

    def __init__(self, folder: Path, config: Config, world: World, watcher: Watcher | None) -> None:
        self.folder, self.world = folder, world
        self.watcher = watcher
        self.files: dict[str, JsonLines] = {}
        self.sinks: list[Sink] = []
        self.began = time.monotonic()
        if world.leads:
            self.files = {name: JsonLines(folder / name) for name in FILES}
            flat = {"config": to_toml(config)}
            self.sinks = open_sinks(config.log.sinks, folder, config.log.project, flat)

    def log(self, row: dict[str, Any]) -> None:
        """One line of metrics, to every sink."""
        if not self.world.leads:
            return
        row = {**row, "seconds": round(time.monotonic() - self.began, 3)}
        self.files["metrics.jsonl"].write(row)
        for sink in self.sinks:
            sink.log(numbers_of(row), int(row["step"]))
        if self.watcher is not None:
            self.watcher(row)

    def advise(self, row: dict[str, Any]) -> None:
        """One line of advice."""
        if self.world.leads:
            self.files["advice.jsonl"].write(row)

    def keep(self, context: RunContext, evaluation: Evaluation, step: int) -> None:
        """The completions of an evaluation, where the configuration keeps them."""
        if not (self.world.leads and context.config.eval.keep):
            return
        folder = self.folder / "samples"
        write_table(folder / f"step-{step:06d}.csv", evaluation.table)
        capabilities.write_samples(context.task, folder, step, evaluation)

    def sizes(self) -> dict[str, int]:
        """Bytes of every file that grows."""
        growing = [p for p in (self.folder / "samples").glob("*.csv") if p.name[:5] != "step-"]
        return {name: file.size() for name, file in self.files.items()} | {
            f"samples/{path.name}": path.stat().st_size for path in growing
        }

    def finish(self, progress: Progress, ended: str, config: Config) -> None:
        """What became of the run, in one small file."""
        if not self.world.leads or ended == "interrupted":
            return
        saved = 1 - progress.step / config.train.steps
        summary = {
            "step": progress.step,
            "ended": ended,
            "checkpoint": progress.kept,
            "samples_seen": progress.samples,
            "compute_saved": round(saved, 4),
            "knobs": asdict(progress.knobs),
        }
        write_atomically(self.folder / "summary.json", json.dumps(summary, indent=1) + "\n")

    def close(self) -> None:
        for file in self.files.values():
            file.close()
        for sink in self.sinks:
            sink.close()


def cut_files(folder: Path, step: int, sizes: dict[str, int]) -> None:
    """Every file as it was at the checkpoint: appended lines cut off, newer tables removed."""
    for name, size in sizes.items():
        cut_back(folder / name, size)
    for table in (folder / "samples").glob("*.csv"):
        if table.name.startswith("step-"):
            newer = int(table.stem.removeprefix("step-")) > step
        else:
            newer = f"samples/{table.name}" not in sizes
        if newer:
            table.unlink()
