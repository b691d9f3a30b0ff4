"""The controllers by name, made for a recipe or refused before the run."""

from __future__ import annotations

from collections.abc import Callable
from inspect import signature
from typing import Any

from qdlaws.core.goal import Goal
from qdlaws.errors import BadData
from trainer.control.classic import entropy_target, fixed, kl_target, stepped_entropy
from trainer.control.decision import Controller
from trainer.control.knob_dial import Recipe, Turn, make_dial
from trainer.control.law_controller import law_guided
from trainer.knobs import Knobs

__all__ = ["CONTROLLERS", "make_controller"]

CONTROLLERS: dict[str, Callable[..., Controller]] = {
    "fixed": fixed,
    "kl_target": kl_target,
    "entropy_target": entropy_target,
    "stepped_entropy": stepped_entropy,
    "law_guided": law_guided,
}
"""The controllers by the name that a configuration gives them."""


def make_controller(
    name: str,
    recipe: Recipe,
    start: Knobs,
    goal: Goal | None = None,
    *,
    turn: Turn | None = None,
    **options: Any,
) -> Controller:
    """The named controller for a recipe; refused before the run, in one line, where it cannot work.

    Parameters
    ----------
    recipe : anything with ``name``, ``live`` and ``plant``
    start : the knobs that the run starts with; u may go 4 below and 5 above theirs
    goal : what ``law_guided`` steers by; its ``min_entropy`` is the target of an entropy controller
        that is given none
    turn : the knob to turn; default the reward scale where it is live, because a weaker KL also
        slows the run, else the KL, else the entropy bonus (which entropy controllers prefer)
    options : of the controller, as the function of its name takes them
    """
    if name not in CONTROLLERS:
        raise BadData(f"no controller {name!r}; there are {', '.join(CONTROLLERS)}")
    if name == "fixed":
        _check_options(name, options, set())
        return fixed()
    if turn is None and name in ("entropy_target", "stepped_entropy") and "entropy" in recipe.live:
        turn = "entropy"
    dial = make_dial(recipe, start, turn)
    takes = set(signature(CONTROLLERS[name]).parameters) - {"dial", "goal"}
    _check_options(name, options, takes)
    if name == "law_guided":
        return law_guided(dial, goal or Goal(), **options)
    if "target" not in options and name != "kl_target" and goal is not None:
        options |= {} if goal.min_entropy is None else {"target": goal.min_entropy}
    if "target" not in options:
        raise BadData(
            f"{name} needs target=…, the {'KL' if name == 'kl_target' else 'entropy'} to hold"
        )
    return CONTROLLERS[name](dial, **options)


def _check_options(name: str, options: dict[str, Any], takes: set[str]) -> None:
    unknown = sorted(set(options) - takes)
    if unknown:
        have = ", ".join(sorted(takes)) or "none"
        raise BadData(f"{name} has no option {unknown[0]!r}; it takes {have}")
