"""``qdtrain partition``: trains a classifier of which answers say the same."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from qdlaws.errors import BadData
from trainer.cli.answers import nothing_on_stdout

__all__ = ["partition"]


def partition(
    out: Annotated[Path, typer.Option("--out", help="Folder of the classifier.")],
    pairs: Annotated[
        Path | None,
        typer.Option("--pairs", help="Table of pairs: columns a, b, same (0 or 1), group perhaps."),
    ] = None,
    task: Annotated[
        str | None,
        typer.Option("--task", help="Or a task: its keys label the wordings of its corpus."),
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="An option of the task; may stand often."),
    ] = None,
    examples: Annotated[int, typer.Option("--examples", help="Answers of the corpus.")] = 20_000,
    epochs: Annotated[int, typer.Option("--epochs", help="Passes over the pairs.")] = 8,
    characters: Annotated[
        bool | None,
        typer.Option("--characters/--words", help="What is read; by default as the texts are."),
    ] = None,
    seed: Annotated[int, typer.Option("--seed")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON and nothing else.")] = False,
) -> None:
    """Train a partition for recipes that reward diversity: which answers say the same."""
    from qdlaws.measure.equivalence.learned import train_partition
    from trainer.config import Config, with_settings
    from trainer.tasks import capabilities
    from trainer.tasks.labelled_pairs import pairs_of_file, pairs_of_task
    from trainer.tasks.task_process import open_task

    if (pairs is None) == (task is None):
        raise BadData("one of --pairs TABLE and --task NAME was needed")
    if settings and task is None:
        raise BadData("--set changes an option of the task: --task NAME was needed")
    with nothing_on_stdout(as_json):
        if pairs is not None:
            shown = pairs_of_file(pairs)
        else:
            keys = [s if s.startswith("task.") else f"task.{s}" for s in settings or []]
            given = with_settings(Config(), [f"task={task}", *keys]).task
            made = open_task(given.name, given.options, given.answer_seconds)
            try:
                shown = pairs_of_task(made, examples, seed)
            finally:
                capabilities.close(made)
        spelled = shown.spelled if characters is None else characters
        learned = train_partition(
            shown.pairs,
            shown.same,
            groups=shown.groups,
            characters=spelled,
            epochs=epochs,
            seed=seed,
        )
        learned.save(out)
    if as_json:
        report = asdict(learned.report)
        report["beats_constant"] = learned.report.beats_constant
        typer.echo(json.dumps({"folder": str(out), "characters": spelled, **report}))
        return
    typer.echo(str(learned.report))
    if not learned.report.beats_constant:
        more = "--examples and --epochs" if task is not None else "--epochs, or a longer table"
        typer.echo(f"{out}: not fit to train with; try more {more}")
        return
    typer.echo(f"{out}: train with --set task.equivalence=learned:{out}")
