"""Study 8, molecules: the recipes that take graded scores, on one table.

    python studies/recipes/run.py [--quick] [--seeds 3] [--page]

One set-up (QED, prior of 60,000 weights) and one learning rate for all. Recipes that need answers
that are right or wrong, or many prompts, are on the table of arithmetic (``studies/entropy``).
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np

from studies.study import COMMON, Arm, Study, mean_spread, not_run, run_study, table, write_page

HERE = Path(__file__).resolve().parent
STEPS = 80
SHARED = (
    *COMMON,
    "policy.model=molecules-60k",
    "task.objective=qed",
    f"train.steps={STEPS}",
    "train.lr=1e-3",
    "eval.every=8",
    "eval.samples=200",
)


def arm(name: str, words: str, *settings: str) -> Arm:
    """A recipe in the set-up."""
    return Arm(name, "demo", (*SHARED, f"recipe.name={name}", *settings), words)


ARMS = (
    arm("grpo", "GRPO, no KL", "recipe.kl=0.0"),
    arm("rloo", "RLOO, KL .001", "recipe.kl=0.001"),
    arm("darling", "DARLING, same molecule", "recipe.kl=0.0"),
    arm("mara", "MARA, KL .03, τ .8", "recipe.kl=0.03"),
    arm("rs_grpo", "RS-GRPO, β 2", "recipe.kl=0.0"),
    arm("ips_grpo", "IPS-GRPO", "recipe.kl=0.0"),
    arm("flowrl", "FlowRL, scale 15", "recipe.kl=none"),
    arm("outcome_exploration", "outcome exploration, c .2", "recipe.weight=0.2", "recipe.kl=0.0"),
    arm("entropy_bonus", "entropy bonus .01", "recipe.kl=none"),
    arm("reinvent", "REINVENT, σ 60, filter", "recipe.kl=1.0", "recipe.reward_scale=60.0"),
    arm("reinvent_mara", "REINVENT + MARA, σ 60", "recipe.kl=1.0", "recipe.reward_scale=60.0"),
    arm("dapo", "DAPO", "recipe.kl=none"),
)
KEPT = ("darling", "mara", "rs_grpo", "ips_grpo", "flowrl", "outcome_exploration", "entropy_bonus",
        "reinvent", "reinvent_mara")  # fmt: skip
"""Recipes whose papers say that they keep diversity."""
PAPER = {
    "darling": "arXiv 2509.02534: quality and diversity up (text, code)",
    "mara": "arXiv 2510.20817, Table 2b: Yield and #Circles up",
    "rs_grpo": "arXiv 2509.24261: pass@k up",
    "ips_grpo": "arXiv 2601.21669, abstract: no collapse",
    "flowrl": "arXiv 2509.15207: more strategies than GRPO",
    "outcome_exploration": "arXiv 2509.06941, abstract: diversity kept",
    "reinvent_mara": "arXiv 2510.20817, Table 2b: Yield up",
}
CRITERION = (
    "Written before the runs. A recipe *keeps diversity* here where its D, at the first evaluation "
    "at which it has reached nine tenths of the gain of GRPO of the same seed, is above GRPO's at "
    "that same quality, with a 95 % interval over three seeds that leaves out 0. D alone at the "
    "end says little: a slower run has more of it."
)


def study_of(folder: Path, scratch: Path, seeds: int = 3) -> Study:
    """The whole study, in a folder."""
    return Study(folder, ARMS, seeds, scratch)


FEW = ("train.steps=4", "train.samples=8", "eval.every=1", "eval.samples=16")


def tiny(folder: Path, scratch: Path) -> Study:
    """The pipeline in seconds; its figures mean nothing."""
    return study_of(folder, scratch).small(*FEW, arms=2)


# ---------------------------------------------------------------------- the page


def page(study: Study) -> None:
    """README.md of the study and its figure, from the finished runs."""
    figure(study)
    blocks = [
        "# Study 8, molecules: the recipes on one table",
        "**Question.** Under one set-up, which of the published recipes keeps more different "
        "molecules at the same quality than GRPO does?",
        f"**Set-up.** {study.count()}. `python studies/recipes/run.py`: QED, prior of 60 k "
        f"weights, {STEPS} steps of 64 molecules, learning rate 1e-3 for all; 200 fresh molecules "
        "every 8 steps. The other recipes are on the table of "
        "[arithmetic](../entropy/README.md): they need answers that are right or wrong, or many "
        "prompts.",
        CRITERION,
        "## At the end of the runs",
        final(study),
        "Mean over seeds ± standard error; *different* is the share of molecules that are no "
        "duplicates; D counts duplicates.",
        "## D less that of GRPO at the same quality",
        beside(study),
        "Between readings by a straight line, paired by seed. The first is the criterion's; a "
        "slow recipe does not get there. The second compares at the mean quality of the recipe's "
        "last three evaluations.",
        f"**Verdict.** {verdict(study)}",
        "![quality against diversity](recipes.png)",
        "## What differs from the papers",
        "Most of the papers train language models on text, code or mathematics; here one small "
        "model of molecules and QED. One learning rate and each recipe's usual strength: nothing "
        "was tuned for any of them.",
    ]
    write_page(study.folder / "README.md", blocks)


def final(study: Study) -> str:
    rows, waiting = [], []
    for each in study.arms:
        names = ("quality", "diversity", "diversity_unique", "unique_share", "entropy", "kl")
        values = [list(study.values(each.name, name).values()) for name in names]
        if not values[0]:
            waiting.append(each.words)
            continue
        cells = [mean_spread(v) for v in values]
        rows.append([each.words, str(len(values[0])), *cells, PAPER.get(each.name, "–")])
    heads = ["reward", "D", "D of different molecules", "different", "entropy", "KL"]
    return table(["recipe", "seeds", *heads, "paper"], rows) + not_run(waiting)


def kept(study: Study, name: str) -> dict[int, float]:
    """seed → D less GRPO's at nine tenths of GRPO's gain; NaN where that is not reached."""
    found = {}
    for seed in range(study.seeds):
        if ("grpo", seed) not in study.done() or (name, seed) not in study.done():
            continue
        base = study.frame("grpo", seed)
        first = base.quality.iloc[0]
        level = first + 0.9 * (base.quality.max() - first)
        found[seed] = crossing(study.frame(name, seed), level) - crossing(base, level)
    return found


def crossing(frame: Any, level: float) -> float:
    """D where quality first reaches a level, between two readings by a straight line."""
    quality, diversity = frame.quality.to_numpy(), frame.diversity.to_numpy()
    above = np.flatnonzero(quality >= level)
    if not len(above):
        return float("nan")
    after = int(above[0])
    if after == 0:
        return float(diversity[0])
    pair = slice(after - 1, after + 1)
    return float(np.interp(level, quality[pair], diversity[pair]))


def kept_at_the_end(study: Study, name: str) -> dict[int, float]:
    """seed → D less GRPO's at the quality of the recipe's last three evaluations."""
    found = {}
    for seed in range(study.seeds):
        if ("grpo", seed) not in study.done() or (name, seed) not in study.done():
            continue
        last = study.frame(name, seed).tail(3)
        base = crossing(study.frame("grpo", seed), last.quality.mean())
        found[seed] = float(last.diversity.mean()) - base
    return found


def interval(gaps_of: dict[int, float]) -> tuple[float, float, float, int]:
    """Mean, 95 % t interval and number of seeds of what the recipe keeps."""
    from scipy import stats

    gaps = np.array([gap for gap in gaps_of.values() if gap == gap])
    if not len(gaps):
        return float("nan"), float("nan"), float("nan"), 0
    half = stats.t.ppf(0.975, len(gaps) - 1) * stats.sem(gaps) if len(gaps) > 1 else float("nan")
    return float(gaps.mean()), float(gaps.mean() - half), float(gaps.mean() + half), len(gaps)


def beside(study: Study) -> str:
    rows = []
    for each in study.arms:
        pairs = len(kept(study, each.name))
        if each.name == "grpo" or not pairs:
            continue
        reached = kept(study, each.name)
        seeds = interval(reached)[-1]
        cells = [words_of(reached, "not reached"), words_of(kept_at_the_end(study, each.name), "–")]
        rows.append([each.words, f"{seeds} of {pairs}", *cells])
    heads = ["at nine tenths of GRPO's gain", "at the quality that the recipe ends at"]
    return table(["recipe", "seeds that reach nine tenths", *heads], rows)


def words_of(gaps: dict[int, float], none: str) -> str:
    """``+.12 [+.08, +.16]``."""
    mean, low, high, seeds = interval(gaps)
    if not seeds:
        return none
    return f"{mean:+.3f}" + (f" [{low:+.3f}, {high:+.3f}]" if low == low else "")


def verdict(study: Study) -> str:
    words = []
    for name in KEPT:
        pairs = len(kept(study, name))
        if pairs < study.seeds:
            words.append(f"{name}: open ({pairs} of {study.seeds} seeds)")
            continue
        _, low, _, seeds = interval(kept(study, name))
        keeps = seeds == study.seeds and low > 0
        words.append(f"{name}: {'keeps diversity' if keeps else 'not shown'}")
    return "; ".join(words) + "."


def figure(study: Study) -> None:
    """R on D along the first seed of every recipe."""
    shown = [each for each in study.arms if study.frames(each.name)]
    drawn, axis = plt.subplots(figsize=(7.4, 4.2), layout="constrained")
    for number, each in enumerate(shown):
        frame = study.frames(each.name)[0]
        style = "o-" if each.name == "grpo" else ".-"
        color = plt.cm.tab20(number % 20)
        axis.plot(frame.diversity, frame.quality, style, ms=4, lw=1, color=color, label=each.words)
    axis.invert_xaxis()
    axis.set_xlabel("diversity D (duplicates kept)")
    axis.set_ylabel("reward R (QED)")
    if shown:
        axis.legend(fontsize=7, frameon=False, loc="center left", bbox_to_anchor=(1, 0.5))
    drawn.savefig(study.folder / "recipes.png", dpi=110)
    plt.close(drawn)


if __name__ == "__main__":
    run_study(study_of(HERE, Path()), page, __doc__, FEW, 2)
