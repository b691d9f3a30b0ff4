"""The posterior of the law R = p + q·g_κ(u) along one run, by algebra and quadrature.

Given the curvature κ and the error model (memory ℓ, white share ν; :mod:`qdlaws.noise`) the law
is a linear regression, so p, q and σ are integrated out in closed form, and (κ, ℓ, ν) on a grid
that is refined where the weight is:

    w(κ, ℓ, ν) ∝ |Σ|^-½ · |XᵀΣ⁻¹X|^-½ · S^-(n-2)/2 · J(κ) · π(ℓ, ν),     X = [1, g_κ(u)]

S is the whitened residual sum of squares. (p, q) given the three is a bivariate t with n − 2
degrees of freedom. No starting values, no chains; deterministic.

The prior of κ is J(κ) = ‖∂g_κ/∂κ‖ with [1, g_κ] projected out of it: the reference prior under
white noise. Those of ℓ and ν are in :mod:`qdlaws.persistence`.

J is for the size of things. Whether there is anything (does the law fall? is it a curve or a line?)
is asked under a proper prior of κ instead, a t₃ of scale 3: where the curvature is not identified,
J leaves much weight on steps at one end of the range, which would hide a plain fall.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from qdlaws.even import KEPT, evenly_spaced
from qdlaws.law import Law, quantiles, shape_slope
from qdlaws.persistence import Box, ErrorModels, all_error_models, error_models, full_range
from qdlaws.regression import Cells, Design, cells, curvature_norm, design

__all__ = ["LawPosterior", "Problem", "law_posterior", "law_posteriors"]

Array = npt.NDArray[np.float64]

DRAWS = 2048
KAPPA_REACH = (12.0, 48.0)
STACK = 16
"""Runs that are worked on at once: enough to forget what a call costs, few enough for the cache."""


@dataclass(frozen=True, eq=False)
class LawPosterior:
    """Equally weighted draws of the law and its errors, and probabilities of its features."""

    law: Law
    sigma: Array
    memory: Array  # in steps; 0 where the errors are white
    white: Array
    n: int
    p_falls: float  # P(q < 0), with a t₃(0, 3) prior on κ
    p_concave: float  # P(κ > 0)
    p_straight: float  # P(|κ| < 1)
    p_curved: float  # against the line, at even odds and with a t₃(0, 3) prior on κ
    p_steplike: float  # mass at the end of the grid of κ


@dataclass(frozen=True, eq=False)
class Problem:
    """What a posterior is asked of.

    Attributes
    ----------
    step, x, y : arrays (n,)
        ``step`` increasing; an infinite gap cuts the memory of the errors. ``x`` is the path of x.
    weight : relative sampling variances of y, mean 1
    wobble : (n, J) columns whose sum of squares is the posterior variance of the path of x
    covariates : (n, k) further columns that y depends on linearly
    span : length of the run in steps without its cuts
    straight : fit the line κ = 0
    effort : below 1 coarser grids, for the certificate's refits
    """

    step: Array
    x: Array
    y: Array
    weight: Array | None = None
    wobble: Array | None = None
    covariates: Array | None = None
    span: float | None = None
    straight: bool = False
    effort: float = 1.0

    @property
    def n(self) -> int:
        return len(self.y)

    @property
    def plain(self) -> bool:
        """Evenly spaced, equally weighted and short: many such runs are worked on at once."""
        bare = self.weight is None and self.covariates is None and self.n <= KEPT
        return bare and evenly_spaced(self.step)

    @cached_property
    def ends(self) -> tuple[float, float]:
        """The 2 % and 98 % quantiles of x."""
        low, high = quantiles(self.x, (0.02, 0.98))
        return low, high

    @property
    def u(self) -> Array:
        return np.asarray((self.x - self.ends[0]) / (self.ends[1] - self.ends[0]))

    @cached_property
    def gap(self) -> float:
        """The median spacing, the unit of time."""
        return float(np.median(np.diff(self.step)))

    @property
    def t(self) -> Array:
        return np.asarray((self.step - self.step[0]) / self.gap)

    @property
    def length(self) -> float:
        span = self.step[-1] - self.step[0] if self.span is None else self.span
        return float(span / self.gap) or 1.0

    @cached_property
    def unit(self) -> tuple[float, float]:
        """Mean and standard deviation of y."""
        return float(self.y.mean()), float(self.y.std()) or 1.0

    @property
    def z(self) -> Array:
        return np.asarray((self.y - self.unit[0]) / self.unit[1])


def law_posterior(step: Array, x: Array, y: Array, *rest: Any, **options: Any) -> LawPosterior:
    """The posterior of the law of y on x; what else there is to say is in :class:`Problem`."""
    return law_posteriors([Problem(step, x, y, *rest, **options)])[0]


def law_posteriors(problems: Sequence[Problem]) -> list[LawPosterior]:
    """The posteriors of many laws; runs of one length and spacing are worked on together."""
    stacks: dict[Any, list[int]] = {}
    for i, p in enumerate(problems):
        key = (p.n, p.straight, p.effort) if p.plain else i
        stacks.setdefault(key, []).append(i)
    found: dict[int, LawPosterior] = {}
    for rows in stacks.values():
        for start in range(0, len(rows), STACK):
            some = rows[start : start + STACK]
            found |= zip(some, _posteriors([problems[i] for i in some]), strict=True)
    return [found[i] for i in range(len(problems))]


def _posteriors(problems: list[Problem]) -> list[LawPosterior]:
    """The posteriors of a stack of runs at the same steps."""
    nuisances = _nuisances(problems)
    found: list[LawPosterior | None] = [None] * len(problems)
    for part in _equal_parts([0 if c is None else c.shape[1] for c, _ in nuisances]):
        some = [problems[i] for i in part]
        grids = _grids(some, [nuisances[i] for i in part])
        for i, problem, grid in zip(part, some, grids, strict=True):
            found[i] = _draw(grid, problem)
    return found  # type: ignore[return-value]


def _equal_parts(sizes: list[int]) -> Iterator[list[int]]:
    """Runs without nuisance columns, and runs with some, which are padded to the most."""
    for some in (False, True):
        part = [i for i, size in enumerate(sizes) if (size > 0) is some]
        if part:
            yield part


def _grids(
    problems: list[Problem], nuisances: list[tuple[Array | None, Array | None]]
) -> list[_Grid]:
    """The refined grid of every run."""
    one = problems[0]
    n, t, length, weight, effort = one.n, one.t, one.length, one.weight, one.effort
    u, z = np.array([p.u for p in problems]), np.array([p.z for p in problems])
    nuisance, precision = _padded(nuisances)
    found: list[_Grid | None] = [None] * len(problems)

    def weighed(rows: list[int], kappa: Array, errors: ErrorModels, accuracy: float) -> None:
        columns = None if nuisance is None else nuisance[rows]
        d = design(u[rows], z[rows], kappa, accuracy, columns, precision)
        for i, grid in zip(rows, _weigh(d, t, n, errors, weight), strict=True):
            found[i] = grid

    def grid_of(i: int) -> _Grid:
        grid = found[i]
        assert grid is not None
        return grid

    rows = list(range(len(problems)))
    for reach in (0.0,) if one.straight else KAPPA_REACH:
        kappa = np.sinh(np.linspace(-1, 1, 31) * np.arcsinh(reach)) if reach else np.zeros(1)
        kappas = np.repeat(kappa[None], len(rows), axis=0)
        weighed(rows, kappas, all_error_models(n, length, 0.8 * effort), 1e-5)
        rows = [i for i in rows if not (one.straight or grid_of(i).ends_are_empty())]
        if not rows:
            break
    rows = list(range(len(problems)))
    nodes = 1 if one.straight else max(int(41 * effort), 15)
    for _ in range(4):
        sure = {i: one.straight or grid_of(i).nodes_of_kappa(0.05) >= 3 for i in rows}
        # What too coarse a κ cannot follow looks like slow errors: no box from such a grid.
        boxes = [grid_of(i).box() if sure[i] else full_range(n, length) for i in rows]
        if one.straight:
            kappas = np.zeros((len(rows), 1))
        else:
            low, high = np.array([grid_of(i).window() for i in rows]).T
            kappas = np.linspace(low, high, nodes, axis=1)
        weighed(rows, kappas, error_models(n, length, boxes, effort), 1e-9)
        rows = [i for i in rows if not (sure[i] and grid_of(i).resolved())]
        if not rows:
            break
    return [grid_of(i) for i in range(len(problems))]


def _padded(
    nuisances: list[tuple[Array | None, Array | None]],
) -> tuple[Array | None, Array | None]:
    """The nuisance columns of a stack; a column of zeros changes nothing."""
    if nuisances[0][0] is None:
        return None, None
    width = max(c.shape[1] for c, _ in nuisances if c is not None)
    out = np.zeros((len(nuisances), len(nuisances[0][0]), width))
    for row, (columns, _) in zip(out, nuisances, strict=True):
        assert columns is not None
        row[:, : columns.shape[1]] = columns
    return out, nuisances[0][1] if len(nuisances) == 1 else np.ones(width)


# ---------------------------------------------------------------------- the grid


@dataclass(frozen=True, eq=False)
class _Grid:
    cells: Cells
    errors: ErrorModels
    weight: Array  # (M, K) density in κ, mass over error models; largest 1
    prior: Array  # (K,) log J

    def marginal(self) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
        mass = self.weight.sum(1)
        e = self.errors
        slow = e.row >= 0
        rows = np.bincount(e.row[slow], mass[slow], len(e.logl))
        mixed = e.col >= 0
        cols = np.bincount(e.col[mixed], mass[mixed], len(e.v))
        return rows, cols

    def box(self) -> Box:
        """The rectangle of (log ℓ, v) that holds the weight, with a margin of one node."""
        rows, cols = self.marginal()
        l_lo, l_hi = _box(self.errors.logl, rows, 2e-3)
        half = (self.errors.v[1] - self.errors.v[0]) / 2
        v_lo, v_hi = _box(self.errors.v, cols, 2e-3)
        return l_lo, l_hi, max(v_lo - half, 0.0), min(v_hi + half, 1.0)

    def resolved(self) -> bool:
        """Is the weight spread over several nodes, of ℓ for the slow part and of κ?"""
        rows, _ = self.marginal()
        line = len(self.prior) == 1
        return bool(
            (rows.sum() < 0.05 * self.weight.sum() or rows.max() < 0.8 * rows.sum())
            and (line or self.nodes_of_kappa(1e-4) > 10)
        )

    def ends_are_empty(self) -> bool:
        """Does next to no weight lie at the ends of the nodes of κ?"""
        mass = self.weight.sum(0) * _widths(self.cells.kappa)
        return bool(max(mass[0], mass[-1]) < 1e-3 * mass.sum())

    def window(self) -> tuple[float, float]:
        """The range of κ that holds the weight."""
        return _box(self.cells.kappa, self.weight.sum(0), 1e-4)

    def nodes_of_kappa(self, least: float) -> int:
        """How many nodes of κ hold at least this share of the largest weight."""
        along = self.weight.sum(0)
        return int((along > least * along.max()).sum())


def _weigh(d: Design, t: Array, n: int, errors: ErrorModels, weight: Array | None) -> list[_Grid]:
    """The grids of a stack of runs."""
    c = cells(d, t, errors.memory, errors.white, weight)
    line = d.kappa.shape[-1] == 1
    prior = np.zeros(d.kappa.shape) if line else np.log(curvature_norm(d))
    free = int((d.precision == 0).sum())
    with np.errstate(divide="ignore", invalid="ignore"):
        logw = (
            -0.5 * c.logdet[..., None]
            - 0.5 * np.log(c.det)
            - (n - 2 - free) / 2 * np.log(c.rss)
            + prior[..., None, :]
            + errors.logprior[..., None]
        )
    logw = np.where(np.isfinite(logw), logw, -np.inf)
    weights = np.exp(logw - logw.max((-2, -1), keepdims=True))
    return [_Grid(c.of(i), errors.of(i), w, prior[i]) for i, w in enumerate(weights)]


def _box(nodes: Array, weight: Array, least: float) -> tuple[float, float]:
    keep = np.flatnonzero(weight > least * weight.max()) if weight.max() > 0 else np.arange(1)
    return float(nodes[max(keep[0] - 1, 0)]), float(nodes[min(keep[-1] + 1, len(nodes) - 1)])


def _widths(nodes: Array) -> Array:
    return np.gradient(nodes) if len(nodes) > 1 else np.ones(1)


PILOT = np.linspace(-8, 8, 33)
"""Curvatures of the first look, under white errors, that says what an error of the path does."""


def _nuisances(problems: list[Problem]) -> list[tuple[Array | None, Array | None]]:
    """Columns for what the path may be off, times its effect by a pilot fit, and the covariates."""
    asked = [i for i, p in enumerate(problems) if p.wobble is not None and p.wobble.shape[1]]
    effects: dict[int, Array] = {}
    if asked:
        some = [problems[i] for i in asked]
        u, z = np.array([p.u for p in some]), np.array([p.z for p in some])
        d = design(u, z, np.repeat(PILOT[None], len(some), axis=0), 1e-5)
        pilot = cells(d, some[0].t, np.zeros(1), np.ones(1))
        with np.errstate(divide="ignore", invalid="ignore"):
            logw = -(some[0].n - 2) / 2 * np.log(pilot.rss) - 0.5 * np.log(pilot.det)
        logw = np.where(np.isfinite(logw), logw, -np.inf)[:, 0]
        w = np.exp(logw - logw.max(1, keepdims=True)) * curvature_norm(d)
        q = pilot.q[:, 0] * w / w.sum(1, keepdims=True)
        slopes = (q[:, None] @ shape_slope(PILOT[:, None], u[:, None]))[:, 0]
        left = np.sqrt(pilot.rss[:, 0].min(1) / some[0].n)
        for i, problem, slope, noise in zip(asked, some, slopes, left, strict=True):
            assert problem.wobble is not None
            effect = slope[:, None] * problem.wobble / (problem.ends[1] - problem.ends[0])
            length = np.sqrt((effect**2).sum(0))
            effect = effect[:, length > 0.05 * length.max()]
            if np.sqrt((effect**2).sum(1).max()) > 0.02 * noise:
                effects[i] = effect
    return [_joined(effects.get(i), p.covariates) for i, p in enumerate(problems)]


def _joined(effect: Array | None, covariates: Array | None) -> tuple[Array | None, Array | None]:
    """All the nuisance columns of a run and their prior precisions."""
    parts, precisions = [], []
    if effect is not None:
        parts.append(effect)
        precisions.append(np.ones(effect.shape[1]))
    if covariates is not None and covariates.shape[1]:
        scaled = covariates - covariates.mean(0)
        parts.append(scaled / np.maximum(np.abs(scaled).max(0), 1e-300))
        precisions.append(np.zeros(covariates.shape[1]))
    if not parts:
        return None, None
    return np.hstack(parts), np.concatenate(precisions)


# ---------------------------------------------------------------------- draws


@lru_cache(maxsize=16)
def _points(dof: int, count: int) -> tuple[Array, Array, Array, Array, Array]:
    """A low-discrepancy set: two uniforms, a χ²(dof) and two standard normals."""
    from scipy.special import gammaincinv, ndtri

    root = 1.0
    for _ in range(80):
        root = (1 + root) ** (1 / 6)  # the generalised golden ratio of dimension 5
    u = (0.5 + np.outer(np.arange(1, count + 1), root ** -np.arange(1.0, 6.0))) % 1
    u = np.clip(u, 1e-9, 1 - 1e-9).T
    return u[0], u[1], 2 * gammaincinv(dof / 2, u[2]), ndtri(u[3]), ndtri(u[4])


def _draw(grid: _Grid, of: Problem) -> LawPosterior:
    from scipy.special import stdtr

    n, (x_lo, x_hi), (centre, scale) = of.n, of.ends, of.unit
    c, w, kappa = grid.cells, grid.weight, grid.cells.kappa
    line, reach = len(kappa) == 1, KAPPA_REACH[-1]
    mass = w if line else (w[:, 1:] + w[:, :-1]) / 2  # of each interval of κ
    along = mass.sum(0) / mass.sum()
    u, v, chi2, z1, z2 = _points(n - 2, DRAWS)
    # First κ from its own distribution, then the error model given κ: so no draw hangs on the
    # rounding of a small cell.
    cum = np.cumsum(along)
    k = np.minimum(np.searchsorted(cum, u), len(cum) - 1)
    f = np.zeros(DRAWS) if line else (u - cum[k]) / np.maximum(along[k], 1e-300) + 1
    given = np.cumsum(mass, axis=0)
    with np.errstate(divide="ignore", invalid="ignore"):
        share = given / given[-1]
    # All intervals of κ in one increasing sequence: the i-th runs from 2i to 2i + 1.
    ladder = (share + 2.0 * np.arange(share.shape[1])).T.ravel()
    m = np.searchsorted(ladder, v + 2 * k) - len(w) * k
    m = np.clip(m, 0, len(w) - 1)

    def at(values: Array) -> Array:  # between two nodes of κ
        flat, cell = values.ravel(), m * len(kappa) + k
        return np.asarray(flat[cell] if line else flat[cell] * (1 - f) + flat[cell + 1] * f)

    sigma = np.sqrt(at(c.rss) / chi2)
    pp, pq, qq = at(c.pp), at(c.pq), at(c.qq)
    q = at(c.q) + sigma * np.sqrt(qq) * z1
    rest = np.sqrt(np.maximum(pp - pq**2 / qq, 0.0))
    p = at(c.p) + sigma * (pq / np.sqrt(qq) * z1 + rest * z2)
    drawn = np.zeros(DRAWS) if line else kappa[k] * (1 - f) + kappa[k + 1] * f

    total = w * (1.0 if line else _trapezoid(kappa) * _proper(kappa, grid.prior))
    total = total / total.sum()
    some = total > 1e-14  # the rest adds up to less than rounding, and a t costs time
    with np.errstate(divide="ignore", invalid="ignore"):
        falls = stdtr(n - 2, -c.q[some] / np.sqrt(c.rss[some] / (n - 2) * c.qq[some]))
    e = grid.errors
    return LawPosterior(
        law=Law(x_lo, x_hi, drawn, centre + scale * p, scale * q),
        sigma=scale * sigma,
        memory=e.memory[m] * of.gap,
        white=e.white[m],
        n=n,
        p_falls=float(total[some] @ np.nan_to_num(falls, nan=0.5)),
        p_concave=np.nan if line else _beyond(kappa, along, 0.0),
        p_straight=1.0 if line else _beyond(kappa, along, -1.0) - _beyond(kappa, along, 1.0),
        p_curved=0.0 if line else _curved(kappa, w.sum(0), grid.prior),
        p_steplike=0.0
        if line
        else 1 - _beyond(kappa, along, -reach / 2) + _beyond(kappa, along, reach / 2),
    )


def _trapezoid(nodes: Array) -> Array:
    ends = np.ones(len(nodes))
    ends[[0, -1]] = 0.5
    return ends


def _beyond(kappa: Array, along: Array, value: float) -> float:
    """The mass of the intervals of κ above ``value``."""
    share = np.clip((kappa[1:] - value) / np.diff(kappa), 0.0, 1.0)
    return float((along * share).sum())


def _proper(kappa: Array, logprior: Array) -> Array:
    """The density of 3·t₃ over the prior in use, up to a factor."""
    return np.asarray((1 + kappa**2 / 27) ** -2 * np.exp(logprior.max() - logprior))


def _curved(kappa: Array, density: Array, logprior: Array) -> float:
    """P(curved) by the Savage–Dickey ratio at κ = 0: proper t₃(0, 3) prior, even odds."""
    posterior = density * _proper(kappa, logprior)
    at_zero = float(np.interp(0.0, kappa, posterior, left=0.0, right=0.0))
    area = float(np.trapezoid(posterior, kappa))
    prior_at_zero = 2 / (np.pi * np.sqrt(3.0)) / 3
    ratio = at_zero / area / prior_at_zero if area > 0 else 1.0
    return 1 / (1 + ratio)
