"""The score of REINVENT4 without its diversity filter, computed anew from the components.

The CSV's ``Score`` is written after the filter, which sets it to zero or scales it down for
molecules seen too often: a mixture of quality and diversity. (In a public log of DASA it lowers the
mean score of the last step from .24 to .15.) No column states how the components were aggregated,
by a weighted geometric or arithmetic mean. The weights are solved for on rows that the filter left
alone, and are used only where they reproduce at least 80 % of these.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice

import numpy as np
import numpy.typing as npt

from qdlaws.core.number_text import numbers
from qdlaws.core.types import Array
from qdlaws.readers.formats.delimited import Rows, table_mark

__all__ = ["ScoreRule", "score_rule"]

FIRST_ROWS = 5_000  # the weights are solved for on these: filters fill up later
TOLERANCE = 0.005  # relative error of a row that a rule reproduces (the CSV rounds)
MIN_REPRODUCED = 0.8  # share of the rows
FEWEST = 50


@dataclass(frozen=True)
class ScoreRule:
    """Score = Π cᵢ^wᵢ (geometric) or Σ wᵢ·cᵢ (arithmetic) over the components.

    ``constant`` holds the value of a component that never moved in the first rows, else NaN: its
    weight is not identified, so rows where it has moved get no value.
    """

    components: tuple[str, ...]
    weights: Array
    constant: Array
    geometric: bool

    @property
    def words(self) -> str:
        """The rule in words, for a note."""
        parts = [f"{c} {w:.2f}" for c, w in zip(self.components, self.weights, strict=True)]
        shown = ", ".join(parts[:4]) + (", …" if len(parts) > 4 else "")
        return f"{'geometric' if self.geometric else 'arithmetic'} mean, weights {shown}"

    def value(self, components: Array) -> Array:
        """The score of rows of components (n, k); NaN where a weight is not identified."""
        moved = np.abs(components - self.constant) > 1e-6
        usable = np.all(components > 0, axis=1) & ~moved.any(axis=1)
        safe = np.where(usable[:, None], components, 1.0)
        mean = np.exp(np.log(safe) @ self.weights) if self.geometric else safe @ self.weights
        return np.where(usable, mean, np.nan)

    def unfiltered(self, column: Callable[[str], Array], score: Array) -> Array:
        """The scores before the filter: those of the components where these are higher."""
        before = self.value(np.column_stack([column(c) for c in self.components]))
        return np.where(before > score * (1 + 2 * TOLERANCE) + 1e-6, before, score)


def score_rule(rows: Rows) -> ScoreRule | None:
    """The aggregation that reproduces most of the first scores; None where none does."""
    raw = [c for c in rows.header if c.endswith(" (raw)")]
    names = tuple(c.removesuffix(" (raw)") for c in raw if c.removesuffix(" (raw)") in rows.header)
    if not names:
        return None
    first = [fields for _, fields in islice(Rows(rows.source), FIRST_ROWS)]
    mark = table_mark(rows.source)
    places = {name: rows.header.index(name) for name in (*names, "Score")}
    table = {name: numbers([f[i] for f in first], mark) for name, i in places.items()}
    score = table["Score"]
    components = np.column_stack([table[n] for n in names])
    usable = (score > 1e-3) & np.all(components > 1e-3, axis=1)  # below that rounding rules
    if usable.sum() < FEWEST:
        return None
    score, components = score[usable], components[usable]
    still = np.where(np.ptp(components, axis=0) < 1e-6, components[0], np.nan)
    rules = (ScoreRule(names, _weights(score, components, g), still, g) for g in (True, False))
    best = max(rules, key=lambda rule: _reproduced(rule, score, components).mean())
    return best if _reproduced(best, score, components).mean() >= MIN_REPRODUCED else None


def _reproduced(rule: ScoreRule, score: Array, components: Array) -> npt.NDArray[np.bool_]:
    return np.abs(rule.value(components) - score) <= TOLERANCE * score + 1e-6


def _weights(score: Array, components: Array, geometric: bool) -> Array:
    """Non-negative weights by least squares, without the rows that the filter lowered."""
    from scipy.optimize import nnls

    x, y = (np.log(components), np.log(score)) if geometric else (components, score)
    keep = np.ones(len(y), bool)
    for _ in range(8):
        weights = nnls(x[keep], y[keep])[0]
        left = y - x @ weights
        keep = np.abs(left) <= max(TOLERANCE, 2.0 * float(np.median(np.abs(left))))
        if keep.sum() < FEWEST / 2:
            break
    return np.asarray(weights, float)
