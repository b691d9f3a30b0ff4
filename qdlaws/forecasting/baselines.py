"""Simple forecasts to compare with: from the first readings one number, NaN where they fail.

``s`` are steps since the start, ``y`` the readings, ``target`` the step to forecast; laws instead
get the entropies of these readings and a forecast of the entropy at the target.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from qdlaws.core.types import Array

__all__ = [
    "BASELINES",
    "EXPLAINED",
    "LAWS",
    "curve_fit_law",
    "damped_holt",
    "last_line",
    "two_parameter_law",
]


FADED = 10_000
"""Rows ahead after which a damped trend moves no more: statsmodels damps by at most .995 a row."""


def last_line(s: Array, y: Array, target: float) -> float:
    """The least-squares line through the last window (a quarter of the rows, at least 5)."""
    window = max(len(y) // 4, min(5, len(y)))
    x = s[-window:] - s[-1]
    slope, level = np.polyfit(x, y[-window:], 1) if window > 1 else (0.0, y[-1])
    return float(level + slope * (target - s[-1]))


def damped_holt(s: Array, y: Array, target: float) -> float:
    """Damped Holt (Gardner & McKenzie 1985) by statsmodels, rows taken as equally spaced."""
    import warnings

    from statsmodels.tsa.holtwinters import ExponentialSmoothing

    gap = float(np.median(np.diff(s)))
    ahead = round(min(max((target - s[-1]) / gap, 1.0), FADED))
    if not np.ptp(y) > 0:
        return float(y[-1])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about convergence: the last iterate is used anyway
        model = ExponentialSmoothing(
            y, trend="add", damped_trend=True, initialization_method="estimated"
        )
        return float(model.fit().forecast(ahead)[-1])


def two_parameter_law(entropy: Array, y: Array, target: float) -> float:
    """R = b − a·exp(H) (Cui et al. 2025, the entropy mechanism) at a given entropy."""
    finite = np.isfinite(entropy) & np.isfinite(y)
    x = np.exp(entropy[finite] - entropy[finite].max()) if finite.any() else np.zeros(0)
    if len(x) < 3 or not np.ptp(x) > 0:
        return np.nan
    slope, level = np.polyfit(x, y[finite], 1)
    return float(level + slope * np.exp(target - entropy[finite].max()))


def curve_fit_law(entropy: Array, y: Array, target: float) -> float:
    """R = b − a·exp(c·H) by scipy's curve_fit from the start a = range, c = ±1/range."""
    from scipy.optimize import OptimizeWarning, curve_fit

    finite = np.isfinite(entropy) & np.isfinite(y)
    h, r = entropy[finite], y[finite]
    if len(r) < 5 or not np.ptp(h) > 0:
        return np.nan
    import warnings

    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore", OptimizeWarning)
        try:
            (a, b, c), _ = curve_fit(
                lambda x, a, b, c: b - a * np.exp(c * x),
                h,
                r,
                p0=(np.ptp(r), r.max(), 1 / np.ptp(h)),
                maxfev=2000,
            )
        except RuntimeError:
            return np.nan
        value = float(b - a * np.exp(c * target))
    return value if np.isfinite(value) else np.nan


BASELINES: dict[str, Callable[[Array, Array, float], float]] = {
    "last value": lambda s, y, target: float(y[-1]),
    "line through the last window": last_line,
    "damped Holt": damped_holt,
    "last + sd/2": lambda s, y, target: float(y[-1] + y.std() / 2),
}
"""The baselines that use only the series itself."""

LAWS: dict[str, Callable[[Array, Array, float], float]] = {
    "b − a·exp(H)": two_parameter_law,
    "curve_fit law": curve_fit_law,
}
"""The baselines that use a law of the entropy: (entropy, y, entropy at the target)."""

EXPLAINED = {
    "last value": "the last value",
    "line through the last window": "a line through the last quarter",
    "damped Holt": "damped Holt (a fading trend)",
    "last + sd/2": "the last value + half an s.d.",
    "b − a·exp(H)": "the law b − a·exp(entropy)",
    "curve_fit law": "the law, by scipy's curve_fit",
}
"""The baselines in words."""
