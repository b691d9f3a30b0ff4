"""The prior of the error model (memory ℓ, white share ν): nodes of a grid with their prior mass.

The prior decides width and coverage of intervals when residuals persist:

- three error models: white only, slow only, both (``ERROR_MODELS``);
- the memory ℓ: the arcsine (Jeffreys) density in ρ = exp(−1/ℓ) at the median spacing of the rows,
  times ℓ^memory_tilt(n) for short runs, times ℓ^(WHITE_TILT·ν), because in real logs the errors
  under much white noise are slow; up to memory_reach(n) lengths of the run;
- the white share: the arcsine density, ν = sin²(πv/2) with v uniform.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from qdlaws.core.types import Array, Rows

__all__ = [
    "Box",
    "ErrorModels",
    "all_error_models",
    "error_models",
    "full_range",
    "memory_reach",
    "memory_tilt",
]


ERROR_MODELS = {"white": 0.3, "slow": 0.2, "both": 0.5}
"""Prior probabilities of the three error models."""

WHITE_TILT = 1.0
"""Power of ℓ in its prior at a white share of 1."""

Box = tuple[float, float, float, float]
"""A rectangle of (log ℓ, v): low and high of the first, low and high of the second."""


@dataclass(frozen=True, eq=False)
class ErrorModels:
    """Nodes of the error models with their prior mass; the boxes of many runs on a first axis.

    For each node of ℓ first no white noise, then each node of v; white errors alone come last.
    """

    memory: Array  # (..., M)
    white: Array
    logprior: Array
    logl: Array  # (..., L)
    v: Array

    def take(self, rows: Rows) -> ErrorModels:
        """The nodes of some runs of a stack in which each run has its box."""
        return ErrorModels(*(getattr(self, f.name)[rows] for f in fields(self)))


def memory_reach(n: int) -> float:
    """The longest memory considered, in lengths of the run; a short run may hide a longer one."""
    return float(0.35 + (52 / n) ** 1.5)


def memory_tilt(n: int) -> float:
    """The power of ℓ in its prior: a short run cannot show how persistent its errors are."""
    return float((23 / n) ** 2.2)


def full_range(n: int, length: float) -> Box:
    """The whole range of (log ℓ, v)."""
    return float(np.log(0.4)), float(np.log(max(memory_reach(n) * length, 4.0))), 0.0, 1.0


@lru_cache(maxsize=256)
def _norms(n: int, low: float, high: float) -> tuple[Array, Array]:
    """log ∫ of the unnormalised density of log ℓ, on a grid of ν."""
    nu = np.linspace(0, 1, 21)
    logl = np.linspace(low, high, 200)
    density = _log_density(logl[None, :], nu[:, None], n)
    return nu, np.log(np.exp(density).mean(1) * (high - low))


def _log_density(logl: Array, nu: Array, n: int) -> Array:
    """log of the unnormalised prior density of log ℓ given ν."""
    memory = np.exp(logl)
    rho = np.exp(-1 / memory)
    arcsine = np.log(rho / memory) - 0.5 * np.log1p(-(rho**2))
    return np.asarray(arcsine + (memory_tilt(n) + WHITE_TILT * nu) * logl)


def error_models(n: int, length: float, boxes: npt.ArrayLike, effort: float) -> ErrorModels:
    """The nodes in boxes (..., 4) of (log ℓ, v); finer with more ``effort``."""
    low, high, v_lo, v_hi = np.moveaxis(np.asarray(boxes, float), -1, 0)[..., None]
    rows, cols = max(int(8 * effort), 5), max(int(6 * effort), 4)
    row, col, on_edge = _lattice(rows, cols)
    logl = low + (high - low) * (np.arange(rows) / (rows - 1))
    dl, dv = (high - low) / (rows - 1), (v_hi - v_lo) / cols
    v = v_lo + dv * (np.arange(cols) + 0.5)
    node_logl = logl[..., row]
    nu = np.where(col < 0, 0.0, np.sin(np.pi / 2 * v[..., np.maximum(col, 0)]) ** 2)
    nodes, norms = _norms(n, *full_range(n, length)[:2])
    prior = _log_density(node_logl, nu, n) - np.interp(nu, nodes, norms) + np.log(dl * on_edge)
    both, slow = np.log(ERROR_MODELS["both"] * np.maximum(dv, 1e-12)), np.log(ERROR_MODELS["slow"])
    prior += np.where(col < 0, slow, both)
    last = (*node_logl.shape[:-1], 1)  # white errors come last
    return ErrorModels(
        np.append(np.exp(node_logl), np.zeros(last), axis=-1),
        np.append(nu, np.ones(last), axis=-1),
        np.append(prior, np.full(last, np.log(ERROR_MODELS["white"])), axis=-1),
        logl,
        v,
    )


@lru_cache(maxsize=64)
def all_error_models(n: int, length: float, effort: float) -> ErrorModels:
    """The nodes in the whole range, where the quadrature of every run of that length begins."""
    return error_models(n, length, full_range(n, length), effort)


@lru_cache(maxsize=16)
def _lattice(rows: int, cols: int) -> tuple[Rows, Rows, Array]:
    """Row and column of every node with a slow part, and its share (½ on the edge) of a cell."""
    row, col = (i.ravel() for i in np.meshgrid(np.arange(rows), np.arange(-1, cols), indexing="ij"))
    return row, col, np.where((row == 0) | (row == rows - 1), 0.5, 1.0)
