"""The recipes as JSON values and as tables for a terminal."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from trainer.algorithms.objective import Recipe, Term

__all__ = ["as_dict", "piece_name", "print_tables"]


def as_dict(recipe: Recipe) -> dict[str, Any]:
    """A recipe as JSON values: pieces by name with their options, verdicts on every task."""
    from trainer.algorithms.suitability import TASKS

    return {
        "name": recipe.name,
        "paper": recipe.paper,
        "shape": [piece_name(piece) for piece in recipe.shape],
        "advantage": piece_name(recipe.advantage),
        "policy": piece_name(recipe.policy),
        "terms": [_term_name(term) for term in recipe.terms],
        "reduce": piece_name(recipe.reduce),
        "keep": [piece_name(piece) for piece in recipe.keep],
        "silence": None if recipe.silence is None else piece_name(recipe.silence),
        "rehearse": str(plan) if (plan := recipe.presamples or recipe.replay) else None,
        "knobs": vars(recipe.knobs),
        "live": sorted(recipe.live),
        "plant": recipe.plant,
        "tasks": {name: _fit(recipe, name) for name in TASKS},
    }


def piece_name(piece: Any) -> str:
    """``clipped(low=0.2, high=0.28)`` for a piece with bound options, else its bare name."""
    if isinstance(piece, partial):
        options = ", ".join(f"{name}={value!r}" for name, value in piece.keywords.items())
        return f"{piece_name(piece.func)}({options})"
    return str(getattr(piece, "__name__", piece))


def _term_name(term: Term) -> str:
    strength = term.knob if term.scale == 1 else f"{term.scale:g}·{term.knob}"
    where = "" if term.rows == "fresh" else " on stored reference samples"
    where += "" if term.only is None else f" on {piece_name(term.only)}"
    return f"{strength} · {piece_name(term.loss)}{where}"


def _fit(recipe: Recipe, task: str) -> dict[str, str | None]:
    """``fits``: yes, no (with the reason) or depends (on the user's data)."""
    from trainer.algorithms.suitability import TASKS, refusal, unsure

    reason = refusal(recipe, TASKS[task])
    if reason is not None:
        return {"fits": "no", "reason": reason}
    if unsure(recipe, TASKS[task]):
        return {"fits": "depends", "reason": "checked against the data when a run starts"}
    return {"fits": "yes", "reason": None}


def print_tables(made: list[Recipe]) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table

    from trainer.algorithms.suitability import TASKS

    console = Console(highlight=False)
    fits = Table(box=box.SIMPLE)
    for column in ("recipe × task", *TASKS):
        fits.add_column(column, justify="left" if column not in TASKS else "center")
    reasons: list[str] = []
    for recipe in made:
        row = as_dict(recipe)
        live, plant = ", ".join(row["live"]) or "none", row["plant"] or "none"
        console.print(f"[bold]{recipe.name}[/bold]  live: {live}  plant: {plant}")
        console.print(f"  [dim]{recipe.paper}[/dim]")
        console.print(_made_of(row) + "\n", soft_wrap=True)
        marks = []
        for verdict in row["tasks"].values():
            if verdict["fits"] == "no":
                reasons.append(verdict["reason"])
            marks.append({"yes": "✓", "depends": "?", "no": f"✗ {len(reasons)}"}[verdict["fits"]])
        fits.add_row(recipe.name, *marks)
    console.print(fits)
    console.print("? is checked against your data when a run starts")
    for number, reason in enumerate(reasons, 1):
        console.print(f"✗ {number}  {reason}", soft_wrap=True)


def _made_of(row: dict[str, Any]) -> str:
    lines = [
        ("shape", " → ".join(row["shape"])),
        ("advantage", row["advantage"]),
        ("policy", row["policy"]),
        ("terms", "; ".join(row["terms"])),
        ("reduce", row["reduce"]),
        ("keep", ", ".join(row["keep"])),
        ("silence", row["silence"]),
        ("rehearse", row["rehearse"]),
    ]
    return "\n".join(f"  [dim]{label:<10}[/dim]{text}" for label, text in lines if text)
