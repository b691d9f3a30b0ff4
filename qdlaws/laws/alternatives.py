"""Other forms on the same data: lines, bends, a peak, and changes in step instead of in x.

Each is fitted to block means of the run by maximum likelihood under one family of error models, a
slow part and white noise, and compared by the Bayesian information criterion (Schwarz 1978); a
difference of 6 is strong evidence (Kass and Raftery 1995).
"""

from __future__ import annotations

from functools import cached_property, lru_cache
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

ERROR_GRID = (
    np.append(np.repeat([0.04, 0.15, 0.5, 1.5, 5.0], 3), 0.0),
    np.append(np.tile([0.0, 0.3, 0.7], 5), 1.0),
)
"""The error models: memories of the slow part in run lengths with shares of white noise, and white
noise alone."""

DRAWS = 512
"""Draws of two lines that meet."""

FEWEST_FOR_A_PEAK = 8
"""Block means below which no peak is looked for."""

LEAST_PEAKED = 0.25
"""The share of estimates with a peak below which no draws are made: its probability is small."""

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
        y = blocks.y - blocks.y.mean()
        self.y = y / (np.sqrt(np.mean(y**2)) or 1.0)

    def bic(self, form: str) -> float:
        """The BIC of a form; infinite where x has a sign that it cannot take."""
        places, products = self._smooth if form in SMOOTH else self._others
        if form not in places:
            return np.inf
        p = products.of(places[form])
        if form in ("quadratic", "two lines"):
            rss = _two_columns(p, self.n).rss[:, 0]
        else:
            rss = p.yy[:, None] - p.second_y**2 / np.maximum(p.second, 1e-300)
        rss = np.maximum(rss, 1e-12 * p.yy[:, None])
        deviance = (self.n * np.log(rss / self.n) + p.logdet[:, None]).min(0)
        least = float(deviance.min()) if form == "jump in step" else _at_the_vertex(deviance)
        return least + COEFFICIENTS[form] * float(np.log(self.n))

    def delta(self, form: str) -> float:
        """The BIC of a form minus that of the best form of the law."""
        return self.bic(form) - self._best_law

    @cached_property
    def _best_law(self) -> float:
        return min(self.bic(form) for form in LAW_FORMS)

    @cached_property
    def _smooth(self) -> tuple[dict[str, slice], Products]:
        """The columns of the smooth forms, and their inner products."""
        columns = {"quadratic": self.u**2, "exponential with c = 1": np.exp(self.x - self.x.max())}
        if self.x.min() > 0:
            powers = np.array([k for k in np.linspace(-6, 6, 25) if k != 0])
            columns["power law"] = (self.x[:, None] / self.x.max()) ** powers
        return self._products_by_form(columns)

    @cached_property
    def _others(self) -> tuple[dict[str, slice], Products]:
        """The columns of the forms that a verdict looks at, and their inner products."""
        u = self.u[:, None]
        places, products = self._products_by_form(
            {
                "line": u,
                "concave exponential": shape(CURVATURES, u),
                "convex exponential": shape(-CURVATURES, u),
                "level below a break": _above(self.u, self.breaks),
                "level above a break": _above(-self.u, -self.breaks),
                "line in step": self.t,
                "jump in step": self.jumps,
            }
        )
        return {"two lines": places["level below a break"], **places}, products

    def _products_by_form(self, columns: dict[str, Array]) -> tuple[dict[str, slice], Products]:
        """The place of each form among all columns, and the products of u with them."""
        together = {form: v.reshape(self.n, -1) for form, v in columns.items()}
        edges = np.cumsum([0, *(v.shape[1] for v in together.values())]).tolist()
        places = {form: slice(a, b) for form, a, b in zip(together, edges, edges[1:], strict=False)}
        return places, self._products(self.u[:, None], np.hstack(list(together.values())))

    @cached_property
    def peak(self) -> Peak:
        """Does quality rise and then fall with x? From draws of two lines that meet at a break.

        Two slopes of opposite sign make a peak (Simonsohn 2018); the break and the error model are
        averaged over.
        """
        if self.n < FEWEST_FOR_A_PEAK:
            return Peak(0.0, unknown())
        places, products = self._others
        fits = _two_columns(products.of(places["two lines"]), self.n)
        weight = np.exp(fits.log_likelihood - fits.log_likelihood.max()).ravel()
        estimated = (fits.first > 0) & (fits.first + fits.second < 0)
        if weight[estimated.ravel()].sum() < LEAST_PEAKED * weight.sum():
            return Peak(0.0, unknown())
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
        breaks = self.ends[0] + (self.ends[1] - self.ends[0]) * self.breaks
        place = interval(breaks[pick % len(breaks)][peaked])
        return Peak(float(peaked.mean()), place)

    def p_falls_beside(self, form: str) -> float:
        """P(the law falls) beside a change in step: a line, or a jump at an unknown step."""
        from scipy.special import stdtr

        if self.n < FEWEST_FOR_A_PEAK:
            return 0.5
        kappa = np.concatenate([-CURVATURES[::-1], [0.0], CURVATURES])
        changes = self.t[:, None] if form == "line in step" else self.jumps
        products = self._products(changes, shape(kappa, self.u[:, None]))
        fits = _two_columns(products, self.n)
        log_weight = fits.log_likelihood + np.log(_curvature_prior(kappa))
        weight = np.exp(log_weight - log_weight.max())
        t = -fits.second / np.sqrt(fits.rss / (self.n - 3) * fits.var_second)
        return float((weight * stdtr(self.n - 3, t)).sum() / weight.sum())

    @cached_property
    def jumps(self) -> Array:
        """Steps up, one a column, with two rows at least on either side. (n, places)"""
        rows = np.arange(self.n)
        return (rows[:, None] >= rows[min(2, self.n - 1) : max(self.n - 1, 3)]).astype(float)

    def _products(self, first: Array, second: Array) -> Products:
        """Inner products under every error model of columns without their intercept."""
        from qdlaws.inference.kernel import whiten

        a = first.shape[1]
        base = np.column_stack([first - first.mean(0), np.ones(self.n), self.y])
        shapes = np.ascontiguousarray(second - second.mean(0))
        logdet, base_products, crossed, squares, _ = whiten(
            self.t, np.ones(self.n), base, shapes, np.zeros(self.n), *ERROR_GRID
        )
        one = base_products[:, a, a]
        with_one, shapes_one = base_products[:, a] / np.sqrt(one)[:, None], crossed[:, a]
        left = base_products - with_one[:, :, None] * with_one[:, None]
        shapes_one = shapes_one / np.sqrt(one)[:, None]
        crossed = crossed - with_one[..., None] * shapes_one[:, None]
        return Products(
            logdet=logdet,
            one=one,
            yy=left[:, a + 1, a + 1],
            first=np.diagonal(left, axis1=1, axis2=2)[:, :a],
            first_y=left[:, :a, a + 1],
            both=crossed[:, :a],
            second=squares - shapes_one**2,
            second_y=crossed[:, a + 1],
        )


class Products(NamedTuple):
    """Inner products of two groups of columns and the readings, under M error models."""

    logdet: Array  # (M,)
    one: Array  # of the intercept with itself, which the others are without
    yy: Array
    first: Array  # of each column of the first group with itself (M, A)
    first_y: Array
    both: Array  # (M, A, C)
    second: Array  # (M, C)
    second_y: Array

    def of(self, columns: slice) -> Products:
        """The products of some columns of the second group."""
        both, second, second_y = (v[..., columns] for v in (self.both, self.second, self.second_y))
        return self._replace(both=both, second=second, second_y=second_y)


def _two_columns(p: Products, n: int) -> TwoColumns:
    """Least squares on an intercept and each pair of a column of the first and second group."""
    aa, bb = p.first[:, :, None] * (1 + RIDGE), p.second[:, None, :] * (1 + RIDGE)
    ya, yb = p.first_y[:, :, None], p.second_y[:, None, :]
    # of two equal columns, or where one is constant, next to nothing is left
    det = np.maximum(aa * bb - p.both**2, RIDGE * aa * bb + 1e-200)
    q, r = (ya * bb - yb * p.both) / det, (yb * aa - ya * p.both) / det
    yy = p.yy[:, None, None]
    rss = np.maximum(yy - q * ya - r * yb, 1e-12 * yy)
    logdet = (p.logdet + np.log(p.one))[:, None, None]
    log_likelihood = -(logdet + np.log(det) + (n - 3) * np.log(rss)) / 2
    return TwoColumns(q, r, bb / det, aa / det, -p.both / det, rss, log_likelihood)


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
