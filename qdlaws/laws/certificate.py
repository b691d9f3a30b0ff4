"""The certificate of a fit: the coverage of its intervals on runs simulated from the fit.

A parametric bootstrap of coverage. Laws are drawn from the posterior; for each, a run with the
steps and the path of x of the log is simulated, with errors of the same draw (in x too), and
refitted. The interval for a quantity just covers its true value at the level |2·F − 1|, F the
posterior distribution function of the refit at the truth. The share of these levels below the
nominal one is the coverage; their nominal quantile is the level that reaches it (calibration by
iterated bootstrap: Hall 1986, Beran 1987).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from qdlaws.core.law import Law
from qdlaws.core.serialize import plain
from qdlaws.core.summary import Result, Summary
from qdlaws.core.types import Array
from qdlaws.inference.error_model import cut_memory, regimes_of, simulate
from qdlaws.inference.latent_path import LatentPath, exact_path, latent_path
from qdlaws.inference.law_posterior import LawPosterior, law_posterior
from qdlaws.inference.law_problem import time_shares
from qdlaws.laws.fitted import FittedLaw

__all__ = ["Certificate", "certify"]

MOST_ROWS = 1000
"""Longer runs are simulated on every k-th row."""

MOST_RUNS, FEWEST_RUNS = 192, 24
"""Simulated runs: 192 for a log of up to 100 rows, then fewer in proportion to its length."""


@dataclass(frozen=True, eq=False, repr=False)
class Certificate(Result):
    """The coverage of the intervals of a fit on runs simulated from it.

    Attributes
    ----------
    law : the fit
    nominal : the level of its intervals
    questions : the quantities whose intervals are checked
    needed : array (runs, questions), the level at which the interval just covers the true value
    """

    law: FittedLaw
    nominal: float
    questions: tuple[str, ...]
    needed: Array  # (runs, questions)

    @property
    def runs(self) -> int:
        """The number of simulated runs."""
        return len(self.needed)

    @property
    def reached(self) -> float:
        """The share of intervals that cover the true value, over all questions."""
        return float(np.mean(self.needed <= self.nominal))

    @property
    def error(self) -> float:
        """Monte Carlo standard error of ``reached``, with the questions of a run as one cluster."""
        return float((self.needed <= self.nominal).mean(1).std() / np.sqrt(self.runs))

    def by_question(self) -> dict[str, float]:
        """The coverage of each question."""
        coverage = (self.needed <= self.nominal).mean(0)
        return dict(zip(self.questions, coverage.tolist(), strict=True))

    @property
    def level(self) -> float:
        """The level whose intervals reach the nominal coverage; never below the nominal level."""
        calibrated = float(np.quantile(self.needed, self.nominal, method="higher"))
        return float(min(max(calibrated, self.nominal), 0.9995))

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
        text = (
            f"nominal {self.nominal:.0%}, reached {self.reached:.0%} ± {2 * self.error:.0%} "
            f"on {self.runs} runs simulated from this fit"
        )
        if self.level > self.nominal:
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
    slow, sampling = (
        posterior.sigma[rows, None] * part
        for part in simulate(
            step / gap, posterior.memory[rows] / gap, posterior.white[rows], weight, rng
        )
    )
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
        data = step, p.mean, y[i], weight, p.cov_factor, None, span
        return law_posterior(*data, straight=straight, effort=0.7)

    needed = np.empty(truth.shape)
    for i in range(count):
        refit = refitted(i)
        kappa = refit.law.kappa / refit.law.width * draws.width
        values = np.column_stack([refit.run_law.value(places), kappa])
        below = (values < truth[i]).mean(0) + (values == truth[i]).mean(0) / 2
        needed[i] = np.abs(2 * below - 1)
    questions = (f"low {fit.x_name}", "middle", f"high {fit.x_name}", "curvature")
    checked = 3 if fit.kind == "hd" else 4
    return Certificate(fit, fit.level, questions[:checked], needed[:, :checked])
