"""The input of a law posterior: one run's columns, and its nuisance regressors.

An error of the path of x moves quality by the slope of the law there (errors in variables). The
directions in which the path may be off, times that slope from a preliminary fit, are columns with
standard normal coefficients that are integrated out
(:func:`qdlaws.inference.kernel.integrate_nuisance`).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from qdlaws.core.interval import median
from qdlaws.core.law import shape, shape_slope
from qdlaws.core.types import Array

__all__ = ["LawProblem", "path_effects", "time_shares"]

PRELIMINARY_KAPPA = np.linspace(-8.0, 8.0, 33)
"""The curvatures of the preliminary fit, under white errors, that the slope comes from."""

NEGLIGIBLE_DIRECTION = 0.05
"""A direction is left out where its effect is this share of the largest one."""

NEGLIGIBLE_EFFECT = 0.02
"""All directions are left out where their effect is this share of the errors of y."""


MOVEMENT = 0.9
"""The share of the clock of movement that is the way of x; the rest is the step."""

KNOWN_NUGGETS = (0.02, 10.0)
"""The smallest and largest sampling error that is taken as known, in deviations of the readings."""


@dataclass(frozen=True, eq=False)
class LawProblem:
    """The columns of one run whose law is to be inferred.

    Attributes
    ----------
    step, x, y : arrays (n,)
        ``step`` increasing; a long gap cuts the memory of the errors. ``x`` is the mean path.
    weight : relative sampling variances of y, mean 1
    nugget : the sampling error of a row of weight 1, where standard errors tell it
    movement : the share of the errors' clock that is the way of x; the rest is the step
    cov_factor : (n, J) columns whose sum of squares is the posterior variance of the path
    span : length of the run in steps without its cuts
    straight : fit the line κ = 0
    effort : below 1 coarser grids and fewer draws, for refits of simulated runs
    """

    step: Array
    x: Array
    y: Array
    weight: Array | None = None
    cov_factor: Array | None = None
    span: float | None = None
    straight: bool = False
    effort: float = 1.0
    nugget: float | None = None
    movement: float = 0.0

    @property
    def n(self) -> int:
        return len(self.y)

    @cached_property
    def ends(self) -> tuple[float, float]:
        """The smallest and the largest x."""
        return float(self.x.min()), float(self.x.max())

    @cached_property
    def u(self) -> Array:
        """x in units of its range: 0 and 1 at the ends."""
        return np.asarray((self.x - self.ends[0]) / (self.ends[1] - self.ends[0]))

    @cached_property
    def gap(self) -> float:
        """The median spacing, the unit of time."""
        return median(np.diff(self.step))

    @cached_property
    def t(self) -> Array:
        """The clock of the errors: by default the steps since the first, in spacings."""
        step = np.asarray((self.step - self.step[0]) / self.gap)
        if not self.movement:
            return step
        gaps, ways = np.diff(step), np.abs(np.diff(self.x))
        kept = gaps <= self.length  # the others are cuts
        ways *= self.length / ways[kept].sum()
        mixed = np.round((1 - self.movement) * gaps + self.movement * ways, 7)  # in any units of x
        return np.append(0.0, np.cumsum(np.where(kept, mixed, gaps)))

    def with_clock_of_movement(self) -> LawProblem:
        """The same problem with errors that move mostly while x moves."""
        return replace(self, movement=MOVEMENT)

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

    @property
    def known_nugget(self) -> float:
        """The sampling variance in units of z; 0 where it is not known."""
        low, high = KNOWN_NUGGETS
        return 0.0 if self.nugget is None else min(max(self.nugget / self.unit[1], low), high) ** 2

    @cached_property
    def share(self) -> Array:
        """The share of the run's time that each row stands for."""
        return time_shares((self.step - self.step[0]) / self.gap, self.length)


def time_shares(t: Array, length: float) -> Array:
    """Half the gaps around each row, as shares of all; a cut, longer than the run, counts none."""
    gaps = np.diff(t)
    gaps = np.where(gaps > length, 0.0, gaps)
    share = (np.append(gaps, 0.0) + np.append(0.0, gaps)) / 2
    total = share.sum()
    return share / total if total > 0 else np.full(len(t), 1 / len(t))


def path_effects(problem: LawProblem) -> Array:
    """The effect on quality of each direction in which the path may be off; (n, 0): negligible.

    The slope of the law is its mean over the curvatures of a preliminary fit under white errors.
    """
    u, z, n = problem.u, problem.z, problem.n
    nothing = np.zeros((n, 0))
    if problem.cov_factor is None or not problem.cov_factor.shape[1]:
        return nothing
    kappa, shapes = PRELIMINARY_KAPPA, shape(PRELIMINARY_KAPPA, u[:, None])
    mean = shapes.mean(0)
    squares = np.einsum("nk,nk->k", shapes, shapes) - n * mean**2
    with np.errstate(divide="ignore", invalid="ignore"):
        q = z @ shapes / squares  # the mean of z is 0
        rss = np.maximum(z @ z - q**2 * squares, 1e-14 * n)
        logw = -(n - 2) / 2 * np.log(rss) - 0.5 * np.log(squares)
    logw[~np.isfinite(logw)] = -np.inf
    w = np.exp(logw - logw.max()) / (1 + kappa**2 / 27) ** 2
    kept = w > 1e-6 * w.max()
    slope = shape_slope(kappa[kept], u[:, None]) @ (q * w / w.sum())[kept]
    effect = problem.cov_factor * slope[:, None] / (problem.ends[1] - problem.ends[0])
    length = np.sqrt((effect**2).sum(0))
    effect = effect[:, length > NEGLIGIBLE_DIRECTION * length.max()]
    size = np.sqrt((effect**2).sum(1).max(initial=0.0))
    return effect if size > NEGLIGIBLE_EFFECT * np.sqrt(rss.min() / n) else nothing
