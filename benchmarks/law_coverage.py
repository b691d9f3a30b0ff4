"""Do the 95 % intervals hold the truth in 95 % of runs, and how wide are they?

    python benchmarks/law_coverage.py            full run: 2,000 repeats a cell; goes on if interrupted
    python benchmarks/law_coverage.py --quick    100 repeats of every fifth cell

A true law is held fixed; each repeat is a new run with new errors. Coverage is that of the
equal-tailed 95 % interval of the mean law at a fixed x, as ``qd.fit(log).rd.predict`` gives it;
width is the median width over 2·1.96·√CRB, the Cramér–Rao bound with σ and error model known.
"""

from __future__ import annotations

import argparse
from typing import Any

from cells import Cell, N, Result, design_cells, gather, hard_cells, measure, width_cells
from coverage_report import report
from jobs import fingerprint, run_jobs

REPS, PEER_REPS, CHUNK = 2000, 200, 200


def profile_cells() -> list[Cell]:
    """The cells on which lmfit's slow profile intervals are tried: the exact x of the design."""
    return [c for c in design_cells() if not c.x_noise]


def plan(ours: bool = False) -> list[tuple[str, Cell]]:
    """Methods and cells in order of importance."""
    design, profiled = design_cells(), profile_cells()
    rest = [*hard_cells(), *sorted(width_cells(), key=lambda c: (c.n == 1000, c.kappa in (0, 2)))]
    work = [("qdlaws", cell) for cell in design]
    if not ours:
        work += [(m, c) for m in ("curve_fit", "HAC", "block bootstrap") for c in design]
    work += [("qdlaws", cell) for cell in rest]
    if not ours:
        work += [("conf_interval", cell) for cell in profiled]
    return list(dict.fromkeys(work))


def collect(
    work: list[tuple[str, Cell]],
    reps: int,
    peer_reps: int,
    processes: int,
    part: slice = slice(None),
) -> list[Result]:
    """Run what is not in the cache, a round of ``CHUNK`` repeats of everything after the other."""
    ours = fingerprint()
    theirs = fingerprint("bootstrap", "qdlaws.core.law")
    jobs: dict[str, tuple[Any, ...]] = {}
    parts: dict[tuple[str, Cell], list[str]] = {}
    for first in range(0, max(reps, peer_reps), CHUNK):
        for method, cell in work:
            total, mark = (reps, ours) if method == "qdlaws" else (peer_reps, theirs)
            count = min(CHUNK, total - first)
            if count > 0:
                key = f"{mark} {method} | {cell} | {first}+{count}"
                jobs[key] = (cell, method, first, count)
                parts.setdefault((method, cell), []).append(key)
    found = run_jobs("coverage", list(jobs.items())[part], measure, processes)
    have = {job: [found[key] for key in keys if key in found] for job, keys in parts.items()}
    return [gather(cell, method, done) for (method, cell), done in have.items() if done]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="100 repeats of every fifth cell")
    parser.add_argument("--reps", type=int, default=REPS)
    parser.add_argument("--peer-reps", type=int, default=PEER_REPS)
    parser.add_argument("--only-ours", action="store_true", help="leave the peers out")
    parser.add_argument("--processes", type=int, default=2, help="0: report what is there")
    parser.add_argument("--up-to", type=int, default=max(N), help="leave out cells with more steps")
    parser.add_argument(
        "--part",
        default="1/1",
        help="i/k: every k-th job, for a run on many machines; join the caches, then --processes 0",
    )
    args = parser.parse_args()
    work, reps, peer_reps = plan(args.only_ours), args.reps, args.peer_reps
    if args.quick:
        work, reps, peer_reps = work[::5], 100, 20
    work = [(method, cell) for method, cell in work if cell.n <= args.up_to]
    part, parts = (int(v) for v in args.part.split("/"))
    results = collect(work, reps, peer_reps, args.processes, slice(part - 1, None, parts))
    print(report(results, set(design_cells()), reps, missing=len(work) - len(results)))


if __name__ == "__main__":
    main()
