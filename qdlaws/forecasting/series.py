"""Series: the finite readings of one column, as the trend filter takes them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from qdlaws.core.runlog import RunLog
from qdlaws.core.types import Array
from qdlaws.errors import NotEnoughData
from qdlaws.inference.error_model import spike_weights

__all__ = ["MAX_ROWS", "MIN_READINGS", "Series", "series"]

MIN_READINGS = 5
"""Readings that a forecast needs."""

MAX_ROWS = 96
"""Rows that are filtered; longer series are averaged in blocks of equal numbers of rows."""

SE_RATIO = 10.0
"""The variance of a reading counts as at most this many times the typical one, and at least as
its inverse."""


@dataclass(frozen=True, eq=False)
class Series:
    """Rows (blocks of readings) against s, the steps since the start of the run."""

    s: Array  # (n,)
    y: Array
    noise: Array  # relative variances of the rows
    block: int  # readings in one row
    origin: float  # step = origin + s
    first: float  # the first step read
    last: float
    clock: str  # what a step is called: "step" or "epoch"

    @property
    def step(self) -> Array:
        return np.asarray(self.origin + self.s)


def series(log: RunLog, column: str, max_rows: int = MAX_ROWS) -> Series:
    """The finite readings of a column, weighted by their standard errors where the log has them.

    The run starts one median gap before its first reading, so that log s exists for all.
    """
    values = log.column(column)
    finite = np.isfinite(values)
    if finite.sum() < MIN_READINGS:
        raise NotEnoughData(
            f"{int(finite.sum())} readings of {column}; a forecast needs {MIN_READINGS} or more"
        )
    step, y = log.step[finite], values[finite]
    ends = float(step[0]), float(step[-1])
    origin = float(step[0] - np.median(np.diff(step)))
    noise, _ = spike_weights(y)
    se = getattr(log, f"{column}_se")
    if se is not None and np.isfinite(se[finite]).any():
        variance = np.where(np.isfinite(se[finite]), se[finite], np.nanmedian(se[finite])) ** 2
        typical = float(np.median(variance))
        if typical > 0:
            noise = noise * np.clip(variance / typical, 1 / SE_RATIO, SE_RATIO)
    block = -(-len(y) // max_rows)
    if block == 1:
        return Series(step - origin, y, noise, 1, origin, *ends, log.clock)
    first = np.arange(len(y) % block, len(y), block)  # the odd rows go to the earliest block
    first = np.append(0, first) if first[0] else first
    precision = np.add.reduceat(1 / noise, first)
    mean_s = np.add.reduceat((step - origin) / noise, first) / precision
    mean_y = np.add.reduceat(y / noise, first) / precision
    return Series(mean_s, mean_y, block / precision, block, origin, *ends, log.clock)
