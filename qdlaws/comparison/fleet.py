"""The mixed model over many runs: common coefficients, their spread, the effect of model size.

For each coefficient (v, s, c; :mod:`qdlaws.comparison.coefficients`)

    θ_i = β₀ + β₁·log(size_i) + u_i + e_i,   u_i ~ N(0, τ²),  e_i ~ N(0, sd_i²), sd_i given

with β integrated out under a flat prior and τ on a grid under a half-Cauchy prior: random-effects
meta-regression (Röver 2020), exact where the restricted likelihood would put τ at 0 for few runs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from qdlaws.comparison.coefficients import (
    COEFFICIENTS,
    Kind,
    Run,
    coefficient_words,
    comparable_runs,
    run_labels,
)
from qdlaws.core.interval import Interval, interval, show
from qdlaws.core.runlog import RunLog
from qdlaws.core.serialize import plain
from qdlaws.core.summary import Result, Summary
from qdlaws.core.types import Array
from qdlaws.errors import BadData, NotEnoughData
from qdlaws.laws.result import LawFits
from qdlaws.readers.reading import Where, as_logs

__all__ = ["Fleet", "fleet", "mixed_model"]

DRAWS = 4096
"""Draws from the posterior of each coefficient."""


@dataclass(frozen=True, eq=False, repr=False)
class Fleet(Result):
    """The common coefficients of many runs, their spread, and predictions for a new run.

    Attributes
    ----------
    kind : "rd" or "rh", the law of the runs
    runs : the runs that follow a law
    reference : the x̄ where value and exchange rate are taken
    sizes : array of model sizes, or None
    effects : DataFrame by coefficient: mean (at the mean log size), per_log_size, spread τ between
        runs, each as an Interval
    table : a row for each run, as in a Comparison, with its size
    left_out : runs that are left out, and why
    level : the level of the intervals
    posterior : for each coefficient the draws of β₀, β₁ and τ, an array (S, 3)

    Examples
    --------
    >>> import qdlaws as qd
    >>> log = qd.example_log()
    >>> fleet = qd.fleet([log, log, log], names=["one", "the same", "again"])
    >>> fleet.kind, len(fleet.runs)
    ('rd', 3)
    """

    kind: Kind
    runs: tuple[Run, ...]
    reference: float
    sizes: Array | None
    effects: pd.DataFrame
    table: pd.DataFrame
    left_out: dict[str, str]
    level: float
    posterior: dict[str, Array]

    def coefficients(self, size: float | None = None) -> dict[str, Interval]:
        """The coefficients of a new run (of a model of that size): value, exchange, c, a, b."""
        v, s, c = (self._draws(k, size) for k in COEFFICIENTS)
        safe = np.where(np.abs(c) < 1e-9, 1e-9, c)
        with np.errstate(over="ignore"):
            a, b = s * np.exp(-safe * self.reference) / safe, v + s / safe
        draws = {"value": v, "exchange": s, "c": c, "a": a, "b": b}
        return {name: interval(values, self.level) for name, values in draws.items()}

    def predict(self, x: npt.ArrayLike, size: float | None = None) -> pd.DataFrame:
        """The law of a new run (of a model of that size) at x: columns x, low, mid, high."""
        places = np.atleast_1d(np.asarray(x, float))
        v, s, c = (self._draws(k, size)[:, None] for k in COEFFICIENTS)
        offset = places - self.reference
        safe = np.where(np.abs(c) < 1e-9, 1e-9, c)
        with np.errstate(over="ignore"):
            values = v - s * np.expm1(safe * offset) / safe
        tail = (1 - self.level) / 2
        low, mid, high = np.quantile(values, [tail, 0.5, 1 - tail], axis=0)
        return pd.DataFrame({"x": places, "low": low, "mid": mid, "high": high})

    def prior(self, size: float | None = None) -> dict[str, tuple[float, float]]:
        """Mean and standard deviation of each coefficient of a new run, as a prior of its law."""
        moments = {}
        for k in COEFFICIENTS:
            low, mid, high = np.quantile(self._draws(k, size), [0.16, 0.5, 0.84])
            moments[k] = (float(mid), float((high - low) / 2))
        return moments

    def _draws(self, name: str, size: float | None) -> Array:
        """Draws of a coefficient of a new run of that size."""
        beta0, beta1, tau = self.posterior[name].T
        if size is None:
            trend: Array | float = 0.0  # β₁ is unknown where no sizes were given
        elif self.sizes is None:
            raise BadData("this fleet was fitted without model sizes; give size=[…] to fleet")
        elif not size > 0:
            raise BadData(f"a model size is positive, got {size}")
        else:
            trend = beta1 * float(np.log(size) - np.log(self.sizes).mean())
        noise = np.random.default_rng(3 + COEFFICIENTS.index(name)).standard_normal(len(tau))
        return np.asarray(beta0 + trend + tau * noise)

    def summary(self) -> Summary:
        """The coefficients that the runs have in common, how far runs differ, and the price."""
        x = self.runs[0].law.x_name
        words = coefficient_words(x)
        head = ["coefficient", f"common [{self.level:.0%}]", "runs differ by\n(1 s.d.)"]
        if self.sizes is not None:
            head.append("change for a model\ne times as large")
        table = []
        for k in COEFFICIENTS:
            row = dict(self.effects.loc[k].items())
            cells = [words[k], _broken(row["mean"]), f"± {row['spread'].mid:.3g}"]
            if self.sizes is not None:
                cells.append(_broken(row["per_log_size"]))
            table.append(tuple(cells))
        price = self.coefficients()["exchange"]
        return Summary(
            f"Fleet of {len(self.runs)} runs, quality on {x}",
            rows=(("compared at", f"{x} = {self.reference:.4g}"),),
            remarks=tuple(f"left out: {name}: {why}" for name, why in self.left_out.items()),
            table=(tuple(head), *table),
            conclusion=f"In one more run like these, a unit of {x} (at {x} = {self.reference:.3g}) "
            f"would cost {show(price)} of quality.",
        )

    def to_frame(self) -> pd.DataFrame:
        """One row for each coefficient and effect: mean, per_log_size and spread as intervals."""
        rows = [
            (coefficient, effect, *interval)
            for coefficient in COEFFICIENTS
            for effect, interval in self.effects.loc[coefficient].items()
        ]
        columns = ["coefficient", "effect", "low", "mid", "high", "level"]
        return pd.DataFrame(rows, columns=columns)

    def to_dict(self) -> dict[str, Any]:
        """The fleet as JSON values; ``runs`` are the rows of the table."""
        values: dict[str, Any] = plain(
            {"kind": self.kind, "reference": self.reference, "left_out": self.left_out}
        )
        effects = {k: plain(dict(self.effects.loc[k])) for k in COEFFICIENTS}
        return values | {"effects": effects, "runs": plain(self.table.to_dict("records"))}

    def plot(self, axes: Any = None) -> Any:
        """Each coefficient against model size with the fleet's band; without sizes, by run."""
        from qdlaws.comparison.plots import plot_forest, plot_sizes

        if self.sizes is None:
            mean = {k: dict(self.effects.loc[k].items())["mean"] for k in COEFFICIENTS}
            return plot_forest(self.runs, mean, axes)
        grid = np.geomspace(self.sizes.min() / 1.5, self.sizes.max() * 1.5, 40)
        bands = {
            k: np.array([interval(self._draws(k, g), self.level)[:3] for g in grid]).T
            for k in COEFFICIENTS
        }
        return plot_sizes(self.runs, self.sizes, grid, bands, axes)


def _broken(value: Interval) -> str:
    """An interval that may be broken before its brackets."""
    return show(value).replace(" [", "\n[")


def fleet(
    items: Sequence[RunLog | LawFits | Where] | Where,
    *,
    size: npt.ArrayLike | None = None,
    kind: Kind | None = None,
    names: Sequence[str] | None = None,
    level: float = 0.95,
    n_jobs: int | None = None,
    on: str = "local",
) -> Fleet:
    """The mixed model over many runs: their common coefficients and how much runs differ.

    Runs without a supported law are left out and listed.

    Parameters
    ----------
    items : sequence of RunLog, LawFits or paths
        A single path stands for all runs in it (:func:`qdlaws.read_many`).
    size : array-like, optional
        Each run's model size; the coefficients are then linear in its logarithm.
    kind : {"rd", "rh"}, optional
        The law; by default the one that more runs have.
    names : sequence of str, optional
        Names of the runs.
    level : float
        The level of the intervals.
    n_jobs : int, optional
        Processes that fit.
    on : str
        Where they are; see :func:`qdlaws.fit_many`.

    Returns
    -------
    Fleet

    Examples
    --------
    >>> import numpy as np
    >>> import qdlaws as qd
    >>> diversity = np.linspace(0.9, 0.3, 40)
    >>> noise = 0.01 * np.sin(np.outer([7.0, 8.0, 9.0], np.arange(40)))
    >>> logs = [
    ...     qd.RunLog.from_arrays(np.arange(40), quality=1 - diversity + e, diversity=diversity)
    ...     for e in noise
    ... ]
    >>> exchange = qd.fleet(logs).coefficients()["exchange"]
    >>> exchange.low < 1 < exchange.high
    True
    """
    logs: Sequence[RunLog | LawFits] = as_logs(items)
    sizes = None
    if size is not None:
        sizes = np.ravel(np.asarray(size, float))
        if len(sizes) != len(logs) or not np.all(sizes > 0):
            raise BadData(f"size needs a positive number for each of {len(logs)} runs")
    labels = run_labels(logs, names)
    comparable = comparable_runs(logs, kind, labels, n_jobs, supported_only=True, on=on)
    runs = comparable.runs
    if sizes is not None:
        by_name = dict(zip(labels, sizes, strict=True))
        sizes = np.array([by_name[run.name] for run in runs])
        if len(runs) < 4 or not np.ptp(sizes) > 0:
            raise NotEnoughData(
                f"a trend in size needs 4 runs of at least 2 sizes; {len(runs)} runs follow a law"
            )
    elif len(runs) < 3:
        raise NotEnoughData(f"a fleet needs 3 runs that follow a law, found {len(runs)}")
    table = comparable.to_frame()
    if sizes is not None:
        table["size"] = sizes
    posterior = {k: mixed_model(runs, j, sizes) for j, k in enumerate(COEFFICIENTS)}
    effects = pd.DataFrame(
        {
            part: {k: interval(d[:, i], level) for k, d in posterior.items()}
            for i, part in enumerate(("mean", "per_log_size", "spread"))
        }
    )
    return Fleet(
        kind=comparable.kind,
        runs=runs,
        reference=comparable.reference,
        sizes=sizes,
        effects=effects,
        table=table,
        left_out=comparable.left_out,
        level=level,
        posterior=posterior,
    )


def mixed_model(runs: Sequence[Run], j: int, sizes: Array | None) -> Array:
    """Draws (S, 3) of β₀, β₁, τ: β given τ is normal, τ on a grid."""
    y, sd = np.array([r.mean[j] for r in runs]), np.array([r.sd[j] for r in runs])
    columns = [np.ones(len(y))]
    if sizes is not None:
        columns.append(np.log(sizes) - np.log(sizes).mean())
    X = np.column_stack(columns)
    unit = float(np.sqrt(np.median(sd**2) + np.var(y)))
    tau = unit * np.append(0.0, np.geomspace(0.005, 10, 160))
    weight = 1 / (sd**2 + tau[:, None] ** 2)  # (T, n)
    gram = np.einsum("ti,ia,ib->tab", weight, X, X)
    right = np.einsum("ti,ia,i->ta", weight, X, y)
    beta = np.linalg.solve(gram, right[..., None])[..., 0]
    rss = (weight * (y - beta @ X.T) ** 2).sum(1)
    log = 0.5 * (np.log(weight).sum(1) - np.linalg.slogdet(gram)[1] - rss)
    log = log - np.log1p((tau / unit) ** 2) + np.log(np.gradient(tau))
    mass = np.exp(log - log.max())
    rng = np.random.default_rng(11 + j)
    picks = np.searchsorted(np.cumsum(mass / mass.sum()), (np.arange(DRAWS) + 0.5) / DRAWS)
    picks = rng.permutation(np.minimum(picks, len(tau) - 1))
    root = np.linalg.cholesky(np.linalg.inv(gram))
    normals = rng.standard_normal((DRAWS, X.shape[1]))
    drawn = beta[picks] + np.einsum("sab,sb->sa", root[picks], normals)
    slope = drawn[:, 1] if sizes is not None else np.full(DRAWS, np.nan)
    return np.column_stack([drawn[:, 0], slope, tau[picks]])
