"""The certificate of a fit: the coverage of its intervals on simulated runs like this one.

A parametric bootstrap of coverage. Laws are drawn from the posterior; for each, a run with the
steps and the path of x of the log is simulated and refitted. The interval for a quantity just
covers its true value at the level |2·F − 1|, F the posterior distribution function of the refit at
the truth. The share of these levels below the nominal one is the coverage; their nominal quantile
is the level that reaches it (calibration by iterated bootstrap: Hall 1986, Beran 1987).

Errors drawn from the posterior alone would test the arithmetic and not the model. So a third of
the runs has errors as fitted, a third errors that wander as slowly as those of published runs do,
and a third errors as fitted with a jump; all have the size of this run's residuals. The coverage
is the least of the three.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from qdlaws.core.law import Law
from qdlaws.core.serialize import plain
from qdlaws.core.summary import Result, Summary
from qdlaws.core.types import Array, Rows
from qdlaws.inference.error_model import cut_memory, regimes_of, simulate
from qdlaws.inference.latent_path import LatentPath, exact_path, latent_path
from qdlaws.inference.law_posterior import LawPosterior, law_posterior
from qdlaws.inference.law_problem import time_shares
from qdlaws.laws.fitted import FittedLaw

__all__ = ["Certificate", "certify"]

MOST_ROWS = 1000
"""Longer runs are simulated on every k-th row."""

MOST_RUNS, FEWEST_RUNS = 192, 36
"""Simulated runs: 192 for a log of up to 100 rows, then fewer in proportion to its length."""

ERRORS = ("errors as fitted", "slow wander", "a jump")
"""The kinds of errors, in turns from run to run."""

WANDER, WANDER_WHITE = 1.5, 0.2
"""The memory of slow wander in run lengths and its share of white noise, as in published runs."""

JUMP = 1.5
"""The size of a jump in standard deviations of the errors, somewhere in the middle of the run."""


WIDEST = 0.9995
"""The highest level that a certificate asks for: draws say nothing about wider intervals."""


@dataclass(frozen=True, eq=False, repr=False)
class Certificate(Result):
    """The coverage of the intervals of a fit on simulated runs, under three kinds of errors.

    Attributes
    ----------
    law : the fit
    nominal : the level of its intervals
    questions : the quantities whose intervals are checked
    needed : array (runs, questions), the level at which the interval just covers the true value
    errors : the kind of the errors of each run, an index of ``ERRORS``
    """

    law: FittedLaw
    nominal: float
    questions: tuple[str, ...]
    needed: Array  # (runs, questions)
    errors: Rows  # (runs,)

    @property
    def runs(self) -> int:
        """The number of simulated runs."""
        return len(self.needed)

    @property
    def reached(self) -> float:
        """The share of intervals that hold the truth, under the errors where it is least."""
        return min(self.by_errors().values())

    @property
    def error(self) -> float:
        """Monte Carlo standard error of ``reached``, with the questions of a run as one cluster."""
        held = (self._worst <= self.nominal).mean(1)
        return float(held.std() / np.sqrt(len(held)))

    def by_errors(self) -> dict[str, float]:
        """The coverage under each kind of errors, over all questions."""
        held = (self.needed <= self.nominal).mean(1)
        return {ERRORS[kind]: float(held[self.errors == kind].mean()) for kind in self._kinds}

    def by_question(self) -> dict[str, float]:
        """The coverage of each question under the kind of errors where coverage is least."""
        coverage = (self._worst <= self.nominal).mean(0)
        return dict(zip(self.questions, coverage.tolist(), strict=True))

    @property
    def _kinds(self) -> list[int]:
        return [int(kind) for kind in np.unique(self.errors)]

    @property
    def _worst(self) -> Array:
        """The levels needed under the kind of errors where coverage is least."""
        held = (self.needed <= self.nominal).mean(1)
        worst = min(self._kinds, key=lambda kind: held[self.errors == kind].mean())
        return np.asarray(self.needed[self.errors == worst])

    @property
    def level(self) -> float:
        """The level whose intervals reach the nominal coverage; never below the nominal level."""
        calibrated = float(np.quantile(self._worst, self.nominal, method="higher"))
        return float(min(max(calibrated, self.nominal), WIDEST))

    def recalibrated(self) -> FittedLaw:
        """The same fit with its intervals at the recalibrated level."""
        return replace(self.law, level=self.level)

    def to_dict(self) -> dict[str, Any]:
        """The certificate as JSON values; ``params`` are those at the recalibrated level."""
        values: dict[str, Any] = plain(
            {
                "nominal": self.nominal,
                "reached": self.reached,
                "error": self.error,
                "level": self.level,
                "runs": self.runs,
                "by_errors": self.by_errors(),
                "by_question": self.by_question(),
                "params": dict(self.recalibrated().params),
            }
        )
        return values

    def to_frame(self) -> pd.DataFrame:
        """One row for each question: the question and the coverage reached."""
        return pd.DataFrame(self.by_question().items(), columns=["question", "reached"])

    def summary(self) -> Summary:
        """The coverage in words, and the level to use where it falls short."""
        parts = ", ".join(f"{share:.0%} with {kind}" for kind, share in self.by_errors().items())
        text = (
            f"nominal {self.nominal:.0%}, reached {self.reached:.0%} ± {2 * self.error:.0%} or "
            f"more on {self.runs} simulated runs ({parts})"
        )
        if self.level >= WIDEST:
            text += f"; even {WIDEST:.2%} intervals may not reach {self.nominal:.0%}"
        elif self.level > self.nominal:
            text += f"; use {self.level:.1%} intervals to reach {self.nominal:.0%}"
        return Summary(text)


def simulated_runs(n: int) -> int:
    """The number of runs to simulate for a log of n rows: about a second's worth."""
    return int(np.clip(MOST_RUNS * 100 // max(n, 1), FEWEST_RUNS, MOST_RUNS))


def certify(fit: FittedLaw, runs: int = 0, seed: int = 0) -> Certificate:
    """The certificate of a fit.

    Parameters
    ----------
    fit : FittedLaw
    runs : int
        The number of runs to simulate; 0 for :func:`simulated_runs` of the length of the log.
    seed : int
        Seed of the simulation: equal seeds give equal certificates, on every machine.

    Examples
    --------
    >>> import numpy as np
    >>> import qdlaws as qd
    >>> diversity = np.linspace(0.9, 0.3, 30)
    >>> quality = 1 - diversity + 0.01 * np.sin(7.0 * np.arange(30))
    >>> log = qd.RunLog.from_arrays(np.arange(30), quality=quality, diversity=diversity)
    >>> certify(qd.fit(log).rd, runs=8).runs
    8
    """
    posterior = fit.required_posterior
    rng = np.random.default_rng(seed)
    thin = slice(None, None, int(np.ceil(fit.n / MOST_ROWS)))
    x, noise = fit.path.mean[thin], fit.path.noise[thin]
    weight = None if fit.weight is None else fit.weight[thin]
    count = runs or simulated_runs(fit.n)
    rows = rng.choice(len(posterior.sigma), size=count, replace=False)
    draws = posterior.law
    laws = Law(draws.x_lo, draws.x_hi, draws.kappa[rows], draws.p[rows], draws.q[rows])
    gap = float(np.median(np.diff(fit.step)))
    step, span = cut_memory(fit.step[thin], fit.cut)
    kinds: Rows = np.arange(count) % len(ERRORS)
    memory = np.where(kinds == 1, WANDER * span, posterior.memory[rows]) / gap
    white = np.where(kinds == 1, WANDER_WHITE, posterior.white[rows])
    slow, sampling = simulate(posterior.clock[thin] / gap, memory, white, weight, rng)
    slow[kinds == 2] += _jumps(rng, int((kinds == 2).sum()), len(x))
    size = _sizes(slow + sampling, kinds, fit.residuals)
    slow, sampling = size * slow, size * sampling
    y = laws.value(x) + slow + sampling
    noisy = bool(noise.max() > 0)
    readings = x + noise * rng.standard_normal((count, len(x))) if noisy else x
    places = np.linspace(*fit.range, 3)
    mean_slow = slow @ time_shares(step / gap, span / gap)
    truth = np.column_stack([laws.value(places) + mean_slow[:, None], laws.kappa])

    def path(i: int) -> LatentPath:
        if not noisy:
            return exact_path(x)
        se = noise if fit.path.noise_known else None
        regime = regimes_of(fit.step[thin], fit.cut)
        return latent_path(fit.step[thin], readings[i], se=se, regime=regime)

    def refitted(i: int) -> LawPosterior:
        p, straight = path(i), fit.kind == "hd"
        data = step, p.mean, y[i], weight, p.cov_factor, span
        return law_posterior(*data, straight=straight, effort=0.7, nugget=fit.nugget)

    needed = np.empty(truth.shape)
    for i in range(count):
        refit = refitted(i)
        kappa = refit.law.kappa / refit.law.width * draws.width
        values = np.column_stack([refit.run_law.value(places), kappa])
        below = (values < truth[i]).mean(0) + (values == truth[i]).mean(0) / 2
        needed[i] = np.abs(2 * below - 1)
    questions = (f"low {fit.x_name}", "middle", f"high {fit.x_name}", "curvature")
    checked = 3 if fit.kind == "hd" else 4
    return Certificate(fit, fit.level, questions[:checked], needed[:, :checked], kinds)


def _jumps(rng: np.random.Generator, count: int, n: int) -> Array:
    """A jump up or down in the middle three fifths of each run. (count, n)"""
    places = rng.uniform(0.2, 0.8, count)[:, None] * n
    return np.asarray(JUMP * rng.choice([-1.0, 1.0], count)[:, None] * (np.arange(n) >= places))


def _sizes(errors: Array, kinds: Rows, residuals: Array) -> Array:
    """Factors that make the errors of each kind as large about their mean as the residuals."""
    sizes = np.ones((len(errors), 1))
    for kind in np.unique(kinds):
        of_kind = kinds == kind
        sizes[of_kind] = residuals.std() / np.sqrt(errors[of_kind].var(1).mean())
    return sizes
