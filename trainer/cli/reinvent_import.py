"""``qdtrain import``: a configuration of REINVENT4 becomes one of this project."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from qdlaws.core.atomic_write import write_atomically
from qdlaws.errors import BadData
from trainer.cli.answers import nothing_on_stdout

__all__ = ["import_reinvent", "imported"]

Tree = dict[str, Any]

FILTERS = {
    "IdenticalMurckoScaffold": "scaffold",
    "IdenticalTopologicalScaffold": "topological",
    "ScaffoldSimilarity": "similar",
    "PenalizeSameSmiles": "same",
}
PENALTY = "IdenticalMurckoScaffoldRND"
NO_RESULT = {
    *("summary_csv_prefix", "tb_isim", "tb_logdir", "json_out_config", "use_cuda", "chkpt_file"),
    *("termination", "unique_sequences"),
}
"""Keys that name files or change no number."""


def import_reinvent(
    file: Annotated[Path, typer.Argument(help="A configuration of REINVENT4, TOML or JSON.")],
    out: Annotated[
        Path | None, typer.Option("--out", help="Where to write ours; by default it is printed.")
    ] = None,
) -> None:
    """Read a configuration of REINVENT4: print ours, and a line for each thing not taken over."""
    from trainer.config import read_config

    with nothing_on_stdout(True):
        tree, left_out = imported(file)
        read_config(tree)
    import tomli_w

    text = f"# From {file.name}, a configuration of REINVENT4\n{tomli_w.dumps(tree)}"
    if out is None:
        typer.echo(text, nl=False)
    else:
        write_atomically(out, text.encode())
        typer.echo(f"{out}: start with qdtrain run {out} --out runs/{out.stem}")
    for line in left_out:
        typer.echo(f"not taken over: {line}", err=True)


def imported(file: Path) -> tuple[Tree, list[str]]:
    """The configuration as nested tables, and a line for each thing that was left out."""
    given = _read(file)
    kind = given.get("run_type", "staged_learning")
    if kind not in ("staged_learning", "scoring"):
        raise BadData(f"{file}: run_type = {kind!r}; staged_learning or scoring was needed")
    left_out: list[str] = []
    stages = given.get("stage", []) if kind == "staged_learning" else [given]
    if not isinstance(stages, list) or not stages:
        raise BadData(f"{file}: a list [[stage]] with a scoring block was needed")
    objectives = []
    for number, stage in enumerate(stages, 1):
        where = f"stage {number}: " if len(stages) > 1 else ""
        objective, lines = _objective(stage, file)
        objectives.append(objective)
        left_out += [where + line for line in (*lines, *_stage_end(stage))]
    tree: Tree = {
        "policy": {"model": "molecules-250k"},
        "task": {"name": "molecules", "objective": objectives[0]},
        "recipe": {"name": "reinvent", **_recipe(given, stages[0], left_out)},
        "train": {"limit": 72, **_training(given, left_out)},
        "eval": {"every": 10, "samples": 400},
    }
    lengths = [stage["max_steps"] for stage in stages if "max_steps" in stage]
    if lengths:
        tree["train"]["steps"] = sum(lengths)
    if len(stages) > 1:
        tree["stages"] = [
            {"at": sum(lengths[:i]), "task.objective": objective}
            for i, objective in enumerate(objectives)
            if i > 0
        ]
    return tree, left_out


def _read(file: Path) -> Tree:
    try:
        data = file.read_bytes().decode()
        tree = json.loads(data) if file.suffix == ".json" else tomllib.loads(data)
    except OSError as error:
        raise BadData(f"{file} cannot be read: {error.strerror}") from None
    except ValueError as error:
        raise BadData(f"{file} is no TOML or JSON: {error}") from None
    if not isinstance(tree, dict):
        raise BadData(f"{file}: a configuration of REINVENT4 was needed")
    return tree


def _objective(stage: Mapping[str, Any], file: Path) -> tuple[Tree, list[str]]:
    """The objective of a stage; its components may stand in a file of their own beside this one."""
    from trainer.tasks.molecules.reinvent_scoring import import_scoring

    scoring = stage.get("scoring")
    if not isinstance(scoring, Mapping):
        raise BadData(f"{file}: a scoring block was needed, [scoring] or [stage.scoring]")
    if name := scoring.get("filename"):
        scoring = {**scoring, **_read(file.parent / name)}
    return import_scoring(scoring)


def _stage_end(stage: Mapping[str, Any]) -> Iterator[str]:
    ends = [f"{key} = {stage[key]}" for key in ("max_score", "min_steps") if key in stage]
    if ends:
        yield f"{', '.join(ends)}: a stage ends after its max_steps"
    known = {"max_score", "min_steps", "max_steps", "scoring", "diversity_filter", *NO_RESULT}
    if "max_steps" in stage:
        yield from (f"stage.{key}" for key in stage if key not in known)


def _recipe(given: Tree, stage: Tree, left_out: list[str]) -> Tree:
    """REINVENT's strength, filter, penalty and inception."""
    recipe: Tree = {}
    learning = given.get("learning_strategy", {})
    recipe["reward_scale"] = float(learning.get("sigma", 128))
    if (kind := learning.get("type", "dap")) != "dap":
        left_out.append(f"learning_strategy.type = {kind}: the loss is dap")
    chosen = given.get("diversity_filter") or stage.get("diversity_filter")
    if chosen:
        recipe |= _filter(chosen)
    elif penalty := given.get("intrinsic_penalty"):
        if (kind := penalty.get("type")) != PENALTY:
            raise BadData(f"intrinsic_penalty.type = {kind!r}; there is {PENALTY}")
        recipe |= {"filter": "scaffold", "penalty": str(penalty["penalty_function"]).lower()}
        names = {"bucket_size": "bucket", "minscore": "minscore", "learning_rate": "novelty_lr"}
        recipe |= {"novelty": True, **_renamed(penalty, names)}
    else:
        recipe["filter"] = "none"
    inception = given.get("inception")
    if inception is None:
        return recipe | {"replay": False}
    names = {"memory_size": "memory", "sample_size": "replayed", "smiles_file": "seeds"}
    return recipe | _renamed(inception, names)


def _filter(chosen: Mapping[str, Any]) -> Tree:
    kind = chosen.get("type")
    if kind not in FILTERS:
        raise BadData(f"diversity_filter.type = {kind!r}; there are {', '.join(FILTERS)}")
    names = {"bucket_size": "bucket", "minscore": "minscore"}
    if kind == "ScaffoldSimilarity":
        names["minsimilarity"] = "similarity"
    if kind == "PenalizeSameSmiles":
        names = {"penalty_multiplier": "multiplier"}
    return {"filter": FILTERS[kind], **_renamed(chosen, names)}


def _training(given: Tree, left_out: list[str]) -> Tree:
    """Batch, learning rate and temperature; what is not read is named."""
    parameters = given.get("parameters", {})
    names = {"batch_size": "samples", "temperature": "temperature"}
    train: Tree = {"prompts": 1, **_renamed(parameters, names)}
    if given.get("run_type", "staged_learning") == "staged_learning":
        train.setdefault("samples", 100)
        train["lr"] = float(given.get("learning_strategy", {}).get("rate", 1e-4))
    for key in ("prior_file", "agent_file"):
        if key in parameters:
            left_out.append(
                f"parameters.{key} = {parameters[key]}: models of REINVENT4 are not read; set "
                "policy.model to a bundled prior or a folder of transformers"
            )
    known = {*names, "prior_file", "agent_file", *NO_RESULT}
    left_out += [f"parameters.{key}" for key in parameters if key not in known]
    sections = {"run_type", "device", "parameters", "learning_strategy", "diversity_filter"}
    sections |= {"intrinsic_penalty", "inception", "stage", "scoring", *NO_RESULT}
    left_out += [f"[{key}]" for key in given if key not in sections]
    return train


def _renamed(table: Mapping[str, Any], names: Mapping[str, str]) -> Tree:
    return {ours: table[theirs] for theirs, ours in names.items() if table.get(theirs) is not None}
