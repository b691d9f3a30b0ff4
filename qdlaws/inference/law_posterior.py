"""The posterior of the law R = p + q·g_κ(u) along one run, by algebra and quadrature.

Given the curvature κ and the error model (memory ℓ, white share ν;
:mod:`qdlaws.inference.error_model`) the law
is a linear regression, so p, q and σ are integrated out in closed form, and (κ, ℓ, ν) on a grid
that is refined where the weight is:

    w(κ, ℓ, ν) ∝ |Σ|^-½ · |XᵀΣ⁻¹X|^-½ · S^-(n-2)/2 · J(κ) · π(ℓ, ν),     X = [1, g_κ(u)]

S is the whitened residual sum of squares. (p, q) given the three is a bivariate t with n − 2
degrees of freedom. No starting values, no chains; deterministic.

The prior of κ is J(κ) = ‖∂g_κ/∂κ‖ with [1, g_κ] projected out of it: the reference prior under
white noise. Those of ℓ and ν are in :mod:`qdlaws.inference.error_prior`.

J is for the size of things. Whether there is anything (does the law fall? is it a curve or a line?)
is asked under a proper prior of κ instead, a t₃ of scale 3: where the curvature is not identified,
J leaves much weight on steps at one end of the range, which would hide a plain fall.
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
from qdlaws.inference.law_problem import LawProblem, Nuisance, nuisances, padded
from qdlaws.inference.quadrature import KAPPA_REACH, Look, Stack, refined

__all__ = ["LawPosterior", "law_posterior", "law_posteriors"]


DRAWS = 2048
STACK_SIZE = 64
"""Runs that are worked on at once: enough to forget what a call costs, few enough for the cache."""


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
    """The posterior of the law of y on x; what else there is to say is in :class:`LawProblem`."""
    return law_posteriors([LawProblem(step, x, y, *rest, **options)])[0]


def law_posteriors(problems: Sequence[LawProblem]) -> list[LawPosterior]:
    """The posteriors of many laws; runs of one length and spacing are worked on together."""
    stacks: dict[Any, list[int]] = {}
    for i, p in enumerate(problems):
        key = (p.n, p.straight, p.effort) if p.plain else i
        stacks.setdefault(key, []).append(i)
    found: dict[int, LawPosterior] = {}
    for rows in stacks.values():
        for start in range(0, len(rows), STACK_SIZE):
            some = rows[start : start + STACK_SIZE]
            found |= zip(some, _posteriors([problems[i] for i in some]), strict=True)
    return [found[i] for i in range(len(problems))]


def _posteriors(problems: list[LawProblem]) -> list[LawPosterior]:
    """The posteriors of a stack of runs at the same steps."""
    columns_of = nuisances(problems)
    found: dict[int, LawPosterior] = {}
    for some in (False, True):  # runs without nuisance columns, and runs with some
        part = [i for i, (columns, _) in enumerate(columns_of) if (columns is not None) is some]
        if part:
            stack = _stack([problems[i] for i in part], [columns_of[i] for i in part])
            for rows, look in refined(stack):
                whose = [part[row] for row in rows]
                found |= zip(whose, _judged(look, [problems[i] for i in whose]), strict=True)
    return [found[i] for i in range(len(problems))]


def _stack(problems: list[LawProblem], columns_of: list[Nuisance]) -> Stack:
    one, (columns, precision) = problems[0], padded(columns_of)
    u, z = np.array([p.u for p in problems]), np.array([p.z for p in problems])
    how = one.straight, one.effort
    return Stack(one.t, one.length, u, z, one.weight, columns, precision, *how)


@lru_cache(maxsize=16)
def _points(dof: int, count: int) -> tuple[Array, Array, Array, Array, Array]:
    """A low-discrepancy set: two uniforms, a χ²(dof) and two standard normals, in order of κ.

    So every so many-th draw is a fair part of them.
    """
    from scipy.special import gammaincinv, ndtri

    root = 1.0
    for _ in range(80):
        root = (1 + root) ** (1 / 6)  # the generalised golden ratio of dimension 5
    u = (0.5 + np.outer(np.arange(1, count + 1), root ** -np.arange(1.0, 6.0))) % 1
    u = np.clip(u, 1e-9, 1 - 1e-9).T
    u = u[:, np.argsort(u[0])]
    return u[0], u[1], 2 * gammaincinv(dof / 2, u[2]), ndtri(u[3]), ndtri(u[4])


def _judged(look: Look, problems: list[LawProblem]) -> list[LawPosterior]:
    """The posteriors of the runs of a last look."""
    n, kappa, w = problems[0].n, look.kappa, look.weight
    mass = w if look.line else (w[..., 1:] + w[..., :-1]) / 2  # of each interval of κ
    told = look.cells.det > 0
    if not (look.line or told.all()):  # lost to rounding: nothing is drawn beside such a node
        mass *= told[..., 1:] & told[..., :-1]
    along = mass.sum(1)
    along /= along.sum(1, keepdims=True)
    count = DRAWS if problems[0].effort >= 1 else DRAWS // 4
    drawn = _drawn(look, mass, along, _points(n - 2, count))
    curve, falls = _mean(look), _falls(look, n - 2)
    low, high = curvature_range(np.array([p.u for p in problems]), KAPPA_REACH[-1])
    if look.line:
        beyond, curved = np.ones((len(w), 5)), np.zeros(len(w))
        beyond[:, [0, 2, 4]] = np.nan, 0.0, 0.0
    else:
        beyond, curved = _beyond(kappa, along, (0.0, -1.0, 1.0, low / 2, high / 2)), _curved(look)
    found = []
    for i, of in enumerate(problems):
        centre, scale = of.unit
        concave, above, over, start, end = beyond[i].tolist()
        found.append(
            LawPosterior(
                law=Law(*of.ends, drawn.kappa[i], centre + scale * drawn.p[i], scale * drawn.q[i]),
                curve=centre + scale * curve[i],
                sigma=scale * drawn.sigma[i],
                memory=of.gap * drawn.memory[i],
                white=drawn.white[i],
                n=n,
                p_falls=float(falls[i]),
                p_concave=concave,
                p_straight=above - over,
                p_curved=float(curved[i]),
                p_steplike=1 - start + end,
            )
        )
    return found


class _Drawn(NamedTuple):
    """Draws of the runs of a look, in units of y. Each (B, D)"""

    kappa: Array
    p: Array
    q: Array
    sigma: Array
    memory: Array
    white: Array


def _drawn(look: Look, mass: Array, along: Array, points: tuple[Array, ...]) -> _Drawn:
    """First κ from its own distribution, then the error model given κ, then p, q and σ.

    In that order no draw hangs on the rounding of a small cell.
    """
    u, v, chi2, z1, z2 = points
    c, kappa = look.cells, look.kappa
    (runs, models, nodes), spans = look.weight.shape, along.shape[1]
    run = np.arange(runs)[:, None]
    cum = np.cumsum(along, axis=1)
    # The intervals of κ of all runs in one increasing sequence: the i-th has 2i to 2i + 1.
    k = np.searchsorted((cum + 2.0 * run).ravel(), u + 2.0 * run) - spans * run
    k = np.minimum(k, spans - 1)
    given = np.cumsum(mass, axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        share = (given / given[:, -1:]).mT.reshape(-1, models)
    ladder = share + 2.0 * np.arange(len(share))[:, None]  # and the error models of all intervals
    at = run * spans + k
    # Looked up nearly in order, κ in blocks and in them by v: neighbours are near one another.
    order = np.lexsort((v, np.arange(len(v)) // 32))
    m = np.empty_like(at)
    m[:, order] = np.searchsorted(ladder.ravel(), (v + 2.0 * at)[:, order])
    m = np.clip(m - models * at, 0, models - 1)
    cell = (run * models + m) * nodes + k
    fields = [v.ravel() for v in (c.rss, c.p, c.q, c.pp, c.pq, c.qq)]
    if look.line:
        rss, p, q, pp, pq, qq = (v.take(cell) for v in fields)
        drawn = np.zeros(k.shape)
    else:  # between two nodes of κ
        f = (u - cum.ravel().take(at)) / np.maximum(along.ravel().take(at), 1e-300) + 1
        rss, p, q, pp, pq, qq, drawn = (
            (low := v.take(place)) + (v.take(place + 1) - low) * f
            for v, place in [*((v, cell) for v in fields), (kappa.ravel(), run * nodes + k)]
        )
    sigma, deviation = np.sqrt(rss / chi2), np.sqrt(qq)
    rest = np.sqrt(np.maximum(pp - pq**2 / qq, 0.0))
    p = p + sigma * (pq / deviation * z1 + rest * z2)
    e = look.errors
    memory, white = (v.ravel().take(run * models + m) for v in (e.memory, e.white))
    return _Drawn(drawn, p, q + sigma * deviation * z1, sigma, memory, white)


def _mean(look: Look) -> Array:
    """The mean law at every x, in units of y: the sum over the grid. (B, n)"""
    c, d = look.cells, look.design
    w = look.weight if look.line else look.weight * _trapezoid(look.kappa)
    w = w / w.sum((1, 2), keepdims=True)
    p, q = (np.where(w > 0, w * v, 0.0).sum(1) for v in (c.p, c.q))
    mean = (q[:, None] @ d.shapes)[:, 0]
    mean[:, 0] += p.sum(1)
    return np.asarray((d.basis @ mean[..., None])[..., 0])


def _falls(look: Look, dof: int) -> Array:
    """P(q < 0) under the proper prior of κ. (B,)"""
    from scipy.special import stdtr

    c = look.cells
    total = look.weight
    if not look.line:
        total = total * (_trapezoid(look.kappa) * _proper(look))[:, None]
    total = total / total.sum((1, 2), keepdims=True)
    with np.errstate(divide="ignore", invalid="ignore"):
        t = -c.q / np.sqrt(c.rss / dof * c.qq)
        far = np.log1p(t**2 / dof) * ((dof - 1) / 2) > 30  # a t costs time
    falls = np.where(t > 0, 1.0, 0.0)
    near = (total > 1e-10) & ~far  # the rest adds up to nothing
    falls[near] = np.nan_to_num(stdtr(dof, t[near]), nan=0.5)
    return np.asarray((total * falls).sum((1, 2)))


def _trapezoid(nodes: Array) -> Array:
    ends = np.ones(nodes.shape[-1])
    ends[[0, -1]] = 0.5
    return ends


def _beyond(kappa: Array, along: Array, values: tuple[float, ...]) -> Array:
    """The mass of the intervals of κ above each of the values. (B, V)"""
    above = (kappa[:, None, 1:] - np.array(values)[:, None]) / np.diff(kappa)[:, None]
    return np.asarray((along[:, None] * np.clip(above, 0.0, 1.0)).sum(2))


def _proper(look: Look) -> Array:
    """The density of 3·t₃ over the prior in use, up to a factor. (B, K)"""
    prior = look.prior
    relative = np.exp(prior.max(1, keepdims=True) - prior)
    return np.asarray((1 + look.kappa**2 / 27) ** -2 * relative)


def _curved(look: Look) -> Array:
    """P(curved) by the Savage–Dickey ratio at κ = 0: proper t₃(0, 3) prior, even odds. (B,)"""
    posterior, kappa = look.along() * _proper(look), look.kappa
    area = np.trapezoid(posterior, kappa, axis=1)
    at_zero = [
        np.interp(0.0, *ab, left=0.0, right=0.0) for ab in zip(kappa, posterior, strict=True)
    ]
    prior_at_zero = 2 / (np.pi * np.sqrt(3.0)) / 3
    ratio = np.where(
        area > 0, np.array(at_zero) / np.where(area > 0, area, 1.0) / prior_at_zero, 1.0
    )
    return np.asarray(1 / (1 + ratio))
