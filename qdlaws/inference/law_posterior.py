"""The posterior of the law R = p + q·g_κ(u) along one run, by algebra and quadrature.

Given the curvature κ and the error model (memory ℓ, white share ν;
:mod:`qdlaws.inference.error_model`) the law is a linear regression, so p, q and σ are integrated
out in closed form, and (κ, ℓ, ν) by adaptive quadrature (:mod:`qdlaws.inference.quadrature`):

    w(κ, ℓ, ν) ∝ |Σ|^-½ · |XᵀΣ⁻¹X|^-½ · S^-(n-2)/2 · J(κ) · π(ℓ, ν),     X = [1, g_κ(u)]

S is the whitened residual sum of squares. (p, q) given the three is a bivariate t with n − 2
degrees of freedom. No starting values, no chains; deterministic.

The prior of κ is J(κ) = ‖∂g_κ/∂κ‖ with [1, g_κ] projected out of it: the reference prior under
white noise (Berger & Bernardo 1992). Those of ℓ and ν are in :mod:`qdlaws.inference.error_prior`.

J serves for estimates. Hypotheses (does the law fall? is it a curve or a line?) have a proper prior
of κ instead, a t₃ of scale 3: where the curvature is not identified, J leaves much mass on steps at
one end of the range, which would hide a plain fall.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from qdlaws.core.law import Law
from qdlaws.core.types import Array
from qdlaws.inference.gls import curvature_range
from qdlaws.inference.law_problem import LawProblem, Nuisance, nuisance_columns, padded_columns
from qdlaws.inference.quadrature import KAPPA_REACH, GridPosterior, RunStack, refined_grids

__all__ = ["STACK_SIZE", "LawPosterior", "law_posterior", "law_posteriors"]

POSTERIOR_DRAWS = 2048
"""Draws of a law; a quarter of them where the effort is below 1."""

STACK_SIZE = 64
"""Runs that are worked on at once: many for the cost of a call, few enough for the cache."""


@dataclass(frozen=True, eq=False)
class LawPosterior:
    """Equally weighted draws of the law and its errors, and probabilities of its features."""

    law: Law
    curve: Array  # (n,) the mean law at every x
    sigma: Array
    memory: Array  # in steps; 0 where the errors are white
    white: Array
    n: int
    p_falls: float  # P(q < 0), with a t₃(0, 3) prior on κ
    p_concave: float  # P(κ > 0)
    p_straight: float  # P(|κ| < 1)
    p_curved: float  # against the line, at even odds and with a t₃(0, 3) prior on κ
    p_steplike: float  # mass at the end of the grid of κ


def law_posterior(step: Array, x: Array, y: Array, *rest: Any, **options: Any) -> LawPosterior:
    """The posterior of the law of y on x; further arguments as for :class:`LawProblem`."""
    return law_posteriors([LawProblem(step, x, y, *rest, **options)])[0]


def law_posteriors(problems: Sequence[LawProblem]) -> list[LawPosterior]:
    """The posteriors of many laws; runs of one length and spacing are worked on together."""
    stacks: dict[Any, list[int]] = {}
    for i, p in enumerate(problems):
        key = (p.n, p.straight, p.effort) if p.stackable else i
        stacks.setdefault(key, []).append(i)
    posteriors: dict[int, LawPosterior] = {}
    for rows in stacks.values():
        for start in range(0, len(rows), STACK_SIZE):
            part = rows[start : start + STACK_SIZE]
            posteriors |= zip(part, _posteriors([problems[i] for i in part]), strict=True)
    return [posteriors[i] for i in range(len(problems))]


def _posteriors(problems: list[LawProblem]) -> list[LawPosterior]:
    """The posteriors of a stack of runs at the same steps."""
    nuisances = nuisance_columns(problems)
    posteriors: dict[int, LawPosterior] = {}
    for with_columns in (False, True):  # runs without nuisance columns, and runs with some
        part = [i for i, (c, _) in enumerate(nuisances) if (c is not None) is with_columns]
        if part:
            stack = _stack([problems[i] for i in part], [nuisances[i] for i in part])
            for rows, grid in refined_grids(stack):
                runs = [part[row] for row in rows]
                laws = _law_posteriors(grid, [problems[i] for i in runs])
                posteriors |= zip(runs, laws, strict=True)
    return [posteriors[i] for i in range(len(problems))]


def _stack(problems: list[LawProblem], nuisances: list[Nuisance]) -> RunStack:
    one, (columns, precision) = problems[0], padded_columns(nuisances)
    return RunStack(
        t=one.t,
        length=one.length,
        u=np.array([p.u for p in problems]),
        z=np.array([p.z for p in problems]),
        weight=one.weight,
        columns=columns,
        precision=precision,
        straight=one.straight,
        effort=one.effort,
    )


@lru_cache(maxsize=16)
def _quasi_random_points(dof: int, count: int) -> tuple[Array, Array, Array, Array, Array]:
    """A low-discrepancy set: two uniforms, a χ²(dof) and two standard normals.

    The additive recurrence of the generalised golden ratio in dimension 5 (Roberts 2018), in order
    of the first uniform, so that every k-th point is a fair subset.
    """
    from scipy.special import gammaincinv, ndtri

    root = 1.0
    for _ in range(80):
        root = (1 + root) ** (1 / 6)
    u = (0.5 + np.outer(np.arange(1, count + 1), root ** -np.arange(1.0, 6.0))) % 1
    u = np.clip(u, 1e-9, 1 - 1e-9).T
    u = u[:, np.argsort(u[0])]
    return u[0], u[1], 2 * gammaincinv(dof / 2, u[2]), ndtri(u[3]), ndtri(u[4])


def _law_posteriors(grid: GridPosterior, problems: list[LawProblem]) -> list[LawPosterior]:
    """The draws and probabilities of the runs of a refined grid."""
    n, kappa, w = problems[0].n, grid.kappa, grid.weight
    mass = w if grid.straight else (w[..., 1:] + w[..., :-1]) / 2  # of each interval of κ
    regular = grid.fits.det > 0
    if not (grid.straight or regular.all()):  # nothing is drawn beside a singular node
        mass *= regular[..., 1:] & regular[..., :-1]
    curvature_mass = mass.sum(1)
    curvature_mass /= curvature_mass.sum(1, keepdims=True)
    count = POSTERIOR_DRAWS if problems[0].effort >= 1 else POSTERIOR_DRAWS // 4
    draws = _draws(grid, mass, curvature_mass, _quasi_random_points(n - 2, count))
    curve, p_falls = _mean_law(grid), _p_falls(grid, n - 2)
    low, high = curvature_range(np.array([p.u for p in problems]), KAPPA_REACH[-1])
    if grid.straight:
        above, p_curved = np.ones((len(w), 5)), np.zeros(len(w))
        above[:, [0, 2, 4]] = np.nan, 0.0, 0.0
    else:
        values = (0.0, -1.0, 1.0, low / 2, high / 2)
        above, p_curved = _mass_above(kappa, curvature_mass, values), _p_curved(grid)
    posteriors = []
    for i, problem in enumerate(problems):
        centre, scale = problem.unit
        above_0, above_minus_1, above_1, above_start, above_end = above[i].tolist()
        p, q = centre + scale * draws.p[i], scale * draws.q[i]
        posteriors.append(
            LawPosterior(
                law=Law(*problem.ends, draws.kappa[i], p, q),
                curve=centre + scale * curve[i],
                sigma=scale * draws.sigma[i],
                memory=problem.gap * draws.memory[i],
                white=draws.white[i],
                n=n,
                p_falls=min(float(p_falls[i]), 1.0),  # a sum of weights, to rounding
                p_concave=above_0,
                p_straight=above_minus_1 - above_1,
                p_curved=float(p_curved[i]),
                p_steplike=1 - above_start + above_end,
            )
        )
    return posteriors


class _Draws(NamedTuple):
    """Draws of the runs of a grid, in units of y. Each (B, D)"""

    kappa: Array
    p: Array
    q: Array
    sigma: Array
    memory: Array
    white: Array


def _draws(
    grid: GridPosterior, mass: Array, curvature_mass: Array, points: tuple[Array, ...]
) -> _Draws:
    """First κ from its marginal distribution, then the error model given κ, then p, q and σ.

    In that order no draw depends on the rounding of a small cell.
    """
    u, v, chi2, z1, z2 = points
    fits, kappa = grid.fits, grid.kappa
    (runs, models, nodes), intervals = grid.weight.shape, curvature_mass.shape[1]
    run = np.arange(runs)[:, None]
    cum = np.cumsum(curvature_mass, axis=1)
    # The intervals of κ of all runs in one increasing sequence: the i-th has 2i to 2i + 1.
    k = np.searchsorted((cum + 2.0 * run).ravel(), u + 2.0 * run) - intervals * run
    k = np.minimum(k, intervals - 1)
    given_kappa = np.cumsum(mass, axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        share = (given_kappa / given_kappa[:, -1:]).mT.reshape(-1, models)
    ladder = share + 2.0 * np.arange(len(share))[:, None]  # and the error models of all intervals
    interval = run * intervals + k
    # Looked up nearly in order, κ in blocks and in them by v: neighbours are near one another.
    order = np.lexsort((v, np.arange(len(v)) // 32))
    m = np.empty_like(interval)
    m[:, order] = np.searchsorted(ladder.ravel(), (v + 2.0 * interval)[:, order])
    m = np.clip(m - models * interval, 0, models - 1)
    node = (run * models + m) * nodes + k
    fields = [v.ravel() for v in (fits.rss, fits.p, fits.q, fits.pp, fits.pq, fits.qq)]
    if grid.straight:
        rss, p, q, pp, pq, qq = (v.take(node) for v in fields)
        kappas = np.zeros(k.shape)
    else:  # between two nodes of κ
        below = cum.ravel().take(interval)
        f = (u - below) / np.maximum(curvature_mass.ravel().take(interval), 1e-300) + 1
        rss, p, q, pp, pq, qq, kappas = (
            (low := v.take(place)) + (v.take(place + 1) - low) * f
            for v, place in [*((v, node) for v in fields), (kappa.ravel(), run * nodes + k)]
        )
    sigma, deviation = np.sqrt(rss / chi2), np.sqrt(qq)
    rest = np.sqrt(np.maximum(pp - pq**2 / qq, 0.0))
    p = p + sigma * (pq / deviation * z1 + rest * z2)
    e = grid.errors
    memory, white = (v.ravel().take(run * models + m) for v in (e.memory, e.white))
    return _Draws(kappas, p, q + sigma * deviation * z1, sigma, memory, white)


def _mean_law(grid: GridPosterior) -> Array:
    """The mean law at every x, in units of y: the sum over the grid. (B, n)"""
    fits, d = grid.fits, grid.design
    w = grid.weight if grid.straight else grid.weight * _trapezoid(grid.kappa)
    w = w / w.sum((1, 2), keepdims=True)
    p, q = (np.where(w > 0, w * v, 0.0).sum(1) for v in (fits.p, fits.q))
    mean = (q[:, None] @ d.shapes)[:, 0]
    mean[:, 0] += p.sum(1)
    return np.asarray((d.basis @ mean[..., None])[..., 0])


def _p_falls(grid: GridPosterior, dof: int) -> Array:
    """P(q < 0) under the proper prior of κ. (B,)"""
    from scipy.special import stdtr

    fits = grid.fits
    mass = grid.weight
    if not grid.straight:
        mass = mass * (_trapezoid(grid.kappa) * _proper_prior(grid))[:, None]
    mass = mass / mass.sum((1, 2), keepdims=True)
    with np.errstate(divide="ignore", invalid="ignore"):
        t = -fits.q / np.sqrt(fits.rss / dof * fits.qq)
        far = np.log1p(t**2 / dof) * ((dof - 1) / 2) > 30  # a distribution function is costly
    falls = np.where(t > 0, 1.0, 0.0)
    near = (mass > 1e-10) & ~far  # all others together are negligible
    falls[near] = np.nan_to_num(stdtr(dof, t[near]), nan=0.5)
    return np.asarray((mass * falls).sum((1, 2)))


def _trapezoid(nodes: Array) -> Array:
    """Weights of the trapezoidal rule on equally spaced nodes."""
    ends = np.ones(nodes.shape[-1])
    ends[[0, -1]] = 0.5
    return ends


def _mass_above(kappa: Array, curvature_mass: Array, values: tuple[float, ...]) -> Array:
    """The mass of the intervals of κ above each of the values. (B, V)"""
    above = (kappa[:, None, 1:] - np.array(values)[:, None]) / np.diff(kappa)[:, None]
    return np.asarray((curvature_mass[:, None] * np.clip(above, 0.0, 1.0)).sum(2))


def _proper_prior(grid: GridPosterior) -> Array:
    """The density of 3·t₃ relative to the prior J of the grid, up to a factor. (B, K)"""
    prior = grid.prior
    relative = np.exp(prior.max(1, keepdims=True) - prior)
    return np.asarray((1 + grid.kappa**2 / 27) ** -2 * relative)


def _p_curved(grid: GridPosterior) -> Array:
    """P(curved) by the Savage–Dickey ratio at κ = 0: proper t₃(0, 3) prior, even odds. (B,)"""
    posterior, kappa = grid.curvature_weight() * _proper_prior(grid), grid.kappa
    area = np.trapezoid(posterior, kappa, axis=1)
    at_zero = [
        np.interp(0.0, *ab, left=0.0, right=0.0) for ab in zip(kappa, posterior, strict=True)
    ]
    prior_at_zero = 2 / (np.pi * np.sqrt(3.0)) / 3
    ratio = np.where(
        area > 0, np.array(at_zero) / np.where(area > 0, area, 1.0) / prior_at_zero, 1.0
    )
    return np.asarray(1 / (1 + ratio))
