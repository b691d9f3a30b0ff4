"""The options that several commands share, each declared once.

A command takes the reader of logs, or the goal, as one parameter; :func:`with_options` puts the
options that it is made from on the command line.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import partial, wraps
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from typer import Argument, Option

from qdlaws import Goal, RunLog, read

__all__ = ["Horizon", "Json", "Level", "Logs", "Plot", "Reader", "goal", "reader", "with_options"]

Command = TypeVar("Command", bound=Callable[..., None])
Reader = Callable[[Path], RunLog]
"""Reads the log at a path, with the columns that the command line names."""

Word = str | None
Number = float | None

Logs = Annotated[
    list[Path],
    Argument(metavar="LOG...", help="The runs: for each a file or folder of any supported tool."),
]
Json = Annotated[bool, Option("--json", help="Print JSON and nothing else.")]
Level = Annotated[float, Option(help="Level of the intervals.")]
Horizon = Annotated[Number, Option(help="Steps to forecast; by default half of those run.")]
Plot = Annotated[
    Path | None, Option(help="Write the picture to this file; those of several runs are numbered.")
]


def reader(
    quality: Annotated[Word, Option(help="Column to take for quality.")] = None,
    diversity: Annotated[Word, Option(help="Column to take for diversity.")] = None,
    entropy: Annotated[Word, Option(help="Column to take for entropy.")] = None,
    step: Annotated[Word, Option(help="Column to take for the step.")] = None,
    series: Annotated[
        Literal["auto", "train", "eval"], Option(help="Which rows of the log to take.")
    ] = "auto",
) -> Reader:
    """The reader of logs that takes the named columns."""
    return partial(
        read, quality=quality, diversity=diversity, entropy=entropy, step=step, series=series
    )


def goal(
    min_diversity: Annotated[Number, Option(help="Goal: diversity to keep.")] = None,
    min_entropy: Annotated[Number, Option(help="Goal: entropy to keep.")] = None,
    price: Annotated[
        Number, Option(help="Goal: what a unit of diversity is worth in quality.")
    ] = None,
    target_quality: Annotated[Number, Option(help="Goal: quality that is enough.")] = None,
    min_gain_per_step: Annotated[Number, Option(help="Goal: stop below this gain.")] = None,
    budget_steps: Annotated[Number, Option(help="Goal: last step to run.")] = None,
) -> Goal:
    """The goal of the run."""
    return Goal(min_diversity, min_entropy, price, min_gain_per_step, target_quality, budget_steps)


def with_options(**makers: Callable[..., Any]) -> Callable[[Command], Command]:
    """A decorator: each named parameter of a command is made from the options of its maker.

    ``@with_options(read=reader)`` puts the parameters of :func:`reader` in the place of the
    command's parameter ``read``, and calls the command with what :func:`reader` returns for them.
    """
    options = {name: inspect.signature(make, eval_str=True) for name, make in makers.items()}

    def decorate(command: Command) -> Command:
        signature = inspect.signature(command, eval_str=True)
        parameters = [
            option.replace(kind=inspect.Parameter.KEYWORD_ONLY)
            for name, parameter in signature.parameters.items()
            for option in (options[name].parameters.values() if name in options else [parameter])
        ]

        @wraps(command)
        def run(**values: Any) -> None:
            for name, make in makers.items():
                given = {option: values.pop(option) for option in options[name].parameters}
                values[name] = make(**given)
            command(**values)

        # Typer reads the options of a command from these two.
        run.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
        run.__annotations__ = {option.name: option.annotation for option in parameters}
        return run  # type: ignore[return-value]

    return decorate
