"""A run that takes milliseconds: settled curves, a lag, noisy readings, and what goes wrong.

Quality, diversity and entropy relax towards their settled values at the ratio in force,

    dx/dt = (S(u) − x) / τ,   u = log(reward_scale / kl),

from the prior's values. Under plain gradient flow τ ∝ 1/kl, so ``slows`` makes a weaker KL slower.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np

from qdlaws.core.runlog import RunLog
from trainer.knobs import Knobs

__all__ = ["CLIFF", "QED", "Curves", "Plant", "Trace", "cliff", "fixed_end", "qed", "run"]


@dataclass(frozen=True)
class Curves:
    """Settled quality, diversity and entropy at u; at u = −∞ they are the prior's."""

    diversity: Callable[[float], float]
    quality: Callable[[float], float]
    entropy: Callable[[float], float]

    def at(self, u: float) -> np.ndarray:
        """The three of them."""
        return np.array([self.quality(u), self.diversity(u), self.entropy(u)])

    def ratio_at(self, diversity: float) -> float:
        """The u that settles at this diversity."""
        low, high = -20.0, 20.0
        for _ in range(80):
            middle = (low + high) / 2
            low, high = (middle, high) if self.diversity(middle) > diversity else (low, middle)
        return (low + high) / 2


def qed(shift: float = 0.0, line: float = 2.6) -> Curves:
    """The molecular prior of control.md §2 on QED, smooth through its four measured rows."""

    def diversity(u: float) -> float:
        return 0.907 - 0.09 * float(np.logaddexp(0, u - shift - 2.4))

    def quality(u: float) -> float:
        return 0.538 + 0.42 / (1 + float(np.exp(-(u - shift - 2.7) / 0.9)))

    return Curves(diversity, quality, lambda u: 0.693 - line * (0.907 - diversity(u)))


def cliff(edge: float = 3.7, width: float = 0.15, depth: float = 0.45) -> Curves:
    """Similarity to a query: nothing for long, then most of the diversity within half a unit."""

    def fallen(u: float) -> float:
        return 1 / (1 + float(np.exp(-(u - edge) / width)))

    def diversity(u: float) -> float:
        return 0.907 - 0.012 * float(np.logaddexp(0, u)) - depth * fallen(u)

    return Curves(
        diversity,
        lambda u: 0.1 + 0.02 * float(np.logaddexp(0, u)) + 0.6 * fallen(u),
        lambda u: 0.693 - 1.3 * (0.907 - diversity(u)),
    )


@dataclass(frozen=True)
class Plant:
    """How a run answers and how it is seen; times in steps."""

    curves: Curves
    lag: float = 25.0
    slows: bool = False
    """τ ∝ 1/kl, in units of the kl at the start."""
    dead: int = 0
    """Steps before a turned knob is felt."""
    noise: float = 0.01
    """Standard deviation of a reading of diversity about the truth."""
    wander: float = 0.0
    """Standard deviation of the truth about its course, remembered for about two evaluations."""
    stated: float = 0.004
    """The standard error that comes with a reading: what the evaluation knows of its own noise."""
    missing: float = 0.0
    """Share of evaluations without a reading of diversity."""
    later: tuple[tuple[int, Curves], ...] = ()
    """Other curves from a step on."""


QED, CLIFF = Plant(qed()), Plant(cliff())


@dataclass(frozen=True)
class Trace:
    """What was logged, and the truth at every evaluation."""

    log: RunLog
    truth: np.ndarray  # (n, 3): quality, diversity, entropy
    knobs: tuple[Knobs, ...]
    decisions: tuple[Any, ...]

    @property
    def diversity(self) -> np.ndarray:
        return self.truth[:, 1]

    def below(self, level: float) -> float:
        """The share of evaluations at which the true diversity is below the level."""
        return float(np.mean(self.diversity < level))

    def share(self, curves: Curves, floor: float) -> float:
        """Quality gained at the end over quality to be gained at the floor."""
        start = curves.quality(-50.0)
        end = float(self.truth[-1, 0])
        return (end - start) / (curves.quality(curves.ratio_at(floor)) - start)


def run(
    plant: Plant,
    controller: Callable[[RunLog, Knobs], Any],
    start: Knobs,
    *,
    steps: int = 600,
    every: int = 10,
    seed: int = 0,
    log: RunLog | None = None,
) -> Trace:
    """The run under a controller, which is asked at every evaluation; decisions have ``.knobs``."""
    rng = np.random.default_rng(seed)
    state, now = plant.curves.at(-50.0), start
    drift = plant.wander * rng.standard_normal()
    in_force: list[Knobs] = []
    rows: list[dict[str, Any]] = []
    truth, decisions = [], []
    for step in range(steps + 1):
        if step % every == 0:
            kept = np.exp(-0.5)
            drift = kept * drift + np.sqrt(1 - kept**2) * plant.wander * rng.standard_normal()
            truth.append(state + drift * np.array([0.0, 1.0, 2.6]))
            rows.append(_reading(plant, step, truth[-1], in_force[-1] if in_force else now, rng))
            decision = controller(RunLog.from_records(rows), now)
            decisions.append(decision)
            now = decision.knobs
        in_force.append(now)
        felt = in_force[max(step - plant.dead, 0)]
        curves = next((c for begin, c in reversed(plant.later) if step >= begin), plant.curves)
        lag = plant.lag * (start.kl / felt.kl if plant.slows else 1.0)
        u = float(np.log(felt.reward_scale / felt.kl))
        state = state + (1 - np.exp(-1 / lag)) * (curves.at(u) - state)
    return Trace(
        RunLog.from_records(rows), np.array(truth), tuple(in_force[::every]), tuple(decisions)
    )


def _reading(
    plant: Plant, step: int, state: np.ndarray, knobs: Knobs, rng: np.random.Generator
) -> dict[str, Any]:
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


def fixed_end(curves: Curves, u: float) -> np.ndarray:
    """Quality, diversity and entropy of a run that settled at u."""
    return curves.at(u)


def wrong_line(plant: Plant, nats: float) -> Plant:
    """The same plant with an entropy that stands ``nats`` higher at the same diversity."""
    entropy = plant.curves.entropy
    shifted = partial(_raised, entropy, nats)
    return replace(plant, curves=replace(plant.curves, entropy=shifted))


def _raised(curve: Callable[[float], float], by: float, u: float) -> float:
    return curve(u) + by
