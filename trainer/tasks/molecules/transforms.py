"""Raw score → [0, 1]: the score transforms of REINVENT4 and the modifiers of GuacaMol, by name.

Each takes one number and its parameters. They are plain ``math`` and not numpy, so that a score is
the same to the last bit however the molecules were divided among processes. NaN stays NaN.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from qdlaws.errors import BadData
from trainer.tasks.task import nearest

__all__ = ["BINARY", "TRANSFORMS", "transform"]

Transform = Callable[[float], float]


def sigmoid(x: float, low: float, high: float, k: float = 0.5) -> float:
    """1/(1 + 10^(−10k·(x − c)/(high − low))), c the middle (REINVENT4); a step where low = high."""
    return _ten_sigmoid(x - (low + high) / 2, 10 * k, high - low)


def reverse_sigmoid(x: float, low: float, high: float, k: float = 0.5) -> float:
    """1 − sigmoid(x): high scores for small x (REINVENT4)."""
    return 1 - sigmoid(x, low, high, k)


def double_sigmoid(
    x: float,
    low: float,
    high: float,
    coef_div: float = 100.0,
    coef_si: float = 150.0,
    coef_se: float = 150.0,
) -> float:
    """Rising at ``low``, falling at ``high``, ½ at both (REINVENT4): good between them.

    Left of the middle 1/(1 + 10^(−(x − low)·coef_si/coef_div)), right of it
    1 − 1/(1 + 10^(−(x − high)·coef_se/coef_div)).
    """
    if math.isnan(x):
        return x
    if x < (low + high) / 2:
        return _ten_sigmoid(x - low, coef_si, coef_div)
    return 1 - _ten_sigmoid(x - high, coef_se, coef_div)


def step(x: float, low: float = -math.inf, high: float = math.inf) -> float:
    """1 for low ≤ x ≤ high, else 0 (REINVENT4)."""
    return x if math.isnan(x) else float(low <= x <= high)


def right_step(x: float, high: float) -> float:
    """1 for x ≥ high, else 0 (REINVENT4)."""
    return x if math.isnan(x) else float(x >= high)


def left_step(x: float, low: float) -> float:
    """1 for x ≤ low, else 0 (REINVENT4)."""
    return x if math.isnan(x) else float(x <= low)


def exponential_decay(x: float, k: float = 1.0) -> float:
    """e^(−k·x), 1 for negative x (REINVENT4)."""
    return 1.0 if x < 0 else math.exp(-k * x)


def gaussian(x: float, mu: float, sigma: float) -> float:
    """exp(−½((x − μ)/σ)²) (GuacaMol)."""
    z = (x - mu) / sigma
    return math.exp(-0.5 * z * z)  # z**2 would raise where z·z is infinite


def min_gaussian(x: float, mu: float, sigma: float) -> float:
    """1 up to μ, falling as half a Gaussian above it (GuacaMol)."""
    return gaussian(mu if x < mu else x, mu, sigma)


def max_gaussian(x: float, mu: float, sigma: float) -> float:
    """1 from μ on, falling as half a Gaussian below it (GuacaMol)."""
    return gaussian(mu if x > mu else x, mu, sigma)


def clipped(x: float, upper: float, lower: float = 0.0) -> float:
    """Linear from 0 at ``lower`` to 1 at ``upper``, flat beyond (GuacaMol), either way."""
    if math.isnan(x):
        return x
    return min(max((x - lower) / (upper - lower), 0.0), 1.0)


def linear(x: float, slope: float = 1.0, offset: float = 0.0) -> float:
    """slope·x + offset: the one that does not stay within [0, 1] by itself."""
    return slope * x + offset


TRANSFORMS: dict[str, Callable[..., float]] = {
    f.__name__: f
    for f in (
        sigmoid,
        reverse_sigmoid,
        double_sigmoid,
        step,
        right_step,
        left_step,
        exponential_decay,
        gaussian,
        min_gaussian,
        max_gaussian,
        clipped,
        linear,
    )
}
BINARY = frozenset({"step", "right_step", "left_step"})
"""Transforms whose values are 0 and 1."""


def transform(options: Mapping[str, Any], of: str = "a component") -> Transform:
    """The transform that ``{type = "double_sigmoid", low = 1, high = 4}`` describes."""
    given = dict(options)
    kind = str(given.pop("type", ""))
    if kind not in TRANSFORMS:
        problem = f"transform of {of}: found type {kind!r}{nearest(kind, TRANSFORMS)}"
        raise BadData(f"{problem}; have {', '.join(TRANSFORMS)}")
    function = TRANSFORMS[kind]
    parameters = list(inspect.signature(function).parameters.values())[1:]
    names = [p.name for p in parameters]
    for name, value in given.items():
        if name not in names:
            hint = f"{nearest(name, names)}; has {', '.join(names)}"
            raise BadData(f"transform {kind} of {of} has no {name!r}{hint}")
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise BadData(f"transform {kind} of {of}: {name}={value!r} is not a number")
    missing = [p.name for p in parameters if p.default is p.empty and p.name not in given]
    if missing:
        raise BadData(f"transform {kind} of {of} needs {' and '.join(missing)}")
    _check(kind, given, of)
    return partial(function, **{name: float(value) for name, value in given.items()})


def _check(kind: str, given: Mapping[str, float], of: str) -> None:
    """Parameters that would divide by zero or turn the curve around."""
    low, high = given.get("low", -math.inf), given.get("high", math.inf)
    if low > high:
        raise BadData(f"transform {kind} of {of}: low {low:g} is above high {high:g}")
    if given.get("sigma", 1) <= 0:
        raise BadData(f"transform {kind} of {of}: sigma {given['sigma']:g} is not positive")
    if kind == "exponential_decay" and given.get("k", 1) <= 0:
        raise BadData(f"transform {kind} of {of}: k {given['k']:g} is not positive")
    if kind == "clipped" and given["upper"] == given.get("lower", 0.0):
        raise BadData(f"transform {kind} of {of}: upper and lower are equal, {given['upper']:g}")


def _ten_sigmoid(x: float, k: float, width: float) -> float:
    """1/(1 + 10^(−k·x/width)); for width 0 the step: 1 where k·x > 0."""
    if width == 0:
        return x if math.isnan(x) else float(k * x > 0)
    h = math.log(10) * k / width * x
    if h >= 0:
        return 1 / (1 + math.exp(-h))
    return math.exp(h) / (1 + math.exp(h))
