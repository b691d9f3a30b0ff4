"""Composite objectives: a mean of several scores with weights and transforms.

A configuration such as ::

    {name = "mine", mean = "geometric", components = [
        {objective = "qed", weight = 1},
        {objective = "logp", transform = {type = "double_sigmoid", low = 1, high = 4}}]}

is read into a :class:`Composite`, a frozen value that travels to worker processes and is made into
functions there. A component may itself be a composite or one of GuacaMol's.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from qdlaws.errors import BadData
from trainer.tasks.molecules.external_scores import is_outside, outside_options
from trainer.tasks.molecules.guacamol import GUACAMOL
from trainer.tasks.molecules.objectives import OBJECTIVES, Range
from trainer.tasks.molecules.transforms import BINARY, transform
from trainer.tasks.task import nearest

__all__ = ["MEANS", "Component", "Composite", "objective_names", "read_objective"]

MEANS = ("geometric", "arithmetic", "product", "sum")
COMPONENT_KEYS = ("objective", "name", "weight", "transform", "components")
"""Keys of a component that are not options of its objective."""


@dataclass(frozen=True)
class Component:
    """One score of a composite: its objective and options, its transform to [0, 1], its weight."""

    name: str
    objective: str | Composite
    options: Mapping[str, Any]
    transform: Mapping[str, Any] | None
    weight: float
    range: Range
    """Of the value after the transform."""


@dataclass(frozen=True)
class Composite:
    """A mean of components: geometric Π cᵢ^(wᵢ/W), arithmetic Σ wᵢcᵢ/W, product Π cᵢ^wᵢ, or sum
    Σ wᵢcᵢ, with W = Σ wᵢ."""

    name: str
    mean: str
    components: tuple[Component, ...]

    @property
    def range(self) -> Range:
        """The range of the mean, from the ranges of the components."""
        ranges = [c.range for c in self.components]
        weights = [c.weight for c in self.components]
        ends = []
        for side in ("low", "high"):
            bounds = [getattr(r, side) for r in ranges]
            ends.append(None if None in bounds else mean_of(self.mean, bounds, weights))
        only_products = self.mean in ("geometric", "product") or len(ranges) == 1
        binary = only_products and all(r.binary for r in ranges) and ends == [0.0, 1.0]
        return Range(ends[0], ends[1], binary)


def mean_of(mean: str, values: Sequence[float], weights: Sequence[float]) -> float:
    """The weighted mean (or product, or sum) of the values; NaN if any is."""
    if any(math.isnan(v) for v in values):
        return math.nan
    if len(values) == 1 and (mean in ("geometric", "arithmetic") or weights[0] == 1):
        return values[0]
    total = math.fsum(weights)
    pairs = list(zip(values, weights, strict=True))
    if mean in ("arithmetic", "sum"):
        weighted = math.fsum(w * v for v, w in pairs)
        return weighted / total if mean == "arithmetic" else weighted
    if any(v < 0 for v in values):
        raise BadData(
            f"found a component of {min(values):g}: a {mean} mean needs values of at least 0; "
            "give it a transform"
        )
    if any(v == 0 for v in values):
        return 0.0
    log = math.fsum(w * math.log(v) for v, w in pairs)
    return math.exp(log / total if mean == "geometric" else log)


# ---------------------------------------------------------------------- reading a configuration


def objective_names() -> list[str]:
    """The names of all objectives."""
    return [*OBJECTIVES, *GUACAMOL, "jnk3", "gsk3b", "drd2"]


def read_objective(given: Any, mean: str = "geometric") -> Composite:
    """The composite that a name, a table or a list of tables describes."""
    if isinstance(given, Composite):
        return given
    if isinstance(given, Sequence) and not isinstance(given, str):
        given = {"components": list(given), "mean": mean}
    if isinstance(given, str):
        given = {"objective": given}
    if not isinstance(given, Mapping):
        raise BadData(f"found objective {given!r}: a name, a table or a list of them was needed")
    if "components" in given:
        return _composite(given)
    component = _component(given)
    if isinstance(component.objective, Composite) and component.transform is None:
        return component.objective  # its components are the ones to report
    return _checked(Composite(component.name, "sum", (component,)))


def _composite(given: Mapping[str, Any]) -> Composite:
    allowed = ("name", "mean", "components")
    for key in given:
        if key not in (*allowed, "weight", "transform"):
            hint = f"{nearest(key, allowed)}; has {', '.join(allowed)}"
            raise BadData(f"an objective made of components has no {key!r}{hint}")
    mean = str(given.get("mean", "geometric"))
    if mean not in MEANS:
        raise BadData(f"found mean {mean!r}{nearest(mean, MEANS)}; have {', '.join(MEANS)}")
    parts = given["components"]
    if not isinstance(parts, Sequence) or isinstance(parts, str) or not parts:
        raise BadData("components: a list of at least one table was needed")
    components = _named([_component(part) for part in parts])
    return _checked(Composite(str(given.get("name", "mean")), mean, components))


def _component(given: Any) -> Component:
    if isinstance(given, str):
        given = {"objective": given}
    if not isinstance(given, Mapping) or ("objective" in given) == ("components" in given):
        raise BadData(f"found component {given!r}: a table with objective = … was needed")
    objective: str | Composite
    if "components" in given:
        objective, options, default = _composite(given), {}, None
        label = objective.name
        bounds = objective.range
    else:
        label = str(given["objective"])
        options = {k: v for k, v in given.items() if k not in COMPONENT_KEYS}
        objective, bounds, default = _by_name(label, options)
    name = str(given.get("name", label))
    weight = given.get("weight", 1.0)
    if isinstance(weight, bool) or not isinstance(weight, int | float) or not weight > 0:
        raise BadData(f"{name}: found weight {weight!r}, a positive number was needed")
    chosen = given.get("transform", default)
    if chosen is not None:
        if not isinstance(chosen, Mapping):
            raise BadData(f"{name}: found transform {chosen!r}, a table with type = … was needed")
        bounds = _range_after(chosen, bounds, name)
    return Component(name, objective, options, chosen, float(weight), bounds)


def _by_name(
    name: str, options: dict[str, Any]
) -> tuple[str | Composite, Range, Mapping[str, Any] | None]:
    """The objective of a name, its range and its usual transform; its options are checked."""
    if name in GUACAMOL:
        if options:
            raise BadData(f"objective {name} has no options, found {', '.join(options)}")
        return _composite({"name": name, **GUACAMOL[name]}), Range(0.0, 1.0), None
    if is_outside(name):
        return name, outside_options(name, options), None
    if name not in OBJECTIVES:
        hint = f"{nearest(name, objective_names())}; have {', '.join(objective_names())}"
        raise BadData(f"no objective is called {name!r}{hint}, or 'package.module:function'")
    entry = OBJECTIVES[name]
    _check_options(name, entry.make, options)
    return name, entry.range, entry.transform


def _check_options(name: str, make: Callable[..., Any], options: Mapping[str, Any]) -> None:
    parameters = inspect.signature(make).parameters
    for option in options:
        if option not in parameters:
            have = ", ".join(parameters) or "none"
            raise BadData(f"{name} has no option {option!r}{nearest(option, parameters)}; {have}")
    missing = [p.name for p in parameters.values() if p.default is p.empty]
    missing = [m for m in missing if m not in options]
    if missing:
        raise BadData(f"objective {name} needs {' and '.join(missing)}")


def _range_after(chosen: Mapping[str, Any], before: Range, name: str) -> Range:
    """The range behind a transform; all but ``linear`` end within [0, 1]."""
    made = transform(chosen, name)
    kind = chosen["type"]
    if kind != "linear":
        return Range(0.0, 1.0, kind in BINARY)
    falling = made(1.0) < made(0.0)
    low, high = (None if end is None else made(end) for end in (before.low, before.high))
    return Range(high, low) if falling else Range(low, high)


def _named(components: list[Component]) -> tuple[Component, ...]:
    """The components under names that differ: "similarity", "similarity 2", …"""
    from dataclasses import replace

    counts: dict[str, int] = {}
    named = []
    for component in components:
        counts[component.name] = counts.get(component.name, 0) + 1
        number = counts[component.name]
        named.append(
            component if number == 1 else replace(component, name=f"{component.name} {number}")
        )
    return tuple(named)


def _checked(composite: Composite) -> Composite:
    """Refuses a geometric mean over something that is known to go below 0."""
    if composite.mean in ("geometric", "product") and len(composite.components) > 1:
        for part in composite.components:
            outside = isinstance(part.objective, str) and is_outside(part.objective)
            if (part.range.low is None and not outside) or (part.range.low or 0) < 0:
                raise BadData(
                    f"{part.name} can be negative and a {composite.mean} mean cannot: give it a "
                    'transform, such as {type = "sigmoid", low = …, high = …}'
                )
    return composite
