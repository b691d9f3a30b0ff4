"""More than one run: branch (what if), sweep (a grid over cores or a cluster)."""

from __future__ import annotations

import itertools
import json
import shutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from qdlaws.core.atomic_write import write_atomically
from qdlaws.core.parallel import parse_place, run_tasks
from qdlaws.errors import BadData, QdlawsError, WorkerLost
from trainer.config import Config, load_config, to_toml, with_settings
from trainer.consent import Trust, check_run, consent_hash, record_consent
from trainer.loop import Outcome, resume, train
from trainer.training import checkpoint, fresh_start, run_folder
from trainer.training.manifest import write_manifest
from trainer.training.metrics import cut_back, read_rows
from trainer.types import Knobs

__all__ = ["Run", "branch", "grid", "prepare_branch", "sweep"]


# ---------------------------------------------------------------------- what if


def branch(
    run: Path,
    out: Path,
    step: int | None = None,
    settings: Iterable[str] = (),
    watcher: Callable[[dict[str, Any]], None] | None = None,
    trust: Trust = False,
) -> Outcome:
    """The run again from a checkpoint on, with other settings; randomness is keyed, so without any
    change it gives the same numbers."""
    prepare_branch(run, out, step, settings, trust)
    return resume(out, watcher)


def prepare_branch(
    run: Path, out: Path, step: int | None, settings: Iterable[str], trust: Trust = False
) -> int:
    """The new folder, as if it had come to this step; gives the step."""
    saved, state = checkpoint.load_state(run, step)
    sizes = run_folder.growing_files(Path(), state.get("sizes"))
    before = load_config(run / "config.toml")
    config = with_settings(before, settings)
    check_run(run, config, trust)
    if config.policy != before.policy:
        raise BadData("a branch goes on with the policy of its run; [policy] cannot change")
    if config.train.steps <= state["step"]:
        raise BadData(
            f"the branch begins at step {state['step']} and is to end at {config.train.steps}; "
            "set steps= to more"
        )
    knobs = _knobs_after(Knobs(**state["knobs"]), before, config)
    state |= {"knobs": asdict(knobs), "stopped": False}
    _check_room(out)
    with run_folder.lock(out), run_folder.one_line(f"branch into {out}"):
        _check_room(out)
        _make_room(out)
        _copy(run, out, saved, state, sizes)
        record_consent(out, config, to_toml(config))
        write_atomically(out / "config.toml", to_toml(config))
        (out / run_folder.BRANCHING).unlink()
    return int(state["step"])


def _check_room(out: Path) -> None:
    """Refuses a folder with anything in it but a branch that was cut short."""
    cut_short = (out / run_folder.BRANCHING).exists()
    names = {path.name for path in out.iterdir()} if out.is_dir() else set()
    if names - {".lock"} and not cut_short:
        raise BadData(f"{out} is not empty: a branch needs a folder of its own")


def _make_room(out: Path) -> None:
    """Removes what a branch that was cut short has copied, and marks the folder as unfinished."""
    marker = out / run_folder.BRANCHING
    if marker.exists():
        shutil.rmtree(out / "checkpoints", ignore_errors=True)
        shutil.rmtree(out / "samples", ignore_errors=True)
        for name in (*run_folder.LOGS, *run_folder.BEGINNING, "config.toml"):
            (out / name).unlink(missing_ok=True)
    marker.touch()


def _copy(
    run: Path, out: Path, saved: Path, state: Mapping[str, Any], sizes: Mapping[Path, int]
) -> None:
    there = out / "checkpoints" / saved.name
    there.mkdir(parents=True)
    for path in saved.iterdir():
        if path.is_file():
            shutil.copyfile(path, there / path.name)
    (there / "state.json").write_text(json.dumps(state), encoding="utf-8")
    if (there / "manifest.json").exists():
        write_manifest(there, interrupted=False)
    (out / "samples").mkdir(exist_ok=True)
    for path, size in sizes.items():
        if (run / path).is_file():  # samples may have been thrown away
            shutil.copyfile(run / path, out / path)
            cut_back(out / path, size)
    for name in ("rehearsal.safetensors", "start.json"):
        if (run / name).is_file():
            shutil.copyfile(run / name, out / name)
    for table in (run / "samples").glob("step-*.csv"):
        number = run_folder.table_step(table)
        if number is not None and number <= state["step"]:
            shutil.copyfile(table, out / "samples" / table.name)


def _knobs_after(knobs: Knobs, before: Config, after: Config) -> Knobs:
    """The knobs in force, but for those that the branch sets."""
    changed = {
        name: getattr(after.recipe, name)
        for name in ("kl", "reward_scale", "entropy")
        if getattr(after.recipe, name) not in (None, getattr(before.recipe, name))
    }
    return replace(knobs, **changed)


# ---------------------------------------------------------------------- a grid


@dataclass(frozen=True)
class Run:
    """One run of a sweep: its settings, its folder, its last evaluation, or why there is none."""

    settings: tuple[str, ...]
    folder: Path
    last: Mapping[str, Any] | None = None
    error: str = ""


def grid(axes: Mapping[str, Sequence[str]]) -> list[tuple[str, ...]]:
    """Every combination of ``key=value`` settings."""
    return [
        tuple(f"{key}={value}" for key, value in zip(axes, values, strict=True))
        for values in itertools.product(*axes.values())
    ]


def sweep(
    config: Config,
    axes: Mapping[str, Sequence[str]],
    out: Path,
    jobs: int | None = None,
    tell: Callable[[Run], None] | None = None,
    pack: bool = False,
    on: str = "local",
) -> list[Run]:
    """Every combination of the axes as a run of its own under ``out``, one core each.

    Runs that are complete already are not repeated, and broken ones go on, so a sweep that was
    killed is started again by the same command, and a run whose worker died goes on from its last
    checkpoint in another. ``on`` is where the runs run (:func:`qdlaws.core.parallel.parse_place`):
    processes here, or a cluster of Ray, Dask or Slurm that sees the same folders.
    With ``pack`` several policies train at once in this one process, as threads: on a GPU they
    then share its context, which pays for tiny ones; on processor cores, processes are faster.
    """
    place = parse_place(on)
    if pack and place.engine != "local":
        raise BadData("--pack trains in this one process: it goes with --on local only")
    combinations = grid(axes)
    if not combinations:
        raise BadData("nothing to sweep: name at least one axis, such as recipe.kl=.01,.1")
    single = replace(config, train=replace(config.train, threads=1))
    work = [_Job(with_settings(single, s), s, out / _name(s)) for s in combinations]
    if len({job.folder for job in work}) < len(work):
        raise BadData("two runs of the sweep would write one folder: values of an axis are equal")
    with run_folder.one_line(f"use {out} as the folder of a sweep"):
        out.mkdir(parents=True, exist_ok=True)
    runs = {}
    for number, result in run_tasks(
        _one, work, on=place, jobs=jobs, threads=pack, folder=out / "slurm-logs"
    ):
        if isinstance(result, WorkerLost):
            result = Run(work[number].settings, work[number].folder, None, str(result))
        runs[number] = result
        if tell is not None:
            tell(runs[number])
    return [runs[number] for number in sorted(runs)]


@dataclass(frozen=True)
class _Job:
    """A run of a sweep that is to be."""

    config: Config
    settings: tuple[str, ...]
    folder: Path


def _one(job: _Job) -> Run:
    """Runs, goes on with, or reads a run; an error is kept, and the others go on."""
    config, folder = job.config, job.folder
    try:
        if not _is_complete(folder):
            if fresh_start.has_progress(folder):
                resume(folder, trust=consent_hash(folder, config, to_toml(config)))
            else:
                train(config, folder)
    except QdlawsError as error:
        if not _is_complete(folder):  # by another sweep on the same folder, meanwhile
            return Run(job.settings, folder, None, str(error))
    rows = read_rows(folder / "metrics.jsonl", "eval")
    return Run(job.settings, folder, rows[-1] if rows else None)


def _is_complete(folder: Path) -> bool:
    return (folder / "summary.json").exists()


def _name(settings: Sequence[str]) -> str:
    short = [s.partition(".")[2] if "." in s.partition("=")[0] else s for s in settings]
    return ",".join(s.replace("/", "-").replace(" ", "") for s in short)
