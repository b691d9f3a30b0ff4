"""Fractional designs: every level of every factor meets every level of every other factor."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from typing import Any

import numpy as np

Pair = tuple[int, int, int, int]  # factor, level, factor, level


def covering(levels: Sequence[int], tries: int = 60, seed: int = 0) -> list[tuple[int, ...]]:
    """Rows of level numbers that hold every pair of levels of any two factors (strength 2).

    Greedy: of some random rows grown around a missing pair, the one that holds most missing pairs.
    """
    rng = np.random.default_rng(seed)
    missing = {
        (a, i, b, j)
        for a, b in combinations(range(len(levels)), 2)
        for i in range(levels[a])
        for j in range(levels[b])
    }
    rows = []
    while missing:
        candidates = [_grow(levels, missing, rng) for _ in range(tries)]
        best = max(candidates, key=lambda row: len(missing & _pairs(row)))
        missing -= _pairs(best)
        rows.append(best)
    return sorted(rows)


def _grow(levels: Sequence[int], missing: set[Pair], rng: np.random.Generator) -> tuple[int, ...]:
    pairs = sorted(missing)
    a, i, b, j = pairs[int(rng.integers(len(pairs)))]
    row: dict[int, int] = {a: i, b: j}
    for factor in rng.permutation(len(levels)):
        if factor in row:
            continue
        gains = []
        for level in range(levels[factor]):
            met = {tuple(_pair(factor, level, g, k)) for g, k in row.items()}
            gains.append(len(missing & met) + 0.5 * rng.random())
        row[int(factor)] = int(np.argmax(gains))
    return tuple(row[f] for f in range(len(levels)))


def _pair(a: int, i: int, b: int, j: int) -> Pair:
    return (a, i, b, j) if a < b else (b, j, a, i)


def _pairs(row: Sequence[int]) -> set[Pair]:
    return {(a, row[a], b, row[b]) for a, b in combinations(range(len(row)), 2)}


def covering_cells(factors: Sequence[Sequence[Any]], seed: int = 0) -> list[tuple[Any, ...]]:
    """The rows of :func:`covering` with the levels themselves."""
    rows = covering([len(f) for f in factors], seed=seed)
    return [tuple(f[i] for f, i in zip(factors, row, strict=True)) for row in rows]
