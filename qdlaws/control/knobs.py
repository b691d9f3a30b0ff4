"""The ratio of reward scale and KL strength that was in force at the rows of a log.

The evaluations of a log carry the knobs in force over the steps before them: ``kl_coef``,
``reward_scale``, ``entropy_coef``.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from qdlaws.core.run_rows import extra_column
from qdlaws.core.runlog import RunLog

__all__ = ["InForce", "in_force"]

Array = npt.NDArray[np.float64]


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
    top = np.full(len(log), scale) if scales is None else scales
    bottom = np.full(len(log), strength) if strengths is None else strengths
    with np.errstate(divide="ignore", invalid="ignore"):
        u = np.log(top / bottom)
    u = np.where(np.isfinite(u), u, np.nan)
    known = u[np.isfinite(u)]
    last = float(known[-1]) if len(known) else math.nan
    return InForce(u, np.where(np.isfinite(u), bottom, np.nan), last if now is None else now)
