"""train(config, folder): the stages of a run in order.

    evaluate → decide → save →  { take a step → evaluate → decide → save }  → …

A run is a function of its configuration: whatever is random is keyed, what is decided is decided
from the log, and a run that was killed goes on to the same numbers.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import torch

from qdlaws.core.atomic_write import write_atomically
from qdlaws.core.regular_file import read_regular
from qdlaws.errors import BadData, BadLog, QdlawsError
from trainer.config import Config, at_step, load_config, to_toml
from trainer.consent import Trust, check_run, record_consent
from trainer.control import KnobsFile, knob_columns
from trainer.distributed.sharding import is_sharded
from trainer.distributed.world import World, join_world
from trainer.errors import RunFailed
from trainer.tasks import capabilities
from trainer.training import checkpoint, fresh_start, run_folder
from trainer.training.ahead import RolloutsAhead, check_ahead
from trainer.training.context import RunContext
from trainer.training.evaluation import evaluate
from trainer.training.interruption import Interruption
from trainer.training.metrics import check_sinks
from trainer.training.partition_head import load_head
from trainer.training.presamples import presample
from trainer.training.progress import Progress
from trainer.training.rollout import collect
from trainer.training.run_control import RunControl, make_run_control, plan_run
from trainer.training.run_writer import RunWriter, Watcher
from trainer.training.setup import make_context, start, with_stage
from trainer.training.update import make_optimizer, update
from trainer.user_code import exits_are_failures

__all__ = ["Outcome", "resume", "train"]

T = TypeVar("T")


@dataclass(frozen=True)
class Outcome:
    """How a run ended."""

    folder: Path
    step: int
    ended: str
    """``done``, ``stopped`` as advised, or ``interrupted``."""
    kept: int | None
    """Step of the checkpoint that the advice names."""


@dataclass
class Run:
    """A run on its way. The last five fields change; all else stays as it began."""

    folder: Path
    config: Config
    """Of the whole run, its stages included."""
    world: World
    control: RunControl
    writer: RunWriter
    optimizer: torch.optim.Optimizer
    knobs_file: KnobsFile
    context: RunContext
    """Replaced where a stage begins."""
    progress: Progress
    ahead: RolloutsAhead | None = None
    """Draws the next batch during the update, where the configuration asks for it."""
    stopped: bool = False
    """Whether the controller has ended the run."""
    saved: int | None = None
    """Step of the newest checkpoint."""

    @property
    def is_over(self) -> bool:
        return self.stopped or self._is_complete

    @property
    def evaluation_is_due(self) -> bool:
        return self._is_complete or self.progress.step % self.context.config.eval.every == 0

    @property
    def checkpoint_is_due(self) -> bool:
        every = self.config.checkpoint.every
        if every is None:
            return self.evaluation_is_due
        return self._is_complete or self.progress.step % every == 0

    @property
    def _is_complete(self) -> bool:
        return self.progress.step >= self.config.train.steps


# ---------------------------------------------------------------------- how a run begins


def train(config: Config, folder: Path, watcher: Watcher | None = None) -> Outcome:
    """Runs a configuration from its first step; the folder must not hold a run yet.

    What a run left that was killed before its first checkpoint does not count.
    """
    world = join_world(config.policy.device)
    with _locked(folder, world):
        if _on_leader(world, lambda: fresh_start.has_progress(folder)):
            raise BadData(f"{folder} holds a run already; go on with qdtrain resume {folder}")
        return _begin(config, folder, world, watcher)


def _begin(config: Config, folder: Path, world: World, watcher: Watcher | None) -> Outcome:
    """The run from its first step, in a folder that holds nothing to lose."""
    check_sinks(config.log.sinks)  # before minutes go into a plan
    if config.train.packed is None:
        config = replace(config, train=replace(config.train, packed=True))
    context = make_context(config, world)
    if world.leads:
        with run_folder.one_line(f"begin anew in {folder}"):
            fresh_start.clear(folder)
    world.wait()
    context = presample(context, folder)
    control = make_run_control(config, context.recipe, plan_run(context, folder))
    if world.leads:
        threads = torch.get_num_threads()
        resolved = replace(config, train=replace(config.train, threads=threads))
        record_consent(folder, config, to_toml(resolved))
        write_atomically(folder / "config.toml", to_toml(resolved))
        if watcher is not None and control.start.reason:
            watcher({"phase": "plan", "words": control.start.reason})
    world.wait()
    progress = replace(start(context), knobs=control.start.knobs)
    optimizer = make_optimizer(context)
    writer = RunWriter(folder, config, world, watcher)
    turns = KnobsFile(folder)
    run = Run(folder, config, world, control, writer, optimizer, turns, context, progress)
    return _run_to_the_end(run, resumed=False)


def resume(folder: Path, watcher: Watcher | None = None, trust: Trust = False) -> Outcome:
    """Goes on from the newest checkpoint to the same numbers that an unbroken run gives.

    A checkpoint that is damaged is named and set aside, and the one before it is used. A run that
    was killed before its first checkpoint begins anew.

    What a run of somebody else's names is imported only where the user trusts it
    (:mod:`trainer.consent`).
    """
    if not (folder / "config.toml").exists():
        raise BadData(f"{folder} holds no run: there is no config.toml in it")
    config = load_config(folder / "config.toml")
    check_run(folder, config, trust)
    world = join_world(config.policy.device)
    with _locked(folder, world):
        if _on_leader(world, lambda: _summary(folder)).get("ended") == "stopped":
            raise BadData(
                f"{folder} was stopped as advised; to go on all the same: qdtrain branch {folder}"
            )
        if not _on_leader(world, lambda: fresh_start.has_progress(folder)):
            return _begin(config, folder, world, watcher)
        saved, state, damaged = _on_leader(world, lambda: checkpoint.newest_whole(folder))
        context = presample(make_context(config, world), folder)
        control = make_run_control(config, context.recipe, plan_run(context, folder))
        progress = Progress.from_state(state)
        context = with_stage(context, at_step(config, progress.step))
        checkpoint.load_trained(context.policy, saved)
        if context.head is not None:
            load_head(context.head, saved)
        if context.novelty is not None:
            context.novelty.load(saved)
        optimizer = make_optimizer(context)
        checkpoint.load_optimizer(optimizer, saved)
        _load_task(context, saved, state["task"])
        world.wait()
        if world.leads:  # from here on the checkpoint is known to be usable
            with run_folder.one_line(f"go on with {folder}"):
                run_folder.cut_files(folder, progress.step, state["sizes"])
                checkpoint.set_aside(damaged)
                checkpoint.prune(folder, config.checkpoint.keep, progress.kept)
        world.wait()
        writer = RunWriter(folder, config, world, watcher, state["sizes"])
        turns = KnobsFile(folder)
        run = Run(folder, config, world, control, writer, optimizer, turns, context, progress)
        run.stopped, run.saved = bool(state.get("stopped")), progress.step
        return _run_to_the_end(run, resumed=True)


def _load_task(context: RunContext, saved: Path, state: dict[str, Any] | None) -> None:
    """Restores the task's memory; one line where it is not of this task or version."""
    try:
        capabilities.load_state(context.task, state)
    except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
        if isinstance(error, QdlawsError):
            raise
        raise BadLog(f"{saved}/state.json does not fit the task: {error!r}") from None


# ---------------------------------------------------------------------- the loop


def _run_to_the_end(run: Run, resumed: bool) -> Outcome:
    """Trains until the run is over or interrupted, and closes what it holds in any case."""
    try:
        with Interruption() as interruption, exits_are_failures(RunFailed):
            ended = _loop(run, interruption, resumed)
        run.writer.finish(run.progress, ended, run.config)
    finally:
        if run.ahead is not None:
            run.ahead.close()
        run.writer.close()
        run.context.close()
    return Outcome(run.folder, run.progress.step, ended, run.progress.kept)


def _loop(run: Run, interruption: Interruption, resumed: bool) -> str:
    """Steps with what lies between them; gives how the run ended.

    A checkpoint is the last thing between two steps, so a resumed run goes on with a step.
    """
    check_ahead(run.config, run.world.size)
    if run.config.train.ahead:
        run.ahead = RolloutsAhead()
    if not resumed:
        _pause(run)
    while not run.is_over:
        if any(run.world.gather([interruption.requested])):
            if run.ahead is None or run.ahead.pending is None:  # else the last checkpoint stands
                _save(run, interrupted=True)
            return "interrupted"
        _turn_knobs(run)
        _take_step(run)
        _pause(run)
    return "stopped" if run.stopped else "done"


def _pause(run: Run) -> None:
    """Before the first step and after each: a stage begins, the policy is evaluated, all saved."""
    _begin_stage(run)
    if run.evaluation_is_due:
        _evaluate(run)
        _decide(run)
    if run.stopped or run.checkpoint_is_due:
        _save(run)


# ---------------------------------------------------------------------- its parts, in their order


def _begin_stage(run: Run) -> None:
    """Changes to the stage of this step, if it is another; the knobs that it names are set."""
    config = at_step(run.config, run.progress.step)
    if config == run.context.config:
        return
    before = run.context.config.recipe
    run.context = with_stage(run.context, config)
    given = {name: getattr(config.recipe, name) for name in ("kl", "reward_scale", "entropy")}
    changed = {
        name: value
        for name, value in given.items()
        if value is not None and value != getattr(before, name)
    }
    knobs = replace(run.progress.knobs, **changed)
    run.progress = replace(run.progress, knobs=knobs, stage_began=run.progress.step > 0)


def _evaluate(run: Run) -> None:
    """Measures the policy on fresh samples and writes the row and the samples."""
    context, progress = run.context, run.progress
    options = context.config.eval
    samples = (run.is_over and options.final) or options.samples
    evaluation = evaluate(context, progress.step, samples, progress.knobs)
    row = {**evaluation.row, "samples_seen": progress.samples}
    if progress.stage_began:
        row["mark"] = 1
        run.progress = replace(progress, stage_began=False)
    row |= capabilities.report(context.task)
    run.writer.log(row)
    run.writer.keep(context, evaluation, progress.step)
    _check_distance(context, progress.step, row["kl"])


def _decide(run: Run) -> None:
    """The controller turns knobs, names a checkpoint and may end the run, from the log alone."""
    decision = None
    if run.world.leads:
        decision = run.control.decide(run.folder, run.progress.knobs, run.progress.step)
    decision = run.world.broadcast(decision)
    assert decision is not None
    run.writer.advise(decision.to_dict())
    kept = decision.advice.checkpoint
    kept = None if kept is None else int(kept)
    run.progress = replace(run.progress, knobs=decision.knobs, kept=kept)
    run.stopped = decision.stopped


def _save(run: Run, interrupted: bool = False) -> None:
    """Writes a checkpoint, by the leading process, of what all of them hold."""
    context, progress = run.context, run.progress
    if run.saved == progress.step:
        return
    tensors = _tensors_to_save(run)
    if run.world.leads:
        with run_folder.one_line(f"save a checkpoint of {run.folder}"):
            state = {
                **progress.to_state(),
                "task": capabilities.saved_state(context.task),
                "sizes": run.writer.sizes(),
                "threads": torch.get_num_threads(),
                "stopped": run.stopped,
            }
            checkpoint.save_checkpoint(
                run.folder, progress.step, context.policy, tensors, state, interrupted
            )
            checkpoint.prune(run.folder, run.config.checkpoint.keep, progress.kept)
            run.knobs_file.forget(checkpoint.checkpoint_steps(run.folder)[0])
    run.saved = progress.step
    run.world.wait()


def _tensors_to_save(run: Run) -> checkpoint.Saved | Path:
    """The whole tensors, gathered, or the new folder into which each process wrote its part."""
    policy = run.context.policy
    if not (run.config.checkpoint.parts and is_sharded(policy.model)):
        head, novelty = run.context.head, run.context.novelty
        return checkpoint.gathered(policy, run.optimizer, head, novelty)
    folder = _on_leader(run.world, lambda: checkpoint.new_folder(run.folder, run.progress.step))
    checkpoint.save_in_parts(folder, policy, run.optimizer)
    return folder


def _turn_knobs(run: Run) -> None:
    """Takes over what a person or a program wrote into ``knobs.json``."""
    knobs = run.progress.knobs
    if run.world.leads:
        knobs = run.knobs_file.read(run.progress.step, knobs)
    run.progress = replace(run.progress, knobs=run.world.broadcast(knobs))


def _take_step(run: Run) -> None:
    """One batch and the updates on it."""
    context, before = run.context, run.progress
    facts: dict[str, float] = {}
    if run.ahead is None:
        batch, after = collect(context, before)
    else:
        batch, after, facts["staleness"] = run.ahead.take(context, before)
        if not _pauses_after(run, before.step + 1):
            run.ahead.start(context, replace(after, step=before.step + 1))
    _check_distance(context, before.step + 1, batch.facts.get("train_kl"))
    figures = update(context, batch, before.knobs, run.optimizer, before.step)
    run.progress = replace(after, step=before.step + 1)
    row = {"step": run.progress.step, "phase": "train", **batch.facts, **facts, **figures}
    run.writer.log({**row, **knob_columns(before.knobs), "samples_seen": after.samples})


def _pauses_after(run: Run, step: int) -> bool:
    """Whether the run ends, evaluates, saves or begins a stage after this step."""
    every = run.config.checkpoint.every
    return (
        step >= run.config.train.steps
        or step % run.context.config.eval.every == 0
        or (every is not None and step % every == 0)
        or at_step(run.config, step) != run.context.config
    )


def _check_distance(context: RunContext, step: int, kl: float | None) -> None:
    """Ends a run whose policy has left the reference altogether."""
    limit = context.config.train.max_kl
    if kl is not None and kl > limit:
        raise RunFailed(
            f"step {step}: {kl:.3g} nats per completion away from the reference, more than "
            f"train.max_kl = {limit:g}; a larger recipe.kl or a smaller train.lr holds it"
        )


# ---------------------------------------------------------------------- the folder


@contextmanager
def _locked(folder: Path, world: World) -> Iterator[None]:
    """Holds the folder's lock for all processes, and cleans up after killed ones."""
    with run_folder.lock(folder) if world.leads else nullcontext():
        _on_leader(world, lambda: _clean(folder))
        yield


def _clean(folder: Path) -> None:
    run_folder.check_files(folder)
    with run_folder.one_line(f"use {folder} as the folder of a run"):
        run_folder.tidy(folder)
        checkpoint.tidy(folder)


def _on_leader(world: World, function: Callable[[], T]) -> T:
    """The leading process's answer, or its error, on every process."""
    answer: T | None = None
    error: QdlawsError | None = None
    if world.leads:
        try:
            answer = function()
        except QdlawsError as refusal:
            error = refusal
    answer, error = world.broadcast((answer, error))
    if error is not None:
        raise error
    return answer  # type: ignore[return-value]


def _summary(folder: Path) -> dict[str, Any]:
    """The summary of a run that has ended; empty where there is none."""
    path = folder / "summary.json"
    if not path.exists():
        return {}
    try:
        summary = json.loads(read_regular(path))
        if isinstance(summary, dict):
            return summary
    except (OSError, ValueError, RecursionError):
        pass
    raise BadLog(f"{path} is damaged: remove it, and the run goes on from its last checkpoint")
