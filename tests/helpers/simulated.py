"""Small runs with known laws in all three columns, from the simulator of ``qdlaws.simulation``."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import qdlaws as qd
from qdlaws.simulation import ar1_series as ar1
from qdlaws.simulation import falling_path

__all__ = ["D_HIGH", "D_LOW", "K", "M", "ar1", "collapse", "frame", "law", "log", "refused", "run"]

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
    seen = d + x_noise * (D_HIGH - D_LOW) * rng.standard_normal(n)
    return pd.DataFrame(
        {"step": 10.0 * np.arange(n), "quality": r, "diversity": seen, "entropy": h}
    )


def log(**options: float) -> qd.RunLog:
    return qd.RunLog.from_frame(frame(**options))  # type: ignore[arg-type]


def run(n: int = 40, seed: int = 0, **changes: object) -> pd.DataFrame:
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


def refused(make, *words: str) -> None:
    with pytest.raises(qd.QdlawsError) as caught:
        make()
    text = str(caught.value)
    assert "\n" not in text
    for word in words:
        assert word in text, text
