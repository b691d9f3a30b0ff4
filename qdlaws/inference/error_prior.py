"""The prior of the error model (memory ℓ, white share ν): nodes of a grid with their prior mass.

The prior decides width and coverage of intervals when residuals persist:

- three error models: white only, slow only, both (``ERROR_MODELS``);
- the memory ℓ in lengths of the run: its logarithm has a density ∝ ℓ^``MEMORY_TILT`` from half a
  spacing of the rows up to ``MEMORY_REACH`` lengths of the run, so that two thirds lie at half a
  run and longer, where most memories of the residuals of published logs are. A heavier tail holds
  more random walks and loses more plain trade-offs (``benchmarks/law_coverage.py``). How often a
  run was read does not matter;
- the white share: the arcsine density, ν = sin²(πv/2) with v uniform.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from qdlaws.core.types import Array

__all__ = ["Box", "ErrorModels", "error_models", "full_range"]


ERROR_MODELS = {"white": 0.2, "slow": 0.25, "both": 0.55}
"""Prior probabilities of the three error models."""

MEMORY_REACH = 4.0
"""The longest memory considered, in lengths of the run."""

MEMORY_TILT = 0.5
"""The power of ℓ in the density of its logarithm."""

SHORTEST = 0.4
"""The shortest memory considered, in spacings of the rows; shorter ones are white noise."""

Box = tuple[float, float, float, float]
"""A rectangle of (log ℓ, v): low and high of the first, low and high of the second."""


@dataclass(frozen=True, eq=False)
class ErrorModels:
    """Nodes of the error models with their prior mass.

    For each node of ℓ first no white noise, then each node of v; white errors alone come last.
    """

    memory: Array  # (M,)
    white: Array
    logprior: Array
    logl: Array  # (L,)
    v: Array


def full_range(length: float) -> Box:
    """The whole range of (log ℓ, v), of a run of this length in spacings."""
    return float(np.log(SHORTEST)), float(np.log(max(MEMORY_REACH * length, 4.0))), 0.0, 1.0


@lru_cache(maxsize=64)
def error_models(length: float, box: Box, effort: float) -> ErrorModels:
    """The nodes in a box of (log ℓ, v); finer with more ``effort``."""
    rows, cols = max(int(8 * effort), 5), max(int(6 * effort), 4)
    low, high, v_low, v_high = box
    logl = np.linspace(low, high, rows)
    dl, dv = (high - low) / (rows - 1), (v_high - v_low) / cols
    v = v_low + dv * (np.arange(cols) + 0.5)
    shortest, longest = full_range(length)[:2]
    whole = (np.exp(MEMORY_TILT * longest) - np.exp(MEMORY_TILT * shortest)) / MEMORY_TILT
    on_edge = np.where(np.isin(np.arange(rows), (0, rows - 1)), 0.5, 1.0)
    row = MEMORY_TILT * logl - np.log(whole) + np.log(dl * on_edge)
    column = np.full(cols + 1, np.log(ERROR_MODELS["both"] * max(dv, 1e-12)))
    column[0] = np.log(ERROR_MODELS["slow"])
    nu = np.append(0.0, np.sin(np.pi / 2 * v) ** 2)
    return ErrorModels(  # white errors come last
        memory=np.append(np.repeat(np.exp(logl), cols + 1), 0.0),
        white=np.append(np.tile(nu, rows), 1.0),
        logprior=np.append((row[:, None] + column).ravel(), np.log(ERROR_MODELS["white"])),
        logl=logl,
        v=np.asarray(v),
    )
