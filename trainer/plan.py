"""Before the first step: what to expect at which KL strength, from samples of the prior alone.

With η = reward_scale/kl and weights w ∝ exp(ηR) over n reference samples, the policy that the run
would settle in (plant ``tilt``) has

    R = Σ wR,   KL = log n + Σ w log w,   D = Σ_{i≠j} w_i w_j d_ij / (1 − Σ w²),
    H = (−Σ w log π_ref − KL) / Σ w·length

(the entropy of a completion is the sum of the entropies along it, so H is its mean per token).
Where fewer than 20 effective samples are left all is NaN: a first guess, not a map.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from qdlaws.frontier import LEAST_ESS, Frontier, frontier
from qdlaws.plain import plain
from trainer.bench import Bench, Phase
from trainer.evaluation import evaluate

__all__ = ["Plan", "make_plan"]

Array = npt.NDArray[np.float64]
MARGIN = 2.0
"""Standard errors of an evaluation by which a start lies above the floor."""


@dataclass(frozen=True, eq=False)
class Plan:
    """What the reference's samples say.

    Attributes
    ----------
    table : a row a strength: ``kl_coef, ratio, quality, diversity, entropy, kl``, their ``_se``
    frontier : the same samples as :class:`qdlaws.frontier.Frontier`
    start_kl : the strength to begin with for the goal; NaN where the samples do not reach it
    gain : −dD/du there, u = log(reward_scale/kl)
    noise : standard error of D at one evaluation of the configured size
    notes : what to know before believing it
    """

    table: pd.DataFrame
    frontier: Frontier
    start_kl: float
    gain: float
    noise: float
    notes: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers for JSON."""
        return {
            "start_kl": plain(self.start_kl),
            "gain": plain(self.gain),
            "noise": plain(self.noise),
            "notes": list(self.notes),
            "table": plain(self.table.to_dict("records")),
        }


def make_plan(bench: Bench, samples: int = 2000, min_diversity: float | None = None) -> Plan:
    """The plan of a configuration from ``samples`` completions of its reference."""
    asker = replace(bench, policy=bench.reference)
    found = evaluate(asker, 0, samples, phase=Phase.REFERENCE)
    assert found.scores is not None
    prompts = np.array([row["prompt"] for row in found.table])
    lengths = np.array([row["tokens"] for row in found.table], float)
    rewards, groups = found.scores.score, _groups(prompts)
    shaped, logp = rewards[groups], np.asarray(found.ref_logp)[groups]
    front = frontier(shaped, logp)
    distances = _distances(bench, found)
    scale = bench.recipe.knobs.reward_scale
    etas = front.table["eta"].to_numpy()[1:]
    rows = [_expect(eta, scale, front, groups, distances, lengths[groups]) for eta in [0.0, *etas]]
    table = pd.DataFrame(rows)
    noise = float(found.row["diversity_se"] or np.nan) * np.sqrt(
        samples / bench.config.eval.samples
    )
    start_kl, gain = _start(table, min_diversity, noise, scale)
    return Plan(table, front, start_kl, gain, noise, _notes(bench, table, min_diversity, start_kl))


def _groups(prompts: npt.NDArray[Any]) -> npt.NDArray[np.intp]:
    """Row numbers by prompt, (P, n): the same number of samples of each."""
    names, index = np.unique(prompts, return_inverse=True)
    rows = [np.flatnonzero(index == g) for g in range(len(names))]
    least = min(len(r) for r in rows)
    return np.array([r[:least] for r in rows])


def _distances(bench: Bench, found: Any) -> Array:
    """(n, n) distances of completions: the task's own, else 1 where meanings differ."""
    prompts = bench.task.prompts(bench.config.eval.split)
    by_text = {q.text: q for q in prompts}
    asked = [by_text[row["prompt"]] for row in found.table]
    if hasattr(bench.task, "distances"):
        return np.asarray(bench.task.distances(asked, found.texts), float)
    keys = bench.task.keys(asked, found.texts)
    number: dict[Any, int] = {}
    label = np.array(
        [-1 - i if k is None else number.setdefault(k, len(number)) for i, k in enumerate(keys)]
    )
    return (label[:, None] != label[None, :]).astype(float)


def _expect(
    eta: float,
    scale: float,
    front: Frontier,
    groups: npt.NDArray[np.intp],
    distances: Array,
    lengths: Array,
) -> dict[str, float]:
    """One row of the table."""
    row = front.at(float(eta))
    known = np.isfinite(row["quality"])
    w = front.weights(float(eta)) if known else np.full(groups.shape, np.nan)
    diversity, error = _diversity(w, groups, distances) if known else (np.nan, np.nan)
    length = float((w * lengths).sum(1).mean())
    return {
        "kl_coef": scale / eta if eta > 0 else np.inf,
        "ratio": float(eta),
        "quality": row["quality"],
        "quality_se": row["quality_se"],
        "diversity": diversity,
        "diversity_se": error,
        "entropy": row["entropy"] / length,
        "entropy_se": row["entropy_se"] / length,
        "kl": row["kl"],
        "kl_se": row["kl_se"],
        "effective_samples": row["ess"],
    }


def _diversity(w: Array, groups: npt.NDArray[np.intp], distances: Array) -> tuple[float, float]:
    """Expected distance of two samples of the tilted policy, averaged over prompts; its error."""
    values, errors = [], []
    for weights, rows in zip(w, groups, strict=True):
        d = distances[np.ix_(rows, rows)]
        usable = np.isfinite(d).any(1) & (weights > 0)
        weights, d = weights[usable], np.nan_to_num(d[np.ix_(usable, usable)])
        weights = weights / weights.sum()
        if (weights**2).sum() > 1 / LEAST_ESS * 2:
            return np.nan, np.nan
        each = d @ weights
        value = float(weights @ each) / (1 - float((weights**2).sum()))
        psi = 2 * weights * (each - value)
        values.append(value)
        errors.append(float((psi**2).sum()))
    spread = np.var(values, ddof=1) / len(values) if len(values) > 1 else errors[0]
    return float(np.mean(values)), float(np.sqrt(spread))


def _start(
    table: pd.DataFrame, floor: float | None, noise: float, scale: float
) -> tuple[float, float]:
    """The strength at which D lies a margin above the floor, and the plant's gain there."""
    known = table[table["diversity"].notna() & (table["ratio"] > 0)]
    if len(known) < 3:
        return np.nan, np.nan
    u = np.log(known["ratio"].to_numpy())
    d = np.minimum.accumulate(known["diversity"].to_numpy())
    slope = np.gradient(d, u)
    if floor is None:
        return float(known["kl_coef"].iloc[-1]), float(-slope[-1])
    wanted = floor + MARGIN * noise
    if d[0] < wanted:  # the prior itself is hardly above it
        return np.nan, float(-slope[0])
    at = len(d) - 1 if d[-1] > wanted else int(np.argmax(d <= wanted))
    if d[at] > wanted:
        return float(known["kl_coef"].iloc[-1]), float(-slope[-1])
    between = np.interp(wanted, d[[at, at - 1]], u[[at, at - 1]]) if at else u[0]
    return float(scale / np.exp(between)), float(-slope[at])


def _notes(
    bench: Bench, table: pd.DataFrame, floor: float | None, start_kl: float
) -> tuple[str, ...]:
    recipe, notes = bench.recipe, []
    if recipe.plant != "tilt":
        word = recipe.plant or "moved by no knob"
        notes.append(
            f"{recipe.name} does not settle in the tilted reference (plant: {word}): the table is "
            "what the best policy of each KL would show, a first guess for this recipe"
        )
    known = table[table["quality"].notna()]
    notes.append(
        f"the samples reach a KL of {known['kl'].iloc[-1]:.2g} nats and a D of "
        f"{known['diversity'].iloc[-1]:.3g}; what lies beyond only a run can show"
    )
    if floor is not None and not np.isfinite(start_kl):
        notes.append(
            f"the prior's own diversity is not surely above {floor:g}: begin at the tight end"
        )
    elif floor is not None and known["diversity"].iloc[-1] > floor:
        notes.append(
            f"D = {floor:g} lies beyond the samples: start at the loosest strength they reach"
        )
    return tuple(notes)
