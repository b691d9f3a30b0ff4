"""Whether several runs share one law: a test of each coefficient over the runs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from qdlaws.comparison.coefficients import (
    COEFFICIENTS,
    Kind,
    Run,
    coefficient_words,
    comparable_runs,
)
from qdlaws.core.run_names import fitting_names
from qdlaws.core.runlog import RunLog
from qdlaws.core.serialize import plain
from qdlaws.core.summary import Result, Summary
from qdlaws.laws.result import LawFits
from qdlaws.readers.reading import Where, as_logs

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

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

    Examples
    --------
    >>> import qdlaws as qd
    >>> log = qd.example_log()
    >>> comparison = qd.compare([log, log], names=["one", "the same"])
    >>> comparison.shared, comparison.differs
    (True, ())
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
        """The runs with the coefficients of their laws in one table, and whether they differ."""
        x = self.runs[0].law.x_name
        names = fitting_names([run.name for run in self.runs])
        quality, price = f"quality at\n{x}\n{self.reference:.3g}", f"price of a\nunit of\n{x}"
        head = ("run", "verdict", "n", quality, price, "curvature\nc")
        rows = [
            (name, run.law.verdict, str(run.law.n), *_cells(run))
            for name, run in zip(names, self.runs, strict=True)
        ]
        rows.append(("p, all the same", "", "", *(_p(self.p_values[k]) for k in COEFFICIENTS)))
        return Summary(
            f"Comparison of {len(self.runs)} runs, quality on {x}",
            remarks=tuple(f"left out: {name}: {why}" for name, why in self.left_out.items()),
            table=(head, *rows),
            conclusion=self.conclusion,
        )

    @property
    def conclusion(self) -> str:
        """Whether the runs share one law, in a sentence."""
        if self.shared is None:
            return "No run has a law, so no difference can be seen."
        if self.shared:
            return "No difference between the laws of these runs is seen."
        words = coefficient_words(self.runs[0].law.x_name)
        differ = " and ".join(words[k] for k in self.differs)
        return f"The runs do not share one law: they differ in {differ}."

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
        from qdlaws.comparison.plots import plot_laws

        return plot_laws(self.runs, self.reference, ax)

    def plot_forest(self) -> Figure:
        """The coefficients of every run with their 95 % intervals, one run a line."""
        from qdlaws.comparison.plots import plot_forest

        figure: Figure = plot_forest(self.runs)[0].get_figure(root=True)
        return figure


def _cells(run: Run) -> Iterator[str]:
    """The coefficients of a run with their standard errors."""
    for mean, sd in zip(run.mean, run.sd, strict=True):
        yield f"{mean:.3g}\n± {sd:.2g}"


def _p(value: float) -> str:
    """A p-value in words; differences among tiny ones carry no information."""
    return "p < 0.0001" if value < 1e-4 else f"p = {value:.2g}"


def compare(
    items: Sequence[RunLog | LawFits | Where] | Where,
    *,
    kind: Kind | None = None,
    names: Sequence[str] | None = None,
    alpha: float = 0.05,
    n_jobs: int | None = None,
    on: str = "local",
) -> Comparison:
    """Whether runs share one law, and which coefficient differs.

    Each coefficient is tested by Cochran's Q over the runs' posteriors, the three together at
    ``alpha`` by Holm's method. A difference is one between these runs as they were made:
    coefficients of R–D hold for the knobs in force.

    Parameters
    ----------
    items : sequence of RunLog, LawFits or paths
        A single path stands for all runs in it (:func:`qdlaws.read_many`).
    kind : {"rd", "rh"}, optional
        The law to compare; by default the one that more runs have.
    names : sequence of str, optional
        Names of the runs; by default their sources.
    alpha : float
        The probability of seeing a difference where there is none.
    n_jobs : int, optional
        Processes that fit.
    on : str
        Where they are; see :func:`qdlaws.fit_many`.

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

    comparable = comparable_runs(as_logs(items), kind, names, n_jobs, on=on)
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
