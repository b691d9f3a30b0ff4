"""Many runs: do they share one law (compare), and what is a run like in general (fleet).

A fleet is a mixed model on the laws' summaries: for each coefficient (v, s, c;
:mod:`qdlaws.comparison.coefficients`)

    θ_i = β₀ + β₁·log(size_i) + u_i + e_i,   u_i ~ N(0, τ²),  e_i ~ N(0, sd_i²) known

with β integrated out flat and τ over a grid (half-Cauchy prior): random-effects meta-regression
(Röver 2020), exact where the restricted likelihood's one estimate of τ would be 0 for few runs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from qdlaws.comparison.coefficients import COEFFICIENTS, WORDS, Kind, Run, runs_of
from qdlaws.core.interval import Interval, interval, show
from qdlaws.core.runlog import RunLog
from qdlaws.core.serialize import plain
from qdlaws.core.summary import Result, Summary
from qdlaws.core.types import Array
from qdlaws.errors import BadData, NotEnoughData
from qdlaws.laws.result import LawFits

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["Comparison", "Fleet", "compare", "fleet", "mixed_model"]

DRAWS = 4096


# ---------------------------------------------------------------------- compare


@dataclass(frozen=True, eq=False, repr=False)
class Comparison(Result):
    """Do these runs follow one law?

    Attributes
    ----------
    shared : True where no difference is seen, False where one is; None where the runs say too
        little to see one
    differs : the coefficients that differ, of "value", "exchange", "c"
    p_values : by coefficient, adjusted for there being three (Holm)
    table : DataFrame with a row for each run: verdict, n, range and each coefficient with its error
    reference : x̄ at which value and exchange rate are taken
    left_out : runs without the law, and why
    """

    kind: Kind
    runs: tuple[Run, ...]
    reference: float
    shared: bool | None
    differs: tuple[str, ...]
    p_values: dict[str, float]
    table: pd.DataFrame
    left_out: dict[str, str]

    def summary(self) -> Summary:
        """The comparison in words, and the runs with the coefficients of their laws."""
        x = self.runs[0].law.x_name
        words = {k: WORDS[k].format(x=x) for k in COEFFICIENTS}
        if self.shared is None:
            verdict = f"{len(self.runs)} runs; none says enough to tell their laws apart"
        elif self.shared:
            verdict = f"{len(self.runs)} runs; no difference between their laws is seen"
        else:
            verdict = f"{len(self.runs)} runs do not share one law: they differ in " + " and ".join(
                f"{words[k]} ({_p(self.p_values[k])})" for k in self.differs
            )
        heading = f"quality on {x}, compared at {x} = {self.reference:.4g}"
        rows = tuple(
            (run.name, f"{run.law.verdict}, n = {run.law.n}; " + _coefficients(run))
            for run in self.runs
        )
        left_out = tuple(f"left out: {name}: {why}" for name, why in self.left_out.items())
        return Summary(heading, verdict, rows, left_out)

    def to_frame(self) -> pd.DataFrame:
        """A row for each run: verdict, n, range and each coefficient with its standard error."""
        return self.table

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        names = ("kind", "reference", "shared", "differs", "p_values", "left_out")
        out: dict[str, Any] = plain({name: getattr(self, name) for name in names})
        return out | {"runs": plain(self.table.to_dict("records"))}

    def plot(self, ax: Axes | None = None) -> Axes:
        """The data and the laws of all runs in one picture."""
        import matplotlib.pyplot as plt

        ax = ax or plt.subplots()[1]
        for run in self.runs:
            law = run.law
            x = np.linspace(*law.range, 80)
            curve = law.predict(x)
            (line,) = ax.plot(x, curve["mid"], label=f"{run.name} ({law.verdict})")
            ax.fill_between(x, curve["low"], curve["high"], color=line.get_color(), alpha=0.15)
            ax.plot(law.x, law.y, ".", ms=3, alpha=0.4, color=line.get_color())
        ax.axvline(self.reference, ls=":", c="grey")
        ax.set(xlabel=self.runs[0].law.x_name, ylabel="quality")
        ax.legend(fontsize="small")
        return ax


def _coefficients(run: Run) -> str:
    """The coefficients of a run with their standard errors."""
    return ", ".join(
        f"{k} {mean:.3g} ± {sd:.2g}"
        for k, mean, sd in zip(COEFFICIENTS, run.mean, run.sd, strict=True)
    )


def _p(value: float) -> str:
    """How small a tiny p-value is means nothing."""
    return "p < 0.0001" if value < 1e-4 else f"p = {value:.2g}"


def compare(
    items: Sequence[RunLog | LawFits],
    *,
    kind: Kind | None = None,
    names: Sequence[str] | None = None,
    alpha: float = 0.05,
    n_jobs: int | None = None,
) -> Comparison:
    """Whether runs share one law, and which coefficient differs.

    ``kind`` is "rd" or "rh" (default: the law that more runs have). Each coefficient is tested by
    Cochran's Q over the runs' posteriors, the three together at ``alpha`` by Holm. A difference is
    one of these runs as they were made: coefficients of R–D hold for the knobs in force.
    """
    runs, reference, kind, out = runs_of(items, kind, names, n_jobs)
    from statsmodels.stats.multitest import multipletests

    raw = [_homogeneity(runs, j) for j in range(len(COEFFICIENTS))]
    p = dict(zip(COEFFICIENTS, map(float, multipletests(raw, method="holm")[1]), strict=True))
    differs = tuple(sorted((k for k in p if p[k] < alpha), key=lambda k: p[k]))
    can_tell = any(run.law.supported for run in runs)
    return Comparison(
        kind=kind,
        runs=tuple(runs),
        reference=reference,
        shared=False if differs else True if can_tell else None,
        differs=differs,
        p_values=p,
        table=_table(runs),
        left_out=out,
    )


def _homogeneity(runs: Sequence[Run], j: int) -> float:
    """The p-value of Cochran's Q = Σ (θ_i − θ̄)²/sd_i² under one θ."""
    from statsmodels.stats.meta_analysis import combine_effects

    mean, sd = np.array([r.mean[j] for r in runs]), np.array([r.sd[j] for r in runs])
    test = combine_effects(mean, sd**2).test_homogeneity()
    return float(test.pvalue)


def _table(runs: Sequence[Run]) -> pd.DataFrame:
    rows = []
    for run in runs:
        low, high = run.law.range
        row = {"run": run.name, "verdict": run.law.verdict, "n": run.law.n}
        row |= {"x_low": low, "x_high": high}
        for k, mean, sd in zip(COEFFICIENTS, run.mean, run.sd, strict=True):
            row |= {k: mean, f"{k}_sd": sd}
        rows.append(row)
    return pd.DataFrame(rows)


# ---------------------------------------------------------------------- fleet


@dataclass(frozen=True, eq=False, repr=False)
class Fleet(Result):
    """What runs have in common, how they differ, and what a new one will be like.

    Attributes
    ----------
    table : a row for each run, as in a Comparison, with its size
    effects : DataFrame by coefficient: mean (at the mean log size), per_log_size, spread τ between
        runs, each as an Interval
    left_out : runs that did not enter, and why
    """

    kind: Kind
    runs: tuple[Run, ...]
    reference: float
    sizes: Array | None
    effects: pd.DataFrame
    table: pd.DataFrame
    left_out: dict[str, str]
    level: float
    posterior: dict[str, Array]  # coefficient -> draws (S, 3) of β₀, β₁, τ

    def coefficients(self, size: float | None = None) -> dict[str, Interval]:
        """The coefficients of a new run (of a model of that size): value, exchange, c, a, b."""
        v, s, c = (self._draws(k, size) for k in COEFFICIENTS)
        safe = np.where(np.abs(c) < 1e-9, 1e-9, c)
        with np.errstate(over="ignore"):
            a, b = s * np.exp(-safe * self.reference) / safe, v + s / safe
        found = {"value": v, "exchange": s, "c": c, "a": a, "b": b}
        return {k: interval(d, self.level) for k, d in found.items()}

    def predict(self, x: npt.ArrayLike, size: float | None = None) -> pd.DataFrame:
        """The law of a new run (of a model of that size) at x: columns x, low, mid, high."""
        at = np.atleast_1d(np.asarray(x, float))
        v, s, c = (self._draws(k, size)[:, None] for k in COEFFICIENTS)
        off = at - self.reference
        safe = np.where(np.abs(c) < 1e-9, 1e-9, c)
        with np.errstate(over="ignore"):
            values = v - s * np.expm1(safe * off) / safe
        tail = (1 - self.level) / 2
        low, mid, high = np.quantile(values, [tail, 0.5, 1 - tail], axis=0)
        return pd.DataFrame({"x": at, "low": low, "mid": mid, "high": high})

    def prior(self, size: float | None = None) -> dict[str, tuple[float, float]]:
        """Mean and standard deviation of each coefficient of a new run: for early forecasts."""
        out = {}
        for k in COEFFICIENTS:
            low, mid, high = np.quantile(self._draws(k, size), [0.16, 0.5, 0.84])
            out[k] = (float(mid), float((high - low) / 2))
        return out

    def _draws(self, name: str, size: float | None) -> Array:
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
        """The coefficients that the runs have in common, and how far runs differ in them."""
        x = self.runs[0].law.x_name
        rows = []
        for k in COEFFICIENTS:
            row = dict(self.effects.loc[k].items())
            words = f"{show(row['mean'])}; between runs ± {row['spread'].mid:.3g}"
            if self.sizes is not None:
                words += f"; by a factor e in size {show(row['per_log_size'])}"
            rows.append((WORDS[k].format(x=x), words))
        heading = f"{len(self.runs)} runs, quality on {x}, reference {x} = {self.reference:.4g}"
        left_out = tuple(f"left out: {name}: {why}" for name, why in self.left_out.items())
        return Summary(heading, "", tuple(rows), left_out)

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
        """Plain values for JSON."""
        out: dict[str, Any] = plain(
            {"kind": self.kind, "reference": self.reference, "left_out": self.left_out}
        )
        effects = {k: plain(dict(self.effects.loc[k])) for k in COEFFICIENTS}
        return out | {"effects": effects, "runs": plain(self.table.to_dict("records"))}

    def plot(self, axes: Any = None) -> Any:
        """Each coefficient against model size (or by run), with the fleet's line and band."""
        import matplotlib.pyplot as plt

        if axes is None:
            axes = plt.subplots(1, 3, figsize=(12, 3.6), layout="constrained")[1]
        x = np.arange(1.0, len(self.runs) + 1) if self.sizes is None else self.sizes
        for j, (k, ax) in enumerate(zip(COEFFICIENTS, axes, strict=True)):
            mean, sd = (np.array([getattr(r, w)[j] for r in self.runs]) for w in ("mean", "sd"))
            ax.errorbar(x, mean, 2 * sd, fmt="o", ms=3, alpha=0.7)
            if self.sizes is not None:
                grid = np.geomspace(x.min() / 1.5, x.max() * 1.5, 40)
                band = np.array([interval(self._draws(k, g), self.level)[:3] for g in grid]).T
                ax.plot(grid, band[1])
                ax.fill_between(grid, band[0], band[2], alpha=0.2)
                ax.set_xscale("log")
            ax.set(xlabel="run" if self.sizes is None else "model size", title=k)
        return axes


def fleet(
    items: Sequence[RunLog | LawFits],
    *,
    size: npt.ArrayLike | None = None,
    kind: Kind | None = None,
    names: Sequence[str] | None = None,
    level: float = 0.95,
    n_jobs: int | None = None,
) -> Fleet:
    """The mixed model over many runs.

    Runs without a supported law are left out and listed. ``size`` is each run's model size; then
    coefficients are log-linear in it. ``n_jobs`` fits in parallel, on a cluster too; see
    :func:`qdlaws.comparison.coefficients.fit_many`.
    """
    sizes = None
    if size is not None:
        sizes = np.ravel(np.asarray(size, float))
        if len(sizes) != len(items) or not np.all(sizes > 0):
            raise BadData(f"size needs a positive number for each of {len(items)} runs")
    labels = list(names) if names is not None else [f"run {i + 1}" for i in range(len(items))]
    runs, reference, kind, out = runs_of(items, kind, labels, n_jobs, supported_only=True)
    if sizes is not None:
        by_name = dict(zip(labels, sizes, strict=True))
        sizes = np.array([by_name[run.name] for run in runs])
        if len(runs) < 4 or not np.ptp(sizes) > 0:
            raise NotEnoughData(
                f"a trend in size needs 4 runs of at least 2 sizes; {len(runs)} runs follow a law"
            )
    elif len(runs) < 3:
        raise NotEnoughData(f"a fleet needs 3 runs that follow a law, found {len(runs)}")
    table = _table(runs)
    if sizes is not None:
        table["size"] = sizes
    posterior = {k: mixed_model(runs, j, sizes) for j, k in enumerate(COEFFICIENTS)}
    effects = pd.DataFrame(
        {
            part: {k: interval(d[:, i], level) for k, d in posterior.items()}
            for i, part in enumerate(("mean", "per_log_size", "spread"))
        }
    )
    return Fleet(kind, tuple(runs), reference, sizes, effects, table, out, level, posterior)


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
