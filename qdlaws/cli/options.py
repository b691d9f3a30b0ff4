"""The options of the commands: each has one line of help here, whichever commands take it.

A command states its options as plain parameters. The reader of logs, and the goal, are one
parameter each; :func:`with_options` puts the options that they are made from on the command line.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable
from functools import partial, wraps
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from typer import Argument, Option

from qdlaws import RunLog, read
from qdlaws.core.runlog import NUMBERED
from qdlaws.core.serialize import printable

__all__ = ["Reader", "reader", "with_options"]

Command = TypeVar("Command", bound=Callable[..., None])
Reader = Callable[[Path], RunLog]
"""Reads the log at a path, with the columns that the command line names."""

HELP = {
    "logs": "The runs: for each a file or folder of any supported tool.",
    "as_json": "Print JSON and nothing else.",
    "quality": "Column to take for quality.",
    "diversity": "Column to take for diversity.",
    "entropy": "Column to take for entropy.",
    "step": "Column to take for the step.",
    "series": "Which rows of the log to take.",
    "run": "Run to take where a file or store holds several.",
    "min_diversity": "Goal: diversity to keep.",
    "min_entropy": "Goal: entropy to keep.",
    "price": "Goal: what a unit of diversity is worth in quality.",
    "target_quality": "Goal: quality that is enough.",
    "min_gain_per_step": "Goal: stop below this gain.",
    "budget_steps": "Goal: last step to run.",
    "level": "Level of the intervals.",
    "horizon": "Steps to forecast; by default half of those run.",
    "column": "What to forecast.",
    "regimes": "How to fit the stages of a run that its marks divide.",
    "details": "Print each law by itself, with its parameters and reasons.",
    "classical": "Set lmfit, the HAC line and residual tests beside ours.",
    "certificate": "Check the intervals on runs that are simulated like this one.",
    "certificates": "Check the intervals by simulation; by default for up to 4 runs.",
    "plot": "Write the picture to this file; those of several runs are numbered.",
    "out": "The file to write.",
    "write": "Keep the newest advice in this file (JSON).",
    "every": "Seconds between looks.",
    "serve": "Show a live page at this port; 8765 where none is given.",
    "host": "Address to serve on; 0.0.0.0 lets other machines see the page.",
    "to": "Post advice, verdicts and forecast to this tracker.",
    "report": "Keep the report of the runs in this file (HTML), made anew at every look.",
    "once": "Look once and end.",
    "stop_file": "Create this file when the advice is to stop.",
    "signal": "Process to send a signal when the advice is to stop.",
    "signal_name": "The signal to send.",
}
FLAGS = {
    "as_json": ["--json"],
    "details": ["--details"],
    "once": ["--once"],
    "out": ["--out", "-o"],
}
ARGUMENTS = {"logs": "LOG..."}


def reader(
    quality: str | None = None,
    diversity: str | None = None,
    entropy: str | None = None,
    step: str | None = None,
    series: Literal["auto", "train", "eval"] = "auto",
    run: str | None = None,
) -> Reader:
    """The reader of logs that takes the named columns, and warns of rows without a step."""
    columns = partial(
        read,
        quality=quality,
        diversity=diversity,
        entropy=entropy,
        step=step,
        series=series,
        run=run,
    )

    def reading(path: Path) -> RunLog:
        log = columns(path)
        if log.is_numbered:
            print(printable(f"{path}: {NUMBERED}"), file=sys.stderr, flush=True)
        return log

    return reading


def with_options(**makers: Callable[..., Any]) -> Callable[[Command], Command]:
    """A decorator that declares the parameters of a command as its options, with their help.

    A parameter named in ``makers`` is no option itself: ``read=reader`` puts the parameters of
    :func:`reader` in its place, and the command gets what :func:`reader` returns for them.
    """
    made_from = {name: inspect.signature(make, eval_str=True) for name, make in makers.items()}

    def decorate(command: Command) -> Command:
        signature = inspect.signature(command, eval_str=True)
        options = [
            _declared(option)
            for name, parameter in signature.parameters.items()
            for option in (made_from[name].parameters.values() if name in makers else [parameter])
        ]

        @wraps(command)
        def run(**values: Any) -> None:
            for name, make in makers.items():
                values[name] = make(**{key: values.pop(key) for key in made_from[name].parameters})
            command(**values)

        # Typer reads the options of a command from these two.
        run.__signature__ = signature.replace(parameters=options)  # type: ignore[attr-defined]
        run.__annotations__ = {option.name: option.annotation for option in options}
        return run  # type: ignore[return-value]

    return decorate


def _declared(parameter: inspect.Parameter) -> inspect.Parameter:
    """The parameter with its flag and its help, as Typer reads them."""
    name = parameter.name
    if name in ARGUMENTS:
        declaration = Argument(metavar=ARGUMENTS[name], help=HELP[name])
    else:
        declaration = Option(*FLAGS.get(name, []), help=HELP[name])
    annotation = Annotated[parameter.annotation, declaration]  # type: ignore[name-defined]
    return parameter.replace(annotation=annotation, kind=inspect.Parameter.KEYWORD_ONLY)
