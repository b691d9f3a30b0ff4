"""A simulated run answers its knobs with a lag and reads with noise; it takes milliseconds.

Quality, diversity and entropy relax towards their settled values at the ratio in force,

    dx/dt = (S(u) − x) / τ,   u = log(reward_scale / kl),

from the prior's values. Under plain gradient flow τ ∝ 1/kl, so ``slows`` makes a weaker KL slower.

>>> from trainer.control import fixed
>>> isinstance(QED, SimulatedPlant), isinstance(CLIFF.curves, SettledCurves)
(True, True)
>>> run = simulate(QED, fixed(), Knobs(kl=0.05), steps=100)
>>> isinstance(run, SteeredRun), len(run.log), len(run.decisions)
(True, 11, 11)
>>> qed().diversity(0.0) > qed().diversity(4.0), cliff().quality(4.0) > cliff().quality(0.0)
(True, True)
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from qdlaws.core.runlog import RunLog
from trainer.knobs import Knobs

__all__ = [
    "CLIFF",
    "QED",
    "SettledCurves",
    "SimulatedPlant",
    "SteeredRun",
    "cliff",
    "qed",
    "simulate",
]

Array = npt.NDArray[np.float64]

PRIOR = -50.0
"""A ratio u so low that the policy stays at its prior."""


@dataclass(frozen=True)
class SettledCurves:
    """Settled quality, diversity and entropy as functions of u; at u = −∞ they are the prior's."""

    diversity: Callable[[float], float]
    quality: Callable[[float], float]
    entropy: Callable[[float], float]

    def settled(self, u: float) -> Array:
        """Quality, diversity and entropy at u. (3,)"""
        return np.array([self.quality(u), self.diversity(u), self.entropy(u)])

    def ratio_for(self, diversity: float) -> float:
        """The u that settles at this diversity, by bisection."""
        low, high = -20.0, 20.0
        for _ in range(80):
            middle = (low + high) / 2
            low, high = (middle, high) if self.diversity(middle) > diversity else (low, middle)
        return (low + high) / 2


def qed(shift: float = 0.0, nats_per_diversity: float = 2.6) -> SettledCurves:
    """Curves like those of a molecular prior on QED, smooth through four measured rows."""

    def diversity(u: float) -> float:
        return 0.907 - 0.09 * float(np.logaddexp(0, u - shift - 2.4))

    def quality(u: float) -> float:
        return 0.538 + 0.42 / (1 + float(np.exp(-(u - shift - 2.7) / 0.9)))

    def entropy(u: float) -> float:
        return 0.693 - nats_per_diversity * (0.907 - diversity(u))

    return SettledCurves(diversity, quality, entropy)


def cliff(edge: float = 3.7, width: float = 0.15, depth: float = 0.45) -> SettledCurves:
    """Curves like similarity to a query: most of the diversity is lost within half a unit of u."""

    def fallen(u: float) -> float:
        return 1 / (1 + float(np.exp(-(u - edge) / width)))

    def diversity(u: float) -> float:
        return 0.907 - 0.012 * float(np.logaddexp(0, u)) - depth * fallen(u)

    def quality(u: float) -> float:
        return 0.1 + 0.02 * float(np.logaddexp(0, u)) + 0.6 * fallen(u)

    return SettledCurves(diversity, quality, lambda u: 0.693 - 1.3 * (0.907 - diversity(u)))


@dataclass(frozen=True)
class SimulatedPlant:
    """How a run answers its knobs and how its evaluations read; times in steps."""

    curves: SettledCurves
    lag: float = 25.0
    slows: bool = False
    """τ ∝ 1/kl, in units of the kl at the start."""
    dead: int = 0
    """Steps before a turned knob has an effect."""
    noise: float = 0.01
    """Standard deviation of a reading of diversity about the truth."""
    wander: float = 0.0
    """Standard deviation of the truth about its course, with a memory of about two evaluations."""
    stated: float = 0.004
    """The standard error that comes with a reading: what the evaluation knows of its noise."""
    missing: float = 0.0
    """Share of evaluations without a reading of diversity."""
    later: tuple[tuple[int, SettledCurves], ...] = ()
    """Other curves from a step on."""


QED, CLIFF = SimulatedPlant(qed()), SimulatedPlant(cliff())
"""Plants with the curves :func:`qed` and :func:`cliff`."""


@dataclass(frozen=True)
class SteeredRun:
    """The log of a simulated run, and at every evaluation the truth, the knobs, the decision."""

    log: RunLog
    truth: Array  # (n, 3): quality, diversity, entropy
    knobs: tuple[Knobs, ...]
    decisions: tuple[Any, ...]

    @property
    def diversity(self) -> Array:
        """The true diversity. (n,)"""
        return self.truth[:, 1]

    def below(self, level: float) -> float:
        """The share of evaluations with a true diversity below the level."""
        return float(np.mean(self.diversity < level))

    def share(self, curves: SettledCurves, floor: float) -> float:
        """Quality gained at the end over the quality to be gained by settling at the floor."""
        start = curves.quality(PRIOR)
        end = float(self.truth[-1, 0])
        return (end - start) / (curves.quality(curves.ratio_for(floor)) - start)


def simulate(
    plant: SimulatedPlant,
    controller: Callable[[RunLog, Knobs], Any],
    start: Knobs,
    *,
    steps: int = 600,
    every: int = 10,
    seed: int = 0,
) -> SteeredRun:
    """The run under a controller, which decides at every evaluation; decisions have ``.knobs``."""
    rng = np.random.default_rng(seed)
    state, knobs = plant.curves.settled(PRIOR), start
    drift = plant.wander * rng.standard_normal()
    in_force: list[Knobs] = []
    rows: list[dict[str, Any]] = []
    truth, decisions = [], []
    for step in range(steps + 1):
        if step % every == 0:
            kept = np.exp(-0.5)
            drift = kept * drift + np.sqrt(1 - kept**2) * plant.wander * rng.standard_normal()
            truth.append(state + drift * np.array([0.0, 1.0, 2.6]))
            before = in_force[-1] if in_force else knobs
            rows.append(_reading(plant, step, truth[-1], before, rng))
            decision = controller(RunLog.from_records(rows), knobs)
            decisions.append(decision)
            knobs = decision.knobs
        in_force.append(knobs)
        effective = in_force[max(step - plant.dead, 0)]
        curves = next((c for begin, c in reversed(plant.later) if step >= begin), plant.curves)
        lag = plant.lag * (start.kl / effective.kl if plant.slows else 1.0)
        u = float(np.log(effective.reward_scale / effective.kl))
        state = state + (1 - np.exp(-1 / lag)) * (curves.settled(u) - state)
    log = RunLog.from_records(rows)
    return SteeredRun(log, np.array(truth), tuple(in_force[::every]), tuple(decisions))


def _reading(
    plant: SimulatedPlant, step: int, state: Array, knobs: Knobs, rng: np.random.Generator
) -> dict[str, Any]:
    """The row of the log that an evaluation of this state writes."""
    noise, lost = plant.noise * rng.standard_normal(3), rng.random() < plant.missing
    return {
        "step": step,
        "quality": state[0] + noise[0],
        "quality_se": plant.stated,
        "diversity": np.nan if lost else state[1] + noise[1],
        "diversity_se": plant.stated,
        "entropy": state[2] + noise[2],
        "entropy_se": plant.stated,
        "kl_coef": knobs.kl,
        "reward_scale": knobs.reward_scale,
        "entropy_coef": knobs.entropy,
    }
