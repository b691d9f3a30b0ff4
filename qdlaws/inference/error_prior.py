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

__all__ = ["ErrorModels", "error_models", "memory_nodes", "trapezoid"]


ERROR_MODELS = {"white": 0.2, "slow": 0.25, "both": 0.55}
"""Prior probabilities of the three error models."""

MEMORY_REACH = 4.0
"""The longest memory considered, in lengths of the run."""

MEMORY_TILT = 0.5
"""The power of ℓ in the density of its logarithm."""

SHORTEST = 0.4
"""The shortest memory considered, in spacings of the rows; shorter ones are white noise."""


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


def memory_nodes(length: float, count: int) -> Array:
    """Even nodes of log ℓ over its whole range, for a run of this length in spacings."""
    return np.linspace(np.log(SHORTEST), np.log(max(MEMORY_REACH * length, 4.0)), count)


@lru_cache(maxsize=64)
def error_models(
    length: float, nodes: tuple[float, ...], v_ends: tuple[float, float], cols: int
) -> ErrorModels:
    """The error models at these nodes of log ℓ and at ``cols`` nodes of v between ``v_ends``."""
    logl = np.array(nodes)
    dv = (v_ends[1] - v_ends[0]) / cols
    v = v_ends[0] + dv * (np.arange(cols) + 0.5)
    shortest, longest = memory_nodes(length, 2)
    whole = (np.exp(MEMORY_TILT * longest) - np.exp(MEMORY_TILT * shortest)) / MEMORY_TILT
    row = MEMORY_TILT * logl - np.log(whole) + np.log(trapezoid(logl))
    column = np.full(cols + 1, np.log(ERROR_MODELS["both"] * max(dv, 1e-12)))
    column[0] = np.log(ERROR_MODELS["slow"])
    nu = np.append(0.0, np.sin(np.pi / 2 * v) ** 2)
    return ErrorModels(  # white errors come last
        memory=np.append(np.repeat(np.exp(logl), cols + 1), 0.0),
        white=np.append(np.tile(nu, len(logl)), 1.0),
        logprior=np.append((row[:, None] + column).ravel(), np.log(ERROR_MODELS["white"])),
        logl=logl,
        v=np.asarray(v),
    )


def trapezoid(nodes: Array) -> Array:
    """Weights of the trapezoidal rule."""
    if len(nodes) == 1:
        return np.ones(1)
    gaps = np.diff(nodes)
    return np.asarray((np.append(gaps, 0.0) + np.append(0.0, gaps)) / 2)
