"""Study 5, text: does DARLING raise quality and novelty together on open prompts?

    python studies/novelty/run.py [--quick] [--seeds 3] [--page]

DARLING beside GRPO-Unlikeliness and GRPO on the prompts of study 3, whose GRPO run is the baseline.
Answers whose sentence embeddings have a cosine of .7 say the same.
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import matplotlib
import pandas as pd
from scipy import stats

matplotlib.use("Agg")
import matplotlib.pyplot as plt

from studies.creativity.run import study_of as study_3_of
from studies.models import WEIGHTS
from studies.study import Arm, write_page
from studies.text.study import (
    COLUMNS,
    EVALUATION,
    SHARED,
    TextStudy,
    examples_table,
    run_text_study,
    tiny_study,
)

HERE = Path(__file__).resolve().parent
ARMS = (
    Arm("darling", "stories", (*SHARED, "recipe.name=darling", "recipe.kl=0.0"), "DARLING"),
    Arm(
        "unlikeliness",
        "stories",
        (*SHARED, "recipe.name=grpo_unlikeliness", "recipe.kl=0.0"),
        "GRPO-Unlikeliness",
    ),
)
LAST = 3
"""Evaluations that are averaged at the end of a run."""
CRITERION = (
    "Written before the runs: *reproduced* where, paired over three seeds and averaged over the "
    "last three evaluations, DARLING's quality less GRPO's is above −.03 and its D of meaning and "
    "its semantic classes are higher, with 95 % intervals that leave out 0; *partly* where only "
    "the diversities are; *not* otherwise."
)
PAPER = {
    "grpo": "61.1; 2.08",
    "darling": "68.8; 5.49",
    "unlikeliness": "59.5; 3.53",
}
"""ArenaHard 2 creative (quality) and distinct answers of NoveltyBench, Llama-3.1-8B, DARLING's."""


def study_of(folder: Path, scratch: Path, seeds: int = 3) -> TextStudy:
    """The whole study, in a folder."""
    return TextStudy(folder, ARMS, seeds, scratch)


def tiny(folder: Path, scratch: Path) -> TextStudy:
    """The pipeline in seconds; its figures mean nothing."""
    return tiny_study(ARMS, folder, scratch)


# ---------------------------------------------------------------------- the page


def page(study: TextStudy) -> None:
    """README.md of the study and its figure, from its runs and the GRPO runs of study 3."""
    base = study_3_of(HERE.parent / "creativity", study.scratch)
    runs = [
        ("GRPO (study 3)", base, "grpo"),
        *((arm.words, study, arm.name) for arm in study.arms),
    ]
    figure(study, runs)
    blocks = [
        "# Study 5, text: DARLING on open prompts",
        "**Question.** Does a reward of quality × semantic diversity raise both, beside GRPO and "
        "GRPO-Unlikeliness?",
        f"**Set-up.** {study.count()}, beside the GRPO runs of "
        "[study 3](../creativity/README.md): the same prompts, steps and learning rate, no KL in "
        f"any. {WEIGHTS}; {EVALUATION} DARLING's partition: a cosine of .7 of all-MiniLM-L6-v2, "
        "by chains. `python studies/novelty/run.py`.",
        CRITERION,
        f"## The mean of the last {LAST} evaluations",
        table(runs),
        "Paper: creative tasks of ArenaHard 2 and distinct answers of ten on NoveltyBench for "
        "Llama-3.1-8B, whose quality is another's: only the order compares.",
        f"**Verdict:** {verdict(study, base)}.",
        "![runs of study 5](novelty.png)",
        *(
            f"## Answers of {arm.words}\n\nSeed 0, before and after.\n\n"
            f"{examples_table(study, arm.name)}"
            for arm in study.arms
            if (arm.name, 0) in study.done()
        ),
    ]
    write_page(study.folder / "README.md", blocks)


def ends(frame: pd.DataFrame) -> pd.Series:
    """The mean of the last evaluations."""
    return frame.tail(LAST)[list(COLUMNS)].mean()


def table(runs: list[tuple[str, TextStudy, str]]) -> str:
    head = ["run", "seeds", *COLUMNS.values(), "paper: quality; distinct"]
    rows = [f"| {' | '.join(head)} |", "|" + "---|" * len(head)]
    for words, source, arm in runs:
        frames = source.frames(arm)
        if not frames:
            continue
        means = pd.DataFrame([ends(frame) for frame in frames])
        cells = [f"{means[name].mean():.2f}" for name in COLUMNS]
        rows.append(f"| {words} | {len(frames)} | {' | '.join(cells)} | {PAPER[arm]} |")
    return "\n".join(rows)


def verdict(study: TextStudy, base: TextStudy) -> str:
    """Reproduced, partly or not, by the criterion; open before every seed is there."""
    seeds = [
        s
        for s in range(study.seeds)
        if ("darling", s) in study.done() and ("grpo", s) in base.done()
    ]
    if len(seeds) < study.seeds or len(seeds) < 2:
        return f"open ({len(seeds)} of {study.seeds} seeds)"
    gaps = pd.DataFrame(
        [ends(study.frame("darling", s)) - ends(base.frame("grpo", s)) for s in seeds]
    )
    half = stats.t.ppf(0.975, len(gaps) - 1) * gaps.sem()
    low = gaps.mean() - half
    if not (low.meaning > 0 and low.distinct > 0):
        return "not"
    return "reproduced" if low.quality > -0.03 else "partly"


def figure(study: TextStudy, runs: list[tuple[str, TextStudy, str]]) -> None:
    """Quality, D of meaning and classes over the steps of every run."""
    names = ("quality", "meaning", "distinct")
    drawn, axes = plt.subplots(1, len(names), figsize=(11, 3.2), layout="constrained")
    for number, (words, source, arm) in enumerate(runs):
        for seed, frame in enumerate(source.frames(arm)):
            for axis, name in zip(axes, names, strict=True):
                label = words if seed == 0 else None
                axis.plot(frame.step, frame[name], color=f"C{number}", lw=1.2, label=label)
    for axis, name in zip(axes, names, strict=True):
        axis.set(xlabel="step", ylabel=COLUMNS[name])
    if len(axes[0].lines):
        axes[0].legend(fontsize=7, frameon=False)
    drawn.savefig(study.folder / "novelty.png", dpi=110)
    plt.close(drawn)


if __name__ == "__main__":
    run_text_study(HERE, ARMS, page, __doc__)
