"""A recipe from a configuration: its own options, its knobs, and how its signal is normalised."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import replace
from difflib import get_close_matches
from typing import Any, Literal

import torch

from qdlaws.errors import BadData
from trainer.algorithms import advantage, shaping
from trainer.algorithms.objective import Recipe, credit, objective
from trainer.algorithms.recipes import RECIPES
from trainer.analysis.plant import live_knobs, read_plant, steering_knob, sweep
from trainer.types import Knobs, Rollouts

__all__ = [
    "Normalise",
    "build",
    "needs_reference",
    "needs_reference_without_kl",
    "normalised",
]

Normalise = Literal["recipe", "none", "batch", "group"]


def build(
    name: str,
    options: Mapping[str, Any] | None = None,
    *,
    kl: float | None = None,
    reward_scale: float | None = None,
    entropy: float | None = None,
    normalise: Normalise = "recipe",
) -> Recipe:
    """The recipe of this name; a knob that is not given keeps the published strength."""
    if name not in RECIPES:
        near = get_close_matches(name, RECIPES, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else f"; there are {', '.join(RECIPES)}"
        raise BadData(f"no recipe {name!r}{hint}")
    make, options = RECIPES[name], dict(options or {})
    parameters = list(inspect.signature(make).parameters)
    for key in options:
        if key not in parameters:
            keys = ["kl", "reward_scale", "entropy", "normalise", *parameters]
            near = get_close_matches(key, keys, n=1)
            hint = f"; did you mean {near[0]!r}?" if near else f"; it has {', '.join(keys)}"
            raise BadData(f"recipe {name} has no option {key!r}{hint}")
    try:
        recipe = normalised(make(**options), normalise)
    except TypeError as error:
        raise BadData(f"recipe {name}: {error}") from None
    given = {"kl": kl, "reward_scale": reward_scale, "entropy": entropy}
    asked = {knob: float(value) for knob, value in given.items() if value is not None}
    return replace(recipe, knobs=replace(recipe.knobs, **asked))


def normalised(recipe: Recipe, how: Normalise) -> Recipe:
    """The recipe with its signal divided by nothing, by one scalar of the batch, or by the group.

    ``none`` and ``batch`` keep the state that the recipe settles in where its KL is in the reward
    (plant ``tilt``); ``group`` makes the reward scale a dead knob, and with a reverse KL it folds
    the state (trainer.algorithms.advantage). ``live`` and ``plant`` of a changed recipe are
    computed anew.
    """
    if how == "recipe":
        return recipe
    plain = advantage.leave_one_out if _in_reward(recipe) else advantage.centred
    shape = tuple(piece for piece in recipe.shape if piece is not shaping.batch_normalised)
    if how == "group":
        changed = replace(recipe, shape=shape, advantage=advantage.group_standardised)
    elif how == "batch":
        changed = replace(recipe, shape=(*shape, shaping.batch_normalised), advantage=plain)
    else:
        changed = replace(recipe, shape=shape, advantage=plain)
    return _told_anew(changed)


def _in_reward(recipe: Recipe) -> bool:
    return any(getattr(p, "func", p) is shaping.kl_in_reward for p in recipe.shape)


def _told_anew(recipe: Recipe) -> Recipe:
    """The recipe with the live knobs and the plant that the exact bandit finds.

    A spread of the group that divides the KL as well is 0/0 where the run should rest: a step of
    constant size never does, however well the bandit's shrinking one finds the place.
    """
    told = replace(recipe, live=live_knobs(recipe), plant=None)
    if recipe.advantage is advantage.group_standardised and _in_reward(recipe):
        return replace(told, plant="unsettled")
    return told if steering_knob(told) is None else replace(told, plant=read_plant(sweep(told)))


def needs_reference(recipe: Recipe) -> bool:
    """Whether the recipe asks for the reference's log-probabilities of what was just drawn.

    Found out by trying a small batch without them, so that a piece of the user's own is asked too.
    """
    try:
        _gradient(recipe, None, kl=0.1)
    except ValueError as error:
        if "ref_logp" in str(error) or "reference" in str(error):
            return True
        raise
    return False


def needs_reference_without_kl(recipe: Recipe) -> bool:
    """Whether what the reference says matters even at kl = 0, as in REINVENT's regression."""
    if not needs_reference(recipe):
        return False
    a, b = (torch.full((4, 2), v, dtype=torch.float64) for v in (-0.7, -1.9))
    try:
        return not torch.equal(_gradient(recipe, a, kl=0.0), _gradient(recipe, b, kl=0.0))
    except ValueError:
        return True  # it refuses kl = 0


def _gradient(recipe: Recipe, ref_logp: torch.Tensor | None, kl: float) -> torch.Tensor:
    """Of the loss of two groups of two samples of two tokens; terms on stored rows left out."""
    n, width = 4, 2
    logp = torch.full((n, width), -1.0, dtype=torch.float64, requires_grad=True)
    rollouts = Rollouts.of(
        torch.tensor([0.0, 1.0, 0.0, 1.0]),
        torch.tensor([0, 0, 1, 1]),
        torch.ones(n, width, dtype=torch.bool),
        logp.detach(),
        ref_logp,
        equivalent=torch.eye(n, dtype=torch.bool),
        seen=torch.zeros(n, dtype=torch.long),
        truncated=torch.zeros(n, dtype=torch.bool),
        limit=width,
    )
    lean = replace(recipe, terms=tuple(t for t in recipe.terms if t.rows == "fresh"))
    knobs = Knobs(kl=kl, reward_scale=1.0, entropy=0.1)
    credited = credit(lean, rollouts, knobs, rng=torch.Generator().manual_seed(0))
    loss = objective(lean, credited, logp, knobs, entropy=logp * 0)
    return torch.autograd.grad(loss, logp)[0]
