"""The input of a law posterior: one run's columns, and its nuisance regressors.

An error of the path of x moves quality by the slope of the law there (errors in variables). The
directions in which the path may be off, times that slope from a preliminary fit, are columns of
prior precision 1; covariates are columns of precision 0 (:mod:`qdlaws.inference.gls` integrates
both out).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from qdlaws.core.interval import median, quantiles
from qdlaws.core.law import shape_slope
from qdlaws.core.types import Array
from qdlaws.inference.gls import (
    chebyshev_basis,
    curvature_norm,
    curvature_range,
    design,
    gls_fits,
)
from qdlaws.inference.spectral import MAX_CACHED, evenly_spaced

__all__ = [
    "LawProblem",
    "Nuisance",
    "nuisance_columns",
    "padded_columns",
    "path_effects",
    "path_matters",
]

Nuisance = tuple[Array | None, Array | None]
"""Columns (n, k) and their prior precisions (k,); None where there are none."""

PRELIMINARY_REACH = 8.0
"""Largest |κ| of the preliminary fit, under white errors, that the slope of the law comes from."""

NEGLIGIBLE_BOUND = 0.001
"""Errors of the path are left out where a bound on their effect is this share of those of y."""

NEGLIGIBLE_DIRECTION = 0.05
"""A direction is left out where its effect is this share of the largest one."""

NEGLIGIBLE_EFFECT = 0.02
"""All directions are left out where their effect is this share of the errors of y."""


@dataclass(frozen=True, eq=False)
class LawProblem:
    """The columns of one run whose law is to be inferred.

    Attributes
    ----------
    step, x, y : arrays (n,)
        ``step`` increasing; an infinite gap cuts the memory of the errors. ``x`` is the mean path.
    weight : relative sampling variances of y, mean 1
    cov_factor : (n, J) columns whose sum of squares is the posterior variance of the path
    covariates : (n, k) further columns that y depends on linearly
    span : length of the run in steps without its cuts
    straight : fit the line κ = 0
    effort : below 1 coarser grids and fewer draws, for refits of simulated runs
    """

    step: Array
    x: Array
    y: Array
    weight: Array | None = None
    cov_factor: Array | None = None
    covariates: Array | None = None
    span: float | None = None
    straight: bool = False
    effort: float = 1.0

    @property
    def n(self) -> int:
        return len(self.y)

    @property
    def stackable(self) -> bool:
        """Evenly spaced, equally weighted and short, with no row far outside of the range.

        Many such runs are worked on at once.
        """
        simple = self.weight is None and self.covariates is None and self.n <= MAX_CACHED
        near = float(self.u.min()) > -0.5 and float(self.u.max()) < 1.5
        return simple and near and evenly_spaced(self.step)

    @cached_property
    def ends(self) -> tuple[float, float]:
        """The 2 % and 98 % quantiles of x."""
        low, high = quantiles(self.x, (0.02, 0.98))
        return low, high

    @cached_property
    def u(self) -> Array:
        """x in units of its range: 0 and 1 at the ends."""
        return np.asarray((self.x - self.ends[0]) / (self.ends[1] - self.ends[0]))

    @cached_property
    def gap(self) -> float:
        """The median spacing, the unit of time."""
        return median(np.diff(self.step))

    @property
    def t(self) -> Array:
        """The steps since the first, in units of the spacing."""
        return np.asarray((self.step - self.step[0]) / self.gap)

    @property
    def length(self) -> float:
        """The length of the run without its cuts, in units of the spacing."""
        span = self.step[-1] - self.step[0] if self.span is None else self.span
        return float(span / self.gap) or 1.0

    @cached_property
    def unit(self) -> tuple[float, float]:
        """Mean and standard deviation of y."""
        return float(self.y.mean()), float(self.y.std()) or 1.0

    @cached_property
    def z(self) -> Array:
        """y with mean 0 and standard deviation 1."""
        return np.asarray((self.y - self.unit[0]) / self.unit[1])


def nuisance_columns(problems: Sequence[LawProblem]) -> list[Nuisance]:
    """The nuisance columns of every run of a stack."""
    doubtful = [i for i, p in enumerate(problems) if path_matters(p)]
    effects = path_effects([problems[i] for i in doubtful]) if doubtful else []
    effect_of = dict(zip(doubtful, effects, strict=True))
    return [_joined(effect_of.get(i), p.covariates) for i, p in enumerate(problems)]


def path_matters(problem: LawProblem) -> bool:
    """Could the errors of the path move quality by a thousandth of its errors? A quick bound.

    It takes the steepest slope of the preliminary fit, and the second differences of quality for
    its errors: they hold little of the law, and of errors that persist only a part.
    """
    factor = problem.cov_factor
    if factor is None or not factor.shape[1] or not problem.stackable:
        return factor is not None and bool(factor.shape[1])
    steepest = 2 * PRELIMINARY_REACH * float(np.ptp(problem.z))
    path_error = float(np.einsum("ij,ij->i", factor, factor).max()) ** 0.5
    errors = median(np.abs(np.diff(problem.z, 2)))
    x_range = problem.ends[1] - problem.ends[0]
    return bool(steepest * path_error > NEGLIGIBLE_BOUND * errors * x_range)


def path_effects(problems: list[LawProblem]) -> list[Array | None]:
    """The effect on quality of each direction in which the path may be off; None: negligible.

    The slope of the law is its mean over the curvatures of a preliminary fit under white errors.
    """
    u, z = np.array([p.u for p in problems]), np.array([p.z for p in problems])
    n = u.shape[-1]
    kappas = np.linspace(*curvature_range(u, PRELIMINARY_REACH), 33)
    d = design(u, z, kappas, 1e-5)
    fits = gls_fits(d, problems[0].t, np.zeros(1), np.ones(1))
    with np.errstate(divide="ignore", invalid="ignore"):
        logw = -(n - 2) / 2 * np.log(fits.rss) - 0.5 * np.log(fits.det)
    logw = np.where(np.isfinite(logw), logw, -np.inf)[:, 0]
    w = np.exp(logw - logw.max(1, keepdims=True)) * curvature_norm(d)
    q = fits.q[:, 0] * w / w.sum(1, keepdims=True)
    basis = chebyshev_basis(u, PRELIMINARY_REACH, 1e-6)
    if basis is None:
        slope = q[:, None] @ shape_slope(kappas[:, None], u[:, None])
    else:
        mean = basis.coefficients(q @ shape_slope(kappas[:, None], basis.nodes))
        slope = (basis.columns @ mean[..., None]).mT
    noise = np.sqrt(fits.rss[:, 0].min(1) / n)
    width = max(p.cov_factor.shape[1] for p in problems if p.cov_factor is not None)
    effect = np.zeros((len(problems), n, width))
    for row, p in zip(effect, problems, strict=True):
        assert p.cov_factor is not None
        row[:, : p.cov_factor.shape[1]] = p.cov_factor / (p.ends[1] - p.ends[0])
    effect *= slope.mT
    square = effect**2
    length = np.sqrt(square.sum(1))
    influential = length > NEGLIGIBLE_DIRECTION * length.max(1, keepdims=True)
    size = np.sqrt((square * influential[:, None]).sum(2).max(1))
    relevant = size > NEGLIGIBLE_EFFECT * noise
    return [
        columns[:, directions] if matters else None
        for columns, directions, matters in zip(effect, influential, relevant, strict=True)
    ]


def _joined(effect: Array | None, covariates: Array | None) -> Nuisance:
    """All the nuisance columns of a run and their prior precisions."""
    parts, precisions = [], []
    if effect is not None:
        parts.append(effect)
        precisions.append(np.ones(effect.shape[1]))
    if covariates is not None and covariates.shape[1]:
        centred = covariates - covariates.mean(0)
        parts.append(centred / np.maximum(np.abs(centred).max(0), 1e-300))
        precisions.append(np.zeros(covariates.shape[1]))
    if not parts:
        return None, None
    return np.hstack(parts), np.concatenate(precisions)


def padded_columns(nuisances: Sequence[Nuisance]) -> Nuisance:
    """The nuisance columns of a stack, all or none; columns of zeros make up the numbers."""
    if nuisances[0][0] is None:
        return None, None
    width = max(c.shape[1] for c, _ in nuisances if c is not None)
    out = np.zeros((len(nuisances), len(nuisances[0][0]), width))
    for row, (columns, _) in zip(out, nuisances, strict=True):
        assert columns is not None
        row[:, : columns.shape[1]] = columns
    return out, nuisances[0][1] if len(nuisances) == 1 else np.ones(width)
