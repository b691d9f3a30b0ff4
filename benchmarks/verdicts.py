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
from typing import Any, NamedTuple

import numpy as np
from coverage_report import markdown, slack
from jobs import fingerprint, run_jobs

from qdlaws.simulation import EFFECT, ERROR_MODELS, SCENARIOS, SimulatedRun

N = (60, 200)
MODELS = ("rho=.5", "rho=.8", "mixed A", "mixed B")
X_NOISE = (0.0, 0.1)
VERDICTS = ("concave", "convex", "linear", "unsupported")

REPS, CHUNK = 300, 50


class Cell(NamedTuple):
    kind: str
    n: int
    errors: str
    x_noise: float

    def __str__(self) -> str:
        return f"{self.kind}, n={self.n}, {self.errors}, x-noise={self.x_noise:g}"


# ---------------------------------------------------------------------- the runs


class Wanted(NamedTuple):
    """What is asked of a row of the table, besides being reported."""

    effect: bool = False  # is right ≥ 90 % wanted?
    straight: bool = False  # is curved ≤ 5 % wanted?
    independent: bool = False  # is a trade-off ≤ 5 % wanted?


WANTED = {
    "concave": Wanted(effect=True),
    "convex": Wanted(effect=True),
    "linear": Wanted(effect=True, straight=True),
    "concave, 6 s.e.": Wanted(),
    "convex, 6 s.e.": Wanted(),
    "linear, 6 s.e.": Wanted(straight=True),
    "both rise": Wanted(effect=True, straight=True),
    "R falls, H rises": Wanted(effect=True),
    "flat": Wanted(straight=True, independent=True),
    "spiky line": Wanted(effect=True, straight=True),
    "random walks": Wanted(straight=True, independent=True),
    "walk + white noise": Wanted(straight=True, independent=True),
    "two AR(1) series": Wanted(straight=True, independent=True),
    "unrelated clocks": Wanted(),
}


def one_run(rng: np.random.Generator, cell: Cell) -> SimulatedRun:
    return SCENARIOS[cell.kind].run(rng, cell.n, ERROR_MODELS[cell.errors], cell.x_noise)


SEED = 20261121  # runs that nobody saw while the thresholds were chosen (those had 77)


def measure(cell: Cell, first: int, reps: int) -> dict[str, Any]:
    """How often each verdict falls in the runs from number ``first`` on."""
    from qdlaws import fit

    counts = dict.fromkeys(VERDICTS, 0)
    seed = [
        list(SCENARIOS).index(cell.kind),
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
    return [Cell(k, n, e, x) for e in MODELS for x in X_NOISE for n in N for k in SCENARIOS]


def failures(cell: Cell, counts: dict[str, int]) -> list[str]:
    """What is off by more than two Monte Carlo standard errors."""
    right, wanted, reps = SCENARIOS[cell.kind].verdict, WANTED[cell.kind], sum(counts.values())
    share = {word: counts[word] / reps for word in VERDICTS}
    curved, out = share["concave"] + share["convex"], []
    if wanted.effect and right and share[right] < 0.9 - slack(0.9, reps):
        out.append(f"right {share[right]:.0%} < 90 %")
    if wanted.straight and curved > 0.05 + slack(0.05, reps):
        out.append(f"curved {curved:.1%} > 5 %")
    if wanted.independent and 1 - share["unsupported"] > 0.05 + slack(0.05, reps):
        out.append(f"trade-off {1 - share['unsupported']:.1%} > 5 %")
    return out


def _has_a_target(cell: Cell) -> bool:
    return any(WANTED[cell.kind])


def report(results: dict[Cell, dict[str, int]], reps: int, missing: int = 0) -> str:
    failed = {cell: why for cell, counts in results.items() if (why := failures(cell, counts))}
    rows, detail = [], []
    for name, scenario in SCENARIOS.items():
        cells = [c for c in results if c.kind == name]
        if not cells:
            continue
        counts = np.array([[results[c][v] for v in VERDICTS] for c in cells])
        shares = counts / counts.sum(1, keepdims=True)
        wanted = [
            w
            for w, on in (
                ("right ≥ 90 %", WANTED[name].effect),
                ("curved ≤ 5 %", WANTED[name].straight),
                ("trade-off ≤ 5 %", WANTED[name].independent),
            )
            if on
        ]
        bad = sum(c in failed for c in cells)
        verdict = scenario.verdict
        right = "–" if verdict is None else f"{shares[:, VERDICTS.index(verdict)].min():.1%}"
        rows.append(
            [
                name,
                verdict or "–",
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
    asked = [c for c in results if _has_a_target(c)]
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
