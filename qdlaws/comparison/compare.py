"""Whether several runs share one law: a test of each coefficient over the runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from qdlaws.comparison.coefficients import COEFFICIENTS, WORDS, Kind, Run, comparable_runs
from qdlaws.core.runlog import RunLog
from qdlaws.core.serialize import plain
from qdlaws.core.summary import Result, Summary
from qdlaws.laws.result import LawFits

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["Comparison", "compare"]


@dataclass(frozen=True, eq=False, repr=False)
class Comparison(Result):
    """Whether runs follow one law.

    Attributes
    ----------
    kind : "rd" or "rh", the law that is compared
    runs : the runs that have the law
    reference : the x̄ where value and exchange rate are taken
    shared : True where no difference is seen, False where one is; None where no run has a law
    differs : the coefficients that differ, of "value", "exchange", "c"
    p_values : by coefficient, adjusted for testing three (Holm 1979)
    table : DataFrame with a row for each run: verdict, n, range and each coefficient with its error
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
            verdict = f"{len(self.runs)} runs; no run has a law, so no difference can be seen"
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
        """The comparison as JSON values; ``runs`` are the rows of the table."""
        names = ("kind", "reference", "shared", "differs", "p_values", "left_out")
        values: dict[str, Any] = plain({name: getattr(self, name) for name in names})
        return values | {"runs": plain(self.table.to_dict("records"))}

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
    """A p-value in words; differences among tiny ones carry no information."""
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

    Each coefficient is tested by Cochran's Q over the runs' posteriors, the three together at
    ``alpha`` by Holm's method. A difference is one between these runs as they were made:
    coefficients of R–D hold for the knobs in force.

    Parameters
    ----------
    items : sequence of RunLog or LawFits
    kind : {"rd", "rh"}, optional
        The law to compare; by default the one that more runs have.
    names : sequence of str, optional
        Names of the runs; by default their sources.
    alpha : float
        The probability of seeing a difference where there is none.
    n_jobs : int, optional
        Processes that fit; see :func:`qdlaws.fit_many`.

    Returns
    -------
    Comparison

    Examples
    --------
    >>> import numpy as np
    >>> import qdlaws as qd
    >>> diversity = np.linspace(0.9, 0.3, 40)
    >>> noise = 0.01 * np.sin(np.outer([7.0, 8.0], np.arange(40)))
    >>> logs = [
    ...     qd.RunLog.from_arrays(np.arange(40), quality=1 - diversity + e, diversity=diversity)
    ...     for e in noise
    ... ]
    >>> qd.compare(logs, names=["first", "second"]).shared
    True
    """
    from statsmodels.stats.multitest import multipletests

    comparable = comparable_runs(items, kind, names, n_jobs)
    runs = comparable.runs
    raw = [_homogeneity(runs, j) for j in range(len(COEFFICIENTS))]
    p = dict(zip(COEFFICIENTS, map(float, multipletests(raw, method="holm")[1]), strict=True))
    differs = tuple(sorted((k for k in p if p[k] < alpha), key=lambda k: p[k]))
    shared = None
    if any(run.law.supported for run in runs) or differs:
        shared = not differs
    return Comparison(
        kind=comparable.kind,
        runs=runs,
        reference=comparable.reference,
        shared=shared,
        differs=differs,
        p_values=p,
        table=comparable.to_frame(),
        left_out=comparable.left_out,
    )


def _homogeneity(runs: Sequence[Run], j: int) -> float:
    """The p-value of Cochran's Q = Σ (θ_i − θ̄)²/sd_i² under one θ."""
    from statsmodels.stats.meta_analysis import combine_effects

    mean, sd = np.array([r.mean[j] for r in runs]), np.array([r.sd[j] for r in runs])
    with np.errstate(divide="ignore"):  # equal runs: its I² divides by zero
        return float(combine_effects(mean, sd**2).test_homogeneity().pvalue)
