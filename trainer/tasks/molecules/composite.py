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
COMPONENT_KEYS = ("objective", "name", "weight", "transform", "factor", "components")
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
    factor: bool = False
    """Whether the mean of the others is multiplied by it, as by a filter or a penalty."""


@dataclass(frozen=True)
class Composite:
    """A mean of components: geometric Π cᵢ^(wᵢ/W), arithmetic Σ wᵢcᵢ/W, product Π cᵢ^wᵢ, or sum
    Σ wᵢcᵢ, with W = Σ wᵢ; then times every component that is a factor."""

    name: str
    mean: str
    components: tuple[Component, ...]
    floor: float = 0.0
    """Least value of a component in a geometric mean or a product; REINVENT4 has 1e-8."""

    def value(self, values: Sequence[float]) -> float:
        """The score from the values of the components; NaN if any is."""
        parts = list(zip(self.components, values, strict=True))
        weighed = [v for c, v in parts if not c.factor]
        weights = [c.weight for c, _ in parts if not c.factor]
        mean = mean_of(self.mean, weighed, weights, self.floor) if weighed else 1.0
        return math.prod([mean, *(v for c, v in parts if c.factor)])

    @property
    def range(self) -> Range:
        """The range of the score, from the ranges of the components."""
        weighed = [c for c in self.components if not c.factor]
        low, high = self._mean_of_ends(weighed, "low"), self._mean_of_ends(weighed, "high")
        for factor in (c.range for c in self.components if c.factor):
            low = _times(low, factor.low, factor.high)
            high = _times(high, factor.high, factor.low)
        only_products = self.mean in ("geometric", "product") or len(weighed) <= 1
        binary = only_products and all(c.range.binary for c in self.components)
        return Range(low, high, binary and (low, high) == (0.0, 1.0))

    def _mean_of_ends(self, weighed: Sequence[Component], side: str) -> float | None:
        ends = [getattr(c.range, side) for c in weighed]
        if None in ends:
            return None
        return mean_of(self.mean, ends, [c.weight for c in weighed]) if ends else 1.0


def _times(end: float | None, same: float | None, opposite: float | None) -> float | None:
    """An end of a range times a factor ≥ 0: its same end, or the opposite below 0."""
    by = same if end is None or end >= 0 else opposite
    return None if end is None or by is None else end * by


def mean_of(
    mean: str, values: Sequence[float], weights: Sequence[float], floor: float = 0.0
) -> float:
    """The weighted mean (or product, or sum) of the values; NaN if any is.

    In a geometric mean or a product no value counts as less than ``floor``.
    """
    if any(math.isnan(v) for v in values):
        return math.nan
    if mean in ("geometric", "product") and floor > 0:
        values = [max(v, floor) for v in values]
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
    allowed = ("name", "mean", "floor", "components")
    for key in given:
        if key not in (*allowed, "weight", "transform", "factor"):
            hint = f"{nearest(key, allowed)}; has {', '.join(allowed)}"
            raise BadData(f"an objective made of components has no {key!r}{hint}")
    mean = str(given.get("mean", "geometric"))
    if mean not in MEANS:
        raise BadData(f"found mean {mean!r}{nearest(mean, MEANS)}; have {', '.join(MEANS)}")
    floor = given.get("floor", 0.0)
    if isinstance(floor, bool) or not isinstance(floor, int | float) or not 0 <= floor < 1:
        raise BadData(f"found floor {floor!r}, a number from 0 to 1 was needed")
    parts = given["components"]
    if not isinstance(parts, Sequence) or isinstance(parts, str) or not parts:
        raise BadData("components: a list of at least one table was needed")
    components = _named([_component(part) for part in parts])
    return _checked(Composite(str(given.get("name", "mean")), mean, components, float(floor)))


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
    factor = given.get("factor", False)
    if not isinstance(factor, bool):
        raise BadData(f"{name}: found factor {factor!r}, true or false was needed")
    if factor and "weight" in given:
        raise BadData(f"{name}: a factor multiplies the mean and has no weight")
    return Component(name, objective, options, chosen, float(weight), bounds, factor)


def _by_name(
    name: str, options: dict[str, Any]
) -> tuple[str | Composite, Range, Mapping[str, Any] | None]:
    """The objective of a name, its range and its usual transform; its options are checked."""
    if name in GUACAMOL:
        if options:
            hint = nearest(next(iter(options)), COMPONENT_KEYS)
            raise BadData(f"objective {name} has no options, found {', '.join(options)}{hint}")
        return _composite({"name": name, **GUACAMOL[name]}), Range(0.0, 1.0), None
    if is_outside(name):
        return name, outside_options(name, options, COMPONENT_KEYS), None
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
            have = f"it has {', '.join(parameters)}" if parameters else "it has none"
            hint = nearest(option, (*parameters, *COMPONENT_KEYS))
            raise BadData(f"{name} has no option {option!r}{hint}; {have}")
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
    """Refuses a geometric mean over something, or a factor, that is known to go below 0."""
    products = composite.mean in ("geometric", "product")
    for part in composite.components if len(composite.components) > 1 else ():
        if products or part.factor:
            outside = isinstance(part.objective, str) and is_outside(part.objective)
            kind = "a factor" if part.factor else f"a {composite.mean} mean"
            if (part.range.low is None and not outside) or (part.range.low or 0) < 0:
                raise BadData(
                    f"{part.name} can be negative and {kind} cannot: give it a "
                    'transform, such as {type = "sigmoid", low = …, high = …}'
                )
    return composite
