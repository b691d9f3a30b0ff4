"""The cells of the coverage benchmark, what is measured on each, and its result."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from design import covering_cells

from qdlaws.simulation import (
    ERROR_MODELS,
    MIXED,
    X_HIGH,
    X_LOW,
    cramer_rao,
    falling_path,
    simulate,
    true_law,
)

N = (20, 60, 200, 1000)
KAPPA = (-3.0, 0.0, 0.5, 2.0, 5.0)
SIGMA = (0.05, 0.15, 0.4)
X_NOISE = (0.0, 0.05, 0.1)
AR = tuple(name for name in ERROR_MODELS if name not in MIXED)

WIDTH = X_HIGH - X_LOW
SPOTS = {
    "inside": X_LOW + WIDTH / 2,
    "low end": X_LOW,
    "high end": X_HIGH,
    "beyond": X_LOW - 0.3 * WIDTH,
    "ceiling": 0.0,
}
AT = np.array(list(SPOTS.values()))


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
    return [Cell(*row) for row in covering_cells((N, KAPPA, SIGMA, tuple(ERROR_MODELS), X_NOISE))]


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

SEED = 20261121
"""Of runs that nobody saw while the priors over error models were chosen (those had 2024)."""


def measure(cell: Cell, method: str, first: int, reps: int) -> dict[str, Any]:
    """How often the interval misses below and above at each spot, and its widths."""
    law, path, errors = true_law(cell.kappa), falling_path(cell.n), ERROR_MODELS[cell.errors]
    truth = law.value(AT)
    interval = _ours if method == "qdlaws" else _peer(method)
    bounds = np.empty((reps, 2, len(AT)))
    for i in range(reps):
        rng = np.random.default_rng([SEED, _number(cell), first + i])
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
    errors = list(ERROR_MODELS).index(cell.errors)
    digits = (cell.n, round(cell.kappa * 10 + 100), round(cell.sigma * 100), errors)
    return int("".join(f"{d:04d}" for d in (*digits, round(cell.x_noise * 100))))


def _ours(run: Any, law: Any, rng: Any) -> np.ndarray:
    from qdlaws import fit

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
    path, errors = falling_path(cell.n), ERROR_MODELS[cell.errors]
    bound = cramer_rao(true_law(cell.kappa), path, cell.sigma, errors, AT, cell.x_noise)
    some = np.isfinite(widths).any(1)
    width = np.full(len(AT), np.nan)
    width[some] = np.nanmedian(widths[some], axis=1)
    coverage = np.where(np.isnan(width), np.nan, 1 - below - above - failed)
    ratio = width / (2 * 1.96 * bound.value)
    return Result(cell, method, reps, coverage, below, above, ratio)
