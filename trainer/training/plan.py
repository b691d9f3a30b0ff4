"""Before the first step: what to expect at which KL strength, from samples of the prior alone.

With η = reward_scale/kl and weights w ∝ exp(ηR) over n reference samples, the policy that the run
would settle in (plant ``tilt``) has

    R = Σ wR,   KL = log n + Σ w log w,   D = Σ_{i≠j} w_i w_j d_ij / (1 − Σ w²),
    H = (−Σ w log π_ref − KL) / Σ w·length

(the entropy of a completion is the sum of the entropies along it, so H is its mean per token).
Where fewer than 20 effective samples are left all is NaN: a first guess, not a map.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from qdlaws.core.atomic_write import write_atomically
from qdlaws.core.serialize import plain
from qdlaws.core.summary import Result, Summary
from qdlaws.errors import BadData
from qdlaws.kl_frontier.frontier import Frontier, frontier
from qdlaws.kl_frontier.warm_start import diversity_along, start_ratio
from trainer.tasks import capabilities
from trainer.training.context import Phase, RunContext
from trainer.training.evaluation import Evaluation, evaluate

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["Plan", "make_plan", "write_plan"]

Array = npt.NDArray[np.float64]
MIN_SAMPLES = 50
"""With fewer samples nothing can be predicted of any policy but the reference."""
SHOWN = 8
"""About how many strengths a summary shows."""
MARGIN = 2.0
"""Standard errors of an evaluation by which a start lies above the floor."""


@dataclass(frozen=True, eq=False, repr=False)
class Plan(Result):
    """The best that a policy of each KL strength can reach, predicted from reference samples.

    Attributes
    ----------
    table : a row a strength: ``kl_coef, ratio, quality, diversity, entropy, kl``, their ``_se``
    frontier : the same samples as :class:`qdlaws.kl_frontier.frontier.Frontier`
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
            "best_of": plain(self.frontier.best_of.to_dict("records")),
        }

    def to_frame(self) -> pd.DataFrame:
        """A row for each KL strength that the samples reach."""
        return self.table[self.table["quality"].notna()].reset_index(drop=True)

    def summary(self) -> Summary:
        """Where to start, and quality and diversity at some strengths."""
        start = "no goal, so no start"
        if np.isfinite(self.start_kl):
            start = f"start at kl = {self.start_kl:.3g}"
        rows = self.to_frame().iloc[:: max(1, len(self.to_frame()) // SHOWN)]
        return Summary(
            f"Plan from {self.frontier.n:,} samples of the reference",
            verdict=start,
            rows=tuple(
                (
                    "reference" if row["ratio"] == 0 else f"kl {row['kl_coef']:.3g}",
                    f"quality {row['quality']:.3f} ± {row['quality_se']:.3f}, "
                    f"diversity {row['diversity']:.3f} ± {row['diversity_se']:.3f}",
                )
                for row in rows.to_dict("records")
            ),
            remarks=self.notes,
        )

    def plot(self, ax: Axes | None = None) -> Axes:
        """Predicted quality and diversity against the KL to the reference."""
        import matplotlib.pyplot as plt

        ax = ax or plt.subplots()[1]
        table = self.to_frame()
        for name in ("quality", "diversity"):
            ax.errorbar(table["kl"], table[name], 2 * table[f"{name}_se"], fmt=".-", label=name)
        ax.set(xlabel="KL to the reference, nats", title="The best that each KL allows")
        ax.legend()
        return ax


def make_plan(context: RunContext, samples: int = 2000, min_diversity: float | None = None) -> Plan:
    """The plan of a configuration from ``samples`` completions of its reference."""
    if samples < MIN_SAMPLES:
        raise BadData(f"a plan from {samples} samples; at least {MIN_SAMPLES} are needed")
    of_reference = replace(context, policy=context.reference)
    evaluation = evaluate(of_reference, 0, samples, phase=Phase.REFERENCE)
    assert evaluation.scores is not None
    groups = _groups(np.array([row["prompt"] for row in evaluation.table]))
    lengths = np.array([row["tokens"] for row in evaluation.table], float)[groups]
    front = frontier(evaluation.scores.score[groups], np.asarray(evaluation.ref_logp)[groups])
    whole = _distances(context, evaluation)
    distances = [whole[np.ix_(rows, rows)] for rows in groups]
    scale = context.recipe.knobs.reward_scale
    rows = [_expect(eta, scale, front, distances, lengths) for eta in front.table["eta"]]
    table = pd.DataFrame(rows)
    noise = float(evaluation.row["diversity_se"] or np.nan)
    noise *= float(np.sqrt(samples / context.config.eval.samples))
    warm_start = None
    if min_diversity is not None:
        warm_start = start_ratio(front, min_diversity, distances, margin=MARGIN * noise)
    notes = _notes(context, table) + ((warm_start.reason,) if warm_start else ())
    start_kl = scale / warm_start.ratio if warm_start else float("nan")
    gain = warm_start.gain if warm_start else float("nan")
    return Plan(table, front, start_kl, gain, noise, notes)


def write_plan(path: Path, plan: Plan) -> None:
    """The plan as JSON; beside a run's metrics, as ``plan.json``, the report draws the frontier."""
    write_atomically(path, json.dumps(plan.to_dict(), ensure_ascii=False) + "\n")


def _groups(prompts: npt.NDArray[Any]) -> npt.NDArray[np.intp]:
    """Row numbers by prompt, (P, n): the same number of samples of each."""
    names, index = np.unique(prompts, return_inverse=True)
    rows = [np.flatnonzero(index == g) for g in range(len(names))]
    least = min(len(r) for r in rows)
    return np.array([r[:least] for r in rows])


def _distances(context: RunContext, evaluation: Evaluation) -> Array:
    """The distances (n, n) of the completions."""
    prompts = context.task.prompts(context.config.eval.split)
    by_text = {q.text: q for q in prompts}
    of_rows = [by_text[row["prompt"]] for row in evaluation.table]
    return capabilities.distances(context.task, of_rows, evaluation.texts)


def _expect(
    eta: float, scale: float, front: Frontier, distances: list[Array], lengths: Array
) -> dict[str, float]:
    """One row of the table."""
    row = front.at(float(eta))
    supported = bool(np.isfinite(row["quality"]))
    w = front.weights(float(eta)) if supported else np.full(lengths.shape, np.nan)
    diversity = float(diversity_along(front, distances, [eta])[0]) if supported else np.nan
    error = _diversity_error(w, distances, diversity) if np.isfinite(diversity) else np.nan
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


def _diversity_error(w: Array, distances: list[Array], value: float) -> float:
    """Standard error of D: influence ψ = 2w(Σ_j w_j d_ij − D), prompts as independent parts."""
    total = 0.0
    for weights, d in zip(w, distances, strict=True):
        usable = np.isfinite(np.diag(d)) & (weights > 0)
        share = weights[usable] / weights[usable].sum()
        each = d[np.ix_(usable, usable)] @ share
        total += float(((2 * share * (each - value)) ** 2).sum())
    return float(np.sqrt(total)) / len(distances)


def _notes(context: RunContext, table: pd.DataFrame) -> tuple[str, ...]:
    recipe, notes = context.recipe, []
    if recipe.plant != "tilt":
        word = recipe.plant or "moved by no knob"
        notes.append(
            f"{recipe.name} does not settle in the tilted reference (plant: {word}): the table is "
            "what the best policy of each KL would show, a first guess for this recipe"
        )
    last = table[table["quality"].notna()].iloc[-1]
    notes.append(
        "each row is what the best policy of that KL reaches: a run stays below it in quality, "
        "mostly in diversity too"
    )
    notes.append(
        f"the samples predict policies up to a KL of {last['kl']:.2g} nats, where diversity is "
        f"{last['diversity']:.3g}; only a run shows what lies beyond"
    )
    return tuple(notes)
