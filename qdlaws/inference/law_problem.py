"""What the posterior of a law is asked of, and the columns of a run that are no law.

An error of the path of x moves quality by the slope of the law there. The directions in which the
path may be off, times that slope by a first look, are columns of prior precision 1; covariates are
columns of precision 0 (:mod:`qdlaws.inference.gls` integrates both out).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from qdlaws.core.law import median, quantiles, shape_slope
from qdlaws.core.types import Array
from qdlaws.inference.gls import cells, chebyshev_basis, curvature_norm, curvature_range, design
from qdlaws.inference.spectral import KEPT, evenly_spaced

__all__ = ["LawProblem", "Nuisance", "nuisances", "padded"]


Nuisance = tuple[Array | None, Array | None]
"""Columns (n, k) and their prior precisions (k,); None where there are none."""


@dataclass(frozen=True, eq=False)
class LawProblem:
    """What a posterior is asked of.

    Attributes
    ----------
    step, x, y : arrays (n,)
        ``step`` increasing; an infinite gap cuts the memory of the errors. ``x`` is the path of x.
    weight : relative sampling variances of y, mean 1
    cov_factor : (n, J) columns whose sum of squares is the posterior variance of the path of x
    covariates : (n, k) further columns that y depends on linearly
    span : length of the run in steps without its cuts
    straight : fit the line κ = 0
    effort : below 1 coarser grids and fewer draws, for the certificate's refits
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
    def plain(self) -> bool:
        """Evenly spaced, equally weighted and short, with no row far outside of the range.

        Many such runs are worked on at once.
        """
        bare = self.weight is None and self.covariates is None and self.n <= KEPT
        near = float(self.u.min()) > -0.5 and float(self.u.max()) < 1.5
        return bare and near and evenly_spaced(self.step)

    @cached_property
    def ends(self) -> tuple[float, float]:
        """The 2 % and 98 % quantiles of x."""
        low, high = quantiles(self.x, (0.02, 0.98))
        return low, high

    @cached_property
    def u(self) -> Array:
        return np.asarray((self.x - self.ends[0]) / (self.ends[1] - self.ends[0]))

    @cached_property
    def gap(self) -> float:
        """The median spacing, the unit of time."""
        return median(np.diff(self.step))

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

    @cached_property
    def z(self) -> Array:
        return np.asarray((self.y - self.unit[0]) / self.unit[1])


PILOT = 8.0
"""Reach of κ in a first look, under white errors, that says what an error of the path does."""


def nuisances(problems: Sequence[LawProblem]) -> list[Nuisance]:
    """The nuisance columns of every run of a stack."""
    asked = [i for i, p in enumerate(problems) if _matters(p)]
    found = _effects([problems[i] for i in asked]) if asked else []
    effects = dict(zip(asked, found, strict=True))
    return [_joined(effects.get(i), p.covariates) for i, p in enumerate(problems)]


def _matters(problem: LawProblem) -> bool:
    """Could the doubt about the path move quality by a thousandth of its errors?

    At the steepest slope of the first look; the second differences of quality are hardly anything
    but errors, and of errors that persist only a part.
    """
    cov_factor = problem.cov_factor
    if cov_factor is None or not cov_factor.shape[1] or not problem.plain:
        return cov_factor is not None and bool(cov_factor.shape[1])
    steepest = 2 * PILOT * float(np.ptp(problem.z))
    doubt = float(np.einsum("ij,ij->i", cov_factor, cov_factor).max()) ** 0.5
    errors = median(np.abs(np.diff(problem.z, 2)))
    return bool(steepest * doubt > 0.001 * errors * (problem.ends[1] - problem.ends[0]))


def _effects(problems: list[LawProblem]) -> list[Array | None]:
    """What the doubtful directions of the path do to quality; None where that is next to nothing.

    The slope of the law is its mean over the curvatures of a first look under white errors.
    """
    u, z = np.array([p.u for p in problems]), np.array([p.z for p in problems])
    n = u.shape[-1]
    kappas = np.linspace(*curvature_range(u, PILOT), 33)
    d = design(u, z, kappas, 1e-5)
    pilot = cells(d, problems[0].t, np.zeros(1), np.ones(1))
    with np.errstate(divide="ignore", invalid="ignore"):
        logw = -(n - 2) / 2 * np.log(pilot.rss) - 0.5 * np.log(pilot.det)
    logw = np.where(np.isfinite(logw), logw, -np.inf)[:, 0]
    w = np.exp(logw - logw.max(1, keepdims=True)) * curvature_norm(d)
    q = pilot.q[:, 0] * w / w.sum(1, keepdims=True)
    basis = chebyshev_basis(u, PILOT, 1e-6)
    if basis is None:
        slope = q[:, None] @ shape_slope(kappas[:, None], u[:, None])
    else:
        mean = basis.coefficients(q @ shape_slope(kappas[:, None], basis.nodes))
        slope = (basis.columns @ mean[..., None]).mT
    noise = np.sqrt(pilot.rss[:, 0].min(1) / n)
    width = max(p.cov_factor.shape[1] for p in problems if p.cov_factor is not None)
    effect = np.zeros((len(problems), n, width))
    for row, p in zip(effect, problems, strict=True):
        assert p.cov_factor is not None
        row[:, : p.cov_factor.shape[1]] = p.cov_factor / (p.ends[1] - p.ends[0])
    effect *= slope.mT
    square = effect**2
    length = np.sqrt(square.sum(1))
    loud = length > 0.05 * length.max(1, keepdims=True)
    felt = np.sqrt((square * loud[:, None]).sum(2).max(1)) > 0.02 * noise
    found = zip(effect, loud, felt, strict=True)
    return [e[:, some] if enough else None for e, some, enough in found]


def _joined(effect: Array | None, covariates: Array | None) -> Nuisance:
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


def padded(columns_of: Sequence[Nuisance]) -> Nuisance:
    """The nuisance columns of a stack, all or none; a column of zeros changes nothing."""
    if columns_of[0][0] is None:
        return None, None
    width = max(c.shape[1] for c, _ in columns_of if c is not None)
    out = np.zeros((len(columns_of), len(columns_of[0][0]), width))
    for row, (columns, _) in zip(out, columns_of, strict=True):
        assert columns is not None
        row[:, : columns.shape[1]] = columns
    return out, columns_of[0][1] if len(columns_of) == 1 else np.ones(width)
