"""atlas(log) -> Atlas: a run beside the laws of 71 public runs of other people's trainers.

The facts on those runs (``atlas_runs.csv``: verdicts, coefficients, no readings) come with the
package; ``benchmarks/atlas.py`` makes them. Prices are compared as shares of the scale of quality
per unit of x, and only where both scales are plain: 0 to 1, or −1 to 1.
"""

from __future__ import annotations

import textwrap
from collections import Counter
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from qdlaws.core.interval import Interval, show, unknown
from qdlaws.core.kinds import EntropyKind
from qdlaws.core.run_names import run_name
from qdlaws.core.runlog import RunLog
from qdlaws.core.serialize import plain
from qdlaws.core.summary import Result, Summary
from qdlaws.core.types import Array
from qdlaws.laws.fit import fit
from qdlaws.laws.fitted import FittedLaw
from qdlaws.laws.result import LawFit, LawFits
from qdlaws.laws.verdict import SUPPORTED

if TYPE_CHECKING:
    from os import PathLike

    from matplotlib.figure import Figure

__all__ = [
    "Atlas",
    "Standing",
    "atlas",
    "bend",
    "measure_of",
    "price",
    "public_runs",
    "quality_scale",
]

KINDS = ("rd", "rh")
"""The laws that are compared: those of quality."""

FEW = 8
"""Below so many public runs a share of them is no number worth stating; the count is."""

MOLECULES = "internal_diversity"
TOKENS = (EntropyKind.TOKEN, EntropyKind.TOKEN_NLL)
SEQUENCES = (EntropyKind.SEQUENCE, EntropyKind.SEQUENCE_NLL)


@cache
def public_runs() -> pd.DataFrame:
    """The facts on the public runs: one row a run and law."""
    with files("qdlaws.comparison").joinpath("atlas_runs.csv").open(encoding="utf-8") as file:
        return pd.read_csv(file)


# ---------------------------------------------------------------------- what is compared


def quality_scale(quality: Array) -> float:
    """The width of the scale of quality, 1 or 2, where the readings leave no doubt; else NaN."""
    low, high = float(np.nanmin(quality)), float(np.nanmax(quality))
    if low >= 0 and high <= 1:
        return 1.0
    return 2.0 if low >= -1 and high <= 1 else np.nan


def price(law: FittedLaw, scale: float) -> Interval:
    """The price of a unit of x, on average over its range, as a share of the scale of quality."""
    low, high = law.range
    if not law.supported or not np.isfinite(scale):
        return unknown(law.level)
    change, unit = law.change, -scale * (high - low)
    return Interval(change.high / unit, change.mid / unit, change.low / unit, change.level)


def bend(law: FittedLaw) -> Interval:
    """The curvature κ over the observed range: above 0 concave, below 0 convex."""
    return law.curvature if law.supported else unknown(law.level)


def measure_of(log: RunLog, kind: str) -> str:
    """The measure on the x axis of a law, as far as public runs can be told apart by it."""
    if kind == "rd":
        return "molecules" if log.kinds.get("diversity") == MOLECULES else "text"
    return "sequence" if log.kinds.get("entropy") in SEQUENCES else "token"


MEASURES = {
    "molecules": "diversity of molecules",
    "text": "diversity of texts",
    "sequence": "entropy of whole sequences",
    "token": "entropy per token",
}


# ---------------------------------------------------------------------- the result


@dataclass(frozen=True, eq=False)
class Standing:
    """One law of a run beside the public runs whose x is measured like it.

    Attributes
    ----------
    law : the law of the run
    public : the rows of the public runs that are comparable
    price : the price of a unit of x as a share of the scale of quality; unknown without a law
    """

    law: LawFit
    public: pd.DataFrame
    price: Interval
    measure: str

    @property
    def with_law(self) -> pd.DataFrame:
        """The comparable public runs that have a trade-off."""
        return self.public[self.public["verdict"].isin(SUPPORTED)]

    @property
    def prices(self) -> Array:
        """The prices of the public runs with a trade-off, where their scale is plain; sorted."""
        return np.sort(self.with_law["price"].dropna().to_numpy(float))

    @property
    def steeper_than(self) -> tuple[int, int, int] | None:
        """How many of the public prices lie below the low end, the middle, the high end here."""
        if not self.price.known or not len(self.prices):
            return None
        low, mid, high = (int(np.searchsorted(self.prices, v)) for v in self.price[:3])
        return low, mid, high

    def sentence(self) -> str:
        """The comparison in plain words, with its counts."""
        n, law = len(self.public), len(self.with_law)
        words = f"{self.law.title}: "
        if self.law.verdict == "unsupported":
            return (
                f"{words}no trade-off here, as in {n - law} of {n} public runs ({self._sources})."
            )
        if (steeper := self.steeper_than) is None:
            words += f"{self.law.verdict_words} here, as in {law} of {n} public runs"
            if self.law.supported and not self.price.known:
                why = "quality is on no scale from 0 or -1 to 1"
                return f"{words} ({self._sources}). Its price is not compared: {why}."
            return f"{words.replace(', as in', '; a trade-off in')} ({self._sources})."
        low, mid, high = steeper
        within = f" ({low} to {high} of them within its interval)" if low < high else ""
        words += f"steeper than {_share(mid, len(self.prices))} public runs that have a trade-off"
        words += f"{within}; {n - law} more have none ({self._sources})."
        if self.law.verdict == "falling":
            return words
        alike = int((self.with_law["verdict"] == self.law.verdict).sum())
        return f"{words} {_share(alike, law).capitalize()} are {self.law.verdict} too."

    @property
    def _sources(self) -> str:
        """How many sources the public runs are from, and that one dominates where one does."""
        sources = Counter(self.public["source"])
        name, most = sources.most_common(1)[0]
        if len(sources) == 1:
            return f"all from one source, {name}"
        dominated = f", {most} of the runs from {name}" if most > len(self.public) / 3 else ""
        return f"{len(sources)} sources{dominated}"

    def row(self) -> tuple[str, ...]:
        """The row of the law in the table."""
        middle, steeper = "–", "–"
        if len(prices := self.prices):
            middle = " to ".join(f"{v:.2g}" for v in np.quantile(prices, [0.25, 0.75]))
        if (counts := self.steeper_than) is not None:
            steeper = f"{counts[1]} of {len(prices)}"
        here = show(self.price).replace(" [", "\n[") if self.price.known else "–"
        law, n = f"quality on\n{self.law.x_name}", f"{len(self.with_law)} of {len(self.public)}"
        words = textwrap.fill(self.law.verdict_words, 12)
        return (law, words, n, here, middle, steeper)

    def to_dict(self) -> dict[str, Any]:
        """The comparison as JSON values."""
        quartiles = np.quantile(self.prices, [0.25, 0.5, 0.75]) if len(self.prices) else None
        values: dict[str, Any] = plain(
            {
                "verdict": self.law.verdict,
                "measure": MEASURES[self.measure],
                "public_runs": len(self.public),
                "sources": dict(Counter(self.public["source"])),
                "verdicts": dict(Counter(self.public["verdict"])),
                "price": self.price,
                "public_price_quartiles": quartiles,
                "priced_runs": len(self.prices),
                "steeper_than": self.steeper_than,
                "words": self.sentence(),
            }
        )
        return values


def _share(count: int, n: int) -> str:
    """ "80% of the 23", or the bare count where there are few."""
    return f"{count} of the {n}" if n < FEW else f"{count / n:.0%} of the {n}"


@dataclass(frozen=True, eq=False, repr=False)
class Atlas(Result):
    """A run beside the public runs.

    Attributes
    ----------
    fits : the laws of the run
    standings : each law of quality beside the public runs, by "rd" and "rh"

    Examples
    --------
    >>> import qdlaws as qd
    >>> isinstance(qd.atlas(qd.example_log()), qd.Atlas)
    True
    """

    fits: LawFits
    standings: dict[str, Standing]

    def summary(self) -> Summary:
        """The laws beside those of public runs in one table and in plain words."""
        counts, here = "public\nruns with\ntrade-off", "price here\n(share of\nscale)"
        head = ("law", "here", counts, here, "middle half\nof those", "steeper\nthan")
        rows = [standing.row() for standing in self.standings.values()]
        words = [standing.sentence() for standing in self.standings.values()]
        source = run_name(self.fits.log.source) if self.fits.log.source else "this run"
        runs = public_runs()
        count = f"{runs['run'].nunique()} public runs of {runs['source'].nunique()} sources"
        return Summary(
            f"{source} beside {count}",
            remarks=self._cautions,
            table=(head, *rows) if rows else (),
            conclusion=" ".join(words) or "No law of quality could be fitted.",
        )

    @property
    def _cautions(self) -> tuple[str, ...]:
        """Where measures are not surely the same."""
        kinds = self.fits.log.kinds
        cautions = []
        if "rd" in self.standings and (kind := kinds.get("diversity", "unknown")) != MOLECULES:
            cautions.append(
                f"diversity here is {kind.replace('_', ' ')}; the public runs on text measure it "
                "by trigrams of eight answers"
            )
        if "rh" in self.standings and kinds.get("entropy") not in (*TOKENS, *SEQUENCES):
            cautions.append("the log does not say its kind of entropy: taken to be per token")
        return tuple(cautions)

    def to_dict(self) -> dict[str, Any]:
        """The comparison as JSON values."""
        log = self.fits.log
        laws = {
            kind: self.standings[kind].to_dict() if kind in self.standings else None
            for kind in KINDS
        }
        return {"source": log.source, "tool": log.tool, "n": len(log), "laws": laws}

    def to_frame(self) -> pd.DataFrame:
        """The comparable public runs, a row for each run and law."""
        tables = [standing.public for standing in self.standings.values()]
        return pd.concat(tables, ignore_index=True) if tables else public_runs().iloc[:0]

    def plot(self) -> Figure:
        """The prices of the public runs source by source, and the price of this run."""
        from qdlaws.comparison.plots import Prices, plot_prices

        return plot_prices(
            [
                Prices(s.law.title, s.law.x_name, s.with_law.dropna(subset=["price"]), s.price)
                for s in self.standings.values()
            ]
        )


def atlas(item: RunLog | LawFits | str | PathLike[str]) -> Atlas:
    """A run beside the laws of 71 public runs: is its trade-off steep, is its bend common?

    Parameters
    ----------
    item : the fitted laws of a run, its log, or the path of its log

    Returns
    -------
    Atlas

    Examples
    --------
    >>> import qdlaws as qd
    >>> there = qd.atlas(qd.example_log())
    >>> list(there.standings)
    ['rd', 'rh']
    """
    fits = item if isinstance(item, LawFits) else fit(item)
    scale = np.nan if fits.log.quality is None else quality_scale(fits.log.quality)
    runs = public_runs()
    standings = {}
    for kind in KINDS:
        law = getattr(fits, kind)
        if isinstance(law, LawFit) and law.posterior is not None:
            measure = measure_of(fits.log, kind)
            public = runs[(runs["law"] == kind) & (runs["measure"] == measure)]
            standings[kind] = Standing(
                law, public.reset_index(drop=True), price(law, scale), measure
            )
    return Atlas(fits, standings)
