"""Logs of runs that fall through a floor, saturate, get worse or rise, for a seed."""

from __future__ import annotations

import numpy as np

from qdlaws import RunLog


def simulated_log(seed: int, n: int = 40) -> RunLog:
    """A run of one of several kinds; half of them carry the KL in force."""
    rng = np.random.default_rng(seed)
    t = np.linspace(0, 1, n)
    fall = rng.uniform(0.05, 0.6) * t ** rng.uniform(0.5, 2)
    quality = [0.5 + 0.4 * fall, 0.5 + 0.3 * np.tanh(8 * t), 0.8 - 0.3 * t, 0.5 + 0.0 * t]
    noise = rng.choice([0.002, 0.01])
    columns = {
        "quality": quality[seed % 4] + noise * rng.standard_normal(n),
        "diversity": 0.9 - fall + noise * rng.standard_normal(n),
        "entropy": 0.8 - 1.5 * fall + noise * rng.standard_normal(n),
    }
    if seed % 2:
        columns |= {"diversity_se": np.full(n, noise)}
    log = RunLog.from_arrays(10.0 * np.arange(n), **columns)
    if rng.random() < 0.5:
        frame = log.to_frame().assign(kl_coef=0.1 * np.exp(np.cumsum(0.1 * rng.standard_normal(n))))
        log = RunLog.from_frame(frame.assign(reward_scale=1.0))
    return log
