"""The law through the clock: quality foretold by way of diversity or entropy.

The change that the law sees between the present x and the x that its clock foretells, laid on the
filtered present level of quality. It is one member of the pool, and what it is worth is what laws
fitted to the earlier parts of this same run foretold of the later ones.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import cached_property

import numpy as np

from qdlaws.core.law import Law
from qdlaws.core.types import Array
from qdlaws.forecasting.column import Clock
from qdlaws.forecasting.stacking import Slots, mixture_quantiles, slots, student_log_density
from qdlaws.inference.law_posterior import LawPosterior, law_posterior
from qdlaws.laws.fit import LawFits
from qdlaws.laws.result import LawFit

__all__ = ["QualityClock", "record", "with_law"]


NODES = (np.arange(8) + 0.5) / 8
LAWS = 64
"""So many of the draws of the law are used."""

TRIED = ((1, 0), (1, 3), (1, 6))
"""The rolling origins (horizon, stop) at which the law is fitted anew."""

MOST = 2.0
"""Changes to come, in ranges of quality so far, beyond which a law is not believed."""

LEAST = 8
"""Rows that a law at an earlier origin needs."""


@dataclass(frozen=True, eq=False)
class QualityClock(Clock):
    """The clock of quality with a law through the clock of its x as the last member."""

    posterior: LawPosterior | None = None
    x: Clock | None = None

    @property
    def law_weight(self) -> float:
        """The weight that the law has earned."""
        return float(self.weight[-1])

    @cached_property
    def trend(self) -> float:
        return float(self._own @ self.filtered.trend[-1])

    @property
    def _own(self) -> Array:
        """The weights of the other members."""
        return np.asarray(self.weight[:-1] / self.weight[:-1].sum())

    def members(self, step: Array, readings: float = np.inf) -> tuple[Array, Array]:
        mean, variance = super().members(step, readings)
        assert self.posterior is not None
        assert self.x is not None
        f = self.filtered
        later = self.x.quantiles(np.maximum(step, self.x.step), NODES)
        now = np.array([self.x.weight @ self.x.filtered.level[-1]])
        most = MOST * float(np.ptp(self.data.y))
        change, spread = _change(self.posterior, now, later, most)
        level = float(self._own @ f.level[-1])
        reading = f.sigma2[-1] * self.data.block / readings
        here = float(self._own @ (f.cov[-1, :, 0] * f.sigma2[-1] + reading))
        with_law = np.append(mean, (level + change)[:, None], axis=1)
        return with_law, np.append(variance, (here + spread)[:, None], axis=1)


def with_law(fits: LawFits, clocks: Mapping[str, Clock]) -> Clock:
    """The clock of quality, with the law in its pool where one is supported, by its record.

    R on H comes first, R on D where there is no other: both say the same through their clocks.
    """
    quality = clocks["quality"]
    for law in (fits.rh, fits.rd):
        if not isinstance(law, LawFit) or not law.supported or law.posterior is None:
            continue
        x = clocks.get(law.x_name)
        if x is None or not x.moves or not quality.moves:
            continue
        prior = quality.prior
        odds = prior.law * np.exp(np.clip(prior.law_trust * record(quality, x), -700, 50))
        weight = np.append(quality.weight * (1 - prior.law), odds)
        known = {f.name: getattr(quality, f.name) for f in fields(Clock)}
        known["weight"] = weight / weight.sum()
        return QualityClock(**known, posterior=law.posterior, x=x)
    return quality


def _change(posterior: LawPosterior, now: Array, later: Array, most: float) -> tuple[Array, Array]:
    """Median and robust variance (T,) of R(later) − R(now); ``later`` (T, Q) quantiles of x.

    What lies far outside the observed range is a statement about the prior of the law, and grows
    without bound where the law is convex: x stops a range away, and the change at ``most``.
    """
    law = posterior.law
    thin = slice(None, None, max(len(law.kappa) // LAWS, 1))
    some = Law(law.x_lo, law.x_hi, law.kappa[thin], law.p[thin], law.q[thin])
    later = np.clip(later, law.x_lo - law.width, law.x_hi + law.width)
    values = np.clip(some.value(later) - some.value(now)[:, :, None], -most, most)
    flat = np.moveaxis(values, 1, 0).reshape(len(later), -1)
    low, mid, high = np.quantile(flat, [0.16, 0.5, 0.84], axis=1)
    slow = float(np.mean(posterior.sigma**2 * (1 - posterior.white)))
    return mid, ((high - low) / 2) ** 2 + slow


def record(quality: Clock, x: Clock) -> float:
    """Log predictive density of the law at earlier origins, minus that of the stacked pool.

    Where the law cannot be tried it is as good as the pool.
    """
    at = slots(quality.data.s, quality.data.y)
    return sum(
        _score(quality, x, at, h, j) for h, j in TRIED if at.known[h, j] and at.row[h, j] >= LEAST
    )


def _score(quality: Clock, x: Clock, at: Slots, h: int, j: int) -> float:
    """Log density of what the law foretold at one origin, minus that of the pool."""
    row = int(at.row[h, j])
    data, f = quality.data, quality.filtered
    # Both sides are judged with the weights that their members have earned by now.
    weight, of_x = quality.weight, x.weight
    step = data.origin + data.s[: row + 1]
    known = x.data.origin + x.data.s
    seen = int(np.searchsorted(known, step[-1], side="right")) - 1
    if seen < LEAST:
        return 0.0
    path = x.filtered.level[: seen + 1] @ of_x
    there = np.interp(step, known[: seen + 1], path)
    if not (_moves(there) and _moves(data.y[: row + 1])):
        return 0.0
    posterior = law_posterior(step, there, data.y[: row + 1], effort=0.5)
    target = np.array([data.origin + at.s[h, j]])
    mean, variance = x.filtered.ahead(
        np.array([seen]), np.maximum(target - x.data.origin, x.data.s[seen])
    )
    later = mixture_quantiles(mean, variance, of_x, NODES)
    change, spread = _change(posterior, path[-1:], later, MOST * float(np.ptp(data.y[: row + 1])))
    level = f.level[row] @ weight
    own, uncertain = f.ahead(np.array([row]), at.s[h, j : j + 1])
    reading = f.sigma2[row] / at.count[h, j]
    here = float(weight @ (f.cov[row, :, 0] * f.sigma2[row] + reading))
    seen_y, dof = at.observed[h, j], np.maximum(f.dof[row], 1.0)
    law = student_log_density(seen_y, level + change, spread + here, dof)
    pool = student_log_density(seen_y, own[0], uncertain[0] + reading, dof)
    return float(law[0] - np.log(weight @ np.exp(pool - pool.max())) - pool.max())


def _moves(values: Array) -> bool:
    """Do the values differ, not by one spike alone, by more than rounding?"""
    low, high = np.quantile(values, [0.02, 0.98])
    return bool(high - low > 1e-9 * np.abs(values).max())
