"""The law as one more forecaster of quality, along the forecast of diversity or entropy.

The change of the law from the present x to the forecast x is added to the filtered present level of
quality. Its weight in the pool comes from its rolling record: laws fitted to earlier parts of the
same run are scored on the later ones, like the trends (:mod:`qdlaws.forecasting.stacking`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields

import numpy as np

from qdlaws.core.law import Law
from qdlaws.core.types import Array
from qdlaws.forecasting.column import ColumnForecast
from qdlaws.forecasting.stacking import (
    RollingOrigins,
    mixture_quantiles,
    rolling_origins,
    student_log_density,
)
from qdlaws.inference.law_posterior import LawPosterior, law_posterior
from qdlaws.laws.result import LawFit, LawFits

__all__ = ["QualityForecast", "rolling_record", "with_law"]

X_LEVELS = (np.arange(8) + 0.5) / 8
"""Levels of the quantiles that stand for the forecast distribution of x."""

LAW_DRAWS = 64
"""Draws of the law that are used."""

LAW_ORIGINS = ((1, 0), (1, 3), (1, 6))
"""The rolling origins (horizon, past step) at which the law is fitted anew."""

MAX_CHANGE = 2.0
"""Largest change of quality that the law may forecast, in ranges of quality so far."""

MIN_LAW_ROWS = 8
"""Rows that a law at an earlier origin needs."""


@dataclass(frozen=True, eq=False, repr=False)
class QualityForecast(ColumnForecast):
    """The forecast of quality with a law along the forecast of its x as the last member."""

    posterior: LawPosterior | None = None
    x: ColumnForecast | None = None

    @property
    def law_weight(self) -> float:
        """The weight of the law in the pool."""
        return float(self.weight[-1])

    @property
    def trend_weight(self) -> Array:
        return np.asarray(self.weight[:-1] / self.weight[:-1].sum())

    def member_forecasts(self, step: Array, readings: float = np.inf) -> tuple[Array, Array]:
        mean, variance = super().member_forecasts(step, readings)
        assert self.posterior is not None
        assert self.x is not None
        f = self.filtered
        x_later = self.x.quantiles(np.maximum(step, self.x.step), X_LEVELS)
        x_now = np.array([self.x.weight @ self.x.filtered.level[-1]])
        limit = MAX_CHANGE * float(np.ptp(self.data.y))
        change, spread = law_change(self.posterior, x_now, x_later, limit)
        level = float(self.trend_weight @ f.level[-1])
        reading = f.sigma2[-1] * self.data.block / readings
        level_variance = float(self.trend_weight @ (f.cov[-1, :, 0] * f.sigma2[-1] + reading))
        with_law = np.append(mean, (level + change)[:, None], axis=1)
        return with_law, np.append(variance, (level_variance + spread)[:, None], axis=1)

    def reasons(self, horizon: float) -> list[str]:
        share = f"{self.law_weight:.0%} of the forecast of quality comes from the fitted curve"
        return [*super().reasons(horizon), f"{share}, the rest from the trend"]


def with_law(fits: LawFits, by_column: Mapping[str, ColumnForecast]) -> ColumnForecast:
    """The forecast of quality, with the law in its pool where one is supported.

    R on H comes first, R on D where there is no other: they mostly agree.
    """
    quality = by_column["quality"]
    for law in (fits.rh, fits.rd):
        if not isinstance(law, LawFit) or not law.supported or law.posterior is None:
            continue
        x = by_column.get(law.x_name)
        if x is None or not x.moves or not quality.moves:
            continue
        prior = quality.prior
        record = np.clip(prior.law_trust * rolling_record(quality, x), -700, 50)
        weight = np.append(quality.weight * (1 - prior.law), prior.law * np.exp(record))
        inherited = {f.name: getattr(quality, f.name) for f in fields(ColumnForecast)}
        inherited["weight"] = weight / weight.sum()
        return QualityForecast(**inherited, posterior=law.posterior, x=x)
    return quality


def law_change(
    posterior: LawPosterior, x_now: Array, x_later: Array, limit: float
) -> tuple[Array, Array]:
    """Median and robust variance (T,) of R(x_later) − R(x_now); ``x_later`` are quantiles (T, Q).

    Far outside the observed range a law is mostly its prior, and grows without bound where it is
    convex: x stops one range away, and the change at ``limit``.
    """
    law = posterior.law
    thinned = slice(None, None, max(len(law.kappa) // LAW_DRAWS, 1))
    few = Law(law.x_lo, law.x_hi, law.kappa[thinned], law.p[thinned], law.q[thinned])
    x_later = np.clip(x_later, law.x_lo - law.width, law.x_hi + law.width)
    change = np.clip(few.value(x_later) - few.value(x_now)[:, :, None], -limit, limit)
    flat = np.moveaxis(change, 1, 0).reshape(len(x_later), -1)
    low, mid, high = np.quantile(flat, [0.16, 0.5, 0.84], axis=1)
    slow = float(np.mean(posterior.sigma**2 * (1 - posterior.white)))
    return mid, ((high - low) / 2) ** 2 + slow


def rolling_record(quality: ColumnForecast, x: ColumnForecast) -> float:
    """Log predictive density of the law at earlier origins, minus that of the stacked trends.

    0 where no law can be fitted earlier: it is then as good as the trends.
    """
    origins = rolling_origins(quality.data.s, quality.data.y)
    return sum(
        _score(quality, x, origins, h, j)
        for h, j in LAW_ORIGINS
        if origins.exists[h, j] and origins.row[h, j] >= MIN_LAW_ROWS
    )


def _score(
    quality: ColumnForecast, x: ColumnForecast, origins: RollingOrigins, h: int, j: int
) -> float:
    """Log density of the law's forecast from one origin, minus that of the trends."""
    row = int(origins.row[h, j])
    data, f = quality.data, quality.filtered
    # Law and trends are both scored with the present weights of the trends.
    weight, x_weight = quality.weight, x.weight
    step = data.step[: row + 1]
    last_x = int(np.searchsorted(x.data.step, step[-1], side="right")) - 1
    if last_x < MIN_LAW_ROWS:
        return 0.0
    path = x.filtered.level[: last_x + 1] @ x_weight
    x_there = np.interp(step, x.data.step[: last_x + 1], path)
    if not (_moves(x_there) and _moves(data.y[: row + 1])):
        return 0.0
    posterior = law_posterior(step, x_there, data.y[: row + 1], effort=0.5)
    target = np.array([data.origin + origins.s[h, j]])
    x_s = np.maximum(target - x.data.origin, x.data.s[last_x])
    mean, variance = x.filtered.ahead(np.array([last_x]), x_s)
    x_later = mixture_quantiles(mean, variance, x_weight, X_LEVELS)
    limit = MAX_CHANGE * float(np.ptp(data.y[: row + 1]))
    change, spread = law_change(posterior, path[-1:], x_later, limit)
    level = f.level[row] @ weight
    trend_mean, trend_variance = f.ahead(np.array([row]), origins.s[h, j : j + 1])
    reading = f.sigma2[row] / origins.count[h, j]
    level_variance = float(weight @ (f.cov[row, :, 0] * f.sigma2[row] + reading))
    observed, dof = origins.observed[h, j], np.maximum(f.dof[row], 1.0)
    law = student_log_density(observed, level + change, spread + level_variance, dof)
    trends = student_log_density(observed, trend_mean[0], trend_variance[0] + reading, dof)
    return float(law[0] - np.log(weight @ np.exp(trends - trends.max())) - trends.max())


def _moves(values: Array) -> bool:
    """Do the values differ, not by one spike alone, by more than rounding?"""
    low, high = np.quantile(values, [0.02, 0.98])
    return bool(high - low > 1e-9 * np.abs(values).max())
