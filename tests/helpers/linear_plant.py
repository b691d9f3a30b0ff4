"""A linear plant with a first-order lag, whose gain, lag and settled level are known."""

from __future__ import annotations

import numpy as np

GAIN = 0.07


def linear_plant(n, lag, gain=GAIN, noise=0.004, seed=0, gap=10.0):
    """Steps, readings and ratios of a run that is turned now and then, and its last true level."""
    rng = np.random.default_rng(seed)
    u = np.cumsum(np.where(rng.random(n) < 0.5, rng.normal(0, 0.25, n), 0.0))
    level, y = 0.9, []
    for k in range(n):
        level += -np.expm1(-1 / lag) * (0.8 - gain * u[k] - level) if k else 0.0
        y.append(level + noise * rng.standard_normal())
    return gap * np.arange(n), np.array(y), u, level
