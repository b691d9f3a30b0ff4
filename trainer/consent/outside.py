"""What a configuration names beyond this project and the folder of its run.

That is code of the user's (tasks, rewards, objectives, samplers), code that comes with a model,
models and data sets of the hub, classifiers of TDC, trackers on other machines, and files outside
of the run's folder. It is read off the texts of the configuration; nothing is imported.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trainer.config import Config, at_step
from trainer.policy.bundled_priors import PRIORS
from trainer.tasks import TASKS
from trainer.tasks.equivalence import LEARNED
from trainer.tasks.molecules.external_scores import TDC
from trainer.user_code import is_reference, source_files

__all__ = ["Outside", "named_outside"]

REMOTE_TRACKERS = ("wandb", "mlflow")
"""They send the metrics to another machine; TensorBoard writes into the run's folder."""
REMOTE_CODE = "policy.trust_remote_code"


@dataclass(frozen=True)
class Outside:
    """One thing outside of the project: the key and value that name it, and what it does."""

    key: str
    value: str
    effect: str
    files: tuple[Path, ...] = ()
    """The code that would run, or the files that decide what it does."""

    def __str__(self) -> str:
        return f"{self.key} = {self.value} {self.effect}"


def named_outside(
    config: Config, folder: Path, checkpoint: Path | None = None
) -> tuple[Outside, ...]:
    """Everything that the configuration of the run in ``folder`` names, its stages included.

    ``checkpoint``: the model that is loaded instead of the configured one, whose code counts where
    the configuration lets a model bring code.
    """
    stages = [config, *(at_step(config, stage.at) for stage in config.stages)]
    items = [item for each in stages for item in _named(each, folder)]
    if config.policy.trust_remote_code and checkpoint is not None:
        items += _code_of_model(str(checkpoint))
    return tuple(dict.fromkeys(items))


def _named(config: Config, folder: Path) -> Iterator[Outside]:
    task, policy = config.task, config.policy
    if task.name not in TASKS:
        yield _function("task.name", task.name)
    for key, text in _texts("task", task.options):
        if key == "task.equivalence" and text.startswith(LEARNED):
            yield from _classifier(key, text, folder)
        elif is_reference(text):
            yield _function(key, text)
        elif task.name == "molecules" and text.lower() in TDC:
            yield Outside(key, text, "downloads a classifier by PyTDC and unpickles it")
    if task.name == "dataset":
        named = str(task.options.get("embedding", ""))
        if named and not is_reference(named) and not _is_inside(named, folder):
            effect = "is a folder to be read" if Path(named).is_dir() else "is taken from the hub"
            yield Outside("task.embedding", named, effect)
        for key in ("path", "eval_path"):
            if key in task.options and not _is_inside(str(task.options[key]), folder):
                yield Outside(f"task.{key}", str(task.options[key]), "is a file to be read")
        if "hub" in task.options:
            yield Outside("task.hub", str(task.options["hub"]), "is downloaded from the hub")
    seeds = str(config.recipe.options.get("seeds", ""))
    if seeds and not _is_inside(seeds, folder):
        yield Outside("recipe.seeds", seeds, "is a file to be read")
    if is_reference(config.train.sampler):
        yield _function("train.sampler", config.train.sampler)
    for key, model in (("model", policy.model), ("reference", policy.reference)):
        if model is None or model in PRIORS:
            continue
        if not _is_inside(model, folder):
            effect = "is a folder to be read" if Path(model).is_dir() else "is taken from the hub"
            yield Outside(f"policy.{key}", model, effect)
        if policy.trust_remote_code:
            yield from _code_of_model(model)
    for tracker in config.log.sinks:
        if tracker in REMOTE_TRACKERS:
            yield Outside("log.sinks", tracker, "sends the metrics to another machine")


def _function(key: str, reference: str) -> Outside:
    module = reference.partition(":")[0]
    files = tuple(source_files(reference))
    where = str(files[-1]) if files else "which is not to be found here"
    return Outside(key, reference, f"imports {module} ({where})", files)


def _classifier(key: str, text: str, folder: Path) -> Iterator[Outside]:
    """A learned partition: settings and weights, no code."""
    path = Path(text.removeprefix(LEARNED))
    if not _is_inside(str(path), folder):
        files = tuple(
            p for n in ("partition.json", "model.safetensors") if (p := path / n).is_file()
        )
        yield Outside(key, text, "is a folder with a classifier to be read", files)


def _code_of_model(model: str) -> Iterator[Outside]:
    """The code of a model: its Python files, and the settings that name code (``auto_map``)."""
    folder = Path(model)
    settings = [path for path in folder.glob("*.json") if b"auto_map" in path.read_bytes()]
    files = tuple(sorted([*folder.glob("*.py"), *settings]))
    if files or not folder.is_dir():  # of a model on the hub nothing is known before it is there
        yield Outside(REMOTE_CODE, "true", f"runs the code that comes with {model}", files)


def _is_inside(path: str, folder: Path) -> bool:
    """Whether a path leads to a place in the run's folder, links followed."""
    return Path(path).exists() and Path(path).resolve().is_relative_to(folder.resolve())


def _texts(key: str, value: Any) -> Iterator[tuple[str, str]]:
    """Every text among options, however deep, with its dotted key."""
    if isinstance(value, str):
        yield key, value
    elif isinstance(value, Mapping):
        for name, each in value.items():
            yield from _texts(f"{key}.{name}", each)
    elif isinstance(value, Sequence):
        for each in value:
            yield from _texts(key, each)
