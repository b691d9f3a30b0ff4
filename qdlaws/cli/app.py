"""The commands: ``qdlaws fit LOG`` and its companions.

Every command takes one or more logs and prints something that a person likes to read; with --json
it prints one JSON object and nothing else on stdout. Bad input is one line on stderr and exit
status 2.
"""

from __future__ import annotations

import sys
import warnings
from pathlib import Path
from typing import Literal, NoReturn

import typer

import qdlaws as qd
from qdlaws.cli.checked_fits import checked
from qdlaws.cli.options import Reader, reader, with_options
from qdlaws.cli.output import answers, json_line, print_answers, print_error, print_text, save_plots
from qdlaws.cli.plugins import reinvent4
from qdlaws.cli.watching import watch_command, with_default_port
from qdlaws.errors import QdlawsError
from qdlaws.reporting.build import RunLeftOut
from qdlaws.reporting.run_data import without_laws

__all__ = ["app", "main"]

app = typer.Typer(pretty_exceptions_enable=False, rich_markup_mode=None)


def main() -> None:
    """Runs the command of the command line; bad input ends in one line and exit status 2."""
    try:
        sys.exit(app(with_default_port(sys.argv[1:]), standalone_mode=False))
    except QdlawsError as error:
        _refuse(str(error))
    except typer.TyperException as error:
        _refuse(f"{error.format_message()} (--help shows the options)")
    except BrokenPipeError:  # the reader of the output has left, e.g. `| head`
        sys.stderr.close()
        sys.exit(0)


def _refuse(words: str) -> NoReturn:
    print_error(words)
    sys.exit(2)


@app.callback(invoke_without_command=True)
def _qdlaws(context: typer.Context) -> None:
    """The laws of quality, diversity and entropy along an RL fine-tuning run.

    Quality R (the reward), diversity D and entropy H are read from the log of
    any trainer. Three laws are fitted to the checkpoints of a run:

    \b
      quality on diversity   R = b − a·exp(c·D)
      quality on entropy     R = b0 − a0·exp(c0·H)
      entropy on diversity   H = slope·D + intercept

    Where the data do not support a law, the verdict says so.
    """
    if context.invoked_subcommand is None:
        print(context.get_help(), file=sys.stderr)
        raise typer.Exit(2)


app.command("watch")(watch_command)
app.add_typer(reinvent4, name="reinvent4")


@app.command("fit")
@with_options(read=reader)
def fit_command(
    logs: list[Path],
    *,
    plot: Path | None = None,
    price: float | None = None,
    level: float = 0.95,
    regimes: Literal["separate", "shared", "ignore"] = "separate",
    details: bool = False,
    classical: bool = False,
    certificate: bool = True,
    as_json: bool = False,
    read: Reader,
) -> None:
    """Fit the three laws of each run: verdicts, numbers, intervals.

    Example: qdlaws fit runs/grpo-3 --plot laws.png
    """
    qd.Goal(price=price)  # refuses a price that makes no sense

    def fitted(path: Path) -> qd.LawFits:
        log = read(path)
        return without_laws(log) or qd.fit(log, level=level, regimes=regimes)

    fits = answers(logs, fitted)
    for one in fits if plot is not None else ():
        if not any(True for _ in one.laws()):
            raise QdlawsError(
                f"{one.log.source}: there is no law to draw, only {one.log.columns[0]} was "
                "measured; qdlaws forecast --plot draws it"
            )
    results = [
        checked(f, certificate, details=details, classical=classical, price=price) for f in fits
    ]
    save_plots(fits, plot, price=price)
    print_answers(logs, results, as_json)


@app.command("forecast")
@with_options(read=reader)
def forecast_command(
    logs: list[Path],
    *,
    horizon: float | None = None,
    plot: Path | None = None,
    level: float = 0.8,
    as_json: bool = False,
    read: Reader,
) -> None:
    """Where quality, diversity and entropy will be, with intervals.

    Example: qdlaws forecast runs/grpo-3 --horizon 500
    """

    def forecast(path: Path) -> qd.Forecast:
        return qd.forecast(_laws_or_log(read(path)), horizon, level=level)

    results = answers(logs, forecast)
    save_plots(results, plot)
    print_answers(logs, results, as_json)


def _laws_or_log(log: qd.RunLog) -> qd.LawFits | qd.RunLog:
    """The fitted laws, or the log itself where no law can be fitted (one column, few points)."""
    try:
        return qd.fit(log)
    except (qd.MissingColumn, qd.NotEnoughData):
        return log


@app.command("advise")
@with_options(read=reader, goal=qd.Goal)
def advise_command(logs: list[Path], *, as_json: bool = False, read: Reader, goal: qd.Goal) -> None:
    """What to do now, which checkpoint to keep, and why.

    The advice is to continue, to stop, to wait (the log says too little), to
    tighten (hold the policy closer to its reference) or to loosen.

    Example: qdlaws advise runs/grpo-3 --min-diversity 0.7
    """
    print_answers(logs, answers(logs, lambda path: qd.advise(read(path), goal)), as_json)


@app.command("compare")
@with_options(read=reader)
def compare_command(
    logs: list[Path], *, plot: Path | None = None, as_json: bool = False, read: Reader
) -> None:
    """Whether several runs follow one law, and in what they differ.

    Example: qdlaws compare runs/*
    """
    if len(logs) < 2:
        raise QdlawsError(f"one log was given, {logs[0]}; a comparison needs two or more")
    result = qd.compare(answers(logs, read), names=[str(path) for path in logs])
    save_plots([result], plot)
    print_answers(logs[:1], [result], as_json)


@app.command("atlas")
@with_options(read=reader)
def atlas_command(
    logs: list[Path],
    *,
    plot: Path | None = None,
    level: float = 0.95,
    as_json: bool = False,
    read: Reader,
) -> None:
    """Each run beside the laws of 71 public runs.

    Example: qdlaws atlas runs/grpo-3
    """
    results = answers(logs, lambda path: qd.atlas(qd.fit(read(path), level=level)))
    save_plots(results, plot)
    print_answers(logs, results, as_json)


@app.command("backtest")
@with_options(read=reader)
def backtest_command(
    logs: list[Path],
    *,
    column: Literal["quality", "diversity", "entropy"] = "quality",
    level: float = 0.8,
    as_json: bool = False,
    read: Reader,
) -> None:
    """How good the forecasts would have been earlier in the run.

    Example: qdlaws backtest runs/grpo-3
    """
    results = answers(logs, lambda path: qd.backtest(read(path), column, level=level))
    print_answers(logs, results, as_json)


@app.command("report")
@with_options(read=reader, goal=qd.Goal)
def report_command(
    logs: list[Path],
    *,
    out: Path = Path("report.html"),
    horizon: float | None = None,
    level: float = 0.95,
    certificates: bool | None = None,
    as_json: bool = False,
    read: Reader,
    goal: qd.Goal,
) -> None:
    """Write one self-contained HTML page about one or many runs.

    Example: qdlaws report runs/* --out report.html --min-diversity 0.7
    """
    with warnings.catch_warnings(record=True) as notices:
        warnings.simplefilter("always", RunLeftOut)
        written = qd.report(
            logs, out, goal, horizon=horizon, level=level, certificates=certificates, reader=read
        )
    for notice in notices:
        print_error(str(notice.message))
    print_text(json_line({"report": str(written)}) if as_json else written)


if __name__ == "__main__":
    main()
