"""Study 3, beside the language model: the law on the bundled stories prior.

    python studies/stories/run.py [--quick] [--seeds 3] [--page]

A prior of short stories is trained by GRPO without a KL on grammar, coherence and length, rules
that the task prints. Diversity is that of wording, within a prompt.
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

import qdlaws as qd
from studies.study import (
    COMMON,
    Arm,
    Study,
    law_outcome,
    median_range,
    run_study,
    table,
    write_page,
)

HERE = Path(__file__).resolve().parent
ARMS = (
    Arm(
        "grpo",
        "stories",
        (
            *COMMON, "recipe.name=grpo", "recipe.kl=0.0", "train.steps=120", "train.samples=8",
            "train.lr=1e-3", "eval.every=4", "eval.samples=128",
        ),
        "GRPO, no KL",
    ),
)  # fmt: skip
MEASURES = {
    "diversity_wording": "wording: 1 − cosine of words and pairs of words",
    "diversity": "share of pairs that are not the same story",
    "entropy": "policy entropy H, nats a token",
}
CRITERION = (
    "Written before the runs, as for the language model of study 3: the law is *reproduced* where "
    "at least two of three seeds give a concave law and the median R² is at least .90; *partly* "
    "where quality rises as the measure falls in two of three seeds, with a median R² of at least "
    ".80, and the curve is straight or its shape is not known; *not* otherwise."
)


def study_of(folder: Path, scratch: Path, seeds: int = 3) -> Study:
    """The whole study, in a folder."""
    return Study(folder, ARMS, seeds, scratch)


FEW = ("train.steps=4", "train.prompts=2", "train.samples=4", "eval.every=1", "eval.samples=8",
       "eval.prompts=2", "train.limit=100")  # fmt: skip


def tiny(folder: Path, scratch: Path) -> Study:
    """The pipeline in seconds; its figures mean nothing."""
    return study_of(folder, scratch).small(*FEW, arms=1)


# ---------------------------------------------------------------------- the page


def page(study: Study) -> None:
    """README.md of the study and its figure, from the finished runs."""
    laws = {measure: laws_of(study, measure) for measure in MEASURES}
    figure(study, laws)
    blocks = [
        "# Study 3, beside the language model: the stories prior",
        "**Question.** Does R = b − a·exp(c·D) hold along a run of a small model of stories, whose "
        "answers are whole paragraphs, and for which diversity?",
        f"**Set-up.** {study.count()}. `python studies/stories/run.py`: prior `stories`, GRPO "
        "without a KL, 120 steps of 8 prompts × 8 stories of at most 160 tokens, learning rate "
        "1e-3; every 4 steps 128 fresh stories to 16 prompts. Quality is the mean of three rules "
        "of the task: grammar, coherence, length. Fits are `qdlaws.fit`'s.",
        CRITERION,
        "## Quality on diversity and entropy",
        law_table(study, laws),
        "R² is that of the curve over the readings; brackets are the lowest and highest seed.",
        "## From the first evaluation to the last",
        ends(study),
        "![laws of the stories prior](laws.png)",
        "## What differs from the paper",
        "The text tasks of the paper could not be read; its one quoted R², .996, is of molecules. "
        "The prior is small, and rules cannot see whether a story makes sense.",
    ]
    write_page(study.folder / "README.md", blocks)


def laws_of(study: Study, measure: str) -> list[Any]:
    """The law of quality on one measure in every finished seed that has one."""
    fitted = []
    for seed in range(study.seeds):
        if ("grpo", seed) not in study.done():
            continue
        diversity = "diversity" if measure == "entropy" else measure
        try:
            fits = qd.fit(study.log("grpo", seed, diversity))
        except qd.QdlawsError:
            continue
        law = fits.rh if measure == "entropy" else fits.rd
        if law is not None:
            fitted.append(law)
    return fitted


def law_table(study: Study, laws: dict[str, list[Any]]) -> str:
    rows = []
    for measure, words in MEASURES.items():
        facts = [law.to_dict() for law in laws[measure]]
        rows.append([
            words, str(len(facts)), median_range([f["r2"] for f in facts]),
            median_range([f["params"].get("c", {}).get("mid") or np.nan for f in facts], 2),
            ", ".join(law.verdict for law in laws[measure]) or "–",
            "exponential" if measure == "entropy" else ".996 (molecules)",
            law_outcome(laws[measure], len(study.frames("grpo")), study.seeds),
        ])  # fmt: skip
    return table(["quality on", "seeds", "R²", "c", "verdicts", "paper", "verdict"], rows)


def ends(study: Study) -> str:
    names = {
        "quality": "quality",
        "diversity_wording": "D of wording",
        "diversity": "pairs that differ",
        "entropy": "H",
    }
    rows = []
    for seed, frame in enumerate(study.frames("grpo")):
        cells = [f"{frame[n].iloc[0]:.2f} → {frame[n].iloc[-1]:.2f}" for n in names]
        rows.append([str(seed), *cells])
    return table(["seed", *names.values()], rows)


def figure(study: Study, laws: dict[str, list[Any]]) -> None:
    """Readings, coloured by step, and the laws of all seeds: one column a measure."""
    drawn, axes = plt.subplots(1, len(MEASURES), figsize=(10.5, 3.2), sharey=True, squeeze=False)
    points = None
    for axis, (measure, words) in zip(axes[0], MEASURES.items(), strict=True):
        for seed, frame in enumerate(study.frames("grpo")):
            points = axis.scatter(
                frame[measure], frame.quality, c=frame.step, s=14, marker="os^"[seed % 3]
            )
        for law in laws[measure]:
            if law.verdict == "unsupported":
                continue
            curve = law.predict(np.linspace(*law.range, 200))
            axis.plot(curve.x, curve.mid, color="C3", lw=1.2)
        axis.set_xlabel(words.partition(":")[0])
        axis.invert_xaxis()
    axes[0, 0].set_ylabel("quality R")
    if points is not None:
        drawn.colorbar(points, ax=axes, label="step")
    drawn.savefig(study.folder / "laws.png", dpi=110, bbox_inches="tight")
    plt.close(drawn)


if __name__ == "__main__":
    run_study(study_of(HERE, Path()), page, __doc__, FEW, 1)
