"""Are the verdicts right? The confusion table over runs with and without a law.

    python benchmarks/verdicts.py            full run: 300 runs a cell; goes on if interrupted
    python benchmarks/verdicts.py --quick    40 runs of a quarter of the cells

Where there is a law, its errors are sized so that the effect (κ of a curved law, q of a straight
one) is four Cramér–Rao standard errors, with the true error model and, where x is read with noise,
with the path unknown. A test that knew the error model would be right in about 97.9 %; one whose
intervals are 1.5 times as wide, since it learns the error model from the run, in about 86 %. Rows
at six standard errors are reported beside.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from coverage_report import markdown, slack
from jobs import fingerprint, run_jobs
from simulate import ERRORS, Run, clock, cramer_rao, draw_errors, slow, true_law

from qdlaws.core.law import Law

Array = npt.NDArray[np.float64]

N = (60, 200)
MODELS = ("rho=.5", "rho=.8", "mixed A", "mixed B")
X_NOISE = (0.0, 0.1)
VERDICTS = ("concave", "convex", "linear", "unsupported")

EFFECT = 4.0
REPS, CHUNK = 300, 50


class Cell(NamedTuple):
    kind: str
    n: int
    errors: str
    x_noise: float

    def __str__(self) -> str:
        return f"{self.kind}, n={self.n}, {self.errors}, x-noise={self.x_noise:g}"


# ---------------------------------------------------------------------- the runs


Series = Callable[[np.random.Generator, "Cell"], tuple[Array, Array]]


def _law(kappa: float, q: float = -1.0, rising: bool = False, effect: float = EFFECT) -> Series:
    """Paths of x and y along a law whose effect is so many standard errors."""

    def series(rng: np.random.Generator, cell: Cell) -> tuple[Array, Array]:
        law, path = true_law(kappa, q), clock(cell.n)
        if rising:
            path = path[::-1]
        sigma = error_size(law, path, cell.errors, cell.x_noise, effect)
        return path, law.value(path) + sigma * draw_errors(rng, cell.n, ERRORS[cell.errors])

    return series


def error_size(law: Law, path: Array, errors: str, x_noise: float, effect: float) -> float:
    """The σ at which κ (q of a line) is ``effect`` standard errors; at most 0.4 of the change."""

    def strength(sigma: float) -> float:
        bound = cramer_rao(law, path, sigma, ERRORS[errors], np.zeros(1), x_noise)
        kappa = float(law.kappa)
        return abs(kappa) / bound.kappa if kappa else abs(float(law.q)) / bound.q

    low, high = 1e-6, 0.4
    if strength(high) >= effect:
        return high
    for _ in range(60):
        middle = np.sqrt(low * high)
        low, high = (middle, high) if strength(middle) > effect else (low, middle)
    return float(low)


def _flat(rng: np.random.Generator, cell: Cell) -> tuple[Array, Array]:
    return clock(cell.n), draw_errors(rng, cell.n, ERRORS[cell.errors])


def _spiky(rng: np.random.Generator, cell: Cell) -> tuple[Array, Array]:
    """A line with errors of 5 % of its change and, in 3 % of the rows, spikes of 80 %."""
    path = clock(cell.n)
    spikes = (rng.random(cell.n) < 0.03) * 0.8 * rng.standard_normal(cell.n)
    errors = 0.05 * draw_errors(rng, cell.n, ERRORS[cell.errors])
    return path, true_law(0.0).value(path) + errors + spikes


def _walks(white: float) -> Series:
    """Two independent random walks; y with white noise of so many of its own steps, and errors."""

    def series(rng: np.random.Generator, cell: Cell) -> tuple[Array, Array]:
        x, y = np.cumsum(rng.standard_normal((2, cell.n)), axis=1)
        errors = 0.05 * np.ptp(y) * draw_errors(rng, cell.n, ERRORS[cell.errors])
        return x, y + white * rng.standard_normal(cell.n) + errors

    return series


def _noises(rng: np.random.Generator, cell: Cell) -> tuple[Array, Array]:
    return slow(rng, cell.n, 0.8), draw_errors(rng, cell.n, ERRORS[cell.errors])


def _clocks(rng: np.random.Generator, cell: Cell) -> tuple[Array, Array]:
    """Two unrelated saturating clocks, each with a rate of its own."""
    s = np.linspace(0, 1, cell.n)
    y = -np.expm1(-rng.uniform(2, 8) * s)
    return clock(cell.n), y + 0.05 * draw_errors(rng, cell.n, ERRORS[cell.errors])


class Kind(NamedTuple):
    """A row of the table: how its runs come about and which verdict is right (None: reported)."""

    series: Series
    right: str | None
    effect: bool = False  # is right ≥ 90 % wanted?
    straight: bool = False  # is curved ≤ 5 % wanted?
    independent: bool = False  # is a trade-off ≤ 5 % wanted?


KINDS = {
    "concave": Kind(_law(2.0), "concave", effect=True),
    "convex": Kind(_law(-2.0), "convex", effect=True),
    "linear": Kind(_law(0.0), "linear", effect=True, straight=True),
    "concave, 6 s.e.": Kind(_law(2.0, effect=6.0), "concave"),
    "convex, 6 s.e.": Kind(_law(-2.0, effect=6.0), "convex"),
    "linear, 6 s.e.": Kind(_law(0.0, effect=6.0), "linear", straight=True),
    "both rise": Kind(_law(0.0, q=1.0), "unsupported", effect=True, straight=True),
    "R falls, H rises": Kind(_law(2.0, rising=True), "concave", effect=True),
    "flat": Kind(_flat, "unsupported", straight=True, independent=True),
    "spiky line": Kind(_spiky, "linear", effect=True, straight=True),
    "random walks": Kind(_walks(0.0), "unsupported", straight=True, independent=True),
    "walk + white noise": Kind(_walks(2.0), "unsupported", straight=True, independent=True),
    "two AR(1) series": Kind(_noises, "unsupported", straight=True, independent=True),
    "unrelated clocks": Kind(_clocks, None),
}


def one_run(rng: np.random.Generator, cell: Cell) -> Run:
    path, y = KINDS[cell.kind].series(rng, cell)
    x = path + cell.x_noise * np.ptp(path) * rng.standard_normal(cell.n)
    return Run(np.arange(cell.n, dtype=float), x if cell.x_noise else path, y)


SEED = 20261121  # runs that nobody saw while the thresholds were chosen (those had 77)


def measure(cell: Cell, first: int, reps: int) -> dict[str, Any]:
    """How often each verdict falls in the runs from number ``first`` on."""
    from qdlaws.laws.fit import fit

    counts = dict.fromkeys(VERDICTS, 0)
    seed = [
        list(KINDS).index(cell.kind),
        cell.n,
        MODELS.index(cell.errors),
        round(cell.x_noise * 100),
    ]
    for i in range(reps):
        try:
            law = fit(one_run(np.random.default_rng([SEED, *seed, first + i]), cell).log()).rd
            word = "unsupported" if law is None else law.verdict
        except ValueError:  # "no law can be fitted" says that there is none
            word = "unsupported"
        counts[word] += 1
    return counts


# ---------------------------------------------------------------------- the table


def all_cells() -> list[Cell]:
    return [Cell(k, n, e, x) for e in MODELS for x in X_NOISE for n in N for k in KINDS]


def failures(cell: Cell, counts: dict[str, int]) -> list[str]:
    """What is off by more than two Monte Carlo standard errors."""
    kind, reps = KINDS[cell.kind], sum(counts.values())
    share = {word: counts[word] / reps for word in VERDICTS}
    curved, out = share["concave"] + share["convex"], []
    if kind.effect and kind.right and share[kind.right] < 0.9 - slack(0.9, reps):
        out.append(f"right {share[kind.right]:.0%} < 90 %")
    if kind.straight and curved > 0.05 + slack(0.05, reps):
        out.append(f"curved {curved:.1%} > 5 %")
    if kind.independent and 1 - share["unsupported"] > 0.05 + slack(0.05, reps):
        out.append(f"trade-off {1 - share['unsupported']:.1%} > 5 %")
    return out


def _is_judged(kind: Kind) -> bool:
    return kind.effect or kind.straight or kind.independent


def report(results: dict[Cell, dict[str, int]], reps: int, missing: int = 0) -> str:
    failed = {cell: why for cell, counts in results.items() if (why := failures(cell, counts))}
    rows, detail = [], []
    for name, kind in KINDS.items():
        cells = [c for c in results if c.kind == name]
        if not cells:
            continue
        counts = np.array([[results[c][v] for v in VERDICTS] for c in cells])
        shares = counts / counts.sum(1, keepdims=True)
        wanted = [
            w
            for w, on in (
                ("right ≥ 90 %", kind.effect),
                ("curved ≤ 5 %", kind.straight),
                ("trade-off ≤ 5 %", kind.independent),
            )
            if on
        ]
        bad = sum(c in failed for c in cells)
        right = "–" if kind.right is None else f"{shares[:, VERDICTS.index(kind.right)].min():.1%}"
        rows.append(
            [
                name,
                kind.right or "–",
                *(f"{v:.1%}" for v in shares.mean(0)),
                right,
                f"{shares[:, :2].sum(1).max():.1%}",
                f"{1 - shares[:, 3].min():.1%}",
                ", ".join(wanted) or "reported, no target",
                f"{len(cells) - bad} of {len(cells)}",
            ]
        )
        for c, s in zip(cells, shares, strict=True):
            what = "–" if not wanted else "; ".join(failed.get(c, ["yes"]))
            detail.append([str(c), *(f"{v:.1%}" for v in s), what])
    head = [
        "runs",
        "right",
        *VERDICTS,
        "least right",
        "most curved",
        "most trade-off",
        "wanted",
        "cells that pass",
    ]
    least = min(sum(counts.values()) for counts in results.values())
    unfinished = (
        ""
        if least == reps and not missing
        else (f" **An unfinished run**: some cells have {least} runs, {missing} have none.")
    )
    asked = [c for c in results if _is_judged(KINDS[c.kind])]
    return (
        "# Verdicts on simulated runs\n\n"
        f"{reps} runs of each of {len(results)} cells: n {N}, errors {MODELS}, noise of x in "
        f"ranges {X_NOISE}. Laws: the effect is {EFFECT:g} Cramér–Rao standard errors (σ at most "
        "0.4 of the change), or 6 where it says so. A cell passes within two Monte Carlo standard "
        f"errors.{unfinished} **{len(asked) - len(failed)} of {len(asked)} cells pass.**\n\n"
        f"{markdown(head, rows)}\n\n## Cell by cell\n\n"
        f"{markdown(['cell', *VERDICTS, 'passes'], detail)}\n"
    )


def collect(
    cells: list[Cell], reps: int, processes: int, part: slice = slice(None)
) -> dict[Cell, dict[str, int]]:
    """Run what is not in the cache, a round of ``CHUNK`` runs of every cell after the other."""
    mark = fingerprint()
    jobs = {
        f"{mark} {cell} | {first}+{min(CHUNK, reps - first)}": (
            cell,
            first,
            min(CHUNK, reps - first),
        )
        for first in range(0, reps, CHUNK)
        for cell in cells
    }
    found = run_jobs("verdicts", list(jobs.items())[part], measure, processes)
    totals: dict[Cell, dict[str, int]] = {}
    for key, (cell, _, _) in jobs.items():
        if key in found:
            total = totals.setdefault(cell, dict.fromkeys(VERDICTS, 0))
            for word in VERDICTS:
                total[word] += found[key][word]
    return totals


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="40 runs of a quarter of the cells")
    parser.add_argument("--reps", type=int, default=REPS)
    parser.add_argument("--processes", type=int, default=2, help="0: report what is there")
    parser.add_argument("--part", default="1/1", help="i/k: every k-th job, as in coverage.py")
    args = parser.parse_args()
    cells, reps = (all_cells()[::4], 40) if args.quick else (all_cells(), args.reps)
    part, parts = (int(v) for v in args.part.split("/"))
    found = collect(cells, reps, args.processes, slice(part - 1, None, parts))
    print(report(found, reps, missing=len(cells) - len(found)))


if __name__ == "__main__":
    main()
