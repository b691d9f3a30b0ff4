"""learn_prior(logs) -> ForecastPrior: empirical Bayes over runs that are already finished.

Each log is cut at several fractions and its end is forecast. The prior maximises the log predictive
density of the ends, with a ridge towards the prior it starts from, so that a few runs move it
little and many move it far.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from qdlaws.core.runlog import RunLog
from qdlaws.core.types import Array, Rows
from qdlaws.errors import NotEnoughData
from qdlaws.forecasting.column import NOMINAL, clock
from qdlaws.forecasting.prior import DEFAULT_PRIOR, SETTINGS, ForecastPrior
from qdlaws.forecasting.stacking import mixture_quantiles, stacking_weights, student_log_density

__all__ = ["EndForecasts", "end_forecasts", "learn_prior"]


STRENGTH = 10.0
"""Weight of the starting prior, in runs."""


@dataclass(frozen=True, eq=False)
class EndForecasts:
    """Cut runs (C): every trend's forecast of the end, its rolling scores, and the observed end."""

    mean: Array  # (C, K), in standard deviations of the run
    variance: Array
    dof: Array  # (C,)
    rolling: Array  # (C, H, J, K)
    observed: Array  # (C,)
    run: Rows  # (C,) number of the run

    @property
    def density(self) -> Array:
        """log density (C, K) of the observed ends."""
        return student_log_density(
            self.observed[:, None], self.mean, self.variance, self.dof[:, None]
        )


def cut_runs(
    logs: Iterable[RunLog], column: str, fractions: tuple[float, ...]
) -> Iterator[tuple[int, RunLog, float, float, int, float]]:
    """For every run and fraction: number, prefix, step and mean of its last tenth, rows in that
    tenth, and the standard deviation of the run."""
    for number, log in enumerate(logs):
        if column not in log.columns:
            continue
        values = log.column(column)
        read = log.take(np.isfinite(values))
        n, y = len(read), read.column(column)
        if n < 2 or not np.std(y) > 0:
            continue
        tail = max(n // 10, 1)
        for fraction in fractions:
            prefix = read.take(slice(0, int(n * fraction)))
            if len(prefix) and np.ptp(prefix.column(column)) > 0:
                end = float(read.step[-tail:].mean()), float(y[-tail:].mean())
                yield number, prefix, *end, tail, float(np.std(y))


def end_forecasts(
    logs: Iterable[RunLog],
    column: str = "quality",
    prior: ForecastPrior = DEFAULT_PRIOR,
    fractions: tuple[float, ...] = (0.25, 0.5),
) -> EndForecasts:
    """Every trend's forecast of the ends of finished runs."""
    rows = []
    for number, prefix, step, end, tail, sd in cut_runs(logs, column, fractions):
        try:
            c = clock(prefix, column, prior=prior)
        except NotEnoughData:
            continue
        mean, variance = c.member_forecasts(np.array([step]), readings=tail)
        rows.append(
            (
                mean[0] / sd,
                variance[0] / sd**2 + 1e-6,
                max(c.filtered.dof[-1], 1.0),
                c.rolling,
                end / sd,
                number,
            )
        )
    if not rows:
        raise NotEnoughData(f"no finished run to learn from: none has {column} in enough rows")
    columns = [np.array(column) for column in zip(*rows, strict=True)]
    return EndForecasts(*columns)


def learn_prior(
    logs: Iterable[RunLog],
    column: str = "quality",
    *,
    start: ForecastPrior = DEFAULT_PRIOR,
    fractions: tuple[float, ...] = (0.25, 0.5),
    strength: float = STRENGTH,
    source: str = "",
) -> ForecastPrior:
    """The prior under which the ends of these finished runs were most probable.

    Parameters
    ----------
    logs : finished runs
    column : the column whose end is forecast
    start : the prior to move away from, worth ``strength`` runs
    fractions : where the runs are cut
    source : description of the runs

    Examples
    --------
    >>> import qdlaws as qd
    >>> prior = qd.learn_prior([qd.example_log()], source="my runs")
    >>> prior.source
    'my runs'
    """
    logs = list(logs)
    best: tuple[float, ForecastPrior, EndForecasts] | None = None
    for drift in sorted({max(start.drift + d, 0.0) for d in (-0.25, 0.0, 0.25)}):
        with_drift = replace(start, drift=drift)
        data = end_forecasts(logs, column, with_drift, fractions)
        value, learnt = _maximise(data, with_drift, strength)
        value += strength * ((drift - start.drift) / 0.5) ** 2 / 2 / len(data.observed)
        if best is None or value < best[0]:
            best = value, learnt, data
    assert best is not None
    _, learnt, data = best
    runs = len(np.unique(data.run))
    factor = _width(data, learnt)
    width = (runs * factor + strength * start.width) / (runs + strength)
    return replace(learnt, width=float(width), runs=runs, source=source or f"{runs} runs")


def _maximise(
    data: EndForecasts, start: ForecastPrior, strength: float
) -> tuple[float, ForecastPrior]:
    """The loss and the prior at the best weights, trusts and recency."""
    from scipy.optimize import minimize

    bank = start.bank
    index = []
    begin: list[float] = []
    for name in SETTINGS:
        values = list(getattr(start, name))
        index.append(np.array([values.index(v) for v in getattr(bank, name)]))
        total = sum(getattr(start, name).values())
        begin += [float(np.log(w / total)) for w in getattr(start, name).values()]
    trust0 = np.log(np.maximum(start.trust, 1e-3))
    theta0 = np.concatenate([begin, trust0, [np.log(start.recency / (1 - start.recency))]])
    density = data.density
    h = len(start.trust)

    def loss(theta: Array) -> tuple[float, Array]:
        tables, trust, recency = _unpack(theta, index, h)
        log_prior = sum(t[i] for t, i in zip(tables, index, strict=True))
        powers = np.arange(data.rolling.shape[2])
        fade = recency**powers
        fade_slope = powers * recency ** np.maximum(powers - 1, 0) * recency * (1 - recency)
        score = np.einsum("j,chjk->chk", fade, data.rolling)
        logw = log_prior + np.einsum("h,chk->ck", trust, score)
        logw = logw - _logsum(logw)[:, None]
        total = _logsum(logw + density)
        pull = np.exp(logw + density - total[:, None]) - np.exp(logw)
        slope = [np.bincount(i, pull.sum(0), len(t)) for t, i in zip(tables, index, strict=True)]
        by_trust = np.einsum("ck,chk->h", pull, score) * trust
        faded = np.einsum("j,chjk->chk", fade_slope, data.rolling)
        by_recency = np.einsum("ck,h,chk->", pull, trust, faded)
        gradient = np.concatenate([*slope, by_trust, [by_recency]])
        away = theta - theta0
        value = total.sum() - strength * away @ away / 2
        n = len(total)
        return -float(value) / n, -(gradient - strength * away) / n

    fitted = minimize(loss, theta0, jac=True, method="L-BFGS-B")
    tables, trust, recency = _unpack(fitted.x, index, h)
    changed: dict[str, Any] = {
        name: dict(zip(getattr(start, name), map(float, np.exp(t)), strict=True))
        for name, t in zip(SETTINGS, tables, strict=True)
    }
    learnt = replace(start, **changed, trust=tuple(map(float, trust)), recency=float(recency))
    return float(fitted.fun), learnt


def _unpack(theta: Array, index: list[Rows], h: int) -> tuple[list[Array], Array, float]:
    tables, start = [], 0
    for i in index:
        size = int(i.max()) + 1
        part = theta[start : start + size]
        tables.append(part - float(_logsum(part[None])[0]))
        start += size
    return tables, np.exp(theta[start : start + h]), float(1 / (1 + np.exp(-theta[start + h])))


def _logsum(values: Array) -> Array:
    top = values.max(1, keepdims=True)
    return np.asarray(top[:, 0] + np.log(np.exp(values - top).sum(1)))


def _width(data: EndForecasts, prior: ForecastPrior) -> float:
    """The factor on half-widths with which the nominal share of the ends is covered."""
    p = np.array([(1 - NOMINAL) / 2, 0.5, (1 + NOMINAL) / 2])
    needed = []
    for mean, variance, rolling, observed in zip(
        data.mean, data.variance, data.rolling, data.observed, strict=True
    ):
        weight = stacking_weights(prior.log_weight, rolling, np.asarray(prior.trust), prior.recency)
        low, mid, high = mixture_quantiles(mean[None], variance[None], weight, p)[0]
        half = high - mid if observed > mid else mid - low
        needed.append(abs(observed - mid) / half)
    return float(np.quantile(needed, NOMINAL))
