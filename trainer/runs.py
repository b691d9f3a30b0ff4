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
from qdlaws.errors import BadData, QdlawsError
from trainer.config import Config, load_config, to_toml, with_settings
from trainer.consent import Trust, check_run, consent_hash, record_consent
from trainer.loop import Outcome, resume, train
from trainer.training import checkpoint
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
    if out.exists() and any(out.iterdir()):
        raise BadData(f"{out} is not empty: a branch needs a folder of its own")
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
    state["knobs"] = asdict(_knobs_after(Knobs(**state["knobs"]), before, config))
    out.mkdir(parents=True, exist_ok=True)
    try:
        _copy(run, out, saved, state)
        write_atomically(out / "config.toml", to_toml(config))
        record_consent(out, config, to_toml(config))
    except OSError as error:
        shutil.rmtree(out, ignore_errors=True)
        raise QdlawsError(f"cannot branch into {out}: {error.strerror or error}") from None
    return int(state["step"])


def _copy(run: Path, out: Path, saved: Path, state: Mapping[str, Any]) -> None:
    there = out / "checkpoints" / saved.name
    shutil.copytree(saved, there)
    (there / "state.json").write_text(json.dumps(state), encoding="utf-8")
    (out / "samples").mkdir(exist_ok=True)
    for name, size in state["sizes"].items():
        shutil.copyfile(run / name, out / name)
        cut_back(out / name, size)
    for name in ("rehearsal.safetensors", "start.json"):
        if (run / name).exists():
            shutil.copyfile(run / name, out / name)
    for table in (run / "samples").glob("step-*"):
        if int(table.stem.removeprefix("step-")) <= state["step"]:
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
) -> list[Run]:
    """Every combination of the axes as a run of its own under ``out``, one core each.

    Runs that are complete already are not repeated, and broken ones go on, so a sweep that was
    killed is started again by the same command. The work is handed to joblib: one process a core
    here, or whatever engine ``joblib.parallel_config(backend=…)`` names (dask, ray, a cluster).
    With ``pack`` several policies train at once in this one process, as threads: on a GPU they
    then share its context, which pays for tiny ones; on processor cores, processes are faster.
    """
    from joblib import Parallel, cpu_count, delayed

    combinations = grid(axes)
    if not combinations:
        raise BadData("nothing to sweep: name at least one axis, such as recipe.kl=.01,.1")
    single = replace(config, train=replace(config.train, threads=1))
    work = [(with_settings(single, s), s, out / _name(s)) for s in combinations]
    names = {folder.name for _, _, folder in work}
    if len(names) < len(work):
        raise BadData("two runs of the sweep would write one folder: values of an axis are equal")
    out.mkdir(parents=True, exist_ok=True)
    kind = {"backend": "threading"} if pack else {}
    parallel = Parallel(n_jobs=jobs or cpu_count(), return_as="generator_unordered", **kind)
    done = []
    for run in parallel(delayed(_one)(*each) for each in work):
        done.append(run)
        if tell is not None:
            tell(run)
    order = {folder: number for number, (_, _, folder) in enumerate(work)}
    return sorted(done, key=lambda run: order[run.folder])


def _one(config: Config, settings: tuple[str, ...], folder: Path) -> Run:
    """Runs, goes on with, or reads a run; an error is kept, and the others go on."""
    try:
        if not (folder / "summary.json").exists():
            if checkpoint.checkpoint_steps(folder):
                resume(folder, trust=consent_hash(folder, config, to_toml(config)))
            else:
                shutil.rmtree(folder, ignore_errors=True)
                train(config, folder)
        rows = read_rows(folder / "metrics.jsonl", "eval")
        return Run(settings, folder, rows[-1] if rows else None)
    except QdlawsError as error:
        return Run(settings, folder, None, str(error))


def _name(settings: Sequence[str]) -> str:
    short = [s.partition(".")[2] if "." in s.partition("=")[0] else s for s in settings]
    return ",".join(s.replace("/", "-").replace(" ", "") for s in short)
