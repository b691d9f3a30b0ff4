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

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from qdlaws.grid import KAPPA_REACH, Grid, Stack, refined
from qdlaws.law import Law
from qdlaws.problem import Nuisance, Problem, nuisances, padded

__all__ = ["LawPosterior", "Problem", "law_posterior", "law_posteriors"]

Array = npt.NDArray[np.float64]

DRAWS = 2048
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
    columns_of = nuisances(problems)
    found: dict[int, LawPosterior] = {}
    for some in (False, True):  # runs without nuisance columns, and runs with some
        part = [i for i, (columns, _) in enumerate(columns_of) if (columns is not None) is some]
        if part:
            stack = _stack([problems[i] for i in part], [columns_of[i] for i in part])
            for i, grid in zip(part, refined(stack), strict=True):
                found[i] = _draw(grid, problems[i])
    return [found[i] for i in range(len(problems))]


def _stack(problems: list[Problem], columns_of: list[Nuisance]) -> Stack:
    one, (columns, precision) = problems[0], padded(columns_of)
    u, z = np.array([p.u for p in problems]), np.array([p.z for p in problems])
    how = one.straight, one.effort
    return Stack(one.t, one.length, u, z, one.weight, columns, precision, *how)


@lru_cache(maxsize=16)
def _points(dof: int, count: int) -> tuple[Array, Array, Array, Array, Array]:
    """A low-discrepancy set: two uniforms, a χ²(dof) and two standard normals."""
    from scipy.special import gammaincinv, ndtri

    root = 1.0
    for _ in range(80):
        root = (1 + root) ** (1 / 6)  # the generalised golden ratio of dimension 5
    u = (0.5 + np.outer(np.arange(1, count + 1), root ** -np.arange(1.0, 6.0))) % 1
    u = np.clip(u, 1e-9, 1 - 1e-9).T
    u = u[:, np.argsort(u[0])]  # in the order of κ: neighbours are looked up near one another
    return u[0], u[1], 2 * gammaincinv(dof / 2, u[2]), ndtri(u[3]), ndtri(u[4])


def _draw(grid: Grid, of: Problem) -> LawPosterior:
    from scipy.special import stdtr

    n, (x_lo, x_hi), (centre, scale) = of.n, of.ends, of.unit
    c, w, kappa = grid.cells, grid.weight, grid.cells.kappa
    line, reach = len(kappa) == 1, KAPPA_REACH[-1]
    mass = w if line else (w[:, 1:] + w[:, :-1]) / 2  # of each interval of κ
    along = mass.sum(0) / mass.sum()
    count = DRAWS if of.effort >= 1 else DRAWS // 4
    u, v, chi2, z1, z2 = _points(n - 2, count)
    # First κ from its own distribution, then the error model given κ: so no draw hangs on the
    # rounding of a small cell.
    cum = np.cumsum(along)
    k = np.minimum(np.searchsorted(cum, u), len(cum) - 1)
    f = np.zeros(count) if line else (u - cum[k]) / np.maximum(along[k], 1e-300) + 1
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
    drawn = np.zeros(count) if line else kappa[k] * (1 - f) + kappa[k + 1] * f

    total = w * (1.0 if line else _trapezoid(kappa) * _proper(kappa, grid.prior))
    total = total / total.sum()
    some = total > 1e-10  # the rest adds up to nothing, and a t costs time
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
