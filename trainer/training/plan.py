"""Before the first step: what to expect at which KL strength, from samples of the prior alone.

With η = reward_scale/kl and weights w ∝ exp(ηR) over n reference samples, the tilted reference,
the best policy of its KL, has

    R = Σ wR,   KL = log n + Σ w log w,   D = Σ_{i≠j} w_i w_j d_ij / (1 − Σ w²),
    H = (−Σ w log π_ref − KL) / Σ w·length

(the entropy of a completion is the sum of the entropies along it, so H is its mean per token).
That is a bound. What a run gets of it is predicted from how far other runs ended below their tilt
(:mod:`trainer.training.shortfall`), for recipes that are drawn to the tilt (plant ``tilt``).
Where fewer than 20 effective samples are left all is NaN: a first guess, not a map.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
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
from qdlaws.kl_frontier.warm_start import Start, diversity_along, start_ratio
from trainer.tasks import capabilities
from trainer.training.context import Phase, RunContext
from trainer.training.evaluation import Evaluation, evaluate
from trainer.training.shortfall import Shortfall, bundled_shortfall

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["Plan", "make_plan", "tilts", "write_plan"]

Array = npt.NDArray[np.float64]
MIN_SAMPLES = 50
"""With fewer samples nothing can be predicted of any policy but the reference."""
SHOWN = 8
"""About how many strengths a summary shows."""
SHOWN_COLUMNS = ("quality", "diversity")
DOUBT = 0.5
"""Standard errors of the predicted diversity that are left at a start."""
MARGIN = 2.0
"""Standard errors of an evaluation by which a start lies above the floor."""


@dataclass(frozen=True, eq=False, repr=False)
class Plan(Result):
    """What a run of each KL strength gets, and the best that its KL allows, from reference samples.

    Attributes
    ----------
    table : a row a strength: the bound ``quality, diversity, entropy, kl`` with their ``_se`` and,
        where runs of the recipe are drawn to it, ``run_quality, run_diversity`` with their ``_se``
    frontier : the same samples as :class:`qdlaws.kl_frontier.frontier.Frontier`
    start_kl : the strength to begin with for the goal; NaN where the samples do not reach it
    gain : −dD/du there, u = log(reward_scale/kl); NaN where the samples do not reach the floor
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
            rows=tuple((_strength(row), _row_words(row)) for row in rows.to_dict("records")),
            remarks=self.notes,
        )

    def plot(self, ax: Axes | None = None) -> Axes:
        """What runs get and the bound, quality and diversity against the KL of the bound."""
        import matplotlib.pyplot as plt

        ax = ax or plt.subplots()[1]
        table = self.to_frame()
        of_runs = "run_quality" in table
        for name in SHOWN_COLUMNS:
            label, style = (f"{name}, the bound", "--") if of_runs else (name, "-")
            (line,) = ax.plot(table["kl"], table[name], ls=style, label=label)
            if of_runs:
                color = line.get_color()
                middle, error = table[f"run_{name}"], 2 * table[f"run_{name}_se"]
                ax.plot(table["kl"], middle, c=color, label=f"{name}, what runs get")
                ax.fill_between(table["kl"], middle - error, middle + error, alpha=0.2, color=color)
        ax.set(xlabel="KL of the best policy to the reference, nats", title="What each KL brings")
        ax.legend()
        return ax


def _strength(row: dict[Any, Any]) -> str:
    return "reference" if row["ratio"] == 0 else f"kl {row['kl_coef']:.3g}"


def _row_words(row: dict[Any, Any]) -> str:
    """What a run gets and the bound; the bound alone where no runs say more."""
    if row["ratio"] == 0 or not np.isfinite(row.get("run_quality", np.nan)):
        return ", ".join(f"{n} {row[n]:.3f} ± {row[n + '_se']:.3f}" for n in SHOWN_COLUMNS)
    runs = (f"{n} {row['run_' + n]:.3f} ± {row[f'run_{n}_se']:.3f}" for n in SHOWN_COLUMNS)
    return f"{', '.join(runs)} (bound {row['quality']:.3f}, {row['diversity']:.3f})"


@dataclass(frozen=True, eq=False)
class _Sampled:
    """Samples of the reference: their frontier, distances and lengths, by prompt."""

    frontier: Frontier
    distances: list[Array]
    lengths: Array
    diversity_se: float


def make_plan(context: RunContext, samples: int = 2000, min_diversity: float | None = None) -> Plan:
    """The plan of a configuration from ``samples`` completions of its reference."""
    if samples < MIN_SAMPLES:
        raise BadData(f"a plan from {samples} samples; at least {MIN_SAMPLES} are needed")
    sampled = _sample(context, samples)
    front, scale = sampled.frontier, context.recipe.knobs.reward_scale
    table = pd.DataFrame([_expect(float(eta), scale, sampled) for eta in front.table["eta"]])
    shortfall = bundled_shortfall() if context.recipe.plant == "tilt" else None
    if shortfall is not None:
        table = _with_runs(table, shortfall)
    noise = sampled.diversity_se * float(np.sqrt(samples / context.config.eval.samples))
    start = None
    if min_diversity is not None:
        start = start_ratio(front, min_diversity, sampled.distances, margin=MARGIN * noise)
        if shortfall is not None:
            start = _start_of_runs(table, min_diversity, MARGIN * noise) or start
    notes = _notes(context, table, shortfall) + ((start.reason,) if start else ())
    start_kl = scale / start.ratio if start else float("nan")
    return Plan(table, front, start_kl, start.gain if start else float("nan"), noise, notes)


def tilts(
    context: RunContext, strengths: Sequence[float], samples: int = 2000
) -> list[dict[str, float]]:
    """The rows of a plan's bound for KL strengths, infinity being the reference itself."""
    sampled, scale = _sample(context, samples), context.recipe.knobs.reward_scale
    return [_expect(scale / kl, scale, sampled) for kl in strengths]


def _sample(context: RunContext, samples: int) -> _Sampled:
    of_reference = replace(context, policy=context.reference)
    evaluation = evaluate(of_reference, 0, samples, phase=Phase.REFERENCE)
    assert evaluation.scores is not None
    groups = _groups(np.array([row["prompt"] for row in evaluation.table]))
    whole = _distances(context, evaluation)
    return _Sampled(
        frontier(evaluation.scores.score[groups], np.asarray(evaluation.ref_logp)[groups]),
        [whole[np.ix_(rows, rows)] for rows in groups],
        np.array([row["tokens"] for row in evaluation.table], float)[groups],
        float(evaluation.row["diversity_se"] or np.nan),
    )


def _with_runs(table: pd.DataFrame, shortfall: Shortfall) -> pd.DataFrame:
    """The table with what runs get of the bound; the reference itself is as it is."""
    table, kl, first = table.copy(), table["kl"].to_numpy(float), table.iloc[0]
    for name, of_runs in (("quality", shortfall.quality), ("diversity", shortfall.diversity)):
        middle, error = of_runs(kl, float(first[name]), table[name].to_numpy(float))
        table[f"run_{name}"] = middle
        table[f"run_{name}_se"] = np.hypot(error, table[f"{name}_se"])
    return table


def _start_of_runs(table: pd.DataFrame, floor: float, margin: float) -> Start | None:
    """The largest ratio at which runs hold the floor, a margin and half the prediction's error.

    None where not even the smallest of the table does.
    """
    usable = table[table["run_diversity"].notna() & (table["ratio"] > 0)]
    lowest = (usable["run_diversity"] - DOUBT * usable["run_diversity_se"]).to_numpy(float)
    below = np.flatnonzero(lowest < floor + margin)
    count = int(below[0]) if len(below) else len(usable)
    if not count:
        return None
    u = np.log(usable["ratio"].to_numpy(float))
    levels = usable["run_diversity"].to_numpy(float)
    before = float(np.interp(u[count - 1] - 0.5, u, levels))
    gain = (before - levels[count - 1]) / 0.5 if len(below) else np.nan
    ratio, diversity = float(usable["ratio"].iloc[count - 1]), float(levels[count - 1])
    words = f"start at a reward scale/KL of {ratio:.3g} (predicted diversity {diversity:.3g})"
    if not len(below):
        words = f"the samples do not reach down to a diversity of {floor:g}; {words} and adjust"
    return Start(ratio, diversity, gain if gain > 0 else float("nan"), len(below) > 0, words)


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


def _expect(eta: float, scale: float, sampled: _Sampled) -> dict[str, float]:
    """One row of the table: the tilted reference at one ratio."""
    front, distances, lengths = sampled.frontier, sampled.distances, sampled.lengths
    row = front.at(eta)
    supported = bool(np.isfinite(row["quality"]))
    w = front.weights(eta) if supported else np.full(lengths.shape, np.nan)
    diversity = float(diversity_along(front, distances, [eta])[0]) if supported else np.nan
    error = _diversity_error(w, distances, diversity) if np.isfinite(diversity) else np.nan
    length = float((w * lengths).sum(1).mean())
    return {
        "kl_coef": scale / eta if eta > 0 else np.inf,
        "ratio": eta,
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


def _notes(
    context: RunContext, table: pd.DataFrame, shortfall: Shortfall | None
) -> tuple[str, ...]:
    recipe, notes = context.recipe, []
    if shortfall is None:
        word = recipe.plant or "moved by no knob"
        notes.append(
            f"{recipe.name} does not settle in the tilted reference (plant: {word}): the table is "
            "a bound, what the best policy of each KL reaches, and no run gets there"
        )
    else:
        notes.append(
            f"what runs get is learnt from {shortfall.runs} runs of 240 steps in "
            f"{shortfall.settings} settings of the bundled priors (benchmarks/plan_runs.py), "
            "which ended below the best policy of their KL, the bound"
        )
    last = table[table["quality"].notna()].iloc[-1]
    notes.append(
        f"the samples tell of policies up to a KL of {last['kl']:.2g} nats, where the bound has a "
        f"diversity of {last['diversity']:.3g}; only a run shows what lies beyond"
    )
    return tuple(notes)
