"""Other forms on the same data: lines, bends, a peak, and changes in step instead of in x.

Each is fitted to block means of the run by maximum likelihood under one family of error models, a
slow part and white noise, and compared by the Bayesian information criterion (Schwarz 1978); a
difference of 6 is strong evidence (Kass and Raftery 1995).
"""

from __future__ import annotations

from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from qdlaws.core.interval import Interval, interval, quantiles, unknown
from qdlaws.core.law import shape
from qdlaws.core.serialize import plain
from qdlaws.core.summary import Result, Summary
from qdlaws.core.types import Array
from qdlaws.inference.law_posterior import quasi_random_points
from qdlaws.laws.adequacy import BlockMeans

__all__ = ["SMOOTH", "STRONG", "Peak", "Rival", "RivalForms", "Rivals", "rivals"]

STRONG = 6.0
"""A difference of BIC that is strong evidence."""

CURVATURES = np.geomspace(0.3, 20, 12)
"""|κ| of the exponential forms."""

KAPPA = np.concatenate([-CURVATURES[::-1], [0.0], CURVATURES])
"""Curvatures of the law: convex ones, the line, concave ones."""

BREAKS, BREAK_COUNT = (0.06, 0.94), 12
"""The quantiles of x between which the breaks of bent lines lie, and their number."""

ERROR_GRID = (
    np.append(np.repeat([0.04, 0.15, 0.5, 1.5, 5.0], 3), 0.0),
    np.append(np.tile([0.0, 0.3, 0.7], 5), 1.0),
)
"""The error models: memories of the slow part in run lengths with shares of white noise, and white
noise alone."""

FEWEST_FOR_A_PEAK = 8
"""Block means below which no peak is looked for."""

LEAST_PEAKED = 0.25
"""The share of estimates with a peak below which no draws are made: its probability is small."""


class Rival(NamedTuple):
    """A form, its number of coefficients, and its BIC minus that of the law (below 0 is better)."""

    form: str
    coefficients: int
    delta_bic: float


class Rivals(tuple[Rival, ...], Result):
    """The rival forms of a law, the best first."""

    def summary(self) -> Summary:
        """One row for each form: how much its BIC exceeds that of the law."""
        rows = tuple(
            (rival.form, f"ΔBIC {rival.delta_bic:+.1f}, {rival.coefficients} coefficients")
            for rival in self
        )
        return Summary("forms by BIC (below 0: better than the law)", self[0].form, rows)

    def to_dict(self) -> dict[str, Any]:
        """Each form's number of coefficients and ΔBIC."""
        values: dict[str, Any] = plain({r.form: r._asdict() for r in self})
        return values

    def to_frame(self) -> pd.DataFrame:
        """One row for each form: form, coefficients, delta_bic."""
        return pd.DataFrame(self, columns=list(Rival._fields))

    __repr__ = Result.__repr__


def rivals(blocks: BlockMeans, ends: tuple[float, float], concave: bool) -> Rivals:
    """The rival forms of a law, the best first; the law's own form is there with ΔBIC = 0.

    ``ends`` is the range of x of the law, ``concave`` says which exponential it is.
    """
    forms = RivalForms(blocks, ends)
    values = {form: forms.bic(form) for form in COEFFICIENTS}
    reference = values["concave exponential" if concave else "convex exponential"]
    table = [
        Rival(form, COEFFICIENTS[form], value - reference)
        for form, value in values.items()
        if np.isfinite(value)
    ]
    return Rivals(sorted(table, key=lambda rival: rival.delta_bic))


class Peak(NamedTuple):
    """P(quality has a best inside the range of x), by two lines, and the x where it is."""

    probability: float
    place: Interval


COEFFICIENTS = {
    "line": 2,
    "concave exponential": 3,
    "convex exponential": 3,
    "quadratic": 3,
    "exponential with c = 1": 2,
    "power law": 3,
    "level below a break": 3,
    "level above a break": 3,
    "two lines": 4,
    "line in step": 2,
    "jump in step": 3,
}
"""The coefficients of each form, a break that is searched for included."""

LAW_FORMS = ("line", "concave exponential", "convex exponential")
"""The forms that a law can take."""


SMOOTH = ("quadratic", "power law", "exponential with c = 1")
"""Forms without a break, other than those of a law."""


class _Fits(NamedTuple):
    """Least squares on columns, alone and beside each column of another group, with an intercept.

    ``places`` are those of the forms among the C columns; ``pairs`` (7, M, A, C) as
    :func:`qdlaws.inference.kernel.fit_pairs` gives them under M error models.
    """

    places: dict[str, slice]
    deviance: Array  # (C,) of each column alone, under its best error model
    pairs: Array
    pair_deviance: Array  # (A, C)


class RivalForms:
    """The rival forms of one run, fitted to its block means; ``ends`` is the range of x."""

    def __init__(self, blocks: BlockMeans, ends: tuple[float, float]) -> None:
        self.ends, self.x, self.n = ends, blocks.x, len(blocks.y)
        self.u = (blocks.x - ends[0]) / (ends[1] - ends[0])
        self.t = (blocks.step - blocks.step[0]) / (blocks.step[-1] - blocks.step[0])
        low, high = quantiles(self.u, BREAKS)
        self.breaks = np.linspace(low, high, BREAK_COUNT)
        y = blocks.y - blocks.y.mean()
        self.y = y / (np.sqrt(np.mean(y**2)) or 1.0)

    def bic(self, form: str) -> float:
        """The BIC of a form; infinite where x has a sign that it cannot take."""
        fits = self._smooth if form in SMOOTH else self._others
        if form not in fits.places:
            return np.inf
        beside_line = form in ("quadratic", "two lines")
        deviance = (fits.pair_deviance[0] if beside_line else fits.deviance)[fits.places[form]]
        least = float(deviance.min()) if form == "jump in step" else _at_the_vertex(deviance)
        return least + COEFFICIENTS[form] * float(np.log(self.n))

    def delta(self, form: str) -> float:
        """The BIC of a form minus that of the best form of the law."""
        return self.bic(form) - self._best_law

    @cached_property
    def _best_law(self) -> float:
        return min(self.bic(form) for form in LAW_FORMS)

    @cached_property
    def _smooth(self) -> _Fits:
        """The fits of the smooth forms, beside the line."""
        columns = {"quadratic": self.u**2, "exponential with c = 1": np.exp(self.x - self.x.max())}
        if self.x.min() > 0:
            powers = np.array([k for k in np.linspace(-6, 6, 25) if k != 0])
            columns["power law"] = (self.x[:, None] / self.x.max()) ** powers
        return self._fits(self.u[:, None], columns)

    @cached_property
    def _others(self) -> _Fits:
        """The fits of the forms that a verdict looks at, beside the line and beside a drift."""
        laws = shape(KAPPA, self.u[:, None])
        fits = self._fits(
            np.column_stack([self.u, self.t]),
            {
                "convex exponential": laws[:, : len(CURVATURES)],
                "line": self.u,
                "concave exponential": laws[:, -len(CURVATURES) :],
                "level below a break": _above(self.u, self.breaks),
                "level above a break": _above(-self.u, -self.breaks),
                "line in step": self.t,
                "jump in step": self.jumps,
            },
        )
        fits.places["two lines"] = fits.places["level below a break"]
        return fits

    def _fits(self, first: Array, columns: dict[str, Array]) -> _Fits:
        """The fits of the columns of each form, alone and beside each ``first`` column."""
        from qdlaws.inference.kernel import fit_pairs, whiten

        together = {form: v.reshape(self.n, -1) for form, v in columns.items()}
        edges = np.cumsum([0, *(v.shape[1] for v in together.values())]).tolist()
        places = {form: slice(a, b) for form, a, b in zip(together, edges, edges[1:], strict=False)}
        second = np.hstack(list(together.values()))
        base = np.column_stack([first - first.mean(0), np.ones(self.n), self.y])
        logdet, products, squares, _ = whiten(
            *(self.t, np.ones(self.n), base, second - second.mean(0), np.zeros(self.n), *ERROR_GRID)
        )
        rss, pairs = fit_pairs(logdet, products, squares, self.n)
        deviance = (self.n * np.log(rss / self.n) + logdet[:, None]).min(0)
        pair_deviance = (self.n * np.log(pairs[5] / self.n) + logdet[:, None, None]).min(0)
        return _Fits(places, deviance, pairs, pair_deviance)

    @cached_property
    def peak(self) -> Peak:
        """Does quality rise and then fall with x? From draws of two lines that meet at a break.

        Two slopes of opposite sign make a peak (Simonsohn 2018); the break and the error model are
        averaged over.
        """
        if self.n < FEWEST_FOR_A_PEAK:
            return Peak(0.0, unknown())
        fits = self._others
        *fields, log_likelihood = fits.pairs[:, :, 0, fits.places["two lines"]].reshape(7, -1)
        weight = np.exp(log_likelihood - log_likelihood.max())
        estimated = (fields[0] > 0) & (fields[0] + fields[1] < 0)
        if weight[estimated].sum() < LEAST_PEAKED * weight.sum():
            return Peak(0.0, unknown())
        uniform, _, chi2, z1, z2, _ = quasi_random_points(self.n - 3)
        pick = np.searchsorted(np.cumsum(weight) / weight.sum(), uniform)
        pick = np.minimum(pick, len(weight) - 1)
        left, bend, var_left, var_bend, cov, rss = (v[pick] for v in fields)
        sigma, deviation = np.sqrt(rss / chi2), np.sqrt(np.maximum(var_left, 1e-200))
        rest = np.sqrt(np.maximum(var_bend - (cov / deviation) ** 2, 0.0))
        below = left + sigma * deviation * z1
        above = below + bend + sigma * (cov / deviation * z1 + rest * z2)
        peaked = (below > 0) & (above < 0)
        if not peaked.any():
            return Peak(0.0, unknown())
        breaks = self.ends[0] + (self.ends[1] - self.ends[0]) * self.breaks
        place = interval(breaks[pick % len(breaks)][peaked])
        return Peak(float(peaked.mean()), place)

    def p_falls_beside(self, form: str) -> float:
        """P(the law falls) beside a change in step: a line, or a jump at an unknown step."""
        from scipy.special import stdtr

        if self.n < FEWEST_FOR_A_PEAK:
            return 0.5
        if form == "line in step":
            pairs = self._others.pairs[:, :, 1:, : len(KAPPA)]
        else:
            pairs = self._fits(self.jumps, {"law": shape(KAPPA, self.u[:, None])}).pairs
        _, slope, _, variance, _, rss, log_likelihood = pairs
        log_weight = log_likelihood + np.log(_curvature_prior(KAPPA))
        weight = np.exp(log_weight - log_weight.max())
        near = weight > 1e-8  # a distribution function is costly
        t = (-slope / np.sqrt(rss / (self.n - 3) * variance))[near]
        return float(weight[near] @ stdtr(self.n - 3, t) / weight[near].sum())

    @cached_property
    def jumps(self) -> Array:
        """Steps up, one a column, with two rows at least on either side. (n, places)"""
        rows = np.arange(self.n)
        return (rows[:, None] >= rows[min(2, self.n - 1) : max(self.n - 1, 3)]).astype(float)


def _at_the_vertex(deviance: Array) -> float:
    """The least of deviances that are in the order of a parameter.

    Between them, by the vertex of a parabola through the least one and its neighbours.
    """
    best = int(np.argmin(deviance))
    if not 0 < best < len(deviance) - 1:
        return float(deviance[best])
    below, least, above = deviance[best - 1 : best + 2].tolist()
    bend = below - 2 * least + above
    return float(least - (above - below) ** 2 / (8 * bend)) if bend > 0 else float(least)


def _above(u: Array, breaks: Array) -> Array:
    """max(u − break, 0) for each break. (n, breaks)"""
    return np.maximum(u[:, None] - breaks, 0.0)


def _curvature_prior(kappa: Array) -> Array:
    """The weight of each node of κ under 3·t₃."""
    return np.asarray(np.gradient(kappa) * (1 + kappa**2 / 27) ** -2)
