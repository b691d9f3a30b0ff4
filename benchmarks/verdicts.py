"""Are the verdicts right? The confusion table over runs with and without a law.

    python benchmarks/verdicts.py            full run: 300 runs a cell; goes on if interrupted
    python benchmarks/verdicts.py --quick    40 runs of a quarter of the cells

Where there is a law, its errors are sized so that the effect (κ of a curved law, q of a straight
one) is four Cramér–Rao standard errors, with the true error model and, where x is read with noise,
with the path unknown. A test that knew the error model would be right in about 97.9 %; one whose
intervals are 1.5 times as wide, since it learns the error model from the run, in about 86 %. Rows
at six standard errors are reported beside.

Runs that break an assumption of a fit (``MISFITS``) have errors as in real logs, walks, drifts,
jumps, hinges, humps, quantised quality, steps that grow by a factor, or are over before they end,
on a plateau or in a collapse. A law whose bend is not
known is right for a straight one. Every trade-off counts, a likely one as well as a clear one.
"""

from __future__ import annotations

import argparse
from typing import Any, NamedTuple

import numpy as np
from jobs import fingerprint, run_jobs
from tables import markdown, slack

from qdlaws.laws.verdict import SUPPORTED, WORDS
from qdlaws.simulation import EFFECT, ERROR_MODELS, MISFITS, SCENARIOS, SimulatedRun

N = (60, 200)
MODELS = ("rho=.5", "rho=.8", "mixed A", "mixed B")
X_NOISE = (0.0, 0.1)
MISFIT_N = (20, 60, 200)
MISFIT_MODELS = ("rho=0", "rho=.8")
ALL = {**SCENARIOS, **MISFITS}
COUNTED = (*WORDS, "likely", "or a change in step")
"""The verdicts, how many of the trade-offs were only likely, and how many named a change in step as
a rival that explains the run as well."""

REPS, CHUNK = 300, 20


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
    most: float = 0.05  # or another share of false curvature and false trade-offs
    peaked: bool = False  # is peaked or unsupported ≥ 80 % wanted?


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
WANTED |= {
    name: Wanted(
        straight=name.startswith("line"),
        independent=name.startswith("flat"),
        most=0.1,
        peaked=name == "hump",
    )
    for name in MISFITS
}


def one_run(rng: np.random.Generator, cell: Cell) -> SimulatedRun:
    return ALL[cell.kind].run(rng, cell.n, ERROR_MODELS[cell.errors], cell.x_noise)


SEED = 20261128  # runs that nobody saw while the thresholds were chosen (those had 20261121)


def measure(cell: Cell, first: int, reps: int) -> dict[str, Any]:
    """How often each verdict falls in the runs from number ``first`` on."""
    from qdlaws import fit

    counts = dict.fromkeys(COUNTED, 0)
    models = (*MODELS, *MISFIT_MODELS)
    seed = [
        list(ALL).index(cell.kind),
        cell.n,
        models.index(cell.errors),
        round(cell.x_noise * 100),
    ]
    for i in range(reps):
        try:
            law = fit(one_run(np.random.default_rng([SEED, *seed, first + i]), cell).log()).rd
        except ValueError:  # "no law can be fitted" says that there is none
            law = None
        counts["unsupported" if law is None else law.verdict] += 1
        if law is not None and law.supported:
            counts["likely"] += law.strength == "likely"
            counts["or a change in step"] += bool(law.rival)
    return counts


# ---------------------------------------------------------------------- the table


def all_cells() -> list[Cell]:
    cells = [Cell(k, n, e, x) for e in MODELS for x in X_NOISE for n in N for k in SCENARIOS]
    return cells + [Cell(k, n, e, 0.0) for e in MISFIT_MODELS for n in MISFIT_N for k in MISFITS]


def shares_of(counts: dict[str, int]) -> dict[str, float]:
    """The share of each verdict, of curved laws, and of trade-offs of any shape."""
    runs = sum(counts[word] for word in WORDS)
    share = {word: counts[word] / runs for word in COUNTED}
    share["curved"] = share["concave"] + share["convex"]
    share["trade-off"] = sum(share[word] for word in SUPPORTED)
    return share


def right_share(kind: str, share: dict[str, float]) -> float:
    """The share of runs with the right verdict; a straight law may be one of unknown bend."""
    verdict = ALL[kind].verdict
    also = share["falling"] if verdict == "linear" else 0.0
    return np.nan if verdict is None else share[verdict] + also


def failures(cell: Cell, counts: dict[str, int]) -> list[str]:
    """What is off by more than two Monte Carlo standard errors."""
    wanted, share, reps = WANTED[cell.kind], shares_of(counts), sum(counts[w] for w in WORDS)
    right, most, out = right_share(cell.kind, share), wanted.most, []
    if wanted.effect and right < 0.9 - slack(0.9, reps):
        out.append(f"right {right:.0%} < 90 %")
    if wanted.straight and share["curved"] > most + slack(most, reps):
        out.append(f"curved {share['curved']:.1%} > {100 * most:.0f} %")
    if wanted.independent and share["trade-off"] > most + slack(most, reps):
        out.append(f"trade-off {share['trade-off']:.1%} > {100 * most:.0f} %")
    none = share["peaked"] + share["unsupported"]
    if wanted.peaked and none < 0.8 - slack(0.8, reps):
        out.append(f"peaked or unsupported {none:.0%} < 80 %")
    return out


def _has_a_target(cell: Cell) -> bool:
    wanted = WANTED[cell.kind]
    return wanted.effect or wanted.straight or wanted.independent or wanted.peaked


def report(results: dict[Cell, dict[str, int]], reps: int, missing: int = 0) -> str:
    failed = {cell: why for cell, counts in results.items() if (why := failures(cell, counts))}
    rows, detail = [], []
    for name, scenario in ALL.items():
        shares = {c: shares_of(counts) for c, counts in results.items() if c.kind == name}
        if not shares:
            continue
        w = WANTED[name]
        wanted = [
            words
            for words, on in (
                ("right ≥ 90 %", w.effect),
                (f"curved ≤ {100 * w.most:.0f} %", w.straight),
                (f"trade-off ≤ {100 * w.most:.0f} %", w.independent),
                ("peaked or unsupported ≥ 80 %", w.peaked),
            )
            if on
        ]
        bad = sum(c in failed for c in shares)
        right = min(right_share(name, share) for share in shares.values())
        rows.append(
            [
                name,
                scenario.verdict or "–",
                *(f"{np.mean([s[v] for s in shares.values()]):.1%}" for v in COUNTED),
                "–" if np.isnan(right) else f"{right:.1%}",
                *(f"{max(s[v] for s in shares.values()):.1%}" for v in ("curved", "trade-off")),
                ", ".join(wanted) or "reported, no target",
                f"{len(shares) - bad} of {len(shares)}",
            ]
        )
        for c, share in shares.items():
            what = "–" if not wanted else "; ".join(failed.get(c, ["yes"]))
            detail.append([str(c), *(f"{share[v]:.1%}" for v in COUNTED), what])
    head = [
        "runs",
        "right",
        *COUNTED,
        "least right",
        "most curved",
        "most trade-off",
        "wanted",
        "cells that pass",
    ]
    least = min(sum(counts[w] for w in WORDS) for counts in results.values())
    unfinished = (
        ""
        if least == reps and not missing
        else (f" **An unfinished run**: some cells have {least} runs, {missing} have none.")
    )
    targeted = [c for c in results if _has_a_target(c)]
    return (
        "# Verdicts on simulated runs\n\n"
        f"{reps} runs of each of {len(results)} cells: n {N}, errors {MODELS}, noise of x in "
        f"ranges {X_NOISE}; runs that break an assumption n {MISFIT_N}, errors {MISFIT_MODELS} "
        f"(those with errors of their own twice). Laws: the effect is {EFFECT:g} Cramér–Rao "
        "standard errors (σ at most 0.4 of the change), or 6 where it says so. A cell passes within two Monte Carlo standard "
        f"errors.{unfinished} **{len(targeted) - len(failed)} of {len(targeted)} cells pass.**\n\n"
        f"{markdown(head, rows)}\n\n## Cell by cell\n\n"
        f"{markdown(['cell', *COUNTED, 'passes'], detail)}\n"
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
    counts = run_jobs("verdicts", list(jobs.items())[part], measure, processes)
    totals: dict[Cell, dict[str, int]] = {}
    for key, (cell, _, _) in jobs.items():
        if key in counts:
            total = totals.setdefault(cell, dict.fromkeys(COUNTED, 0))
            for word in COUNTED:
                total[word] += counts[key][word]
    return totals


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="40 runs of a quarter of the cells")
    parser.add_argument("--reps", type=int, default=REPS)
    parser.add_argument("--processes", type=int, default=2, help="0: report what is there")
    parser.add_argument("--part", default="1/1", help="i/k: every k-th job, as in law_coverage.py")
    args = parser.parse_args()
    cells, reps = (all_cells()[::4], 40) if args.quick else (all_cells(), args.reps)
    part, parts = (int(v) for v in args.part.split("/"))
    counts = collect(cells, reps, args.processes, slice(part - 1, None, parts))
    print(report(counts, reps, missing=len(cells) - len(counts)))


if __name__ == "__main__":
    main()
