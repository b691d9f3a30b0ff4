"""LawFit and LawFits, the results of ``fit``: fitted laws with their views as methods.

Each view is one line that imports its module on first use.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import pandas as pd

from qdlaws.core.interval import Params, median
from qdlaws.core.runlog import COLUMNS, RunLog
from qdlaws.core.summary import Result, Summary, latex_table
from qdlaws.laws.fitted import LAWS, FittedLaw
from qdlaws.laws.user_model import UserFit

if TYPE_CHECKING:
    from lmfit.model import ModelResult
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from qdlaws.laws.alternatives import Rivals
    from qdlaws.laws.certificate import Certificate
    from qdlaws.laws.composition import Composition

__all__ = ["LawFit", "LawFits"]


@dataclass(frozen=True, eq=False, repr=False)
class LawFit(Result, FittedLaw):
    """One law: quality on diversity (rd), quality on entropy (rh), or entropy on diversity (hd).

    A law is an association over this run, not a cause.

    Attributes
    ----------
    verdict : str
        "concave", "convex", "linear" (nearly straight) or "falling" (the bend is not known) where
        quality falls as x rises; "peaked" where quality is best inside the range; else
        "unsupported".
    probability : float
        P(quality falls as x rises); of a peaked law P(there is a peak), for hd P(it rises).
    strength : str
        "clear" from a probability of .975, "likely" from .9; empty where unsupported.
    best : Interval
        The x at which peaked quality is best.
    reasons : tuple of str
        Why, in words.
    rival : str
        A drift or jump in step that explains quality as well as x does, so that one run cannot
        tell which of the two it was; empty where there is none.
    params : Params
        a, b, c of R = b − a·exp(c·x) (for hd: slope and intercept), NaN where not identified.
    curvature, change : Interval
        κ, the curvature over the observed range, and the change of the law over it.
    r2, sigma, rho : float
        Share of variance explained; standard deviation of the errors and their correlation between
        neighbouring checkpoints.
    left_out : LeftOut, optional
        Readings of a stretch that stands still or has collapsed (step, x, y, why): the law is
        fitted to the others.
    rivals : Rivals
        Other forms fitted to the same data, best first.

    Examples
    --------
    >>> import numpy as np
    >>> import qdlaws as qd
    >>> diversity = np.linspace(0.9, 0.3, 60)
    >>> quality = 1 - diversity + 0.01 * np.sin(7.0 * np.arange(60))
    >>> log = qd.RunLog.from_arrays(np.arange(60), quality=quality, diversity=diversity)
    >>> law = qd.fit(log).rd
    >>> law.verdict
    'linear'
    >>> price = law.exchange_rate(0.5)
    >>> price.low < 1 < price.high
    True
    """

    def certificate(self, runs: int = 0, seed: int = 0) -> Certificate:
        """The coverage of the intervals on runs that are simulated from this fit."""
        from qdlaws.laws.certificate import certify

        return certify(self, runs=runs, seed=seed)

    @cached_property
    def rivals(self) -> Rivals:
        """Other forms fitted to the same data, best first."""
        from qdlaws.laws.adequacy import block_means
        from qdlaws.laws.alternatives import rivals

        law = self.required_posterior.law
        blocks = block_means(self.step, self.path.mean, self.y, self.fitted, self.weight)
        return rivals(blocks, (law.x_lo, law.x_hi), concave=median(law.kappa) > 0)

    def to_lmfit(self, through_origin: bool = False) -> ModelResult:
        """The ordinary least-squares view: a real lmfit ModelResult of R = b − a·exp(c·x).

        Its intervals take every checkpoint for independent; on a log of one run they are too
        narrow. ``through_origin`` ties a = b, so that R = b·(1 − exp(c·x)).
        """
        from qdlaws.laws.classical import lmfit_law

        return lmfit_law(self.x, self.y, line=self.kind == "hd", through_origin=through_origin)

    def to_arviz(self) -> Any:
        """The posterior, the readings and replicated readings for ArviZ, where it is installed."""
        from qdlaws.laws.arviz_view import to_arviz

        return to_arviz(self)

    def diagnostics(self) -> dict[str, float]:
        """Ljung–Box, Durbin–Watson and Breusch–Pagan on the residuals, by statsmodels."""
        from qdlaws.laws.classical import diagnostics

        return diagnostics(self.residuals, self.path.mean)

    def hac(self) -> Params:
        """Slope and intercept of an ordinary line with Newey–West (HAC) errors, by statsmodels."""
        from qdlaws.laws.classical import hac_line

        _ = self.required_posterior  # NotEnoughData where no law could be fitted
        return hac_line(self.x, self.y, self.level)

    def summary(self, classical: bool = False) -> Summary:
        """The fit in words and numbers; prints in a terminal, renders in a notebook.

        ``classical`` adds lmfit's estimates (for hd: the HAC line) and residual diagnostics.
        """
        from qdlaws.laws.summary import law_summary

        return law_summary(self, classical)

    def plot(self, ax: Axes | None = None, **options: Any) -> Axes:
        """Data coloured by step, the law with its band, ceiling and operating point."""
        from qdlaws.laws.plots import plot_law

        return plot_law(self, ax=ax, **options)


@dataclass(frozen=True, eq=False, repr=False)
class LawFits(Result):
    """The laws of one run: R on D, R on H, and the line H on D; None where a column is missing.

    Attributes
    ----------
    log : RunLog
    rd, rh, hd : LawFit, UserFit or None
    composition : Composition or None
        Whether the three laws agree; None without all three columns.
    pieces : tuple of LawFits
        All regimes, where marked regimes are fitted separately; the laws are those of the last.

    Examples
    --------
    >>> import numpy as np
    >>> import qdlaws as qd
    >>> diversity = np.linspace(0.9, 0.3, 60)
    >>> quality = 1 - diversity + 0.01 * np.sin(7.0 * np.arange(60))
    >>> log = qd.RunLog.from_arrays(np.arange(60), quality=quality, diversity=diversity)
    >>> qd.fit(log)
    <LawFits of 60 checkpoints: rd linear>
    """

    log: RunLog
    rd: LawFit | UserFit | None
    rh: LawFit | UserFit | None
    hd: LawFit | UserFit | None
    pieces: tuple[LawFits, ...] = ()

    def laws(self) -> Iterator[LawFit | UserFit]:
        """The laws that could be tried, in the order rd, rh, hd."""
        return (law for law in (self.rd, self.rh, self.hd) if law is not None)

    @cached_property
    def composition(self) -> Composition | None:
        """Whether the three laws agree (c = c0·k, b = b0), from joint draws over the three."""
        from qdlaws.laws.composition import compose

        laws = (self.rd, self.rh, self.hd)
        if not all(isinstance(law, FittedLaw) for law in laws):
            return None
        return compose(*laws)  # type: ignore[arg-type]

    def summary(self, classical: bool = False, details: bool = False) -> Summary:
        """The laws in one table and one line of plain words.

        ``details`` adds the parameters and reasons of each law and whether the laws compose;
        ``classical`` sets lmfit and HAC beside them.

        Examples
        --------
        >>> import qdlaws as qd
        >>> fits = qd.fit(qd.example_log())
        >>> print(fits.summary().conclusion)  # doctest: +ELLIPSIS
        The more diversity, the less quality (clear): 0.41 over the range ...
        >>> [section.verdict for section in fits.summary(details=True).sections][:1]
        ['clear (P = 1.000): concave']
        """
        from qdlaws.laws.summary import fits_summary

        composition = self.composition if details or classical else None
        laws = tuple(self.laws())
        return fits_summary(self.log, laws, composition, self.pieces, details, classical)

    def __repr__(self) -> str:
        verdicts = ", ".join(
            f"{kind} {law.verdict}" for kind in LAWS if (law := getattr(self, kind)) is not None
        )
        return f"<LawFits of {len(self.log)} checkpoints: {verdicts}>"

    def plot(self, **options: Any) -> Figure:
        """One panel a law, under the name of the run."""
        from qdlaws.core.run_names import run_name
        from qdlaws.laws.plots import plot_fits

        name = run_name(self.log.source) if self.log.source else ""
        return plot_fits(tuple(self.laws()), **{"name": name} | options)

    def to_frame(self) -> pd.DataFrame:
        """One row for each parameter of each law, with the law's verdict."""
        tables = [
            law.to_frame().assign(law=kind, verdict=law.verdict)
            for kind in LAWS
            if (law := getattr(self, kind)) is not None
        ]
        columns = ["law", "verdict", "parameter", "low", "mid", "high", "level"]
        table: pd.DataFrame = pd.concat(tables, ignore_index=True)[columns]
        return table

    def to_latex(self) -> str:
        """The table of the summary for a paper: a ``tabular`` that needs the package booktabs.

        Examples
        --------
        >>> import qdlaws as qd
        >>> print(qd.fit(qd.example_log()).to_latex().splitlines()[0])
        \\begin{tabular}{lllllll}
        """
        return latex_table(self.summary().table)

    def to_dict(self) -> dict[str, Any]:
        """Plain values, as ``qdlaws fit --json`` prints them."""
        log, composition = self.log, self.composition
        return {
            "source": log.source,
            "tool": log.tool,
            "n": len(log),
            "columns": {c: log.names.get(c, c) if c in log.columns else None for c in COLUMNS},
            "kinds": dict(log.kinds),
            "laws": {
                kind: None if (law := getattr(self, kind)) is None else law.to_dict()
                for kind in LAWS
            },
            "composition": None if composition is None else composition.to_dict(),
        }
