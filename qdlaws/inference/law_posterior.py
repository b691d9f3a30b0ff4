"""The posterior of the law R = p + q·g_κ(u) along one run, by algebra and quadrature.

Given the curvature κ and the error model (memory ℓ, white share ν;
:mod:`qdlaws.inference.error_model`) the law is a linear regression, so p, q and σ are integrated
out in closed form, and (κ, ℓ, ν) by adaptive quadrature:

    w(κ, ℓ, ν) ∝ |Σ|^-½ · |XᵀΣ⁻¹X|^-½ · S^-(n-2)/2 · π(κ) · π(ℓ, ν),     X = [1, g_κ(u)]

S is the whitened residual sum of squares. (p, q) given the three is a bivariate t with n − 2
degrees of freedom. No starting values, no chains; deterministic.

π(κ) is a t with 3 degrees of freedom and scale 3, proper, for sizes and hypotheses alike. That of
ℓ and ν is in :mod:`qdlaws.inference.error_prior`.

Where standard errors tell the sampling variance s̄², the nugget ν·σ² has an inverse-gamma prior
about it, d degrees of freedom strong: S becomes S + d·s̄²/ν, n − 2 becomes n − 2 + d, and w gains
the factor (s̄²/ν)^(d/2).

The slow error of a run has a mean over the run. Another run has another one: the *law* of any run
leaves it out, and is as uncertain as that mean is large. *This run's law* is the law plus that
mean, which the readings determine well: ``shift`` holds its draws.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from qdlaws.core.law import Law, shape
from qdlaws.core.types import Array
from qdlaws.inference.error_prior import ErrorModels, error_models, memory_nodes, trapezoid
from qdlaws.inference.law_problem import LawProblem, path_effects

__all__ = ["LawPosterior", "law_posterior", "quasi_random_points"]

POSTERIOR_DRAWS = 2048
"""Draws of a law; a quarter of them where the effort is below 1."""

PATH_DRAWS = 256
"""Draws whose slow error is smoothed for the path of a run."""

GENERATORS = {2048: 835, 512: 43}
"""Generators of the lattices of draws, by their number: the best of all odd ones by P₂."""

KAPPA_SCALE = 3.0
"""Scale of the prior of κ, a t with 3 degrees of freedom."""

KAPPA_REACH = 48.0
"""The largest |κ|: a step at one end of the range."""

CURVATURE_NODES = 41
"""Nodes of κ in a fine grid."""

CLOCK_ODDS = 4.0
"""Odds from which the errors of a run keep the clock of its movement in place of its steps."""

NUGGET_DOF = 10.0
"""Degrees of freedom of the prior of the nugget about known standard errors: ± 22 % of them."""

SCALE_TOLERANCE = 0.002
"""Change of log σ² at which the iteration of the scale ends; the next would be a tenth of it."""


@dataclass(frozen=True, eq=False)
class LawPosterior:
    """Equally weighted draws of the law and its errors, and probabilities of its features."""

    law: Law  # of any such run
    shift: Array  # the mean slow error of this run, one for each draw
    curve: Array  # (n,) the mean of this run's law at every x
    sigma: Array
    memory: Array  # in steps; 0 where the errors are white
    white: Array
    clock: Array  # (n,) the steps by which the errors lose their memory
    n: int
    p_falls: float  # P(q < 0)
    p_concave: float  # P(κ > 0)
    p_straight: float  # P(|κ| < 1)
    p_curved: float  # against the line, at even odds
    p_steplike: float  # P(|κ| > 24)

    @property
    def run_law(self) -> Law:
        """This run's law: the law plus the mean of the run's slow error."""
        law = self.law
        return Law(law.x_lo, law.x_hi, law.kappa, law.p + self.shift, law.q)

    def smooth_path(self, x: Array, y: Array, weight: Array | None = None) -> tuple[Array, Array]:
        """The mean and standard deviation of the run without its white noise, at every row.

        The law plus the slow error, which a Kalman smoother finds from the residuals of each of
        some draws; ``x``, ``y`` and ``weight`` are the rows of the fit.
        """
        from qdlaws.inference.path_kernel import smooth_slow_errors

        some = slice(None, None, len(self.sigma) // PATH_DRAWS)
        law, sigma = self.law, self.sigma[some, None]
        value = Law(law.x_lo, law.x_hi, law.kappa[some], law.p[some], law.q[some]).value(x)
        errors = np.ascontiguousarray((y - value) / sigma)
        w = np.ones(len(y)) if weight is None else np.asarray(weight, float)
        mean, variance = smooth_slow_errors(
            self.clock, w, errors, self.memory[some].copy(), self.white[some].copy()
        )
        path = value + sigma * mean
        return path.mean(0), np.sqrt(path.var(0) + (sigma**2 * variance).mean(0))


@dataclass(frozen=True, eq=False)
class _Grid:
    """The fits and the posterior weights on a grid of M error models and K curvatures."""

    kappa: Array  # (K,)
    shapes: Array  # (n, K)
    errors: ErrorModels
    fields: Array  # (7, M, K): S, p, q, pp, pq, qq in units of σ², and g·Σ⁻¹·shape
    mean_one: Array  # (M,) g·Σ⁻¹·1, with g the covariance with the mean slow error
    mean_y: Array  # (M,)
    mean_variance: Array  # (M,) of the mean slow error given the readings, in units of σ²
    weight: Array  # (M, K) density in κ, mass over error models; largest 1
    log_scale: float  # the logarithm of what a weight of 1 stands for

    @property
    def log_evidence(self) -> float:
        """The logarithm of the likelihood of the readings, averaged over the prior."""
        mass = self.weight @ trapezoid(self.kappa)
        return self.log_scale + float(np.log(mass.sum()))

    @property
    def slow(self) -> bool:
        """Are errors with a memory likelier than white ones?"""
        weight = self.weight.sum(1)
        return bool(weight[-1] < 0.5 * weight.sum())

    @property
    def straight(self) -> bool:
        """Is κ = 0 the only curvature?"""
        return len(self.kappa) == 1

    def curvature_weight(self) -> Array:
        """The weight of each node of κ, summed over error models. (K,)"""
        return np.asarray(self.weight.sum(0))

    def marginals(self) -> tuple[Array, Array]:
        """The weight of each node of ℓ (L,) and of v (V,); white errors are in neither."""
        lattice = self.weight.sum(1)[:-1].reshape(len(self.errors.logl), -1)
        return lattice.sum(1), lattice[:, 1:].sum(0)

    def white_range(self) -> tuple[float, float]:
        """The range of v that holds the weight, with a margin of one node."""
        v, weight = self.errors.v, self.marginals()[1]
        half = (v[1] - v[0]) / 2
        low, high = _ends(v, weight, 2e-3)
        return max(low - half, 0.0), min(high + half, 1.0)

    def next_memories(self, count: int) -> Array:
        """Nodes of log ℓ, even in the range that holds the weight; by weight where that is all."""
        logl, weight = self.errors.logl, self.marginals()[0]
        low, high = _ends(logl, weight, 2e-3)
        if low > logl[0] or high < logl[-1] or len(logl) < count:
            return np.linspace(low, high, count)
        return _next_nodes(logl, weight / trapezoid(logl), count, 2e-3)

    def next_curvatures(self, count: int) -> Array:
        """Nodes of κ for the range that holds the weight."""
        if self.straight:
            return self.kappa
        return _next_nodes(self.kappa, self.curvature_weight(), count, 1e-4)

    def resolved(self) -> bool:
        """Is the weight spread over several nodes, of ℓ for the slow part and of κ?"""
        rows, _ = self.marginals()
        slow = float(rows.sum())
        spread = slow < 0.05 * float(self.weight.sum()) or float(rows.max()) < 0.8 * slow
        return spread and (self.straight or self.count_curvatures(1e-4) > 10)

    def count_curvatures(self, share: float) -> int:
        """The number of nodes of κ with at least this share of the largest weight."""
        weight = self.curvature_weight()
        return int((weight > share * weight.max()).sum())


def law_posterior(step: Array, x: Array, y: Array, *rest: Any, **options: Any) -> LawPosterior:
    """The posterior of the law of y on x; arguments as for :class:`LawProblem`."""
    from qdlaws.inference.kernel import announce

    announce()
    return _posterior(*_refined_grid(LawProblem(step, x, y, *rest, **options)))


def _refined_grid(problem: LawProblem) -> tuple[LawProblem, _Grid]:
    """A grid that resolves the posterior: from the whole range into the box that holds it.

    Errors that last are tried on two clocks, the step and the movement of x: some runs wander off
    their law while they move, and not while they stand. The problem returned has the chosen one.
    """
    effort, straight, length = problem.effort, problem.straight, problem.length
    base = np.column_stack([path_effects(problem), np.ones(problem.n), problem.z])
    reach = np.arcsinh(KAPPA_REACH)
    kappa = np.zeros(1) if straight else np.sinh(np.linspace(-reach, reach, 37))
    rows, cols = max(int(6.4 * effort), 5), max(int(4.8 * effort), 4)
    logl, v_ends = memory_nodes(length, rows), (0.0, 1.0)
    nodes = 1 if straight else max(int(CURVATURE_NODES * effort), 15)
    clock_chosen = False
    for look in range(6):
        errors = error_models(length, tuple(logl.tolist()), v_ends, cols)
        shapes = shape(kappa, problem.u[:, None])
        grid = _grid(problem, base, kappa, shapes, errors)
        rows, cols = max(int(8 * effort), 5), max(int(6 * effort), 4)
        # A curve that a coarse grid of κ misses looks like slow errors: no box from such a grid.
        curvature_resolved = straight or grid.count_curvatures(0.05) >= 3
        if curvature_resolved and not clock_chosen:
            clock_chosen = True
            if grid.slow:
                moving = problem.with_clock_of_movement()
                rival = _grid(moving, base, kappa, shapes, errors)
                if rival.log_evidence - grid.log_evidence > np.log(CLOCK_ODDS):
                    problem, grid = moving, rival
        if look and curvature_resolved and grid.resolved():
            break
        if curvature_resolved:
            logl, v_ends = grid.next_memories(rows), grid.white_range()
        else:
            logl, v_ends = memory_nodes(length, rows), (0.0, 1.0)
        kappa = grid.next_curvatures(nodes)
    return problem, grid


def _grid(
    problem: LawProblem, base: Array, kappa: Array, shapes: Array, errors: ErrorModels
) -> _Grid:
    """The generalised least-squares fit and the posterior weight of every node."""
    from qdlaws.inference.kernel import fit_grid, integrate_nuisance, whiten

    n, nuisances = problem.n, base.shape[1] - 2
    weight = np.ones(n) if problem.weight is None else np.ascontiguousarray(problem.weight)
    logdet, products, squares, prior_variance = whiten(
        problem.t, weight, base, shapes, problem.share, errors.memory, errors.white
    )
    dof = max(n - 2, 1)
    if nuisances:
        every = max(1, len(kappa) // 12)
        integrate_nuisance(logdet, products, squares, nuisances, float(dof), every, SCALE_TOLERANCE)
    logprior = np.repeat(errors.logprior[:, None], len(kappa), axis=1)
    if len(kappa) > 1:
        logprior -= 2 * np.log1p((kappa / KAPPA_SCALE) ** 2 / 3)  # t₃
    nugget = np.zeros(len(errors.white))
    if problem.known_nugget:  # errors that have none are ruled out
        some = errors.white > 0
        nugget[some] = problem.known_nugget / errors.white[some]
        logprior[~some] = -np.inf
    fields, logw = fit_grid(
        *(logdet, products, squares, nuisances, float(dof), logprior, nugget, NUGGET_DOF)
    )
    left = products[:, nuisances:, nuisances : nuisances + 3]
    return _Grid(
        kappa=kappa,
        shapes=shapes,
        errors=errors,
        fields=fields,
        mean_one=np.ascontiguousarray(left[:, 2, 0]),
        mean_y=np.ascontiguousarray(left[:, 2, 1]),
        mean_variance=np.maximum(prior_variance - left[:, 2, 2], 0.0),
        weight=np.exp(logw - logw.max()),
        log_scale=float(logw.max()),
    )


def _posterior(problem: LawProblem, grid: _Grid) -> LawPosterior:
    """The draws and probabilities from a grid that resolves the posterior."""
    from qdlaws.inference.kernel import draw_laws

    n, kappa, (centre, scale) = problem.n, grid.kappa, problem.unit
    dof = max(n - 2, 1) + (int(NUGGET_DOF) if problem.known_nugget else 0)
    count = POSTERIOR_DRAWS if problem.effort >= 1 else POSTERIOR_DRAWS // 4
    points = quasi_random_points(dof, count)
    draws, model = draw_laws(
        grid.weight, kappa, grid.fields, grid.mean_one, grid.mean_y, grid.mean_variance, points
    )
    law = Law(*problem.ends, draws[0], centre + scale * draws[1], scale * draws[2])
    mass = grid.weight * trapezoid(kappa)
    mass /= mass.sum()
    if grid.straight:
        p_concave, p_straight, p_curved, p_steplike = np.nan, 1.0, 0.0, 0.0
    else:
        above = _mass_above(kappa, grid.curvature_weight())
        p_concave, p_straight = above(0.0), above(-1.0) - above(1.0)
        p_curved = _p_curved(kappa, grid.curvature_weight())
        p_steplike = 1 - above(-KAPPA_REACH / 2) + above(KAPPA_REACH / 2)
    return LawPosterior(
        law=law,
        shift=scale * draws[4],
        curve=centre + scale * _mean_law(grid, mass),
        sigma=scale * draws[3],
        memory=problem.gap * grid.errors.memory[model],
        white=grid.errors.white[model],
        clock=problem.gap * problem.t,
        n=n,
        p_falls=_p_falls(grid, mass, dof),
        p_concave=p_concave,
        p_straight=p_straight,
        p_curved=p_curved,
        p_steplike=p_steplike,
    )


@lru_cache(maxsize=32)
def quasi_random_points(dof: int, count: int = POSTERIOR_DRAWS) -> Array:
    """A low-discrepancy set: two uniforms, a χ²(dof) and three standard normals.

    A rank-1 lattice (Korobov 1959), in order of the first uniform, so that every k-th point is a
    fair subset.
    """
    from scipy.special import gammaincinv, ndtri

    powers = [pow(GENERATORS[count], j, count) for j in range(6)]
    u = ((np.outer(powers, np.arange(count)) % count) + 0.5) / count
    return np.array([u[0], u[1], 2 * gammaincinv(dof / 2, u[2]), *ndtri(u[3:])])


def _mean_law(grid: _Grid, mass: Array) -> Array:
    """The mean of this run's law at every x, in units of y: the sum over the grid. (n,)"""
    _, p, q, _, _, _, mean_shape = grid.fields
    with np.errstate(invalid="ignore"):
        shift = grid.mean_y[:, None] - p * grid.mean_one[:, None] - q * mean_shape
        level, slope = (np.where(mass > 0, mass * v, 0.0) for v in (p + shift, q))
    return np.asarray(level.sum() + grid.shapes @ slope.sum(0))


def _p_falls(grid: _Grid, mass: Array, dof: int) -> float:
    """P(q < 0)."""
    from scipy.special import stdtr

    near = mass > 1e-6  # all others together are negligible
    rss, _, q, _, _, qq, _ = (v[near] for v in grid.fields)
    t = -q / np.sqrt(rss / dof * qq)
    falls = np.where(t > 0, 1.0, 0.0)
    open_question = np.log1p(t**2 / dof) * (dof - 1) < 50  # a distribution function is costly
    falls[open_question] = stdtr(dof, t[open_question])
    return float(min(mass[near] @ falls / mass[near].sum(), 1.0))


def _mass_above(kappa: Array, weight: Array) -> Any:
    """The function that gives the mass of κ above a value."""
    steps = (weight[1:] + weight[:-1]) / 2 * np.diff(kappa)
    cumulative = np.append(0.0, np.cumsum(steps))
    return lambda value: float(1 - np.interp(value, kappa, cumulative / cumulative[-1]))


def _p_curved(kappa: Array, weight: Array) -> float:
    """P(curved) by the Savage–Dickey ratio at κ = 0, at even odds with the line."""
    area = float(np.trapezoid(weight, kappa))
    at_zero = float(np.interp(0.0, kappa, weight, left=0.0, right=0.0))
    prior_at_zero = 2 / (np.pi * np.sqrt(3.0)) / KAPPA_SCALE
    return 1 / (1 + at_zero / area / prior_at_zero) if area > 0 else 0.5


def _next_nodes(nodes: Array, weight: Array, count: int, share: float) -> Array:
    """Nodes for the range that holds the weight: half of them evenly, half by weight."""
    low, high = _ends(nodes, weight, share)
    even = np.clip((nodes - low) / (high - low), 0.0, 1.0)
    cumulative = np.append(0.0, np.cumsum((weight[1:] + weight[:-1]) / 2 * np.diff(nodes)))
    both = (even + cumulative / cumulative[-1]) / 2
    inside = (nodes >= low) & (nodes <= high)
    return np.interp(np.linspace(0.0, 1.0, count), both[inside], nodes[inside])


def _ends(nodes: Array, weight: Array, share: float) -> tuple[float, float]:
    """The nodes just outside of those with this share of the largest weight."""
    inside = np.flatnonzero(weight > share * weight.max())
    first, last = (int(inside[0]), int(inside[-1])) if len(inside) else (0, 0)
    return float(nodes[max(first - 1, 0)]), float(nodes[min(last + 1, len(nodes) - 1)])
