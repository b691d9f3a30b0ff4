"""Other forms on the same data: lines, bends, a peak, and changes in step instead of in x.

Each is fitted to block means of the run by maximum likelihood under one family of error models, a
slow part and white noise, and compared by the Bayesian information criterion (Schwarz 1978); a
difference of 6 is strong evidence (Kass and Raftery 1995).
"""

from __future__ import annotations

from functools import cached_property, lru_cache
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from qdlaws.core.interval import Interval, interval, unknown
from qdlaws.core.law import shape
from qdlaws.core.serialize import plain
from qdlaws.core.summary import Result, Summary
from qdlaws.core.types import Array
from qdlaws.laws.adequacy import BlockMeans

__all__ = ["SMOOTH", "STRONG", "Peak", "Rival", "RivalForms", "Rivals", "rivals"]

STRONG = 6.0
"""A difference of BIC that is strong evidence."""

CURVATURES = np.geomspace(0.3, 20, 12)
"""|κ| of the exponential forms."""

BREAKS = np.linspace(0.06, 0.94, 12)
"""Quantiles of x between which the breaks of bent lines lie, and of step for jumps."""

MEMORIES, WHITE = (0.04, 0.15, 0.5, 1.5, 5.0), (0.0, 0.3, 0.7)
"""The error models: memories of the slow part in run lengths, and shares of white noise."""

DRAWS = 512
"""Draws of two lines that meet."""

FEWEST_FOR_A_PEAK = 8
"""Block means below which no peak is looked for."""

RIDGE = 1e-9
"""Keeps equal columns from being singular."""


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
    reference = forms.bic["concave exponential" if concave else "convex exponential"]
    table = [
        Rival(form, COEFFICIENTS[form], value - reference) for form, value in forms.bic.items()
    ]
    return Rivals(sorted(table, key=lambda rival: rival.delta_bic))


class Peak(NamedTuple):
    """P(quality has a best inside the range of x), by two lines, and the x where it is."""

    probability: float
    place: Interval


class TwoColumns(NamedTuple):
    """Least squares on pairs of whitened columns, under every error model. Each (M, A, C)"""

    first: Array
    second: Array
    var_first: Array  # of unit errors
    var_second: Array
    covariance: Array
    rss: Array
    log_likelihood: Array  # with the coefficients and the size of the errors integrated out


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


class RivalForms:
    """The rival forms of one run, fitted to its block means; ``ends`` is the range of x."""

    def __init__(self, blocks: BlockMeans, ends: tuple[float, float]) -> None:
        self.ends, self.x, self.n = ends, blocks.x, len(blocks.y)
        self.u = (blocks.x - ends[0]) / (ends[1] - ends[0])
        self.t = (blocks.step - blocks.step[0]) / (blocks.step[-1] - blocks.step[0])
        low, high = (float(v) for v in np.quantile(self.u, (BREAKS[0], BREAKS[-1])))
        self.breaks = np.linspace(low, high, len(BREAKS))
        self.roots, logdet = _precision_roots(tuple(np.round(self.t, 9).tolist()))
        one = self.roots.sum(2)
        self.one = one / np.linalg.norm(one, axis=1, keepdims=True)
        self.logdet = logdet + 2 * np.log(np.linalg.norm(one, axis=1))
        self.log_errors = logdet
        y = blocks.y - blocks.y.mean()
        self.y = self._whitened((y / (np.sqrt(np.mean(y**2)) or 1.0))[:, None])[..., 0]
        self.yy = (self.y**2).sum(1)

    @cached_property
    def bic(self) -> dict[str, float]:
        """The BIC of every form."""
        u, t = self.u, self.t
        single = {
            "line": u[:, None],
            "concave exponential": shape(CURVATURES, u[:, None]),
            "convex exponential": shape(-CURVATURES, u[:, None]),
            "exponential with c = 1": np.exp(self.x - self.x.max())[:, None],
            "level below a break": _above(u, self.breaks),
            "level above a break": _above(-u, -self.breaks),
            "line in step": t[:, None],
        }
        if self.x.min() > 0:
            powers = np.array([k for k in np.linspace(-6, 6, 25) if k != 0])
            single["power law"] = (self.x[:, None] / self.x.max()) ** powers
        deviances = self._single_deviances(list(single.values()))
        values = dict(zip(single, deviances, strict=True))
        values["jump in step"] = min(self._single_deviances(list(self.jumps.T[..., None])))
        for form, bend in (("quadratic", (u**2)[:, None]), ("two lines", _above(u, self.breaks))):
            rss = self.two_columns(u[:, None], bend).rss[:, 0]
            values[form] = self._least_deviance(rss)
        return {f: v + COEFFICIENTS[f] * float(np.log(self.n)) for f, v in values.items()}

    def delta(self, form: str) -> float:
        """The BIC of a form minus that of the best form of the law."""
        return self.bic.get(form, np.inf) - min(self.bic[f] for f in LAW_FORMS)

    @cached_property
    def peak(self) -> Peak:
        """Does quality rise and then fall with x? From draws of two lines that meet at a break.

        Two slopes of opposite sign make a peak (Simonsohn 2018); the break and the error model are
        averaged over.
        """
        if self.n < FEWEST_FOR_A_PEAK:
            return Peak(0.0, unknown())
        fits = self.two_columns(self.u[:, None], _above(self.u, self.breaks))
        weight = np.exp(fits.log_likelihood - fits.log_likelihood.max()).ravel()
        uniform, chi2, z1, z2 = _quasi_random_points(self.n - 3)
        pick = np.searchsorted(np.cumsum(weight) / weight.sum(), uniform)
        pick = np.minimum(pick, len(weight) - 1)
        left, bend, var_left, var_bend, cov, rss = (v.ravel()[pick] for v in fits[:6])
        sigma, deviation = np.sqrt(rss / chi2), np.sqrt(np.maximum(var_left, 1e-200))
        rest = np.sqrt(np.maximum(var_bend - (cov / deviation) ** 2, 0.0))
        below = left + sigma * deviation * z1
        above = below + bend + sigma * (cov / deviation * z1 + rest * z2)
        peaked = (below > 0) & (above < 0)
        if not peaked.any():
            return Peak(0.0, unknown())
        places = self.ends[0] + (self.ends[1] - self.ends[0]) * self.breaks
        place = interval(places[pick % len(places)][peaked])
        return Peak(float(peaked.mean()), place)

    def p_falls_beside(self, form: str) -> float:
        """P(the law falls) beside a change in step: a line, or a jump at an unknown step."""
        from scipy.special import stdtr

        if self.n < FEWEST_FOR_A_PEAK:
            return 0.5
        kappa = np.concatenate([-CURVATURES[::-1], [0.0], CURVATURES])
        changes = self.t[:, None] if form == "line in step" else self.jumps
        fits = self.two_columns(changes, shape(kappa, self.u[:, None]))
        log_weight = fits.log_likelihood + np.log(_curvature_prior(kappa))
        weight = np.exp(log_weight - log_weight.max())
        t = -fits.second / np.sqrt(fits.rss / (self.n - 3) * fits.var_second)
        return float((weight * stdtr(self.n - 3, t)).sum() / weight.sum())

    @cached_property
    def jumps(self) -> Array:
        """Steps up, one a column, with two rows at least on either side. (n, places)"""
        rows = np.arange(self.n)
        return (rows[:, None] >= rows[min(2, self.n - 1) : max(self.n - 1, 3)]).astype(float)

    def two_columns(self, first: Array, second: Array) -> TwoColumns:
        """Least squares on an intercept and each pair of the columns. (n, A) and (n, C)"""
        a, b = self._whitened(first), self._whitened(second)
        aa = (a**2).sum(1)[:, :, None] * (1 + RIDGE)
        bb = (b**2).sum(1)[:, None, :] * (1 + RIDGE)
        ab = a.mT @ b
        ya, yb = (self.y[:, None] @ a).mT, self.y[:, None] @ b
        # of two equal columns, or where one is constant, next to nothing is left
        det = np.maximum(aa * bb - ab**2, RIDGE * aa * bb + 1e-200)
        q, r = (ya * bb - yb * ab) / det, (yb * aa - ya * ab) / det
        rss = self.yy[:, None, None] - q * ya - r * yb
        rss = np.maximum(rss, 1e-12 * self.yy[:, None, None])
        log_likelihood = (
            -(self.logdet[:, None, None] + np.log(det) + (self.n - 3) * np.log(rss)) / 2
        )
        return TwoColumns(q, r, bb / det, aa / det, -ab / det, rss, log_likelihood)

    def _single_deviances(self, groups: list[Array]) -> list[float]:
        """The least deviance over each group of columns, one column at a time."""
        columns = self._whitened(np.hstack(groups))
        squares = np.maximum((columns**2).sum(1), 1e-300)
        rss = self.yy[:, None] - (self.y[:, None] @ columns)[:, 0] ** 2 / squares
        rss = np.maximum(rss, 1e-12 * self.yy[:, None])
        edges = np.cumsum([0, *(group.shape[1] for group in groups)])
        return [self._least_deviance(rss[:, start:end]) for start, end in pairwise(edges)]

    def _least_deviance(self, rss: Array) -> float:
        """−2·log-likelihood under the best error model and column. (M, C) → number

        Between the columns of a group, which are in the order of their parameter, by the vertex of
        a parabola through the best one and its neighbours.
        """
        deviance = (self.n * np.log(rss / self.n) + self.log_errors[:, None]).min(0)
        best = int(np.argmin(deviance))
        if not 0 < best < len(deviance) - 1:
            return float(deviance[best])
        below, least, above = deviance[best - 1 : best + 2].tolist()
        bend = below - 2 * least + above
        return float(least - (above - below) ** 2 / (8 * bend)) if bend > 0 else float(least)

    def _whitened(self, columns: Array) -> Array:
        """The columns, scaled by the root of the precision, without the intercept. (M, n, C)"""
        white = self.roots @ (columns - columns.mean(0))
        return np.asarray(white - self.one[..., None] * (self.one[:, None] @ white))


def _above(u: Array, breaks: Array) -> Array:
    """max(u − break, 0) for each break. (n, breaks)"""
    return np.maximum(u[:, None] - breaks, 0.0)


def _curvature_prior(kappa: Array) -> Array:
    """The weight of each node of κ under 3·t₃."""
    return np.asarray(np.gradient(kappa) * (1 + kappa**2 / 27) ** -2)


@lru_cache(maxsize=64)
def _precision_roots(t: tuple[float, ...]) -> tuple[Array, Array]:
    """L⁻¹ of Σ = L·Lᵀ for each error model, and log|Σ|. (M, n, n) and (M,)"""
    distance = np.abs(np.subtract.outer(t, t))
    eye = np.eye(len(t))
    models = [(1 - v) * np.exp(-distance / m) + v * eye for m in MEMORIES for v in WHITE]
    factor = np.linalg.cholesky(np.array([*models, eye]) + 1e-10 * eye)
    logdet = 2 * np.log(np.diagonal(factor, axis1=1, axis2=2)).sum(1)
    return np.linalg.inv(factor), logdet


@lru_cache(maxsize=64)
def _quasi_random_points(dof: int) -> tuple[Array, Array, Array, Array]:
    """A low-discrepancy set: a uniform, a χ²(dof) and two standard normals (Roberts 2018)."""
    from scipy.special import gammaincinv, ndtri

    root = 1.0
    for _ in range(80):
        root = (1 + root) ** (1 / 5)
    u = (0.5 + np.outer(np.arange(1, DRAWS + 1), root ** -np.arange(1.0, 5.0))) % 1
    u = np.clip(u, 1e-9, 1 - 1e-9).T
    return u[0], 2 * gammaincinv(dof / 2, u[1]), ndtri(u[2]), ndtri(u[3])
