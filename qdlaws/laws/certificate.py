"""The certificate of a fit: nominal 95 %, actual … % on runs like yours.

Laws are drawn from the posterior, the run is simulated with its own steps, its own path of x, and
the errors of the same draw (noise in x too), and refitted. For each of a few questions the level
at which the interval would just have held the truth is |2·F − 1|, F the posterior distribution
function at the truth; the share of those below the nominal level is the level reached, and their
nominal quantile is the level to ask for instead.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from qdlaws.core.law import Law
from qdlaws.core.serialize import plain
from qdlaws.core.summary import Result, Summary
from qdlaws.core.types import Array
from qdlaws.inference.error_model import cut_memory, regimes_of, simulate
from qdlaws.inference.latent_path import exact_path, latent_path
from qdlaws.inference.law_posterior import STACK_SIZE, law_posteriors
from qdlaws.inference.law_problem import LawProblem
from qdlaws.laws.fitted import FittedLaw

__all__ = ["Certificate", "certify"]

MOST_ROWS = 1000
"""Longer runs are simulated on every k-th row."""

RUNS = (192, 24)
"""Most and fewest simulated runs: 192 for a short log, fewer in proportion to its length."""


@dataclass(frozen=True, eq=False, repr=False)
class Certificate(Result):
    """What the intervals of a fit are worth on runs simulated from it.

    ``needed`` holds for every simulated run and question the level that just holds the truth.
    """

    law: FittedLaw
    nominal: float
    questions: tuple[str, ...]
    needed: Array  # (runs, questions)

    @property
    def runs(self) -> int:
        return len(self.needed)

    @property
    def reached(self) -> float:
        """The share of intervals that held the truth, over all questions."""
        return float(np.mean(self.needed <= self.nominal))

    @property
    def error(self) -> float:
        """Monte Carlo standard error of ``reached``; the questions of one run are one reading."""
        return float((self.needed <= self.nominal).mean(1).std() / np.sqrt(self.runs))

    def by_question(self) -> dict[str, float]:
        """The level reached, question by question."""
        held = (self.needed <= self.nominal).mean(0)
        return dict(zip(self.questions, held.tolist(), strict=True))

    @property
    def level(self) -> float:
        """The level to ask for so that the nominal one is reached; never below the nominal."""
        ask = float(np.quantile(self.needed, self.nominal, method="higher"))
        return float(min(max(ask, self.nominal), 0.9995))

    def recalibrated(self) -> FittedLaw:
        """The same fit with its intervals at the recalibrated level."""
        from dataclasses import replace

        return replace(self.law, level=self.level)

    def to_dict(self) -> dict[str, Any]:
        again = self.recalibrated()
        out: dict[str, Any] = plain(
            {
                "nominal": self.nominal,
                "reached": self.reached,
                "error": self.error,
                "level": self.level,
                "runs": self.runs,
                "by_question": self.by_question(),
                "params": dict(again.params),
            }
        )
        return out

    def to_frame(self) -> pd.DataFrame:
        """One row for each question: the question and the level reached."""
        reached = self.by_question()
        return pd.DataFrame({"question": list(reached), "reached": list(reached.values())})

    def summary(self) -> Summary:
        """The level reached, in words."""
        text = (
            f"nominal {self.nominal:.0%}, reached {self.reached:.0%} ± {2 * self.error:.0%} "
            f"on {self.runs} runs simulated from this fit"
        )
        if self.level > self.nominal:
            text += f"; ask for {self.level:.1%} to get {self.nominal:.0%}"
        return Summary(text)


def simulated_runs(n: int) -> int:
    """How many runs are simulated for a log of n rows: the same answer on every machine."""
    most, fewest = RUNS
    return int(np.clip(most * 100 // max(n, 1), fewest, most))


def certify(fit: FittedLaw, runs: int = 0, seed: int = 0) -> Certificate:
    """The certificate of a fit; ``runs=0`` takes :func:`simulated_runs`."""
    post = fit.known_posterior
    rng = np.random.default_rng(seed)
    thin = slice(None, None, int(np.ceil(fit.n / MOST_ROWS)))
    step, x = fit.step[thin], fit.path.mean[thin]
    noise = fit.path.noise[thin]
    weight = None if fit.weight is None else fit.weight[thin]
    most = runs or simulated_runs(fit.n)
    rows = rng.choice(len(post.sigma), size=most, replace=False)
    laws = Law(post.law.x_lo, post.law.x_hi, *(v[rows] for v in _coefficients(post.law)))
    gap = float(np.median(np.diff(fit.step)))
    step, span = cut_memory(step, fit.cut)
    regime = regimes_of(fit.step[thin], fit.cut)
    errors = post.sigma[rows, None] * simulate(
        step / gap, post.memory[rows] / gap, post.white[rows], weight, rng
    )
    y = laws.value(x) + errors
    noisy = bool(noise.max() > 0)
    known = noise if fit.path.noise_known else None
    seen = x + noise * rng.standard_normal((most, len(x))) if noisy else x
    at = np.linspace(*fit.range, 3)
    truth = np.column_stack([laws.value(at), laws.kappa])
    needed: list[Array] = []
    for start in range(0, most, STACK_SIZE):
        some = range(start, min(start + STACK_SIZE, most))
        paths = [
            latent_path(fit.step[thin], seen[i], se=known, regime=regime)
            if noisy
            else exact_path(x)
            for i in some
        ]
        straight = fit.kind == "hd"
        asked = [
            LawProblem(step, p.mean, y[i], weight, p.cov_factor, None, span, straight, effort=0.7)
            for i, p in zip(some, paths, strict=True)
        ]
        for i, again in zip(some, law_posteriors(asked), strict=True):
            scaled = again.law.kappa / again.law.width * fit.draws.width
            draws = np.column_stack([again.law.value(at), scaled])
            below = (draws < truth[i]).mean(0) + (draws == truth[i]).mean(0) / 2
            needed.append(np.abs(2 * below - 1))
    questions: tuple[str, ...] = (f"low {fit.x_name}", "middle", f"high {fit.x_name}", "curvature")
    keep = slice(0, 3) if fit.kind == "hd" else slice(0, 4)
    return Certificate(
        law=fit,
        nominal=fit.level,
        questions=questions[keep],
        needed=np.array(needed)[:, keep],
    )


def _coefficients(law: Law) -> tuple[Array, Array, Array]:
    return law.kappa, law.p, law.q
