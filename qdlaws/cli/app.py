"""The command line: ``qdlaws fit LOG`` and its companions.

Every command takes one or more logs, prints something a person likes to read, and with --json
prints one JSON object and nothing else on stdout. Bad input is one line on stderr and exit status
2.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from qdlaws.cli.options import (
    Budget,
    Diversity,
    Entropy,
    Horizon,
    Json,
    Level,
    Logs,
    MinDiversity,
    MinEntropy,
    MinGain,
    Price,
    Quality,
    Series,
    Step,
    TargetQuality,
    goal_of,
    print_json,
    reader_of,
)
from qdlaws.cli.show import report_command, watch_command
from qdlaws.errors import QdlawsError

if TYPE_CHECKING:
    from qdlaws.core.runlog import RunLog
    from qdlaws.laws.fit import LawFits

__all__ = ["app", "main"]

app = typer.Typer(
    name="qdlaws",
    help="The laws of quality, diversity and entropy along an RL fine-tuning run.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


def main() -> None:
    """The entry point: errors of ours become one line and exit status 2."""
    try:
        app()
    except QdlawsError as error:
        print(f"qdlaws: {' '.join(str(error).split())}", file=sys.stderr)
        sys.exit(2)
    except BrokenPipeError:  # the reader of our output has left, e.g. `| head`
        sys.stderr.close()
        sys.exit(0)


@app.callback()
def _callback() -> None:
    """Read the log of any trainer, fit the three laws, say plainly when a law does not hold."""


@app.command("fit")
def fit_command(
    logs: Logs,
    json_: Json = False,
    level: Level = 0.95,
    quality: Quality = None,
    diversity: Diversity = None,
    entropy: Entropy = None,
    step: Step = None,
    series: Series = "auto",
    plot: Annotated[Path | None, typer.Option(help="Write the pictures to this file.")] = None,
    price: Price = None,
    regimes: Annotated[str, typer.Option(help="separate, shared or ignore marks.")] = "separate",
    classical: Annotated[
        bool, typer.Option(help="Set lmfit, the HAC line and residual tests beside ours.")
    ] = False,
    certificate: Annotated[
        bool, typer.Option(help="Check the intervals on runs simulated from each fit.")
    ] = True,
) -> None:
    """Fit R on D, R on H and H on D; print verdicts, intervals and their certificate.

    Example: qdlaws fit runs/grpo-3 --plot laws.png
    """
    read = reader_of(quality, diversity, entropy, step, series)
    results = []
    for path in logs:
        fits = _fit(read(path), level=level, regimes=regimes)
        results.append((fits, _certificates(fits) if certificate else {}))
    if plot is not None:
        _save_plots([fits for fits, _ in results], plot, price=price)
    if json_:
        print_json([_fit_json(fits, certificates) for fits, certificates in results])
        return
    for fits, certificates in results:
        print(fits.summary(classical))
        if certificates:
            print("\ncertificate (simulated from each fit)")
            for name, text in certificates.items():
                print(f"  {name:<20} {text}")
        print()
    if plot is not None:
        print(f"pictures: {plot}")


def _fit_json(fits: LawFits, certificates: dict[str, Any]) -> dict[str, Any]:
    out = fits.to_dict()
    for kind, law in out["laws"].items():
        if law is not None:
            found = getattr(fits, kind)
            name = f"{found.y_name} on {found.x_name}"
            law["certificate"] = certificates[name].to_dict() if name in certificates else None
    return out


def _certificates(fits: LawFits) -> dict[str, Any]:
    from qdlaws.laws.result import LawFit

    return {
        f"{law.y_name} on {law.x_name}": law.certificate()
        for law in fits.laws()
        if isinstance(law, LawFit) and law.supported
    }


def _fit(log: RunLog, **options: Any) -> LawFits:
    from qdlaws.laws.fit import fit

    return fit(log, **options)


def _save_plots(results: list[Any], path: Path, **options: Any) -> None:
    """One picture a run; several runs get numbered files."""
    _agg()
    for i, result in enumerate(results):
        name = path if len(results) == 1 else path.with_stem(f"{path.stem}-{i + 1}")
        _save(result.plot(**options), name)


def _agg() -> None:
    import matplotlib

    matplotlib.use("Agg")


def _save(figure: Any, path: Path) -> None:
    try:
        figure.savefig(path)
    except (OSError, ValueError) as error:
        raise QdlawsError(f"cannot write {path}: {error}") from None


@app.command("forecast")
def forecast_command(
    logs: Logs,
    horizon: Horizon = None,
    json_: Json = False,
    level: Level = 0.8,
    quality: Quality = None,
    diversity: Diversity = None,
    entropy: Entropy = None,
    step: Step = None,
    series: Series = "auto",
    plot: Annotated[Path | None, typer.Option(help="Write the picture to this file.")] = None,
) -> None:
    """Where quality, diversity and entropy will be, with intervals.

    Example: qdlaws forecast runs/grpo-3 --horizon 500
    """
    from qdlaws.forecasting.forecast import forecast

    read, results = reader_of(quality, diversity, entropy, step, series), []
    for path in logs:
        log = read(path)
        ahead = horizon if horizon is not None else max((log.step[-1] - log.step[0]) / 2, 1.0)
        results.append(forecast(_fit_or_log(log), ahead, level=level))
    if plot is not None:
        _save_plots(results, plot)
    if json_:
        print_json([result.to_dict() for result in results])
        return
    print("\n\n".join(str(result) for result in results))


@app.command("advise")
def advise_command(
    logs: Logs,
    json_: Json = False,
    quality: Quality = None,
    diversity: Diversity = None,
    entropy: Entropy = None,
    step: Step = None,
    series: Series = "auto",
    min_diversity: MinDiversity = None,
    min_entropy: MinEntropy = None,
    price: Price = None,
    target_quality: TargetQuality = None,
    min_gain_per_step: MinGain = None,
    budget_steps: Budget = None,
) -> None:
    """Stop, go on, wait, tighten or loosen; which checkpoint to keep; and why.

    Example: qdlaws advise runs/grpo-3 --min-diversity 0.7
    """
    from qdlaws.advice.advise import advise

    goal = goal_of(
        min_diversity, min_entropy, price, target_quality, min_gain_per_step, budget_steps
    )
    read = reader_of(quality, diversity, entropy, step, series)
    results = [advise(_fit_or_log(read(path)), goal) for path in logs]
    if json_:
        print_json([result.to_dict() for result in results])
        return
    for path, result in zip(logs, results, strict=True):
        print(f"{path}\n{result}" if len(logs) > 1 else result)


@app.command("compare")
def compare_command(
    logs: Logs,
    json_: Json = False,
    quality: Quality = None,
    diversity: Diversity = None,
    entropy: Entropy = None,
    step: Step = None,
    series: Series = "auto",
    plot: Annotated[Path | None, typer.Option(help="Write the picture to this file.")] = None,
) -> None:
    """Do these runs share one law? Which coefficient differs?

    Example: qdlaws compare runs/*
    """
    from qdlaws.comparison.fleet import compare

    read = reader_of(quality, diversity, entropy, step, series)
    found = compare([read(path) for path in logs], names=[str(path) for path in logs])
    if plot is not None:
        _agg()
        _save(found.plot().figure, plot)
    if json_:
        print_json([found.to_dict()])
        return
    print(found.summary())


@app.command("backtest")
def backtest_command(
    logs: Logs,
    column: Annotated[str, typer.Option(help="quality, diversity or entropy.")] = "quality",
    json_: Json = False,
    level: Level = 0.8,
    quality: Quality = None,
    diversity: Diversity = None,
    entropy: Entropy = None,
    step: Step = None,
    series: Series = "auto",
) -> None:
    """What the forecasts would have been earlier in the run, judged by what came.

    Example: qdlaws backtest runs/grpo-3
    """
    from qdlaws.forecasting.backtest import backtest

    read = reader_of(quality, diversity, entropy, step, series)
    results = [backtest(read(path), column, level=level) for path in logs]
    if json_:
        print_json([result.to_dict() for result in results])
        return
    print("\n\n".join(str(result) for result in results))


app.command("report")(report_command)
app.command("watch")(watch_command)


def _fit_or_log(log: RunLog) -> LawFits | RunLog:
    """The fitted laws, or the log itself where no law can be tried (one column, few points)."""
    from qdlaws.errors import MissingColumn, NotEnoughData

    try:
        return _fit(log)
    except (MissingColumn, NotEnoughData):
        return log


if __name__ == "__main__":
    main()
