"""Stacking: weights of forecasters from their rolling-origin scores within the run.

    log w_k = log π_k + Σ_h trust_h Σ_j recency^j · log p_k(y at stop_j | rows up to stop_j·e^-h)

The rolling origins reach back geometrically, stop_j = now·0.8^j, because a run changes evenly in
log step; p_k is the predictive density of the mean of the last tenth of the rows up to stop_j.
This is stacking of predictive distributions (Yao, Vehtari, Simpson & Gelman 2018) with a prior π
over the forecasters that is learnt over runs; in-sample evidence has no part in it. Pure functions
of arrays.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from qdlaws.core.types import Array, Flags, Rows
from qdlaws.forecasting.trend_bank import FilteredTrends

__all__ = [
    "HORIZONS",
    "RollingOrigins",
    "log_scores",
    "mixture_cdf",
    "mixture_quantiles",
    "rolling_origins",
    "stacking_weights",
    "student_log_density",
    "tail_mean",
]

HORIZONS = (0.2, 0.5, 1.0)
"""How far ahead the rolling origins look, in e-folds of the step."""

STOPS = 10
"""Past steps J that are forecast, each from every horizon."""

RATIO = 0.8
"""Each of them relative to the next."""

MIN_ROWS_BEHIND = 4
"""Rows that an origin has behind it."""


@dataclass(frozen=True, eq=False)
class RollingOrigins:
    """Past forecasts to score: the last row used and the mean to forecast; NaN where there is none.

    First axis: the horizon; second: the past step, the latest first.
    """

    row: Rows  # (H, J)
    s: Array  # (H, J) the mean step of the rows to forecast
    observed: Array  # (H, J) their mean
    count: Array  # (H, J) how many they are

    @property
    def exists(self) -> Flags:
        return np.isfinite(self.observed)


def tail_mean(s: Array, y: Array, stop: float) -> tuple[float, float, int]:
    """Mean step, mean value and number of the rows in the last tenth of (0, stop]."""
    end = int(np.searchsorted(s, stop * (1 + 1e-9), side="right"))
    start = min(int(np.searchsorted(s, 0.9 * stop, side="right")), end - 1)
    return float(s[start:end].mean()), float(y[start:end].mean()), end - start


def rolling_origins(s: Array, y: Array) -> RollingOrigins:
    """The rolling origins of a series y at s."""
    shape = (len(HORIZONS), STOPS)
    row = np.zeros(shape, np.intp)
    target, observed, count = np.ones(shape), np.full(shape, np.nan), np.ones(shape)
    for j in range(STOPS):
        stop = float(s[-1]) * RATIO**j
        if stop < s[MIN_ROWS_BEHIND - 1]:
            break
        mean_s, mean_y, k = tail_mean(s, y, stop)
        for h, horizon in enumerate(HORIZONS):
            i = int(np.searchsorted(s, mean_s * np.exp(-horizon), side="right")) - 1
            i = max(i, MIN_ROWS_BEHIND - 1)  # early in a run: as far back as there are rows
            if s[i] < 0.9 * stop and s[i] < mean_s:
                row[h, j], target[h, j], observed[h, j], count[h, j] = i, mean_s, mean_y, k
    return RollingOrigins(row, target, observed, count)


def student_log_density(x: Array, mean: Array, variance: Array, dof: Array) -> Array:
    """log density of a Student t, without the terms that depend on its degrees of freedom alone."""
    return np.asarray(
        -0.5 * np.log(variance) - (dof + 1) / 2 * np.log1p((x - mean) ** 2 / (variance * dof))
    )


def log_scores(f: FilteredTrends, origins: RollingOrigins, floor: float) -> Array:
    """log predictive densities (H, J, K), the best trend of each origin at 0; 0 without an origin.

    ``floor`` is the variance below which forecasts are not distinguished.
    """
    exists = origins.exists
    out = np.zeros((*exists.shape, len(f.bank)))
    if not exists.any():
        return out
    row = origins.row[exists]
    mean, variance = f.ahead(row, origins.s[exists])
    variance = variance + f.sigma2[row] / origins.count[exists][:, None] + floor
    dof = np.maximum(f.dof[row], 1.0)[:, None]
    logs = student_log_density(origins.observed[exists][:, None], mean, variance, dof)
    out[exists] = logs - logs.max(1, keepdims=True)
    return out


def stacking_weights(log_prior: Array, logs: Array, trust: Array, recency: float) -> Array:
    """The weights (K,) from the log prior and the rolling scores (H, J, K)."""
    fade = recency ** np.arange(logs.shape[1])
    total = log_prior + np.einsum("h,j,hjk->k", trust, fade, logs)
    weight = np.exp(total - total.max())
    return np.asarray(weight / weight.sum())


def mixture_cdf(mean: Array, variance: Array, weight: Array, x: Array) -> Array:
    """P(value ≤ x) (T,) under the mixtures of normals with the given means and variances (T, K)."""
    from scipy.special import ndtr

    z = (x[:, None] - mean) / np.sqrt(np.maximum(variance, 1e-300))
    return np.asarray(ndtr(z) @ weight)


def mixture_quantiles(mean: Array, variance: Array, weight: Array, p: Array) -> Array:
    """Quantiles (T, P) of the mixtures of normals with the given means and variances (T, K)."""
    from scipy.special import ndtr

    keep = weight > 1e-4 * weight.max()
    mean, sd, weight = mean[:, keep], np.sqrt(variance[:, keep]), weight[keep] / weight[keep].sum()
    p = np.asarray(p, float)
    reach = 8 * sd.max(1) + 1e-300
    shape = (len(mean), len(p))
    low = np.broadcast_to((mean.min(1) - reach)[:, None], shape).copy()
    high = np.broadcast_to((mean.max(1) + reach)[:, None], shape).copy()
    for _ in range(32):
        middle = (low + high) / 2
        z = (middle[:, :, None] - mean[:, None, :]) / np.maximum(sd, 1e-300)[:, None, :]
        below = (ndtr(z) @ weight) < p
        low, high = np.where(below, middle, low), np.where(below, high, middle)
    return np.asarray((low + high) / 2)
