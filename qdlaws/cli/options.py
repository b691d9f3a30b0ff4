"""What the commands share: their options, and how a log and a goal come from them."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from qdlaws.core.goal import Goal

__all__ = ["goal_of", "print_json", "reader_of"]

Logs = Annotated[
    list[Path], typer.Argument(metavar="LOG...", help="File or folder of any supported tool.")
]
Log = Annotated[Path, typer.Argument(metavar="LOG", help="A log that may still grow.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON and nothing else.")]
Level = Annotated[float, typer.Option(help="Level of the intervals.")]
Horizon = Annotated[
    float | None, typer.Option(help="Steps to forecast; by default half of those run.")
]

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


def reader_of(
    quality: str | None, diversity: str | None, entropy: str | None, step: str | None, series: str
) -> Any:
    """``read`` with the columns that were named on the command line."""
    from qdlaws.readers import read

    columns = {"quality": quality, "diversity": diversity, "entropy": entropy, "step": step}
    named = {name: column for name, column in columns.items() if column is not None}
    return partial(read, series=series, **named)  # type: ignore[arg-type]


def goal_of(
    min_diversity: float | None,
    min_entropy: float | None,
    price: float | None,
    target_quality: float | None,
    min_gain_per_step: float | None,
    budget_steps: float | None,
) -> Goal:
    """The goal of the options that were given."""
    from qdlaws.core.goal import Goal

    return Goal(
        min_diversity=min_diversity,
        min_entropy=min_entropy,
        price=price,
        target_quality=target_quality,
        min_gain_per_step=min_gain_per_step,
        budget_steps=budget_steps,
    )


def print_json(results: list[dict[str, Any]]) -> None:
    """One object: the result itself for one log, ``{"runs": [...]}`` for several."""
    whole = results[0] if len(results) == 1 else {"runs": results}
    print(json.dumps(whole, allow_nan=False, ensure_ascii=False))
