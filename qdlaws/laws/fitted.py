"""FittedLaw: the readings and the posterior of one law, and the quantities computed from them.

Nothing here knows of summaries, plots, certificates or other views: these take a fitted law, and
:class:`qdlaws.laws.result.LawFit` offers them as methods.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt
import pandas as pd

from qdlaws.core.interval import Interval, Params, interval, median, quantiles, show, unknown
from qdlaws.core.law import Law
from qdlaws.core.serialize import plain
from qdlaws.core.types import Array
from qdlaws.errors import BadData, NotEnoughData
from qdlaws.inference.latent_path import LatentPath
from qdlaws.inference.law_posterior import LawPosterior
from qdlaws.laws.standstill import LeftOut
from qdlaws.laws.verdict import SUPPORTED, Strength, Word, probability_text, strength

__all__ = ["EQUATIONS", "LAWS", "FittedLaw", "Kind", "mean_curve"]

Kind = Literal["rd", "rh", "hd"]

LAWS: dict[Kind, tuple[str, str]] = {
    "rd": ("diversity", "quality"),
    "rh": ("entropy", "quality"),
    "hd": ("diversity", "entropy"),
}
"""Each law as (x, y)."""

EQUATIONS: dict[str, str] = {
    "rd": "R = b − a·exp(c·D)",
    "rh": "R = b0 − a0·exp(c0·H)",
    "hd": "H = slope·D + intercept",
}

SHAPES: dict[str, str] = {
    "concave": "trade-off, concave",
    "convex": "trade-off, convex",
    "linear": "trade-off, nearly straight",
    "falling": "trade-off, its bend is unclear",
}
"""The verdicts of laws of quality in words."""

BandKind = Literal["run", "another-run", "observation"]
"""What a band is of: this run's law, the law of a further run, or a new reading."""

MAX_EXTRAPOLATION = 2.0
"""Lengths of the observed range beyond which the ceiling is mostly prior, and unknown."""

MOST_WIDTH = 10.0
"""Changes of the law over the observed range that an interval of quality may be wide."""

MOST_RATIO = 1e3
"""The largest ratio of the ends of the interval of a."""

PREDICTED = pd.Index(["x", "low", "mid", "high"])


@dataclass(frozen=True, eq=False)
class FittedLaw:
    """One law: quality on diversity (rd), quality on entropy (rh), or entropy on diversity (hd).

    A law is an association over this run. ``verdict`` says whether there is one: "concave",
    "convex", "linear" or "falling" when quality falls as x rises; "peaked" when quality has a
    ``best`` inside the range; else "unsupported". ``probability`` is that of the trade-off (of the
    peak, for hd of a rising line), and ``reasons`` says why. ``rival`` names a change in step that
    explains quality as well as x does, where there is one. ``left_out`` holds the readings of a
    flat, finished or collapsed stretch, which the law is not fitted to.
    """

    kind: Kind
    x_name: str
    y_name: str
    step: Array
    x: Array
    y: Array
    path: LatentPath
    weight: Array | None
    posterior: LawPosterior | None
    verdict: Word
    reasons: tuple[str, ...]
    probability: float = np.nan
    best: Interval = field(default_factory=unknown)
    rival: str = ""
    direction: str = ""
    level: float = 0.95
    dropped: int = 0
    cut: tuple[float, ...] = ()
    left_out: LeftOut | None = None
    nugget: float | None = None  # the sampling error of a row of weight 1, where it is known

    # ------------------------------------------------------------------ the fit

    @property
    def n(self) -> int:
        """The number of checkpoints the law was fitted to."""
        return len(self.y)

    @property
    def supported(self) -> bool:
        """Whether there is a law: a trade-off (for hd: a line)."""
        return self.verdict in SUPPORTED

    @property
    def strength(self) -> Strength:
        """ "clear" from a probability of .975, "likely" from .9; empty where unsupported."""
        return "" if self.verdict == "unsupported" else strength(self.probability)

    @property
    def headline(self) -> str:
        """The verdict in a line, its probability first: "clear (P = 0.994): concave"."""
        if not self.strength:
            return self.verdict
        place = f" at {self.x_name} = {show(self.best)}" if self.verdict == "peaked" else ""
        rival = f", or {self.rival}" * bool(self.rival)
        p = probability_text(self.probability)
        return f"{self.strength} (P = {p}): {self.verdict}{place}{rival}"

    @property
    def title(self) -> str:
        """ "Quality on diversity"."""
        return f"{self.y_name.capitalize()} on {self.x_name}"

    @property
    def verdict_words(self) -> str:
        """The verdict in words, without its probability: "clear trade-off, concave"."""
        if self.posterior is None:
            return "too little to fit"
        if self.verdict == "unsupported":
            if self.kind == "hd":
                return "no straight line"
            refused = np.isnan(self.probability)  # it may fall to the eye: the reasons say why not
            return "no law: see the reasons" if refused else "no trade-off can be seen"
        if self.verdict == "peaked":
            return f"{self.strength} peak at {self.x_name} {self.best.mid:.2g}"
        return f"{self.strength} {'line' if self.kind == 'hd' else SHAPES[self.verdict]}"

    @cached_property
    def draws(self) -> Law:
        """Draws from the posterior of this run's law, equally probable laws."""
        return self.required_posterior.run_law

    @property
    def another_run_draws(self) -> Law:
        """Draws of the law of a further run, whose slow error has another mean."""
        return self.required_posterior.law

    @property
    def range(self) -> tuple[float, float]:
        """The observed range of x: the ends of its path."""
        if self.posterior is None:
            return (np.nan, np.nan)
        return (self.posterior.law.x_lo, self.posterior.law.x_hi)

    @property
    def present_x(self) -> float:
        """The x of the run at its end: of its path, or where that was left out, of its readings."""
        out = self.left_out
        if out is None or out.step[-1] < self.step[-1]:
            return float(self.path.mean[-1])
        return median(out.x[-max(len(out.x) // 10, 1) :])

    @cached_property
    def params(self) -> Params:
        """a, b, c of R = b − a·exp(c·x); slope and intercept for hd. NaN where not identified.

        a and b run away to infinity as a law becomes straight, so they are given for a curved
        verdict only; :attr:`curvature` and :attr:`change` always are.
        """
        if self.kind == "hd":
            return self._line_params()
        if self.verdict not in ("concave", "convex"):
            return Params({name: unknown(self.level) for name in ("a", "b", "c")})
        a, b, c = (self._interval(getattr(self.draws, name)) for name in ("a", "b", "c"))
        ends = sorted((abs(a.low), abs(a.high)))
        if a.low * a.high <= 0 or ends[1] > MOST_RATIO * ends[0]:
            a = unknown(self.level)  # spread over orders of magnitude
        return Params(a=a, b=self._unless_mostly_prior(b), c=c)

    def _unless_mostly_prior(self, value: Interval) -> Interval:
        """The interval, or unknown where it is many times as wide as what the run has shown."""
        wide = value.high - value.low > MOST_WIDTH * abs(self.change.mid)
        return unknown(value.level) if wide else value

    def _line_params(self) -> Params:
        if not self.supported:
            return Params(slope=unknown(self.level), intercept=unknown(self.level))
        slope = self.draws.q / self.draws.width
        intercept = self.draws.p - slope * self.draws.x_lo
        return Params(slope=self._interval(slope), intercept=self._interval(intercept))

    @cached_property
    def curvature(self) -> Interval:
        """κ = c·(x_hi − x_lo), the curvature over the observed range; 0 is a straight line."""
        return unknown(self.level) if self.posterior is None else self._interval(self.draws.kappa)

    @cached_property
    def change(self) -> Interval:
        """q, the change of the law from low to high x."""
        return unknown(self.level) if self.posterior is None else self._interval(self.draws.q)

    @cached_property
    def fitted(self) -> Array:
        """The posterior mean of this run's law at every checkpoint's x."""
        return self.required_posterior.curve

    @cached_property
    def residuals(self) -> Array:
        """y minus the fitted law."""
        return self.y - self.fitted

    @property
    def r2(self) -> float:
        """Share of the variance of y that the law explains."""
        if self.posterior is None:
            return np.nan
        return float(1 - np.var(self.residuals) / np.var(self.y))

    @property
    def rho(self) -> float:
        """Correlation of the errors of neighbouring checkpoints (posterior median)."""
        if self.posterior is None:
            return np.nan
        gap = median(np.diff(self.step))
        post = self.posterior
        with np.errstate(divide="ignore"):
            return median((1 - post.white) * np.exp(-gap / post.memory))

    @property
    def sigma(self) -> float:
        """Standard deviation of the errors (posterior median)."""
        return np.nan if self.posterior is None else median(self.posterior.sigma)

    # ------------------------------------------------------------------ derived quantities

    def predict(
        self,
        x: npt.ArrayLike,
        level: float | None = None,
        kind: BandKind = "run",
    ) -> pd.DataFrame:
        """The law at x: columns x, low, mid, high.

        ``kind="run"`` is this run's law: the law plus the mean of this run's slow error.
        ``"another-run"`` is the law of a further run, whose slow error has another mean, and
        ``"observation"`` a new reading of a further run.
        """
        if kind not in get_args(BandKind):
            raise BadData(f"kind is one of {', '.join(get_args(BandKind))}; got {kind!r}")
        level = _level(self.level if level is None else level)
        places = np.atleast_1d(np.asarray(x, float)).ravel()
        values = (self.draws if kind == "run" else self.another_run_draws).value(places)
        if kind == "observation":
            # One fixed normal per draw, in an order unrelated to the draws of the law.
            values = values + (self.required_posterior.sigma * _normals(len(values)))[:, None]
        levels = ((1 - level) / 2, 0.5, (1 + level) / 2)
        bounds = np.array([quantiles(v, levels) for v in values.T]).reshape(-1, 3)
        return pd.DataFrame(np.column_stack([places, bounds]), columns=PREDICTED)

    def run_path(self, n: int | None = None, level: float | None = None) -> pd.DataFrame:
        """This run without the noise of its readings: columns step, x, low, mid, high.

        The law plus the slow error of this run, checkpoint by checkpoint (of at most ``n``, evenly
        chosen). Where it leaves the band of the law, the run has wandered off its law.

        Examples
        --------
        >>> import qdlaws as qd
        >>> law = qd.fit(qd.example_log()).rd
        >>> list(law.run_path(n=5).columns)
        ['step', 'x', 'low', 'mid', 'high']
        """
        from scipy.special import ndtri

        level = _level(self.level if level is None else level)
        x = self.path.mean
        mid, deviation = self.required_posterior.smooth_path(x, self.y, self.weight)
        reach = ndtri((1 + level) / 2) * deviation
        path = {"step": self.step, "x": x, "low": mid - reach, "mid": mid, "high": mid + reach}
        frame = pd.DataFrame(path)
        if n is None or n >= len(frame):
            return frame
        rows = np.unique(np.linspace(0, len(frame) - 1, max(int(n), 2)).round().astype(int))
        return frame.iloc[rows].reset_index(drop=True)

    def ceiling(self, level: float | None = None) -> Interval:
        """The value of the law at x = 0, b − a: the quality if all of x were given up.

        An extrapolation, unless x was near 0 (see :meth:`extrapolation`); unknown where it is more
        than two lengths of the observed range away, or mostly prior.
        """
        if self.extrapolation(0.0) > MAX_EXTRAPOLATION:
            return unknown(_level(self.level if level is None else level))
        return self._unless_mostly_prior(self._interval_of(lambda law: law.ceiling, level))

    def exchange_rate(self, x: float, level: float | None = None) -> Interval:
        """−dR/dx = a·c·exp(c·x): the quality that one more unit of x costs."""
        return self._interval_of(lambda law: -law.slope(float(x)), level)

    def diversity_for(self, quality: float, level: float | None = None) -> Interval:
        """The x at which the law reaches this quality; unknown when it probably never does."""
        return self._interval_of(lambda law: law.inverse(float(quality)), level)

    def operating_point(self, price: float, level: float | None = None) -> Interval:
        """x* = ln(λ/(a·c))/c, which maximises R + λ·x for a price λ > 0 of a unit of x.

        Only a concave law has one.
        """
        if not price > 0:
            raise BadData(f"the price of a unit of {self.x_name} is {price}, it must be positive")
        if self.verdict != "concave":
            return unknown(self.level if level is None else level)
        return self._interval_of(lambda law: law.operating_point(price), level)

    def extrapolation(self, x: float) -> float:
        """The distance of x from the observed range, in lengths of that range."""
        low, high = self.range
        return float(max(low - x, x - high, 0.0) / (high - low))

    def to_frame(self) -> pd.DataFrame:
        """One row for each parameter: its name, low, mid, high, level; NaN where not identified."""
        return self.params.to_frame()

    def to_dict(self) -> dict[str, Any]:
        """The law as JSON values; an unknown number is None."""
        values: dict[str, Any] = {
            "verdict": self.verdict,
            "probability": self.probability,
            "strength": self.strength,
            "reasons": list(self.reasons),
            "rival": self.rival or None,
            "n": self.n,
            "range": list(self.range),
            "params": dict(self.params),
            "r2": self.r2,
            "rho": self.rho,
            "sigma": self.sigma,
            "change": self.change,
            "direction": self.direction,
            "dropped": self.dropped,
            "left_out": None if self.left_out is None else self.left_out.to_dict(),
        }
        if self.kind == "hd":
            values |= {"slope": self.params.slope, "intercept": self.params.intercept}
        else:
            post = self.posterior
            values |= {
                "ceiling": self.ceiling(),
                "curvature": self.curvature,
                "p_curved": np.nan if post is None else post.p_curved,
                "p_concave": np.nan if post is None else post.p_concave,
                "p_tradeoff": np.nan if post is None else post.p_falls,
            }
        result: dict[str, Any] = plain(values)
        return result

    @property
    def required_posterior(self) -> LawPosterior:
        """The posterior; NotEnoughData with the reason where no law could be fitted."""
        if self.posterior is None:
            raise NotEnoughData("; ".join(self.reasons))
        return self.posterior

    def _interval(self, draws: Array, level: float | None = None) -> Interval:
        return interval(draws, _level(self.level if level is None else level))

    def _interval_of(self, quantity: Callable[[Law], Array], level: float | None) -> Interval:
        """The interval of a quantity over the draws; unknown where there is no law."""
        if not self.supported or self.posterior is None:
            return unknown(_level(self.level if level is None else level))
        return self._interval(quantity(self.draws), level)


def _level(level: float) -> float:
    if not 0 < level < 1:
        raise BadData(f"a level lies between 0 and 1, e.g. 0.95; got {level!r}")
    return float(level)


def _normals(count: int) -> Array:
    return np.random.default_rng(20250530).standard_normal(count)


def mean_curve(law: Law, x: Array, thin: int = 8) -> Array:
    """The mean over draws of the law at x, in bounded memory."""
    thinned = Law(law.x_lo, law.x_hi, law.kappa[::thin], law.p[::thin], law.q[::thin])
    parts = np.array_split(x, max(1, len(x) // 10_000))
    return np.concatenate([thinned.value(part).mean(0) for part in parts])
