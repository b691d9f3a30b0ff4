"""Simulated runs whose future is known, for the tests of forecasts."""

from __future__ import annotations

import numpy as np

import qdlaws as qd


def logarithmic_run(n: int = 200, noise: float = 0.1, seed: int = 0) -> qd.RunLog:
    """An entropy that falls by .4 per e-fold of the step."""
    rng = np.random.default_rng(seed)
    step = np.arange(1.0, n + 1)
    y = 3.0 - 0.4 * np.log(step) + noise * rng.standard_normal(n)
    return qd.RunLog.from_arrays(step, entropy=y)


def law_curve(step: float | np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Quality and entropy of :func:`law_run` without noise."""
    entropy = np.asarray(1.2 - 0.18 * np.log(step))
    return 1 - 0.3 * np.exp(1.2 * entropy), entropy


def law_run(n: int = 200, noise: float = 0.02, seed: int = 0) -> qd.RunLog:
    """R = 1 − .3·exp(1.2·H) along an entropy that falls in log step; the whole run."""
    rng = np.random.default_rng(seed)
    step = np.arange(1.0, n + 1)
    curve, entropy = law_curve(step)
    quality = curve + noise * rng.standard_normal(n)
    measured = entropy + 0.01 * rng.standard_normal(n)
    diversity = 0.5 + 0.3 * entropy + 0.01 * rng.standard_normal(n)
    return qd.RunLog.from_arrays(step, quality=quality, entropy=measured, diversity=diversity)


def rising_runs(count: int, seed: int) -> list[qd.RunLog]:
    """Qualities that rise in log step at different rates."""
    rng = np.random.default_rng(seed)
    logs = []
    for _ in range(count):
        step = np.arange(1.0, 101)
        y = rng.uniform(0.5, 1.5) * np.log(step) + 0.3 * rng.standard_normal(100)
        logs.append(qd.RunLog.from_arrays(step, quality=y))
    return logs
