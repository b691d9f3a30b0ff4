"""The command ``qdtrain``."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from qdlaws.core.serialize import printable
from qdlaws.errors import BadData
from trainer.cli.answers import error_line, nothing_on_stdout
from trainer.cli.partition import partition
from trainer.cli.pretrain import pretrain
from trainer.cli.reinvent_import import import_reinvent

if TYPE_CHECKING:
    from trainer.config import Config
    from trainer.consent import Trust
    from trainer.loop import Outcome

__all__ = ["app", "main"]

app = typer.Typer(
    help="Fine-tune a language model by RL, made of pieces that compose.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)

Settings = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Change one setting; may stand many times."),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON and nothing else.")]
Trusted = Annotated[
    bool, typer.Option("--trust", help="Allow what the file names beyond this project.")
]
TrustedHash = Annotated[
    str | None,
    typer.Option("--trust-hash", metavar="HASH", help="Allow it where it has this hash."),
]
Quiet = Annotated[bool, typer.Option("--quiet", help="Show no progress.")]


@app.command()
def run(
    config: Annotated[str, typer.Argument(help="A TOML file, or the name of a bundled one.")],
    out: Annotated[Path, typer.Option("--out", help="The run's folder.")],
    settings: Settings = None,
    quiet: Quiet = False,
    trust: Trusted = False,
    trust_hash: TrustedHash = None,
) -> None:
    """Train: everything that the run does lies in --out afterwards."""
    from trainer.loop import train

    chosen = _chosen(config, settings, trust, trust_hash)
    with _display(chosen.train.steps, quiet) as watcher:
        outcome = train(chosen, out, watcher)
    _print_outcome(outcome)


@app.command()
def resume(
    folder: Annotated[Path, typer.Argument(help="The folder of a run that was cut short.")],
    quiet: Quiet = False,
    trust: Trusted = False,
    trust_hash: TrustedHash = None,
) -> None:
    """Go on from the newest checkpoint, to the numbers that an unbroken run gives."""
    from trainer import loop
    from trainer.config import load_config

    steps = load_config(folder / "config.toml").train.steps if folder.is_dir() else 0
    trusted = _trust(folder, trust, trust_hash)
    with _display(steps, quiet) as watcher:
        outcome = loop.resume(folder, watcher, trusted)
    _print_outcome(outcome)


@app.command()
def branch(
    folder: Annotated[Path, typer.Argument(help="The run to start from.")],
    out: Annotated[Path, typer.Option("--out", help="The new run's folder.")],
    at: Annotated[int | None, typer.Option("--at", help="Step of the checkpoint.")] = None,
    settings: Settings = None,
    quiet: Quiet = False,
    trust: Trusted = False,
    trust_hash: TrustedHash = None,
) -> None:
    """What if: the run again from a checkpoint on, with other settings."""
    from trainer.config import load_config
    from trainer.loop import resume as resume_run
    from trainer.runs import prepare_branch

    prepare_branch(folder, out, at, settings or [], _trust(folder, trust, trust_hash))
    with _display(load_config(out / "config.toml").train.steps, quiet) as watcher:
        outcome = resume_run(out, watcher)
    _print_outcome(outcome)


@app.command()
def sweep(
    config: Annotated[str, typer.Argument(help="A TOML file, or the name of a bundled one.")],
    out: Annotated[Path, typer.Option("--out", help="Folder of the runs.")],
    axis: Annotated[
        list[str],
        typer.Option(
            "--axis", metavar="KEY=V1,V2,…", help="Values of a key; may stand many times."
        ),
    ],
    settings: Settings = None,
    jobs: Annotated[
        int | None, typer.Option("--jobs", help="Workers started here; one for each core.")
    ] = None,
    on: Annotated[
        str,
        typer.Option(
            "--on",
            metavar="PLACE",
            help="Where the runs run: local, ray[:ADDRESS], dask[:ADDRESS] or slurm; options of "
            "the engine after commas, such as ray:auto,num_gpus=1.",
        ),
    ] = "local",
    pack: Annotated[
        bool, typer.Option("--pack", help="Train them at once in one process: tiny ones on a GPU.")
    ] = False,
    as_json: Json = False,
    trust: Trusted = False,
    trust_hash: TrustedHash = None,
) -> None:
    """A grid of runs, one core each; started again, it goes on where it was.

    A run whose worker was lost goes on from its checkpoint in another.
    """
    from trainer.cli.display import print_sweep, sweep_row
    from trainer.runs import sweep as sweep_runs

    axes = dict(_axis(text) for text in axis)
    chosen = _chosen(config, settings, trust, trust_hash)

    def print_end(one: Any) -> None:
        if not as_json:
            typer.echo(printable(f"{one.folder.name}: {one.error or 'done'}"), err=True)

    with nothing_on_stdout(as_json):
        runs = sweep_runs(chosen, axes, out, jobs, print_end, pack, on)
    if as_json:
        typer.echo(json.dumps([sweep_row(one) for one in runs], ensure_ascii=False))
    else:
        print_sweep(runs)
    if all(one.error for one in runs):
        raise SystemExit(1)


@app.command()
def export(
    checkpoint: Annotated[Path, typer.Argument(help="A checkpoint, or a run: its newest.")],
    out: Annotated[Path, typer.Option("--out", help="The model's folder.")],
    trust: Trusted = False,
    trust_hash: TrustedHash = None,
) -> None:
    """Write the model of a checkpoint alone: parts put together, adapters merged."""
    from trainer.training.export_checkpoint import export_checkpoint

    typer.echo(f"wrote {export_checkpoint(checkpoint, out, _trust(checkpoint, trust, trust_hash))}")


@app.command()
def evaluate(
    checkpoint: Annotated[str, typer.Argument(help="A checkpoint, a run's folder, or a model.")],
    config: Annotated[
        str | None, typer.Option("--config", help="Configuration; by default that of the run.")
    ] = None,
    samples: Annotated[int, typer.Option("--samples", help="Fresh completions.")] = 1000,
    out: Annotated[Path | None, typer.Option("--out", help="CSV of the completions.")] = None,
    settings: Settings = None,
    as_json: Json = False,
    trust: Trusted = False,
    trust_hash: TrustedHash = None,
) -> None:
    """Quality, diversity, entropy, KL and pass@k of any checkpoint, on fresh samples."""
    from trainer.cli.display import print_evaluation
    from trainer.training.evaluate_checkpoint import evaluate_checkpoint

    trusted = _trust(Path(config or checkpoint), trust, trust_hash)
    with nothing_on_stdout(as_json):
        row = evaluate_checkpoint(checkpoint, config, samples, out, settings or [], trusted)
    if as_json:
        typer.echo(json.dumps(row, ensure_ascii=False))
    else:
        print_evaluation(row)


@app.command()
def plan(
    config: Annotated[str, typer.Argument(help="A TOML file, or the name of a bundled one.")],
    samples: Annotated[int, typer.Option("--samples", help="Completions of the prior.")] = 2000,
    out: Annotated[
        Path | None,
        typer.Option("--out", help="Also as JSON, such as RUN/plan.json."),
    ] = None,
    settings: Settings = None,
    as_json: Json = False,
    trust: Trusted = False,
    trust_hash: TrustedHash = None,
) -> None:
    """Before the first step: what to expect at which KL strength, from the prior's samples."""
    from trainer.cli.display import print_plan
    from trainer.distributed.world import World
    from trainer.training.plan import make_plan, write_plan
    from trainer.training.setup import make_context
    from trainer.user_code import exits_are_failures

    chosen = _chosen(config, settings, trust, trust_hash)
    with nothing_on_stdout(as_json), exits_are_failures():
        context = make_context(chosen, World())
        try:
            made = make_plan(context, samples, chosen.control.min_diversity)
        finally:
            context.close()
    if out is not None:
        write_plan(out, made)
    if as_json:
        typer.echo(json.dumps(made.to_dict(), ensure_ascii=False))
    else:
        print_plan(made)


@app.command()
def recipes(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="[NAME…]", help="Recipes to show the pieces of.")
    ] = None,
    pieces: Annotated[bool, typer.Option("--pieces", help="Show what all are made of.")] = False,
    as_json: Json = False,
) -> None:
    """List the recipes with the tasks that each fits; by name, what a recipe is made of."""
    from trainer.algorithms.recipes import RECIPES, illustrated
    from trainer.cli.recipe_table import as_dict, print_pieces, print_table
    from trainer.tasks.task import nearest

    for name in names or []:
        if name not in RECIPES:
            raise BadData(f"no recipe {name!r}{nearest(name, RECIPES)}")
    made = [illustrated(name) for name in names or RECIPES]
    if as_json:
        typer.echo(json.dumps([as_dict(recipe) for recipe in made], indent=1, ensure_ascii=False))
    elif names or pieces:
        print_pieces(made)
    else:
        print_table(made)


@app.command()
def config(
    source: Annotated[
        str | None, typer.Argument(help="A TOML file, or the name of a bundled one.")
    ] = None,
    settings: Settings = None,
    schema: Annotated[
        bool, typer.Option("--schema", help="Print the JSON schema, for editors.")
    ] = False,
) -> None:
    """Print a whole configuration: every key with its value, default, type and meaning."""
    from trainer.cli.config_reference import annotated_toml, json_schema
    from trainer.config import Config, load_config, with_settings

    if schema:
        typer.echo(json.dumps(json_schema(), indent=1, ensure_ascii=False))
        return
    changes = settings or []
    chosen = load_config(source, changes) if source else with_settings(Config(), changes)
    typer.echo(annotated_toml(chosen), nl=False)


@app.command()
def configs() -> None:
    """List the bundled configurations."""
    from trainer.config import presets
    from trainer.config.settings import PRESETS

    for name in presets():
        first = (PRESETS / f"{name}.toml").read_text(encoding="utf-8").partition("\n")[0]
        typer.echo(f"{name:<22}{first.lstrip('# ')}")


app.command()(pretrain)
app.command()(partition)
app.command("import")(import_reinvent)


def main() -> None:
    """Entry point of ``qdtrain``: bad input ends in one line and status 2, a broken run in 1."""
    try:
        app()
    except Exception as error:
        answer = error_line(error)
        if answer is None:
            raise
        typer.echo(f"qdtrain: {answer[0]}", err=True)
        raise SystemExit(answer[1]) from None


def _chosen(config: str, settings: list[str] | None, trust: bool, hash_: str | None) -> Config:
    """The configuration that a command was given, its file checked as perhaps somebody else's."""
    from trainer.config import load_config
    from trainer.consent import check_file

    chosen = load_config(config, settings or [])
    check_file(config, chosen, _trust(Path(config), trust, hash_))
    return chosen


def _trust(source: Path, trust: bool, hash_: str | None) -> Trust:
    """Whether the user trusts a file or run; with --trust it is shown what is allowed by that."""
    if hash_ is not None or not trust:
        return hash_ or False
    from trainer.consent import trusted_items

    run = source.parent.parent if (source / "state.json").exists() else source
    for item in trusted_items(run):
        typer.echo(f"trusted: {printable(str(item))}", err=True)
    return True


def _axis(text: str) -> tuple[str, list[str]]:
    key, equals, values = text.partition("=")
    settings = [value.strip() for value in values.split(",") if value.strip()]
    if not equals or not settings:
        raise BadData(f"--axis {text!r}: key=value,value was needed, such as recipe.kl=0.01,0.1")
    return key.strip(), settings


@contextmanager
def _display(steps: int, quiet: bool) -> Iterator[Any]:
    """A watcher that shows the run, or none."""
    if quiet:
        yield None
        return
    from trainer.cli.display import Display

    with Display(steps, sys.stderr) as display:
        yield display


def _print_outcome(outcome: Outcome) -> None:
    """How it ended and what to do next."""
    kept = "" if outcome.kept is None else f"; keep checkpoint step-{outcome.kept:06d}"
    if outcome.ended == "interrupted":
        typer.echo(f"interrupted after step {outcome.step}; qdtrain resume {outcome.folder}")
        raise SystemExit(143)
    how = "stopped as advised" if outcome.ended == "stopped" else "done"
    typer.echo(f"{how} after step {outcome.step}{kept}; qdlaws report {outcome.folder}")
