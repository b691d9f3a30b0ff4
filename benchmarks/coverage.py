"""Do the 95 % intervals hold the truth in 95 % of runs, and how wide are they?

    python benchmarks/coverage.py            full run: 2,000 repeats a cell; goes on if interrupted
    python benchmarks/coverage.py --quick    100 repeats of every fifth cell

A true law is held fixed; each repeat is a new run with new errors. Coverage is that of the
equal-tailed 95 % interval of the mean law at a fixed x, as ``qd.fit(log).rd.predict`` gives it;
width is the median width over 2·1.96·√CRB, the Cramér–Rao bound with σ and error model known.
"""

from __future__ import annotations

import argparse
from typing import Any, NamedTuple

import numpy as np
from design import covering_cells
from jobs import fingerprint, run_jobs
from simulate import ERRORS, MIXED, X_HI, X_LO, clock, cramer_rao, simulate, true_law

N = (20, 60, 200, 1000)
KAPPA = (-3.0, 0.0, 0.5, 2.0, 5.0)
SIGMA = (0.05, 0.15, 0.4)
X_NOISE = (0.0, 0.05, 0.1)
AR = tuple(name for name in ERRORS if name not in MIXED)

WIDTH = X_HI - X_LO
SPOTS = {
    "inside": X_LO + WIDTH / 2,
    "low end": X_LO,
    "high end": X_HI,
    "beyond": X_LO - 0.3 * WIDTH,
    "ceiling": 0.0,
}
AT = np.array(list(SPOTS.values()))

REPS, PEER_REPS, CHUNK = 2000, 200, 500


class Cell(NamedTuple):
    n: int
    kappa: float
    sigma: float  # of the errors, over |q|
    errors: str
    x_noise: float  # in ranges of x

    def __str__(self) -> str:
        return (
            f"n={self.n} κ={self.kappa:g} σ={self.sigma:g} {self.errors} x-noise={self.x_noise:g}"
        )


def design_cells() -> list[Cell]:
    """A covering array of strength 2 over all five factors."""
    return [Cell(*row) for row in covering_cells((N, KAPPA, SIGMA, tuple(ERRORS), X_NOISE))]


def width_cells() -> list[Cell]:
    """The cells on which a width is wanted: small σ, exact x, AR(1), all n ≥ 60 and all κ."""
    return [
        Cell(n, kappa, SIGMA[0], errors, 0.0) for n in N[1:] for errors in AR for kappa in KAPPA
    ]


def hard_cells() -> list[Cell]:
    """The shortest run with the most persistent errors, at every κ."""
    return [Cell(20, kappa, SIGMA[0], "rho=.95", 0.0) for kappa in KAPPA]


def all_cells() -> list[Cell]:
    return list(dict.fromkeys([*design_cells(), *width_cells(), *hard_cells()]))


# ---------------------------------------------------------------------- one cell


def measure(cell: Cell, method: str, first: int, reps: int) -> dict[str, Any]:
    """How often the interval misses below and above at each spot, and its widths."""
    law, path, errors = true_law(cell.kappa), clock(cell.n), ERRORS[cell.errors]
    truth = law.value(AT)
    interval = _ours if method == "qdlaws" else _peer(method)
    bounds = np.empty((reps, 2, len(AT)))
    for i in range(reps):
        rng = np.random.default_rng([2024, _number(cell), first + i])
        run = simulate(rng, law, path, cell.sigma, errors, cell.x_noise)
        bounds[i] = interval(run, law, rng)
    low, high = bounds[:, 0], bounds[:, 1]
    return {
        "reps": reps,
        "truth_below": (truth < low).sum(0).tolist(),
        "truth_above": (truth > high).sum(0).tolist(),
        "failed": np.isnan(low + high).sum(0).tolist(),
        "width": np.round(high - low, 6).T.tolist(),
    }


def _number(cell: Cell) -> int:
    """A seed of a cell that depends on its levels alone."""
    errors = list(ERRORS).index(cell.errors)
    digits = (cell.n, round(cell.kappa * 10 + 100), round(cell.sigma * 100), errors)
    return int("".join(f"{d:04d}" for d in (*digits, round(cell.x_noise * 100))))


def _ours(run: Any, law: Any, rng: Any) -> np.ndarray:
    from qdlaws.fit import fit

    found = fit(run.log()).rd
    assert found is not None
    return found.predict(AT)[["low", "high"]].to_numpy().T  # type: ignore[union-attr]


def _peer(method: str) -> Any:
    from peers import PEERS

    def interval(run: Any, law: Any, rng: Any) -> np.ndarray:
        spots = AT[:2] if method == "conf_interval" else AT  # a profile per spot takes too long
        out = np.full((2, len(AT)), np.nan)
        out[:, : len(spots)] = PEERS[method](run, law, spots, rng)
        return out

    return interval


# ---------------------------------------------------------------------- results


class Result(NamedTuple):
    """Shares over the repeats, by spot."""

    cell: Cell
    method: str
    reps: int
    coverage: np.ndarray
    below: np.ndarray  # the truth lies below the interval
    above: np.ndarray
    width: np.ndarray  # median, over that of the Cramér–Rao bound

    @property
    def worst(self) -> np.ndarray:
        """Coverage inside, at the worse end, beyond, and of the ceiling."""
        inside, low, high, beyond, ceiling = self.coverage
        return np.array([inside, min(low, high), beyond, ceiling])


def gather(cell: Cell, method: str, parts: list[dict[str, Any]]) -> Result:
    """The chunks of one cell and method put together. A failed interval holds nothing."""
    reps = sum(p["reps"] for p in parts)
    below, above, failed = (
        np.sum([p[name] for p in parts], axis=0) / reps
        for name in ("truth_below", "truth_above", "failed")
    )
    widths = np.hstack([np.array(p["width"], float) for p in parts])
    path, errors = clock(cell.n), ERRORS[cell.errors]
    bound = cramer_rao(true_law(cell.kappa), path, cell.sigma, errors, AT, cell.x_noise)
    with np.errstate(all="ignore"):
        width = np.nanmedian(widths, axis=1) if np.isfinite(widths).any() else np.full(5, np.nan)
    coverage = np.where(np.isnan(width), np.nan, 1 - below - above - failed)
    ratio = width / (2 * 1.96 * bound.value)
    return Result(cell, method, reps, coverage, below, above, ratio)


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
    """Run what is not in the cache; the results of what is complete."""
    ours, theirs = fingerprint(), fingerprint("bootstrap", "law", "regression")
    jobs: dict[str, tuple[Any, ...]] = {}
    parts: dict[tuple[str, Cell], list[str]] = {}
    for method, cell in work:
        total, mark = (reps, ours) if method == "qdlaws" else (peer_reps, theirs)
        for first in range(0, total, CHUNK):
            count = min(CHUNK, total - first)
            key = f"{mark} {method} | {cell} | {first}+{count}"
            jobs[key] = (cell, method, first, count)
            parts.setdefault((method, cell), []).append(key)
    found = run_jobs("coverage", list(jobs.items())[part], measure, processes)
    complete = {job: keys for job, keys in parts.items() if all(key in found for key in keys)}
    return [gather(c, m, [found[key] for key in keys]) for (m, c), keys in complete.items()]


def main() -> None:
    from coverage_report import report

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
        help="i/k: every k-th job, to spread a run over machines; join the caches, then --processes 0",
    )
    args = parser.parse_args()
    work, reps, peer_reps = plan(args.only_ours), args.reps, args.peer_reps
    if args.quick:
        work, reps, peer_reps = work[::5], 100, 20
    work = [(method, cell) for method, cell in work if cell.n <= args.up_to]
    part, parts = (int(v) for v in args.part.split("/"))
    results = collect(work, reps, peer_reps, args.processes, slice(part - 1, None, parts))
    print(report(results, set(design_cells()), missing=len(work) - len(results)))


if __name__ == "__main__":
    main()
