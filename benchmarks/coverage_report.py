"""The coverage table in words: what was wanted of each cell, and what failed."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple

import numpy as np
from cells import KAPPA, SIGMA, X_NOISE, Cell, N, Result

from qdlaws.simulation import ERROR_MODELS, MIXED

NAMES = ("inside", "edge", "beyond", "ceiling")


class Wanted(NamedTuple):
    """Bounds on the coverage of nominal 95 %; ``high`` is reported, since wide is allowed."""

    low: float
    high: float
    why: str


def wanted(cell: Cell) -> Wanted | None:
    """What is asked of a cell; None where nothing is."""
    if cell.errors in MIXED:
        if cell.n < 60:
            return None
        if cell.n < 200:
            return Wanted(0.85, 1.0, "mixed errors, n = 60: ≥ .85")
        if cell.x_noise:
            return Wanted(0.88, 1.0, "noise in x: ≥ .88")
        return Wanted(0.90, 1.0, "mixed errors, n ≥ 200: ≥ .90")
    if cell.x_noise:
        return Wanted(0.88, 1.0, "noise in x: ≥ .88")
    if cell.n >= 60 and ERROR_MODELS[cell.errors].rho <= 0.8:
        return Wanted(0.92, 0.98, "AR(1), ρ ≤ .8, n ≥ 60: .92–.98")
    return Wanted(0.88, 1.0, "AR(1), ρ = .95 or n = 20: ≥ .88")


def widest(cell: Cell) -> float | None:
    """The median width wanted, over Cramér–Rao, inside and at the edge."""
    if cell.sigma > 0.05 or cell.x_noise or cell.n < 60 or cell.errors in MIXED:
        return None
    if cell.n < 200:
        return 2.5
    return 1.6 if ERROR_MODELS[cell.errors].rho > 0.8 else 1.3


def slack(level: float, reps: int) -> float:
    """Two Monte Carlo standard errors."""
    return 2 * float(np.sqrt(level * (1 - level) / reps))


def too_low(result: Result) -> np.ndarray:
    """Which of inside, edge, beyond, ceiling cover less than wanted."""
    bound = wanted(result.cell)
    assert bound is not None
    return np.asarray(result.worst < bound.low - slack(bound.low, result.reps))


def too_high(result: Result) -> np.ndarray:
    """Which of them cover more than wanted (at the edge: both ends)."""
    bound = wanted(result.cell)
    assert bound is not None
    return np.asarray(result.worst > bound.high + slack(bound.high, result.reps))


def too_wide(result: Result) -> np.ndarray:
    """Inside and at each end."""
    most = widest(result.cell)
    assert most is not None
    return np.asarray(result.width[:3] > most)


def report(results: list[Result], covering: set[Cell], reps: int, missing: int = 0) -> str:
    """The committed table."""
    ours = [r for r in results if r.method == "qdlaws"]
    peers = [r for r in results if r.method != "qdlaws"]
    parts = [
        _head(ours, peers, covering, reps, missing),
        _summary(ours),
        _widths(ours),
        _peers(ours, peers),
    ]
    parts.append("## qdlaws, cell by cell\n\n" + _table(ours))
    for method in dict.fromkeys(r.method for r in peers):
        parts.append(
            f"## {method}, cell by cell\n\n" + _table([r for r in peers if r.method == method])
        )
    return "\n\n".join(part for part in parts if part) + "\n"


def _head(
    ours: list[Result], peers: list[Result], covering: set[Cell], reps: int, missing: int
) -> str:
    line = f"{len(ours)} cells, {reps} repeats of each"
    if peers:
        line += f"; peers {peers[0].reps} repeats of {len({r.cell for r in peers})} cells"
    short = [r.reps for r in ours if r.reps < reps]
    if short:
        line += (
            f". **An unfinished run**: {len(short)} cells have {min(short)}–{max(short)} repeats"
        )
    if missing:
        line += f". {missing} pairs of method and cell have not been run"
    return (
        "# Coverage of nominal 95 % intervals of the mean law\n\n"
        f"{line}. Factors: n {N}, κ {KAPPA}, σ/|q| {SIGMA}, errors {tuple(ERROR_MODELS)}, noise of x in "
        f"ranges {X_NOISE}; mixed A = 70 % white + 30 % AR(.95), mixed B = 30 % white + 70 % "
        f"AR(.8).\n\nThe design is fractional: {len(covering)} cells form a covering array of "
        "strength 2 (every level of every factor meets every level of every other); the others are "
        "all cells on which a width is wanted (σ/|q| = .05, exact x, AR(1), n ≥ 60, every κ) and "
        "n = 20 at ρ = .95.\n\n"
        "x has true range [0.2, 1.2]. inside: x = 0.7; ends: 0.2 and 1.2, the edge being the "
        "worse; beyond: 0.3 ranges below the low end; ceiling: x = 0. Width: median over "
        "2·1.96·√CRB. A figure fails (✗ too low or too wide, ↑ above the upper bound) when it "
        "is off by more than two Monte Carlo standard errors."
    )


def _summary(ours: list[Result]) -> str:
    rows = []
    by_why: dict[str, list[Result]] = {}
    for r in ours:
        bound = wanted(r.cell)
        by_why.setdefault("mixed errors, n = 20: none" if bound is None else bound.why, []).append(
            r
        )
    for why, group in sorted(by_why.items()):
        least = [f"{v:.3f}" for v in np.min([r.worst for r in group], axis=0)]
        if wanted(group[0].cell) is None:
            rows.append([why, str(len(group)), "–", "–", *least])
            continue
        low = sum(bool(too_low(r).any()) for r in group)
        high = sum(bool(too_high(r).any()) for r in group)
        rows.append([why, str(len(group)), str(low), str(high), *least])
    asked = [r for r in ours if wanted(r.cell) is not None]
    failed = [r for r in asked if too_low(r).any()]
    wide = [r for r in asked if too_high(r).any()]
    head = ["wanted", "cells", "too low", "too high (wide)", *(f"least {n}" for n in NAMES)]
    text = (
        f"## What was wanted\n\n**{len(asked) - len(failed)} of {len(asked)} cells hold their "
        f"lower bound at all four places; {len(failed)} fail it. {len(wide)} lie above the upper "
        "bound** (wide is allowed, narrow is not).\n\n" + markdown(head, rows)
    )
    return text + ("\n\nBelow: " + "; ".join(map(_places, failed)) if failed else "")


def _places(result: Result) -> str:
    """A cell and the places where it covers too little."""
    bad = too_low(result)
    where = [f"{n} {result.worst[i]:.3f}" for i, n in enumerate(NAMES) if bad[i]]
    return f"{result.cell} ({', '.join(where)})"


def _widths(ours: list[Result]) -> str:
    rows = []
    groups: dict[tuple[float, str], list[Result]] = {}
    for r in ours:
        most = widest(r.cell)
        if most is not None:
            groups.setdefault((most, f"n = {r.cell.n}, {r.cell.errors}"), []).append(r)
    for (most, name), group in groups.items():
        width = np.array([r.width[:3] for r in group])
        bad = [r for r in group if too_wide(r).any()]
        where = ", ".join(f"κ={r.cell.kappa:g} ({np.max(r.width[:3]):.2f})" for r in bad)
        rows.append(
            [
                name,
                f"≤ {most:g}",
                f"{np.median(width[:, 0]):.2f}",
                f"{np.median(width[:, 1:]):.2f}",
                f"{width[:, 0].max():.2f}",
                f"{width[:, 1:].max():.2f}",
                f"{len(group) - len(bad)} of {len(group)}",
                where or "–",
            ]
        )
    head = [
        "cells",
        "wanted",
        "inside, median",
        "ends, median",
        "inside, most",
        "ends, most",
        "κ that pass",
        "κ that fail (widest place)",
    ]
    return "## Width over Cramér–Rao\n\n" + markdown(head, rows) if rows else ""


def _peers(ours: list[Result], peers: list[Result]) -> str:
    if not peers:
        return ""
    cells = {r.cell for r in peers}
    rows = []
    splits: dict[str, Callable[[Cell], bool]] = {
        "white": lambda c: c.errors == "rho=0" and not c.x_noise,
        "AR(1), ρ > 0": lambda c: c.errors in ("rho=.5", "rho=.8", "rho=.95") and not c.x_noise,
        "mixed": lambda c: c.errors in MIXED and not c.x_noise,
        "noise in x": lambda c: c.x_noise > 0,
    }
    for method in dict.fromkeys(r.method for r in [*ours, *peers]):
        for name, member in splits.items():
            group = [
                r
                for r in [*ours, *peers]
                if r.method == method and r.cell in cells and member(r.cell)
            ]
            if not group:
                continue
            cover = np.array([r.worst for r in group])
            width = np.array([r.width[0] for r in group])
            rows.append(
                [
                    method,
                    name,
                    str(len(group)),
                    *(_share(v) for v in cover.mean(0)),
                    *(_share(v) for v in cover.min(0)),
                    f"{np.median(width):.2f}",
                ]
            )
    head = [
        "method",
        "errors",
        "cells",
        *(f"mean {n}" for n in NAMES),
        *(f"least {n}" for n in NAMES),
        "width inside",
    ]
    return (
        "## Beside the peers, on the covering array\n\n"
        + markdown(head, rows)
        + "\n\nThe peers start at the truth and fit the form without a singularity. "
        "`conf_interval` is profiled for the value at the spot itself, inside and at the low end "
        "only and on the cells with exact x: a profile per spot takes too long for more."
    )


def _table(results: Iterable[Result]) -> str:
    rows = []
    for r in sorted(results, key=lambda r: r.cell):
        bound = wanted(r.cell)
        low = too_low(r) if bound else np.zeros(4, bool)
        high = too_high(r) if bound else np.zeros(4, bool)
        most = widest(r.cell)
        inside, *ends = r.width[:3]
        wide = too_wide(r) if most else np.zeros(3, bool)
        worst = [
            _share(v) + "✗" * bool(a) + "↑" * bool(b)
            for v, a, b in zip(r.worst, low, high, strict=True)
        ]
        each = f"{_share(r.coverage[1])} {_share(r.coverage[2])}"
        rows.append(
            [
                str(r.cell),
                str(r.reps),
                "–" if bound is None else f"{bound.low:g}–{bound.high:g}",
                worst[0],
                worst[1],
                each,
                worst[2],
                worst[3],
                f"{_ratio(inside)}{'✗' * bool(wide[0])}",
                f"{_ratio(max(ends))}{'✗' * bool(wide[1:].any())}",
                _ratio(r.width[3]),
                "–" if most is None else f"≤ {most:g}",
            ]
        )
    head = [
        "cell",
        "repeats",
        "wanted",
        "inside",
        "edge",
        "low, high end",
        "beyond",
        "ceiling",
        "width inside",
        "width edge",
        "width beyond",
        "wanted",
    ]
    return markdown(head, rows)


def _share(value: float) -> str:
    return "–" if np.isnan(value) else f"{value:.3f}"


def _ratio(value: float) -> str:
    return "–" if np.isnan(value) else f"{value:.2f}" if value < 100 else f"{value:.0f}"


def markdown(head: list[str], rows: list[list[str]]) -> str:
    """A table whose columns line up in a terminal too."""
    widths = [max(len(row[i]) for row in [head, *rows]) for i in range(len(head))]
    lines = [
        " | ".join(v.ljust(w) for v, w in zip(row, widths, strict=True)) for row in [head, *rows]
    ]
    lines.insert(1, " | ".join("-" * w for w in widths))
    return "\n".join(f"| {line} |" for line in lines)
