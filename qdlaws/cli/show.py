"""The commands that show: ``qdlaws report`` and ``qdlaws watch``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from qdlaws.cli.options import (
    Budget,
    Diversity,
    Entropy,
    Horizon,
    Json,
    Level,
    Log,
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
    reader_of,
)

__all__ = ["report_command", "watch_command"]


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
    horizon: Horizon = None,
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
    from qdlaws.reporting import report

    goal = goal_of(
        min_diversity, min_entropy, price, target_quality, min_gain_per_step, budget_steps
    )
    written = report(
        logs,
        out,
        goal,
        horizon=horizon,
        level=level,
        certificates=certificates,
        reader=reader_of(quality, diversity, entropy, step, series),
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
    from qdlaws.integrations.watch import watch

    goal = goal_of(
        min_diversity, min_entropy, price, target_quality, min_gain_per_step, budget_steps
    )
    updates = watch(
        log,
        goal,
        every=every,
        write=write,
        stop_file=stop_file,
        signal_pid=signal_pid,
        max_updates=1 if once else None,
        reader=reader_of(quality, diversity, entropy, step, series),
    )
    try:
        for update in updates:
            print(_line(update.to_dict()) if json_ else update, flush=True)
    except KeyboardInterrupt:  # the way to end it
        raise typer.Exit(0) from None


def _line(values: dict[str, Any]) -> str:
    return json.dumps(values, allow_nan=False, ensure_ascii=False)
