"""Static pictures as SVG text: what stands in the page before, or without, its script.

Colours are classes of the style sheet, so that they follow the theme: ``r0`` … ``r7`` tell runs
apart, ``t0`` … ``t7`` stand for early to late in a single run.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

import numpy as np
import numpy.typing as npt

__all__ = ["Layer", "chart", "ticks"]

Array = npt.NDArray[np.float64]

WIDTH, HEIGHT = 440, 300
LEFT, RIGHT, TOP, BOTTOM = 56, 12, 10, 42
COLOURS = 8
MOST_DOTS = 400

MARKERS = ("h0", "m-2.6-2.6h5.2v5.2h-5.2z", "m0-4l3.6 6.4h-7.2z", "m0-4.2l4.2 4.2-4.2 4.2-4.2-4.2z")
"""How a point goes on after ``M x y``: disc (by the line cap), square, triangle, diamond."""


@dataclass(frozen=True, eq=False)
class Layer:
    """The points of one run and, where there is one, a curve with its band."""

    x: Array
    y: Array
    run: int = 0
    alone: bool = True
    curve: dict[str, Array] | None = None
    held: bool = True


def ticks(low: float, high: float, about: int = 5) -> Array:
    """Round numbers between low and high: 1, 2 or 5 times a power of ten apart."""
    if not high > low:
        return np.array([low])
    raw = (high - low) / max(about, 1)
    power = 10.0 ** np.floor(np.log10(raw))
    step = power * min((1, 2, 5, 10), key=lambda m: abs(np.log(m * power / raw)))
    first, last = np.ceil(low / step - 1e-9), np.floor(high / step + 1e-9)
    return np.asarray(np.arange(first, last + 1) * step + 0.0)  # no tick is called −0


def chart(layers: Sequence[Layer], x_name: str, y_name: str, label: str) -> str:
    """One picture as an SVG element; ``label`` says in words what it shows."""
    layers = [_thinned(layer) for layer in layers]
    x_range = _range([v for y in layers for v in (y.x, *_part(y, "x"))])
    y_range = _range([v for y in layers for v in (y.y, *_part(y, "low"), *_part(y, "high"))])
    axes = _axes(x_range, y_range, x_name, y_name)
    body = "".join(_draw(layer, x_range, y_range) for layer in layers)
    return (
        f'<svg class="chart" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" '
        f'aria-label="{escape(label)}">{axes}{body}</svg>'
    )


def _part(layer: Layer, name: str) -> list[Array]:
    return [] if layer.curve is None else [layer.curve[name]]


def _thinned(layer: Layer) -> Layer:
    rows = np.flatnonzero(np.isfinite(layer.x) & np.isfinite(layer.y))
    if len(rows) > MOST_DOTS:
        rows = rows[np.linspace(0, len(rows) - 1, MOST_DOTS).astype(int)]
    return Layer(layer.x[rows], layer.y[rows], layer.run, layer.alone, layer.curve, layer.held)


def _range(values: Sequence[Array]) -> tuple[float, float]:
    known = np.concatenate([np.asarray(v, float) for v in values] or [np.zeros(1)])
    known = known[np.isfinite(known)]
    if not len(known):
        return 0.0, 1.0
    low, high = float(known.min()), float(known.max())
    pad = 0.04 * (high - low) or 0.5 * abs(low) or 1.0
    return low - pad, high + pad


def _px(x: Array, span: tuple[float, float]) -> Array:
    return LEFT + (np.asarray(x) - span[0]) / (span[1] - span[0]) * (WIDTH - LEFT - RIGHT)


def _py(y: Array, span: tuple[float, float]) -> Array:
    return (
        HEIGHT - BOTTOM - (np.asarray(y) - span[0]) / (span[1] - span[0]) * (HEIGHT - TOP - BOTTOM)
    )


def _axes(x: tuple[float, float], y: tuple[float, float], x_name: str, y_name: str) -> str:
    base = HEIGHT - BOTTOM
    out = []
    for value in ticks(*x):
        at = float(_px(value, x))
        out.append(f'<path class="grid" d="M{at:.1f} {TOP}V{base}"/>')
        out.append(f'<text x="{at:.1f}" y="{base + 16}" text-anchor="middle">{value:.6g}</text>')
    for value in ticks(*y):
        at = float(_py(value, y))
        out.append(f'<path class="grid" d="M{LEFT} {at:.1f}H{WIDTH - RIGHT}"/>')
        out.append(f'<text x="{LEFT - 6}" y="{at + 4:.1f}" text-anchor="end">{value:.6g}</text>')
    middle = (LEFT + WIDTH - RIGHT) / 2
    out.append(f'<path class="axis" d="M{LEFT} {TOP}V{base}H{WIDTH - RIGHT}"/>')
    out.append(
        f'<text class="name" x="{middle:.0f}" y="{HEIGHT - 8}" text-anchor="middle">'
        f"{escape(x_name)}</text>"
        f'<text class="name" transform="translate(13 {(TOP + base) / 2:.0f}) rotate(-90)" '
        f'text-anchor="middle">{escape(y_name)}</text>'
    )
    return "".join(out)


def _draw(layer: Layer, x: tuple[float, float], y: tuple[float, float]) -> str:
    colour = "alone" if layer.alone else f"r{layer.run % COLOURS}"
    out = []
    if layer.curve is not None:
        across = _px(layer.curve["x"], x)
        low, mid, high = (_py(layer.curve[name], y) for name in ("low", "mid", "high"))
        edge = _line(np.append(across, across[::-1]), np.append(low, high[::-1]))
        kind = "" if layer.held else " loose"
        out.append(f'<path class="band {colour}{kind}" d="{edge}Z"/>')
        out.append(f'<path class="law {colour}{kind}" d="{_line(across, mid)}"/>')
    out.append(_dots(_px(layer.x, x), _py(layer.y, y), layer))
    # The law lies over its points, the band below them.
    return out[0] + out[-1] + out[1] if len(out) == 3 else out[0]


def _line(x: Array, y: Array) -> str:
    return "M" + "L".join(f"{a:.1f} {b:.1f}" for a, b in zip(x, y, strict=True))


def _dots(x: Array, y: Array, layer: Layer) -> str:
    if layer.alone:
        shade = np.minimum(np.arange(len(x)) * COLOURS // max(len(x), 1), COLOURS - 1)
        groups = [(f"t{i}", shade == i) for i in range(COLOURS)]
    else:
        groups = [(f"r{layer.run % COLOURS}", np.ones(len(x), bool))]
    marker = 0 if layer.alone else layer.run % len(MARKERS)
    out = []
    for name, rows in groups:
        d = "".join(
            f"M{a:.1f} {b:.1f}{MARKERS[marker]}" for a, b in zip(x[rows], y[rows], strict=True)
        )
        out.append(f'<path class="dots m{marker} {name}" d="{d}"/>')
    return "".join(out)
