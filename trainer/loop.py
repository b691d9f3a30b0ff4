"""train(config, folder): the stages of a run in order.

    evaluate → turn the knobs → save →  { draw → score → credit → update → log }  → evaluate → …

A run is a function of its configuration: whatever is random is keyed, what is decided is decided
from the log, and a run that was killed goes on to the same numbers.
"""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch

from qdlaws.core.atomic_write import write_atomically
from qdlaws.errors import BadData
from trainer.algorithms.replay import Buckets, Memory
from trainer.config import Config, at_step, load_config, to_toml
from trainer.control import knob_columns
from trainer.distributed.world import World, join_world
from trainer.training import checkpoint
from trainer.training.context import Bench, Progress, RunFailed
from trainer.training.evaluation import evaluate
from trainer.training.rollout import collect
from trainer.training.run_control import RunControl, make_run_control, plan_run
from trainer.training.run_writer import Desk, Watcher, cut_files
from trainer.training.setup import make_bench, start, with_stage
from trainer.training.update import make_optimizer, update
from trainer.types import Knobs, ReplayPlan

__all__ = ["Outcome", "resume", "train"]


@dataclass(frozen=True)
class Outcome:
    """How a run ended."""

    folder: Path
    step: int
    ended: str
    """``done``, ``stopped`` as advised, or ``interrupted``."""
    kept: int | None
    """Step of the checkpoint that the advice names."""


def train(config: Config, folder: Path, watcher: Watcher | None = None) -> Outcome:
    """Runs a configuration from its first step; the folder must not hold a run yet."""
    world = join_world(config.policy.device)
    with _held(folder, world):
        _refuse_used(folder, world)
        bench = make_bench(config, world, folder)
        control = make_run_control(bench.config, bench.recipe, plan_run(bench, folder))
        if world.leads:
            threads = torch.get_num_threads()
            resolved = replace(config, train=replace(config.train, threads=threads))
            write_atomically(folder / "config.toml", to_toml(resolved))
            if watcher is not None and control.start.reason:
                watcher({"phase": "plan", "words": control.start.reason})
        world.wait()
        begin = replace(start(bench), knobs=control.start.knobs)
        return _run(bench, begin, make_optimizer(bench), control, folder, watcher)


def resume(folder: Path, watcher: Watcher | None = None) -> Outcome:
    """Goes on from the newest checkpoint to the same numbers that an unbroken run gives."""
    if not (folder / "config.toml").exists():
        raise BadData(f"{folder} holds no run: there is no config.toml in it")
    ended = _summary(folder).get("ended")
    if ended == "stopped":
        raise BadData(
            f"{folder} was stopped as advised; to go on all the same: qdtrain branch {folder}"
        )
    config = load_config(folder / "config.toml")
    world = join_world(config.policy.device)
    with _held(folder, world):
        saved, state = checkpoint.load_state(folder)
        if config.train.threads is not None:
            torch.set_num_threads(config.train.threads)
        bench = make_bench(config, world, folder)
        control = make_run_control(bench.config, bench.recipe, plan_run(bench, folder))
        progress = _progress(state)
        bench = with_stage(bench, at_step(config, progress.step))
        checkpoint.load_trained(bench.policy, saved)
        optimizer = make_optimizer(bench)
        checkpoint.load_optimizer(optimizer, saved)
        if hasattr(bench.task, "load_state") and state["task"] is not None:
            bench.task.load_state(state["task"])
        if world.leads:
            cut_files(folder, progress.step, state["sizes"])
        world.wait()
        return _run(bench, progress, optimizer, control, folder, watcher, begun=True)


def _run(
    bench: Bench,
    progress: Progress,
    optimizer: torch.optim.Optimizer,
    control: RunControl,
    folder: Path,
    watcher: Watcher | None,
    begun: bool = False,
) -> Outcome:
    config, world = bench.config, bench.world
    whole = load_config(folder / "config.toml") if begun else config
    desk = Desk(folder, config, world, watcher)
    interrupted = _Signal()
    ended = "done"
    try:
        with interrupted:
            while True:
                stage = at_step(whole, progress.step)
                entered = not begun and stage != bench.config
                if entered:
                    bench, progress = _enter(bench, stage, progress)
                if not begun:
                    if _is_due(whole, progress.step):
                        progress, stop = _look(bench, progress, control, desk, entered)
                        ended = "stopped" if stop else ended
                    if ended == "stopped" or _is_saved(whole, progress.step):
                        _save(bench, progress, optimizer, desk)
                begun = False
                if progress.step >= whole.train.steps or ended == "stopped":
                    break
                if any(world.gather([interrupted.came])):
                    _save(bench, progress, optimizer, desk)
                    ended = "interrupted"
                    break
                progress = replace(progress, knobs=_from_outside(progress.knobs, folder, world))
                progress = _step(bench, progress, optimizer, desk)
        desk.finish(progress, ended, whole)
    finally:
        desk.close()
        bench.task.close()
    return Outcome(folder, progress.step, ended, progress.kept)


def _step(
    bench: Bench, progress: Progress, optimizer: torch.optim.Optimizer, desk: Desk
) -> Progress:
    """One batch and the updates on it."""
    batch, after = collect(bench, progress)
    _refuse_far(bench, progress.step + 1, batch.facts.get("train_kl"))
    told = update(bench, batch, progress.knobs, optimizer, progress.step)
    after = replace(after, step=progress.step + 1)
    row = {"step": after.step, "phase": "train", **batch.facts, **told}
    desk.log({**row, **knob_columns(progress.knobs), "samples_seen": after.samples})
    return after


def _from_outside(knobs: Knobs, folder: Path, world: World) -> Knobs:
    """The knobs after what a person or a program wrote into ``knobs.json``, which is used up.

    ``{"kl": 0.1}`` is enough; the turn stands in the log from this step on.
    """
    path = folder / "knobs.json"
    if not any(world.gather([world.leads and path.exists()])):
        return knobs
    asked = None
    if world.leads:
        try:
            asked = json.loads(path.read_text(encoding="utf-8"))
            turned = replace(knobs, **{name: float(value) for name, value in asked.items()})
        except (OSError, ValueError, TypeError, AttributeError) as error:
            raise RunFailed(
                f"{path}: numbers for {', '.join(vars(knobs))} were needed: {error}"
            ) from None
        path.unlink()
        asked = turned
    return world.broadcast(asked) or knobs


def _refuse_far(bench: Bench, step: int, kl: float | None) -> None:
    """Ends a run whose policy has left the reference altogether."""
    most = bench.config.train.max_kl
    if kl is not None and kl > most:
        raise RunFailed(
            f"step {step}: {kl:.3g} nats per completion away from the reference, more than "
            f"train.max_kl = {most:g}; a larger recipe.kl or a smaller train.lr holds it"
        )


def _look(
    bench: Bench, progress: Progress, control: RunControl, desk: Desk, entered: bool
) -> tuple[Progress, bool]:
    """Evaluates, logs, and lets the controller decide from the log."""
    last = progress.step >= bench.config.train.steps
    number = (last and bench.config.eval.final) or bench.config.eval.samples
    found = evaluate(bench, progress.step, number, progress.knobs)
    row = {**found.row, "samples_seen": progress.samples}
    if entered and progress.step:
        row["mark"] = 1
    if hasattr(bench.task, "report"):
        row |= bench.task.report()
    desk.log(row)
    desk.keep(bench, found, progress.step)
    _refuse_far(bench, progress.step, row["kl"])
    said = bench.world.broadcast(
        control.decide(desk.folder, progress.knobs, progress.step) if bench.world.leads else None
    )
    assert said is not None
    desk.advise(said.row)
    return replace(progress, knobs=said.knobs, kept=said.checkpoint), said.stop


def _enter(bench: Bench, stage: Config, progress: Progress) -> tuple[Bench, Progress]:
    """The next stage: knobs that it names are set, replay is kept where the recipe has it."""
    before, bench = bench.config.recipe, with_stage(bench, stage)
    knobs = progress.knobs
    for field, asked in (
        ("kl", stage.recipe.kl),
        ("reward_scale", stage.recipe.reward_scale),
        ("entropy", stage.recipe.entropy),
    ):
        if asked is not None and asked != getattr(before, field):
            knobs = replace(knobs, **{field: asked})
    return bench, replace(progress, knobs=knobs)


def _is_due(config: Config, step: int) -> bool:
    return step % config.eval.every == 0 or step >= config.train.steps


def _is_saved(config: Config, step: int) -> bool:
    every = config.checkpoint.every or config.eval.every
    return step % every == 0 or step >= config.train.steps


# ---------------------------------------------------------------------- saving


def _save(
    bench: Bench,
    progress: Progress,
    optimizer: torch.optim.Optimizer,
    desk: Desk,
) -> None:
    """A checkpoint, by the leading process, of what all of them hold."""
    saved = checkpoint.gathered(bench.policy, optimizer)
    if desk.world.leads:
        state = {
            "step": progress.step,
            "cursor": progress.cursor,
            "samples": progress.samples,
            "knobs": asdict(progress.knobs),
            "memory": None if progress.memory is None else _memory_json(progress.memory),
            "buckets": [[key, count] for key, count in progress.buckets.counts.items()],
            "task": bench.task.state_dict() if hasattr(bench.task, "state_dict") else None,
            "sizes": desk.sizes(),
            "kept": progress.kept,
            "threads": torch.get_num_threads(),
        }
        checkpoint.save_checkpoint(desk.folder, progress.step, bench.policy, saved, state)
        checkpoint.prune(desk.folder, bench.config.checkpoint.keep, progress.kept)
    desk.world.wait()


def _memory_json(memory: Memory) -> dict[str, Any]:
    return {"plan": asdict(memory.plan), "keys": memory.keys, "scores": memory.scores}


def _progress(state: dict[str, Any]) -> Progress:
    memory = None
    if state["memory"] is not None:
        saved = state["memory"]
        keys = tuple(tuple(k) if isinstance(k, list) else k for k in saved["keys"])
        memory = Memory(ReplayPlan(**saved["plan"]), keys, tuple(saved["scores"]))
    counts = {tuple(k) if isinstance(k, list) else k: n for k, n in state["buckets"]}
    return Progress(
        state["step"],
        state["cursor"],
        state["samples"],
        Knobs(**state["knobs"]),
        memory,
        Buckets(counts),
        state["kept"],
    )


@contextmanager
def _held(folder: Path, world: World) -> Iterator[None]:
    with checkpoint.lock(folder) if world.leads else nullcontext():
        world.wait()
        yield


def _summary(folder: Path) -> dict[str, Any]:
    path = folder / "summary.json"
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    return found


def _refuse_used(folder: Path, world: World) -> None:
    used = (folder / "metrics.jsonl").exists() if world.leads else False
    if world.broadcast(used):
        raise BadData(f"{folder} holds a run already; go on with qdtrain resume {folder}")


class _Signal:
    """SIGTERM and Ctrl-C as a flag that is read between steps; the second one ends at once."""

    def __init__(self) -> None:
        self.came = False
        self._before: dict[int, Any] = {}

    def __enter__(self) -> None:
        for number in (signal.SIGTERM, signal.SIGINT):
            try:
                self._before[number] = signal.signal(number, self._note)
            except ValueError:  # not the main thread: whoever runs us handles signals
                return

    def _note(self, number: int, frame: Any) -> None:
        if self.came:
            raise KeyboardInterrupt
        self.came = True

    def __exit__(self, *error: Any) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
