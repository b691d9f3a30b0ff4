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

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from qdlaws.law import Law, quantiles, shape_slope
from qdlaws.persistence import Box, ErrorModels, error_models, full_range
from qdlaws.regression import Cells, Design, cells, curvature_norm, design

__all__ = ["LawPosterior", "law_posterior"]

Array = npt.NDArray[np.float64]

DRAWS = 2048
KAPPA_REACH = (12.0, 48.0)


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


def law_posterior(
    step: Array,
    x: Array,
    y: Array,
    weight: Array | None = None,
    wobble: Array | None = None,
    covariates: Array | None = None,
    span: float | None = None,
    straight: bool = False,
    effort: float = 1.0,
) -> LawPosterior:
    """The posterior of the law of y on x.

    Parameters
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
    n = len(y)
    x_lo, x_hi = quantiles(x, (0.02, 0.98))
    u = (x - x_lo) / (x_hi - x_lo)
    gap = float(np.median(np.diff(step)))
    t = (step - step[0]) / gap
    length = (t[-1] if span is None else span / gap) or 1.0
    centre, scale = float(y.mean()), float(y.std()) or 1.0
    z = (y - centre) / scale
    nuisance, precision = _nuisance(t, u, z, wobble, covariates, x_hi - x_lo)

    for reach in (0.0,) if straight else KAPPA_REACH:
        kappa = np.sinh(np.linspace(-1, 1, 31) * np.arcsinh(reach)) if reach else np.zeros(1)
        coarse = design(u, z, kappa, 1e-5, nuisance, precision)
        errors = error_models(n, length, full_range(n, length), 0.8 * effort)
        grid = _weigh(coarse, t, n, errors, weight)
        mass = grid.weight.sum(0) * _widths(kappa)
        if max(mass[0], mass[-1]) < 1e-3 * mass.sum() or straight:
            break
    for _ in range(4):
        k_lo, k_hi = _box(kappa, grid.weight.sum(0), 1e-4)
        nodes = max(int(41 * effort), 15)
        kappa = np.zeros(1) if straight else np.linspace(k_lo, k_hi, nodes)
        # What too coarse a κ cannot follow looks like slow errors: no box from such a grid.
        sure = straight or grid.nodes_of_kappa(0.05) >= 3
        box = grid.box() if sure else full_range(n, length)
        errors = error_models(n, length, box, effort)
        fine = design(u, z, kappa, 1e-9, nuisance, precision)
        grid = _weigh(fine, t, n, errors, weight)
        if sure and grid.resolved():
            break
    return _draw(grid, x_lo, x_hi, n, gap, centre, scale, float(KAPPA_REACH[-1]))


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

    def nodes_of_kappa(self, least: float) -> int:
        """How many nodes of κ hold at least this share of the largest weight."""
        along = self.weight.sum(0)
        return int((along > least * along.max()).sum())


def _weigh(d: Design, t: Array, n: int, errors: ErrorModels, weight: Array | None) -> _Grid:
    c = cells(d, t, errors.memory, errors.white, weight)
    prior = np.zeros(1) if len(d.kappa) == 1 else np.log(curvature_norm(d))
    free = int((d.precision == 0).sum())
    with np.errstate(divide="ignore", invalid="ignore"):
        logw = (
            -0.5 * c.logdet[:, None]
            - 0.5 * np.log(c.det)
            - (n - 2 - free) / 2 * np.log(c.rss)
            + prior
            + errors.logprior[:, None]
        )
    logw = np.where(np.isfinite(logw), logw, -np.inf)
    return _Grid(c, errors, np.exp(logw - logw.max()), prior)


def _box(nodes: Array, weight: Array, least: float) -> tuple[float, float]:
    keep = np.flatnonzero(weight > least * weight.max()) if weight.max() > 0 else np.arange(1)
    return float(nodes[max(keep[0] - 1, 0)]), float(nodes[min(keep[-1] + 1, len(nodes) - 1)])


def _widths(nodes: Array) -> Array:
    return np.gradient(nodes) if len(nodes) > 1 else np.ones(1)


def _nuisance(
    t: Array, u: Array, z: Array, wobble: Array | None, covariates: Array | None, width: float
) -> tuple[Array | None, Array | None]:
    """Columns for what the path may be off, times its effect by a pilot fit, and the covariates."""
    parts, precisions = [], []
    if wobble is not None and wobble.shape[1]:
        kappa = np.linspace(-8, 8, 33)
        d = design(u, z, kappa, 1e-5)
        pilot = cells(d, t, np.zeros(1), np.ones(1))
        with np.errstate(divide="ignore", invalid="ignore"):
            logw = -(len(z) - 2) / 2 * np.log(pilot.rss[0]) - 0.5 * np.log(pilot.det[0])
        logw = np.where(np.isfinite(logw), logw, -np.inf)
        w = np.exp(logw - logw.max()) * curvature_norm(d)
        q = pilot.q[0] * w / w.sum()
        slope = (q[:, None] * shape_slope(kappa[:, None], u)).sum(0)
        effect = slope[:, None] * wobble / width
        length = np.sqrt((effect**2).sum(0))
        effect = effect[:, length > 0.05 * length.max()]
        if np.sqrt((effect**2).sum(1).max()) > 0.02 * np.sqrt(pilot.rss[0].min() / len(z)):
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


def _draw(
    grid: _Grid,
    x_lo: float,
    x_hi: float,
    n: int,
    gap: float,
    centre: float,
    scale: float,
    reach: float,
) -> LawPosterior:
    from scipy.special import stdtr

    c, w, kappa = grid.cells, grid.weight, grid.cells.kappa
    line = len(kappa) == 1
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
        memory=e.memory[m] * gap,
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
