"""A recipe from a configuration: its own options, its knobs, and how its signal is normalised."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import replace
from difflib import get_close_matches
from typing import Any, Literal, get_args, get_origin, get_type_hints

import msgspec

from qdlaws.errors import BadData
from trainer.algorithms import advantage, shaping
from trainer.algorithms.declaration import declaration_of
from trainer.algorithms.objective import Recipe
from trainer.algorithms.recipes import RECIPES
from trainer.analysis.plant import live_knobs, read_plant, steering_knob, sweep

__all__ = [
    "Normalise",
    "build",
    "normalised",
    "with_computed_plant",
]

WORDS = {
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "float | None": "a number or none",
}
"""The types of options in plain English."""
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
    kinds = get_type_hints(make)
    parameters = list(inspect.signature(make).parameters)
    for key in options:
        if key not in parameters:
            keys = ["kl", "reward_scale", "entropy", "normalise", *parameters]
            near = get_close_matches(key, keys, n=1)
            hint = f"; did you mean {near[0]!r}?" if near else f"; it has {', '.join(keys)}"
            raise BadData(f"recipe {name} has no option {key!r}{hint}")
        _check_value(f"recipe.{key}", options[key], kinds[key])
    needed = [
        key
        for key, parameter in inspect.signature(make).parameters.items()
        if parameter.default is inspect.Parameter.empty and key not in options
    ]
    if needed:
        raise BadData(
            f"recipe {name} has no published value of {', '.join(needed)}, which must be given: "
            f"--set recipe.{needed[0]}=…"
        )
    try:
        recipe = normalised(make(**options), normalise)
    except TypeError as error:
        raise BadData(f"recipe {name}: {error}") from None
    given = {"kl": kl, "reward_scale": reward_scale, "entropy": entropy}
    strengths = {knob: float(value) for knob, value in given.items() if value is not None}
    return replace(recipe, knobs=replace(recipe.knobs, **strengths))


def _check_value(key: str, value: Any, kind: Any) -> None:
    """Refuses a value of another type than the option's, with the nearest right choice."""
    try:
        msgspec.convert(value, kind)
    except msgspec.ValidationError:
        choices = [str(choice) for choice in get_args(kind)] if get_origin(kind) is Literal else []
        if not choices:
            needed = getattr(kind, "__name__", str(kind))
            raise BadData(f"{key} = {value!r}: {WORDS.get(needed, needed)} was needed") from None
        near = get_close_matches(str(value), choices, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise BadData(f"{key} = {value!r}{hint}; one of {', '.join(choices)}") from None


def normalised(recipe: Recipe, how: Normalise) -> Recipe:
    """The recipe with its signal divided by nothing, by one scalar of the batch, or by the group.

    ``none`` and ``batch`` keep the state that the recipe settles in where its KL is in the reward
    (plant ``tilt``); ``group`` makes the reward scale a dead knob, and with a reverse KL it folds
    the state (trainer.algorithms.advantage). ``live`` and ``plant`` of the changed recipe are
    computed anew.
    """
    if how == "recipe":
        return recipe
    plain = advantage.leave_one_out if recipe.kl_in_reward else advantage.centred
    shape = tuple(piece for piece in recipe.shape if declaration_of(piece).divides_by is None)
    if how == "group":
        changed = replace(recipe, shape=shape, advantage=advantage.group_standardised)
    elif how == "batch":
        changed = replace(recipe, shape=(*shape, shaping.batch_normalised), advantage=plain)
    else:
        changed = replace(recipe, shape=shape, advantage=plain)
    return with_computed_plant(changed)


def with_computed_plant(recipe: Recipe) -> Recipe:
    """The recipe with the live knobs and the plant that the exact bandit computes.

    A spread of the group that divides the KL as well is 0/0 where the run should rest: a step of
    constant size never does, however well the bandit's shrinking one comes to the place.
    """
    computed = replace(recipe, live=live_knobs(recipe), plant=None)
    if recipe.kl_in_reward and declaration_of(recipe.advantage).divides_by == "group":
        return replace(computed, plant="unsettled")
    if steering_knob(computed) is None:
        return computed
    return replace(computed, plant=read_plant(sweep(computed)))
