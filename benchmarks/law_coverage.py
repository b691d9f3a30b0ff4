"""Do the 95 % intervals of a law hold the truth in 95 % of runs, and how wide are they?

    python benchmarks/law_coverage.py                 full run: 600 runs a cell; goes on if interrupted
    python benchmarks/law_coverage.py --quick         60 runs of the cells with n = 25

A true law is held fixed (change −1, curvature −2, 0 or 2 in turn); each run has new errors of .12
of that change. The runs: white errors, AR(1), mixtures of white and slow errors, errors as in the
residuals of published logs (a memory of 1.5 run lengths and 20 % white), a random walk, a drift and
a jump that no mark announces, a hinge and a hump in place of the law, quality read in sixteenths,
and evaluations at steps that grow by a constant factor.

Three questions, each at nominal 95 %: *this run's law* (the law plus the mean of the run's slow
error; ``predict(x)``) and *another run's law* (``predict(x, kind="another-run")``), both at five
places of the range, and the *change* of the law from a tenth to nine tenths of the range. The peers
answer the first one: curve_fit with its covariance, Newey–West, a block bootstrap.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from jobs import fingerprint, run_jobs
from tables import markdown

import qdlaws as qd
from qdlaws.simulation import (
    ERROR_MODELS,
    ErrorModel,
    SimulatedRun,
    error_parts,
    falling_path,
    true_law,
)

N = (14, 25, 60, 200, 1000)
KAPPA = (0.0, 2.0, -2.0)
SIGMA = 0.12
RUNS, CHUNK = 600, 60
PEER_RUNS = 120
SEED = 20261128
PLACES = np.linspace(0.05, 0.95, 5)
"""Places in the range at which a law is asked for."""

Array = np.ndarray
Errors = Callable[[np.random.Generator, int], tuple[Array, Array]]
"""(rng, rows) → the slow and the white part of the errors, of a size near 1."""


def stationary(errors: ErrorModel) -> Errors:
    return lambda rng, n: error_parts(rng, n, errors)


def as_in_published_logs(rng: np.random.Generator, n: int) -> tuple[Array, Array]:
    return error_parts(rng, n, ErrorModel(0.2, float(np.exp(-1 / (1.5 * n)))))


def random_walk(rng: np.random.Generator, n: int) -> tuple[Array, Array]:
    return np.cumsum(rng.standard_normal(n)) / np.sqrt(n), np.zeros(n)


def drift(rng: np.random.Generator, n: int) -> tuple[Array, Array]:
    return 2.5 * np.clip(np.linspace(-1, 1, n), 0, 1), rng.standard_normal(n)


def jump(rng: np.random.Generator, n: int) -> tuple[Array, Array]:
    return 1.5 * (np.linspace(0, 1, n) > rng.uniform(0.3, 0.7)), rng.standard_normal(n)


WHITE = stationary(ERROR_MODELS["rho=0"])


class Row(NamedTuple):
    """A kind of run: its errors, its curve where that is no law, and what is special about it."""

    errors: Errors
    curve: Callable[[Array], Array] | None = None  # of u, the place in the range of x
    special: str = ""  # "quantised" or "log steps"


ROWS = {
    "white": Row(WHITE),
    "AR(.5)": Row(stationary(ERROR_MODELS["rho=.5"])),
    "AR(.8)": Row(stationary(ERROR_MODELS["rho=.8"])),
    "AR(.95)": Row(stationary(ERROR_MODELS["rho=.95"])),
    "70 % white + AR(.95)": Row(stationary(ERROR_MODELS["mixed A"])),
    "30 % white + AR(.8)": Row(stationary(ERROR_MODELS["mixed B"])),
    "as in published logs": Row(as_in_published_logs),
    "random walk": Row(random_walk),
    "drift": Row(drift),
    "jump": Row(jump),
    "quantised": Row(WHITE, special="quantised"),
    "log steps": Row(WHITE, special="log steps"),
    "hinge": Row(WHITE, curve=lambda u: -2 * np.maximum(u - 0.5, 0)),
    "hump": Row(WHITE, curve=lambda u: -((2 * u - 1) ** 2)),
}
OLD = ("white", "AR(.5)", "AR(.8)", "AR(.95)", "70 % white + AR(.95)", "30 % white + AR(.8)")
QUESTIONS = ("this run's law", "another run's law", "change")
PEERS = ("curve_fit", "HAC", "block bootstrap")


def measure(name: str, n: int, method: str, first: int, runs: int) -> dict[str, Any]:
    """Shares of intervals that hold the truth, and their widths, for each question."""
    held, width = [], []
    for i in range(first, first + runs):
        rng = np.random.default_rng([SEED, list(ROWS).index(name), n, i])
        run, truth, slow = simulated(ROWS[name], n, KAPPA[i % len(KAPPA)], rng)
        low, high = run.x.min(), run.x.max()
        places = low + (high - low) * np.append(PLACES, [0.1, 0.9])
        values = truth((places - 0.2) / 1.0)
        wanted = [values[:5] + slow, values[:5], values[6:] - values[5:6]]
        bands = (
            our_bands(run, places) if method == "qdlaws" else [peer_band(method, run, places, rng)]
        )
        held.append(
            [
                float(np.mean((lo <= v) & (v <= hi)))
                for (lo, hi), v in zip(bands, wanted, strict=False)
            ]
        )
        width.append([float(np.mean(hi - lo)) for lo, hi in bands])
    return {"held": np.array(held).T.tolist(), "width": np.round(width, 5).T.tolist()}


def simulated(
    row: Row, n: int, kappa: float, rng: np.random.Generator
) -> tuple[SimulatedRun, Callable[[Array], Array], float]:
    """A run, its true curve of u, and the time mean of its slow error."""
    law = true_law(kappa)
    truth = row.curve or (lambda u: np.asarray(law.value(0.2 + u)))
    step, path = np.arange(float(n)), falling_path(n)
    if row.special == "log steps":
        step = np.geomspace(1, 1000, n)
        path = np.interp((step - 1) / 999, np.linspace(0, 1, 2001), falling_path(2001))
    slow, white = row.errors(rng, n)
    y = truth(path - 0.2) + SIGMA * (slow + white)
    if row.special == "quantised":
        y = np.round(16 * y) / 16
    return SimulatedRun(step, path, y), truth, SIGMA * float(slow.mean())


def our_bands(run: SimulatedRun, places: Array) -> list[tuple[Array, Array]]:
    law = qd.fit(run.log(), x_noise="none").rd
    assert law is not None
    frames = [law.predict(places[:5], kind=kind) for kind in ("run", "another-run")]
    draws = law.draws.value(places[5:])
    change = np.quantile(draws[:, 1] - draws[:, 0], [0.025, 0.975])
    return [*((f["low"].to_numpy(), f["high"].to_numpy()) for f in frames), tuple(change[:, None])]


def peer_band(
    method: str, run: SimulatedRun, places: Array, rng: np.random.Generator
) -> tuple[Array, Array]:
    from peers import PEERS as ROUTES

    start = true_law(1.0)
    try:
        low, high = ROUTES[method](run, start, places[:5], rng)
    except (RuntimeError, np.linalg.LinAlgError):  # no optimum found
        low = high = np.full(5, np.nan)
    return low, high


def plan(runs: int, peer_runs: int, lengths: tuple[int, ...]) -> dict[str, tuple[Any, ...]]:
    """Jobs by key: ours first."""
    ours = f"{fingerprint()}-{fingerprint('law_coverage')}"
    theirs = fingerprint("law_coverage", "bootstrap", "peers")
    jobs: dict[str, tuple[Any, ...]] = {}
    for method in ("qdlaws", *PEERS):
        total, mark = (runs, ours) if method == "qdlaws" else (peer_runs, theirs)
        for name in ROWS:
            for n in lengths:
                for first in range(0, total, CHUNK):
                    count = min(CHUNK, total - first)
                    key = f"{mark} {method} | {name} | {n} | {first}+{count}"
                    jobs[key] = (name, n, method, first, count)
    return jobs


def report(results: dict[str, dict[str, Any]], jobs: dict[str, tuple[Any, ...]]) -> str:
    """The committed table."""
    pooled: dict[tuple[str, str, int], list[dict[str, Any]]] = {}
    for key, (name, n, method, _, _) in jobs.items():
        if key in results:
            pooled.setdefault((method, name, n), []).append(results[key])
    cells = {
        cell: (
            np.hstack([p["held"] for p in parts]).mean(1),
            np.nanmedian(np.hstack([p["width"] for p in parts]), axis=1),
            sum(len(p["held"][0]) for p in parts),
        )
        for cell, parts in pooled.items()
    }
    text = ["# Coverage of nominal 95 % intervals of a law\n", __doc__.split("\n\n", 2)[2]]
    for k, question in enumerate(QUESTIONS):
        lengths = sorted({n for _, _, n in cells})
        head = ["errors", *(f"n = {n}" for n in lengths)]
        rows = []
        for name in ROWS:
            entries = [cells.get(("qdlaws", name, n)) for n in lengths]
            rows.append(
                [name, *("–" if e is None else f"{e[0][k]:.2f} ({e[1][k]:.3f})" for e in entries)]
            )
        text.append(f"## {question}: share held (median width)\n\n" + markdown(head, rows))
        ours = np.array(
            [
                c[0][k]
                for (m, name, _), c in cells.items()
                if m == "qdlaws" and name not in ("hinge", "hump")
            ]
        )
        text.append(
            f"Mean of the cells without hinge and hump {ours.mean():.3f}, least {ours.min():.2f}."
        )
    rows = []
    for method in ("qdlaws", *PEERS):
        for group, names in (
            ("white and AR(1)", OLD[:4]),
            ("mixtures", OLD[4:]),
            ("others", tuple(r for r in ROWS if r not in OLD)),
        ):
            some = [c for (m, name, _), c in cells.items() if m == method and name in names]
            if some:
                held, width = np.array([c[0][0] for c in some]), np.array([c[1][0] for c in some])
                rows.append(
                    [
                        method,
                        group,
                        str(len(some)),
                        f"{held.mean():.2f}",
                        f"{held.min():.2f}",
                        f"{np.median(width):.3f}",
                    ]
                )
    text.append(
        "## This run's law beside its peers\n\n"
        + markdown(["method", "errors", "cells", "mean share", "least share", "median width"], rows)
    )
    counts = sorted({c[2] for c in cells.values()})
    text.append(f"Runs a cell: {', '.join(map(str, counts))}.")
    return "\n\n".join(text) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="60 runs of the cells with n = 25")
    parser.add_argument("--runs", type=int, default=RUNS)
    parser.add_argument("--peer-runs", type=int, default=PEER_RUNS)
    parser.add_argument("--processes", type=int, default=2, help="0: report what is there")
    parser.add_argument(
        "--part",
        default="1/1",
        help="i/k: every k-th job, for a run on many machines; join the caches, then --processes 0",
    )
    args = parser.parse_args()
    jobs = plan(60, 60, (25,)) if args.quick else plan(args.runs, args.peer_runs, N)
    part, parts = (int(v) for v in args.part.split("/"))
    mine = list(jobs.items())[part - 1 :: parts]
    print(report(run_jobs("law_coverage", mine, measure, args.processes), jobs))


if __name__ == "__main__":
    main()
