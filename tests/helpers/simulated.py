"""Small runs with known laws in all three columns, from the simulator of ``qdlaws.simulation``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest

import qdlaws as qd
from qdlaws.simulation import ar1_series as ar1
from qdlaws.simulation import falling_path

__all__ = [
    *("D_HIGH", "D_LOW", "K", "M", "ar1", "collapse", "frame", "law", "log", "log_at_reference"),
    *("refused", "run"),
]

D_LOW, D_HIGH = 0.3, 0.9
K, M = 2.0, 0.5
"""H = K·D + M on composed runs."""


def collapse(n: int) -> np.ndarray:
    """Diversity from D_HIGH to D_LOW, fast at first."""
    return falling_path(n, low=D_LOW, high=D_HIGH)


def law(kappa: float, change: float = -1.0) -> qd.Law:
    """The true law: 1 at D_LOW, 1 + change at D_HIGH."""
    return qd.Law(D_LOW, D_HIGH, np.float64(kappa), np.float64(1.0), np.float64(change))


def frame(
    n: int = 80,
    kappa: float = 2.5,
    sigma: float = 0.03,
    rho: float = 0.4,
    x_noise: float = 0.0,
    seed: int = 0,
    change: float = -1.0,
) -> pd.DataFrame:
    """A run with all three columns; R = law(D), H = K·D + M, all with their errors."""
    rng = np.random.default_rng([seed, n])
    d = collapse(n)
    r = law(kappa, change).value(d) + sigma * ar1(rng, n, rho)
    h = K * d + M + 0.02 * rng.standard_normal(n)
    readings = d + x_noise * (D_HIGH - D_LOW) * rng.standard_normal(n)
    return pd.DataFrame(
        {"step": 10.0 * np.arange(n), "quality": r, "diversity": readings, "entropy": h}
    )


def log(**options: float) -> qd.RunLog:
    """The log of :func:`frame` with the same options."""
    return qd.RunLog.from_frame(frame(**options))  # type: ignore[arg-type]


def log_at_reference(
    value: float = 0.8,
    exchange: float = 0.5,
    c: float = 4.0,
    n: int = 60,
    seed: int = 0,
    **options: Any,
) -> qd.RunLog:
    """A run by its coefficients at D = 0.7: R = v − s·expm1(c·(D − 0.7))/c, D from 0.9 to 0.55."""
    rng = np.random.default_rng(seed)
    step = 5.0 * np.arange(n)
    d = 0.9 - 0.35 * (1 - np.exp(-step / 90))
    quality = value - exchange * np.expm1(c * (d - 0.7)) / c + 0.01 * rng.normal(size=n)
    return qd.RunLog.from_arrays(
        step, quality=quality, diversity=d + 0.003 * rng.normal(size=n), **options
    )


def run(n: int = 40, seed: int = 0, **changes: object) -> pd.DataFrame:
    """A table of a run with all three columns; ``changes`` replace columns."""
    rng = np.random.default_rng(seed)
    d = np.linspace(0.9, 0.4, n)
    frame = pd.DataFrame(
        {
            "step": np.arange(n, dtype=float),
            "quality": 1 - d**2 + 0.02 * rng.standard_normal(n),
            "diversity": d,
            "entropy": 2 * d + 0.02 * rng.standard_normal(n),
        }
    )
    return frame.assign(**changes)


def refused(make: Callable[[], object], *words: str) -> None:
    """The call is refused by a QdlawsError of one line that has all the words."""
    with pytest.raises(qd.QdlawsError) as caught:
        make()
    text = str(caught.value)
    assert "\n" not in text
    for word in words:
        assert word in text, text
