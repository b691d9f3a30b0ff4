"""The recipes as JSON values and as tables for a terminal."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from trainer.algorithms.objective import Recipe, Term

__all__ = ["as_dict", "piece_name", "print_pieces", "print_table"]


def as_dict(recipe: Recipe) -> dict[str, Any]:
    """A recipe as JSON values: pieces by name with their options, verdicts on every task."""
    from trainer.algorithms.suitability import TASKS

    return {
        "name": recipe.name,
        "paper": recipe.paper,
        "shape": [piece_name(piece) for piece in recipe.shape],
        "advantage": piece_name(recipe.advantage),
        "adjust": [piece_name(piece) for piece in recipe.adjust],
        "policy": piece_name(recipe.policy),
        "terms": [_term_name(term) for term in recipe.terms],
        "reduce": piece_name(recipe.reduce),
        "keep": [piece_name(piece) for piece in recipe.keep],
        "silence": None if recipe.silence is None else piece_name(recipe.silence),
        "rehearse": str(plan) if (plan := recipe.presamples or recipe.replay) else None,
        "head": None if recipe.head is None else str(recipe.head),
        "novelty": None if recipe.novelty is None else str(recipe.novelty),
        "knobs": vars(recipe.knobs),
        "live": sorted(recipe.live),
        "plant": recipe.plant,
        "provisional": recipe.provisional,
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


def print_table(made: list[Recipe]) -> None:
    """Recipe × task, with the plant; below it why a recipe does not fit. Fits 80 columns."""
    from rich.console import Console
    from rich.table import Table

    from trainer.algorithms.suitability import TASKS

    console = Console(highlight=False)
    fits = Table(box=None, padding=(0, 1, 0, 0), pad_edge=False)
    for column in ("recipe", *TASKS, "plant"):
        fits.add_column(column, justify="center" if column in TASKS else "left", no_wrap=True)
    reasons: list[str] = []
    for recipe in made:
        marks = []
        for task in TASKS:
            verdict = _fit(recipe, task)
            reason = str(verdict["reason"]).removeprefix(f"{recipe.name} ")
            if verdict["fits"] == "no" and reason not in reasons:
                reasons.append(reason)
            number = reasons.index(reason) + 1 if reason in reasons else 0
            marks.append({"yes": "✓", "depends": "?", "no": f"✗{number}"}[str(verdict["fits"])])
        plant = (recipe.plant or "–") + ("*" if recipe.provisional else "")
        fits.add_row(recipe.name, *marks, plant)
    console.print(fits)
    lines = [
        "",
        *(f"✗{number}  {reason}" for number, reason in enumerate(reasons, 1)),
        "?   is checked against your data when a run starts",
        "plant: how the settled policy answers its knob, computed on the exact bandit; a tilt and "
        "a monotone one can be steered",
        "*   provisional: neither the paper's text nor code of its authors was read",
        "What a recipe is made of, and its options: qdtrain recipes NAME",
    ]
    for line in lines:
        console.print(line, soft_wrap=True)


def print_pieces(made: list[Recipe]) -> None:
    """What each recipe is made of, its options with their defaults, its live knobs, its plant."""
    from inspect import Parameter, signature

    from rich.console import Console

    from trainer.algorithms.recipes import RECIPES

    console = Console(highlight=False)
    for recipe in made:
        row = as_dict(recipe)
        live, plant = ", ".join(row["live"]) or "none", row["plant"] or "none"
        mark = "  provisional" if recipe.provisional else ""
        console.print(f"[bold]{recipe.name}[/bold]  live: {live}  plant: {plant}{mark}")
        console.print(f"  [dim]{recipe.paper}[/dim]", soft_wrap=True)
        console.print(_made_of(row), soft_wrap=True)
        options = [
            name if given.default is Parameter.empty else f"{name}={given.default!r}"
            for name, given in signature(RECIPES[recipe.name]).parameters.items()
        ]
        console.print(
            f"  [dim]{'options':<10}[/dim]{', '.join(options) or 'none'}\n", soft_wrap=True
        )


def _made_of(row: dict[str, Any]) -> str:
    lines = [
        ("shape", " → ".join(row["shape"])),
        ("advantage", row["advantage"]),
        ("adjust", " → ".join(row["adjust"])),
        ("policy", row["policy"]),
        ("terms", "; ".join(row["terms"])),
        ("reduce", row["reduce"]),
        ("keep", ", ".join(row["keep"])),
        ("silence", row["silence"]),
        ("rehearse", row["rehearse"]),
    ]
    return "\n".join(f"  [dim]{label:<10}[/dim]{text}" for label, text in lines if text)
