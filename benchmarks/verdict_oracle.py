"""How often could a verdict be right at all? An oracle beside qdlaws, on the same runs.

    python benchmarks/verdict_oracle.py            a few minutes
    python benchmarks/verdict_oracle.py --quick    60 runs a cell

The oracle is a Bayesian who is told more than any run tells: its errors are one of the six models
of ``law_coverage.py``, each as likely as the others (intervals have to hold under all of them); x is
exact; and of a straight run, that it is straight. It goes by the same rule, P ≥ .975. Where it
cannot find an effect of four Cramér–Rao standard errors in nine of ten runs, nobody can who keeps
that rule and must learn the errors from the run.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
from tables import markdown
from verdicts import MODELS, Cell, N

import qdlaws as qd
from qdlaws import fit
from qdlaws.core.law import shape
from qdlaws.simulation import (
    EFFECT,
    ERROR_MODELS,
    draw_errors,
    error_covariance,
    error_size,
    falling_path,
    true_law,
)

Array = npt.NDArray[np.float64]

SURE = 0.975
CURVES = np.linspace(-12, 12, 121)
SLOPE = 1e-3
"""Step of κ by which the prior of the curvature is differentiated."""

KAPPA = {"linear": 0.0, "concave": 2.0, "convex": -2.0}


def weigh(runs: Array, u: Array, kappa: Array) -> tuple[Array, Array]:
    """Posterior weights and P(q < 0), both (models, runs, kappa), of R = p + q·g_κ(u).

    p, q and σ are integrated out under the flat prior, 1/σ for σ; κ has the prior of qdlaws.
    """
    from scipy.special import stdtr

    n, one = len(u), np.ones(len(u))
    g = shape(kappa[:, None], u)
    prior = np.zeros(1) if len(kappa) == 1 else np.log(list(_curvature_norms(u, kappa)))
    logs, falls = [], []
    for errors in ERROR_MODELS.values():
        inverse = np.linalg.inv(error_covariance(n, errors))
        of_one, of_g = inverse @ one, g @ inverse
        a, b, c = one @ of_one, g @ of_one, (of_g * g).sum(1)
        det = a * c - b**2
        y1, yg = (runs @ of_one)[:, None], runs @ of_g.T
        q, p = (a * yg - b * y1) / det, (c * y1 - b * yg) / det
        rss = ((runs @ inverse) * runs).sum(1)[:, None] - p * y1 - q * yg
        logs.append(
            np.linalg.slogdet(inverse)[1] / 2 - np.log(det) / 2 - (n - 2) / 2 * np.log(rss) + prior
        )
        falls.append(stdtr(n - 2, -q / np.sqrt(rss / (n - 2) * a / det)))
    log = np.array(logs)
    weight = np.exp(log - log.max((0, 2), keepdims=True))
    return weight / weight.sum((0, 2), keepdims=True), np.array(falls)


def _curvature_norms(u: Array, kappa: Array) -> Iterator[float]:
    """‖∂g_κ/∂κ‖ with [1, g_κ] projected out of it, by least squares."""
    for k in kappa:
        bend = (shape(k + SLOPE, u) - shape(k - SLOPE, u)) / (2 * SLOPE)
        base = np.column_stack([np.ones(len(u)), shape(k, u)])
        yield float(np.linalg.norm(bend - base @ np.linalg.lstsq(base, bend, rcond=None)[0]))


def oracle(kind: str, runs: Array, u: Array) -> Array:
    """Is the effect found? (runs,)"""
    weight, falls = weigh(runs, u, np.zeros(1) if kind == "linear" else CURVES)
    if kind == "linear":
        return np.asarray((weight * falls).sum((0, 2)) >= SURE)
    side = CURVES > 0 if kind == "concave" else CURVES < 0
    return np.asarray(weight[:, :, side].sum((0, 2)) >= SURE)


def ours(kind: str, run: Array, path: Array) -> bool:
    """The effect that the oracle is asked for: a fall of a straight run, the bend of a curve."""
    law = fit(qd.RunLog(step=np.arange(float(len(run))), quality=run, diversity=path)).rd
    return law is not None and (law.supported if kind == "linear" else law.verdict == kind)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="60 runs a cell")
    args = parser.parse_args()
    count = 60 if args.quick else 400
    rows = []
    for kind, kappa in KAPPA.items():
        for cell in (Cell(kind, n, errors, 0.0) for n in N for errors in MODELS):
            rng = np.random.default_rng([11, list(KAPPA).index(kind), cell.n, len(rows)])
            law, path = true_law(kappa), falling_path(cell.n)
            size = error_size(law, path, ERROR_MODELS[cell.errors], 0.0, EFFECT)
            noise = [draw_errors(rng, cell.n, ERROR_MODELS[cell.errors]) for _ in range(count)]
            runs = law.value(path) + size * np.array(noise)
            u = (path - path.min()) / np.ptp(path)
            told = oracle(kind, runs, u)
            found = np.array([ours(kind, run, path) for run in runs])
            rows.append([str(cell), f"{told.mean():.1%}", f"{found.mean():.1%}"])
    print("# What an oracle finds at four standard errors\n")
    print(f"{count} runs a cell, both on the same ones, exact x. Wanted of qdlaws: 90 %.\n")
    print(markdown(["cell", "oracle", "qdlaws"], rows))


if __name__ == "__main__":
    main()
