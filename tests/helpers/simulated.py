"""Small simulated runs with known laws, shared by the tests of the fit layer."""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy.signal import lfilter

import qdlaws as qd

D_LOW, D_HIGH = 0.3, 0.9
K, M = 2.0, 0.5
"""H = K·D + M on composed runs."""


def ar1(rng: np.random.Generator, n: int, rho: float) -> np.ndarray:
    """A stationary AR(1) series of unit variance."""
    e = rng.standard_normal(n)
    e[1:] *= np.sqrt(1 - rho**2)
    return lfilter([1.0], [1.0, -rho], e)


def collapse(n: int) -> np.ndarray:
    """Diversity from D_HIGH to D_LOW, fast at first."""
    s = np.linspace(0, 1, n)
    return D_LOW + (D_HIGH - D_LOW) * (np.exp(-3 * s) - np.exp(-3)) / (1 - np.exp(-3))


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
