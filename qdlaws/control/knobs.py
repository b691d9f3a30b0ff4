"""The ratio of reward scale and KL strength that was in force at the rows of a log.

The evaluations of a log carry the knobs in force over the steps before them: ``kl_coef``,
``reward_scale``, ``entropy_coef``.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from qdlaws.core.run_rows import extra_column
from qdlaws.core.runlog import RunLog
from qdlaws.core.types import Array

__all__ = ["InForce", "has_no_strength", "in_force", "sigma_in_force"]


@dataclass(frozen=True, eq=False)
class InForce:
    """The knobs of a run: u = log(reward_scale/strength) and the strength at each row, u now."""

    ratio: Array  # (n,) NaN where the log does not say
    strength: Array  # (n,)
    now: float


def in_force(
    log: RunLog,
    scale: float = 1.0,
    strength: float = 1.0,
    *,
    name: str = "kl_coef",
    now: float | None = None,
) -> InForce:
    """The knobs that the rows of a log carry; ``now`` defaults to those of its last row.

    ``scale`` and ``strength`` stand for a column that the log lacks altogether; ``name`` is the
    column of the strength.
    """
    scales, strengths = extra_column(log, "reward_scale"), extra_column(log, name)
    if scales is None:
        scales = np.full(len(log), scale)
    if strengths is None:
        strengths = np.full(len(log), strength)
    with np.errstate(divide="ignore", invalid="ignore"):
        u = np.log(scales / strengths)
    u = np.where(np.isfinite(u), u, np.nan)
    finite = u[np.isfinite(u)]
    last = float(finite[-1]) if len(finite) else math.nan
    return InForce(u, np.where(np.isfinite(u), strengths, np.nan), last if now is None else now)


def has_no_strength(log: RunLog) -> bool:
    """Whether the log says that no KL is in force: a strength of 0, which no factor turns."""
    strengths = extra_column(log, "kl_coef")
    finite = np.empty(0) if strengths is None else strengths[np.isfinite(strengths)]
    return bool(len(finite) and finite[-1] == 0)


def sigma_in_force(log: RunLog) -> float | None:
    """The σ of a run of REINVENT, whose loss has it as the only weight of reward against prior.

    NaN where the log is one of REINVENT and does not say it, None for all other logs.
    """
    sigmas = extra_column(log, "sigma")
    if sigmas is None:
        return math.nan if log.tool.startswith("reinvent") else None
    finite = sigmas[np.isfinite(sigmas)]
    return float(finite[-1]) if len(finite) else math.nan
