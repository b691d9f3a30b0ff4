"""The commands that show: ``qdlaws report`` and ``qdlaws watch``."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from qdlaws.goal import Goal

__all__ = ["report_command", "watch_command"]

Logs = Annotated[
    list[Path], typer.Argument(metavar="LOG...", help="File or folder of any supported tool.")
]
Log = Annotated[Path, typer.Argument(metavar="LOG", help="A log that may still grow.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON and nothing else.")]
Level = Annotated[float, typer.Option(help="Level of the intervals.")]
Quality = Annotated[str | None, typer.Option(help="Column to take for quality.")]
Diversity = Annotated[str | None, typer.Option(help="Column to take for diversity.")]
Entropy = Annotated[str | None, typer.Option(help="Column to take for entropy.")]
Step = Annotated[str | None, typer.Option(help="Column to take for the step.")]
Series = Annotated[str, typer.Option(help="auto, train or eval.")]
MinDiversity = Annotated[float | None, typer.Option(help="Goal: diversity to keep.")]
MinEntropy = Annotated[float | None, typer.Option(help="Goal: entropy to keep.")]
Price = Annotated[
    float | None, typer.Option(help="Goal: what a unit of diversity is worth in quality.")
]
TargetQuality = Annotated[float | None, typer.Option(help="Goal: quality that is enough.")]
MinGain = Annotated[
    float | None, typer.Option("--min-gain-per-step", help="Goal: stop below this gain.")
]
Budget = Annotated[float | None, typer.Option("--budget-steps", help="Goal: last step to run.")]


def report_command(
    logs: Logs,
    out: Annotated[Path, typer.Option("--out", "-o", help="The file to write.")] = Path(
        "report.html"
    ),
    json_: Json = False,
    level: Level = 0.95,
    quality: Quality = None,
    diversity: Diversity = None,
    entropy: Entropy = None,
    step: Step = None,
    series: Series = "auto",
    horizon: Annotated[
        float | None, typer.Option(help="Steps to forecast; by default half of those run.")
    ] = None,
    certificates: Annotated[
        bool | None,
        typer.Option(help="Check the intervals by simulation; by default for up to 4 runs."),
    ] = None,
    min_diversity: MinDiversity = None,
    min_entropy: MinEntropy = None,
    price: Price = None,
    target_quality: TargetQuality = None,
    min_gain_per_step: MinGain = None,
    budget_steps: Budget = None,
) -> None:
    """Write one self-contained HTML page about one or many runs.

    Example: qdlaws report runs/* --out report.html --min-diversity 0.7
    """
    from qdlaws.report import report

    goal = _goal(min_diversity, min_entropy, price, target_quality, min_gain_per_step, budget_steps)
    columns = {"quality": quality, "diversity": diversity, "entropy": entropy, "step": step}
    written = report(
        logs,
        out,
        goal,
        horizon=horizon,
        level=level,
        certificates=certificates,
        reader=_reader(columns, series),
    )
    print(json.dumps({"report": str(written)}, ensure_ascii=False) if json_ else written)


def watch_command(
    log: Log,
    write: Annotated[
        Path | None, typer.Option(help="Keep the newest advice in this file (JSON).")
    ] = None,
    every: Annotated[float, typer.Option(help="Seconds between looks.")] = 10.0,
    once: Annotated[bool, typer.Option("--once", help="Look once and end.")] = False,
    stop_file: Annotated[
        Path | None, typer.Option(help="Create this file when the advice is to stop.")
    ] = None,
    signal_pid: Annotated[
        int | None,
        typer.Option("--signal", help="Process to send SIGUSR1 when the advice is to stop."),
    ] = None,
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
    """Follow a growing log: one line of advice whenever it has grown (with --json, one object).

    Example: qdlaws watch runs/grpo-3 --write advice.json --every 10 --min-diversity 0.7
    """
    from qdlaws.watch import watch

    goal = _goal(min_diversity, min_entropy, price, target_quality, min_gain_per_step, budget_steps)
    columns = {"quality": quality, "diversity": diversity, "entropy": entropy, "step": step}
    updates = watch(
        log,
        goal,
        every=every,
        write=write,
        stop_file=stop_file,
        signal_pid=signal_pid,
        max_updates=1 if once else None,
        reader=_reader(columns, series),
    )
    try:
        for update in updates:
            print(_line(update.to_dict()) if json_ else update, flush=True)
    except KeyboardInterrupt:  # the way to end it
        raise typer.Exit(0) from None


def _line(values: dict[str, Any]) -> str:
    return json.dumps(values, allow_nan=False, ensure_ascii=False)


def _goal(
    min_diversity: float | None,
    min_entropy: float | None,
    price: float | None,
    target_quality: float | None,
    min_gain_per_step: float | None,
    budget_steps: float | None,
) -> Goal:
    from qdlaws.goal import Goal

    return Goal(
        min_diversity=min_diversity,
        min_entropy=min_entropy,
        price=price,
        target_quality=target_quality,
        min_gain_per_step=min_gain_per_step,
        budget_steps=budget_steps,
    )


def _reader(columns: dict[str, str | None], series: str) -> Any:
    """``read`` with the columns that were named on the command line."""
    from qdlaws.readers import read

    named = {name: column for name, column in columns.items() if column is not None}
    return partial(read, series=series, **named)  # type: ignore[arg-type]
