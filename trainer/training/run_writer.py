"""The files of a run are written here: metrics, advice, samples, trackers, the summary."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from qdlaws.core.atomic_write import write_atomically
from trainer.config import Config, to_toml
from trainer.distributed.world import World
from trainer.tasks import capabilities
from trainer.training.context import RunContext
from trainer.training.evaluation import Evaluation, write_table
from trainer.training.metrics import JsonLines, Sink, numbers_of, open_sinks
from trainer.training.progress import Progress
from trainer.training.run_folder import LOGS, flush, one_line

__all__ = ["RunWriter", "Watcher"]

Watcher = Callable[[dict[str, Any]], None]


class RunWriter:
    """The files of a run; only the leading process writes them."""

    def __init__(
        self,
        folder: Path,
        config: Config,
        world: World,
        watcher: Watcher | None,
        growing: Iterable[str] = (),
    ) -> None:
        """``growing``: the names of the files that the checkpoint of a resumed run gives a size."""
        self.folder, self.world = folder, world
        self.growing = {name.partition("/")[2] for name in growing} - {""}
        """Files in ``samples/`` that the task appends to."""
        self.watcher = watcher
        self.files: dict[str, JsonLines] = {}
        self.sinks: list[Sink] = []
        self.began = time.monotonic()
        if world.leads:
            self.files = {name: JsonLines(folder / name) for name in LOGS}
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
        with one_line(f"write samples to {folder}"):
            self._let_task_write(context, evaluation, folder, step)

    def _let_task_write(
        self, context: RunContext, evaluation: Evaluation, folder: Path, step: int
    ) -> None:
        """The task's own files. Rows of a process that was killed since the checkpoint go first."""
        for name in set(capabilities.sample_files(context.task)) - self.growing:
            (folder / name).unlink(missing_ok=True)
        before = {path.name for path in folder.glob("*.csv")}
        capabilities.write_samples(context.task, folder, step, evaluation)
        after = {path.name for path in folder.glob("*.csv")}
        declared = set(capabilities.sample_files(context.task))
        self.growing |= (after - before) | (after & declared)

    def sizes(self) -> dict[str, int]:
        """Bytes of every file that grows, once they are on the disk."""
        sizes = {name: file.size() for name, file in self.files.items()}
        for name in sorted(self.growing):
            path = self.folder / "samples" / name
            if path.exists():
                flush(path)
                sizes[f"samples/{name}"] = path.stat().st_size
        return sizes

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
