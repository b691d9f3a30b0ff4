"""Standard errors of logged means: as logged, or from a spread and a number of samples."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd

__all__ = ["standard_error"]

COUNTS = ("n_samples", "eval/n_samples", "num_samples", "eval/num_samples", "n", "batch_size")


def standard_error(
    frame: pd.DataFrame, column: str, batch_size: int | None
) -> tuple[pd.DataFrame, str | None]:
    """The frame and the name of the column's standard error in it; None where there is none.

    Taken as logged (``reward_se``, ``reward_stderr``, ``reward/se`` …), else s/√n from a logged
    standard deviation (``reward_std``, ``reward/std``) and a logged or given number of samples.
    """
    for name in _beside(column, ("se", "sem", "stderr", "standard_error")):
        if name in frame.columns:
            return frame.assign(**{name: frame[name].where(frame[name] >= 0)}), name
    counts = next((frame[c] for c in COUNTS if c in frame.columns), None)
    samples = counts if batch_size is None else float(batch_size)
    for name in _beside(column, ("std", "stddev", "sd")):
        if name in frame.columns and samples is not None:
            made = f"{column}_se"
            with np.errstate(divide="ignore", invalid="ignore"):
                error = np.asarray(frame[name], float) / np.sqrt(np.asarray(samples, float))
            usable = np.isfinite(error) & (error >= 0)
            return frame.assign(**{made: np.where(usable, error, np.nan)}), made
    return frame, None


def _beside(column: str, endings: tuple[str, ...]) -> list[str]:
    """The names under which a column's spread may stand beside it."""
    stem = re.sub(r"[_/]mean$", "", column)
    return [f"{s}{sep}{e}" for e in endings for s in dict.fromkeys((column, stem)) for sep in "_/"]
