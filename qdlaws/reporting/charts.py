"""Static pictures as SVG text: what stands in the page before, or without, its script.

They are written here, not by matplotlib, so that they follow the theme of the page, stay small and
look like those that the script draws in their place: colours are classes of the style sheet,
``r0`` … ``r7`` for the runs and ``t0`` … ``t7`` from early to late in a run that stands alone. The
script takes :data:`MARKERS` and :data:`COLOURS` from the data of the page.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from qdlaws.core.types import Array, Rows

__all__ = ["COLOURS", "MARKERS", "REACH", "Axis", "Curve", "Layer", "chart", "evenly", "ticks"]

WIDTH, HEIGHT = 440, 300
LEFT, RIGHT, TOP, BOTTOM = 56, WIDTH - 12, 10, HEIGHT - 42
COLOURS = 8
MOST_POINTS = 400

REACH = 0.5
"""Share of the range of the points by which bands may widen the upright axis on either side."""

MARKERS = ("h0", "m-2.6-2.6h5.2v5.2h-5.2z", "m0-4l3.6 6.4h-7.2z", "m0-4.2l4.2 4.2-4.2 4.2-4.2-4.2z")
"""How a point goes on after ``M x y``: disc (by the line cap), square, triangle, diamond."""


class Curve(NamedTuple):
    """A line with its band."""

    x: Array
    low: Array
    mid: Array
    high: Array


@dataclass(frozen=True, eq=False)
class Layer:
    """Points and, where there is one, a curve; without a ``run`` the points darken with time."""

    x: Array
    y: Array
    run: int | None = None
    curve: Curve | None = None
    supported: bool = True
    beyond: tuple[Curve, ...] = ()
    """The curve on both sides of its range, as far as there are points."""
    left_out: tuple[Array, Array] | None = None
    """Points that the curve does not speak of."""

    @property
    def colour(self) -> str:
        """The class of the curve, and of the points of a numbered run."""
        return "alone" if self.run is None else f"r{self.run % COLOURS}"


@dataclass(frozen=True)
class Axis:
    """Values from ``low`` to ``high`` on pixels from ``start`` to ``end``."""

    low: float
    high: float
    start: float
    end: float

    @classmethod
    def over(
        cls, values: Iterable[Array], start: float, end: float, beside: Iterable[Array] = ()
    ) -> Axis:
        """The axis that holds all the values with a margin of 4 % on either side.

        What is drawn ``beside`` them widens it by no more than :data:`REACH` of their range, if
        they have one.
        """
        finite, rest = _finite(values), _finite(beside)
        if not len(finite):
            finite, rest = rest, rest[:0]
        if not len(finite):
            return cls(0.0, 1.0, start, end)
        low, high = float(finite.min()), float(finite.max())
        if len(rest):
            reach = REACH * (high - low) or np.inf
            low = max(min(low, float(rest.min())), low - reach)
            high = min(max(high, float(rest.max())), high + reach)
        margin = 0.04 * (high - low) or 0.5 * abs(low) or 1.0
        return cls(low - margin, high + margin, start, end)

    def inside(self, values: Array) -> Array:
        """The values, those off the axis at its ends."""
        return np.asarray(np.clip(values, self.low, self.high))

    def __call__(self, values: ArrayLike) -> Array:
        share = (np.asarray(values, float) - self.low) / (self.high - self.low)
        return np.asarray(self.start + share * (self.end - self.start))

    def ticks(self) -> list[tuple[str, str]]:
        """Pixel and label of every tick."""
        values = ticks(self.low, self.high)
        return [(f"{p:.1f}", f"{v:.6g}") for p, v in zip(self(values), values, strict=True)]


def _finite(arrays: Iterable[Array]) -> Array:
    every = np.concatenate([np.zeros(0), *arrays])
    return np.asarray(every[np.isfinite(every)])


def ticks(low: float, high: float, about: int = 5) -> Array:
    """Round numbers between low and high: 1, 2 or 5 times a power of ten apart."""
    if not high > low:
        return np.array([low])
    raw = (high - low) / about
    power = 10.0 ** np.floor(np.log10(raw))
    step = power * min((1, 2, 5, 10), key=lambda m: abs(np.log(m * power / raw)))
    first, last = np.ceil(low / step - 1e-9), np.floor(high / step + 1e-9)
    return np.asarray(np.arange(first, last + 1) * step + 0.0)  # no tick is called −0


def evenly(n: int, most: int) -> Rows:
    """At most so many of n row numbers, evenly spread, the first and the last included."""
    if n <= most:
        return np.arange(n)
    return np.unique(np.linspace(0, n - 1, most).round().astype(np.intp))


def chart(layers: Sequence[Layer], x_name: str, y_name: str, label: str) -> str:
    """One picture as an SVG element; ``label`` says in words what it shows.

    The upright axis follows the points: bands may widen it by :data:`REACH` of their range on
    either side, and are cut there.
    """
    curves = [layer.curve for layer in layers if layer.curve is not None]
    out = [layer.left_out for layer in layers if layer.left_out is not None]
    x = Axis.over(
        [*(p.x for p in layers), *(o[0] for o in out), *(c.x for c in curves)], LEFT, RIGHT
    )
    heights = [edge for curve in curves for edge in (curve.low, curve.high)]
    y = Axis.over(
        [*(p.y for p in layers), *(o[1] for o in out)],
        BOTTOM,
        TOP,
        [*heights, *(c.mid for c in curves)],
    )
    body = "".join(_points(Layer(*o), x, y, "out") for o in out)
    body += "".join(_layer(layer, x, y) for layer in layers)
    return (
        f'<svg class="chart" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" '
        f'aria-label="{escape(label)}">{_axes(x, y, x_name, y_name)}{body}</svg>'
    )


def _axes(x: Axis, y: Axis, x_name: str, y_name: str) -> str:
    uprights = "".join(
        f'<path class="grid" d="M{p} {TOP}V{BOTTOM}"/>'
        f'<text x="{p}" y="{BOTTOM + 16}" text-anchor="middle">{text}</text>'
        for p, text in x.ticks()
    )
    levels = "".join(
        f'<path class="grid" d="M{LEFT} {p}H{RIGHT}"/>'
        f'<text x="{LEFT - 6}" y="{p}" dy="4" text-anchor="end">{text}</text>'
        for p, text in y.ticks()
    )
    across, up = (LEFT + RIGHT) // 2, (TOP + BOTTOM) // 2
    return (
        f'{uprights}{levels}<path class="axis" d="M{LEFT} {TOP}V{BOTTOM}H{RIGHT}"/>'
        f'<text class="name" x="{across}" y="{HEIGHT - 8}" text-anchor="middle">'
        f"{escape(x_name)}</text>"
        f'<text class="name" transform="translate(13 {up}) rotate(-90)" text-anchor="middle">'
        f"{escape(y_name)}</text>"
    )


def _layer(layer: Layer, x: Axis, y: Axis) -> str:
    """The band below the points, the line above them."""
    if layer.curve is None:
        return _points(layer, x, y)
    across = x(layer.curve.x)
    low, high = y(y.inside(layer.curve.low)), y(y.inside(layer.curve.high))
    look = f"{layer.colour}{'' if layer.supported else ' loose'}"
    edge = _path(np.append(across, across[::-1]), np.append(low, high[::-1]))
    band = f'<path class="band {look}" d="{edge}Z"/>'
    lines = "".join(_line(c, f"{look} beyond", x, y) for c in layer.beyond)
    return f"{band}{_points(layer, x, y)}{_line(layer.curve, look, x, y)}{lines}"


def _line(curve: Curve, look: str, x: Axis, y: Axis) -> str:
    """The line of a curve as far as the axis goes."""
    drawn = (curve.mid >= y.low) & (curve.mid <= y.high)
    if not drawn.any():
        return ""
    return f'<path class="law {look}" d="{_path(x(curve.x[drawn]), y(curve.mid[drawn]))}"/>'


def _path(x: Array, y: Array) -> str:
    return "M" + "L".join(f"{a:.1f} {b:.1f}" for a, b in zip(x, y, strict=True))


def _points(layer: Layer, x: Axis, y: Axis, colour: str = "") -> str:
    """One path for a numbered run or in one ``colour``, else one for each shade of time."""
    rows = np.flatnonzero(np.isfinite(layer.x) & np.isfinite(layer.y))
    rows = rows[evenly(len(rows), MOST_POINTS)]
    marker = 0 if layer.run is None else layer.run % len(MARKERS)
    points = [
        f"M{a:.1f} {b:.1f}{MARKERS[marker]}"
        for a, b in zip(x(layer.x[rows]), y(layer.y[rows]), strict=True)
    ]
    if colour or layer.run is not None:
        groups = {colour or layer.colour: points}
    else:
        ends = [-(-i * len(points) // COLOURS) for i in range(COLOURS + 1)]
        groups = {f"t{i}": points[a:b] for i, (a, b) in enumerate(pairwise(ends)) if b > a}
    return "".join(
        f'<path class="dots m{marker} {shade}" d="{"".join(part)}"/>'
        for shade, part in groups.items()
    )
