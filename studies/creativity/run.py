"""Study 3: does the law hold for a language model that answers open prompts?

    python studies/creativity/run.py [--quick] [--seeds 3] [--page]

SmolLM2-135M-Instruct names unusual uses of things, tells of three things in one sentence and
invents names, and is trained by rules that can be read (``studies/text/quality.py``). Diversity is
measured by sentence embeddings, by wording and by semantic classes.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import matplotlib
import numpy as np

matplotlib.use("Agg")
import matplotlib.pyplot as plt

import qdlaws as qd
from studies.models import WEIGHTS
from studies.study import Arm, law_outcome, median_range, write_page
from studies.text.quality import KINDS
from studies.text.study import (
    EVALUATION,
    SHARED,
    TextStudy,
    ends_table,
    examples_table,
    run_text_study,
    tiny_study,
)

HERE = Path(__file__).resolve().parent
ARMS = (
    Arm("grpo", "stories", (*SHARED, "recipe.name=grpo", "recipe.kl=0.0"), "GRPO, no KL"),
    Arm("rloo", "stories", (*SHARED, "recipe.name=rloo", "recipe.kl=0.01"), "RLOO, KL .01"),
)
MEASURES = {
    "meaning": "meaning: 1 − cosine of sentence embeddings",
    "wording": "wording: 1 − cosine of words and pairs of words",
    "distinct": "semantic classes among six answers",
    "entropy": "policy entropy H",
}
CRITERION = (
    "Written before the runs: for a diversity, or for entropy, the law is *reproduced* where at "
    "least two of three seeds give a concave law and the median R² is at least .90 (72 samples an "
    "evaluation leave an error of .03 on R); *partly* where quality rises as the diversity falls "
    "in two of three seeds, with a median R² of at least .80, and the curve is straight or its "
    "shape is not known; *not* otherwise."
)


def study_of(folder: Path, scratch: Path, seeds: int = 3) -> TextStudy:
    """The whole study, in a folder."""
    return TextStudy(folder, ARMS, seeds, scratch)


def tiny(folder: Path, scratch: Path) -> TextStudy:
    """The pipeline in seconds; its figures mean nothing."""
    return tiny_study(ARMS, folder, scratch)


# ---------------------------------------------------------------------- the page


def page(study: TextStudy) -> None:
    """README.md of the study and its figure, from the finished runs."""
    laws = {(arm.name, m): laws_of(study, arm.name, m) for arm in study.arms for m in MEASURES}
    figure(study, laws)
    blocks = [
        "# Study 3: a language model on open prompts",
        "**Question.** When a language model is trained on open prompts, does quality follow "
        "R = b − a·exp(c·D), and for which diversity? Does it in entropy?",
        f"**Set-up.** {study.count()}. `python studies/creativity/run.py` trains {WEIGHTS}, on 56 "
        "prompts of three kinds: an unusual use of a thing, one sentence with three words asked "
        "for, the name of a product. A step has 4 prompts × 8 answers of at most 16 tokens, "
        f"temperature 0.8, learning rate 1e-4 for the last 8 of 30 layers, 39 steps; {EVALUATION}",
        CRITERION,
        "**Quality** is a product of rules between 0 and 1, all of them in "
        "[quality.py](../text/quality.py): one finished sentence, the right number of words, no "
        "long word twice, and what the prompt wants (a use that names the thing, serves *as* or "
        "*to* something, and none of the words of its ordinary use; the words asked for, in more "
        "than a list; capitalised words without the ordinary name). No model judges; what rules "
        "cannot see is sense, so read the answers below.",
        "## Quality on diversity and entropy",
        law_table(study, laws),
        "R² is that of the curve over the readings. Meaning: 1 − cosine of all-MiniLM-L6-v2. "
        "Semantic classes: answers whose cosine is at least .7 are one class, by chains. All are "
        "taken within a prompt, duplicates kept, and averaged over the twelve.",
        "Of the three runs without KL: quality rises from .12 to .76, .69 and .65 while diversity "
        "falls, but each seed goes its own way. At a quality of .6 D of meaning is .30 in the "
        "first, .54 in the second, .59 in the third: the first learns one pattern for each kind of "
        "prompt (names end as a single word, *Echo.*, uses as *can serve as a tool*, which the "
        "rules cannot tell from an idea), the third gains nearly as much while six answers stay "
        "five different ones. So along a run one curve carries most of the change, and in the run "
        "that collapses nearly all of it, but the curve is that of the run, not of the model and "
        "the task. No c is told from 0; where diversity hardly moves no law is seen. With RLOO and "
        "a KL of .01 quality rises as far and diversity falls less, up and down on the way: no law "
        "in a diversity is supported but in one seed, and entropy orders the readings best.",
        "## By kind of prompt, quality on D of meaning",
        kind_table(study),
        "## From the first evaluation to the last",
        ends_table(study, KINDS),
        "![laws of study 3](laws.png)",
        "Red: the laws, dotted where unsupported; a mark is a seed.",
        "## Answers",
        *(
            f"{arm.words}, seed 0: of three prompts the answer of median quality, before and "
            f"after.\n\n{examples_table(study, arm.name)}"
            for arm in study.arms
            if (arm.name, 0) in study.done()
        ),
        "## What differs from the paper",
        "The text tasks and models of the paper's revision could not be read, so tasks, scorer "
        "and model are ours; its one quoted R², .996, is of molecules. The model is small and its "
        "weights went through 4 bits; it is trained for minutes, on answers of one sentence.",
    ]
    write_page(study.folder / "README.md", blocks)


def laws_of(study: TextStudy, arm: str, measure: str, kind: str = "") -> list[Any]:
    """The law of quality on one measure in every finished seed that has one."""
    fitted = []
    for seed in range(study.seeds):
        if (arm, seed) not in study.done():
            continue
        diversity = "meaning" if measure == "entropy" else measure
        try:
            fits = qd.fit(study.log(arm, seed, diversity, f"{kind}_" if kind else ""))
        except qd.QdlawsError:
            continue
        law = fits.rh if measure == "entropy" else fits.rd
        if law is not None:
            fitted.append(law)
    return fitted


def figures_of(laws: list[Any]) -> tuple[int, str, str, str]:
    """Number, R², c and verdicts of the laws of several seeds."""
    facts = [law.to_dict() for law in laws]
    c = median_range([f["params"].get("c", {}).get("mid") or np.nan for f in facts], 2)
    verdicts = ", ".join(law.verdict for law in laws) or "–"
    return len(laws), median_range([f["r2"] for f in facts]), c, verdicts


def law_table(study: TextStudy, laws: dict[tuple[str, str], list[Any]]) -> str:
    rows = [
        "| run | quality on | seeds | R² | c | verdicts | paper | verdict |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for arm in study.arms:
        for measure, words in MEASURES.items():
            some = laws[arm.name, measure]
            paper = "exponential" if measure == "entropy" else ".996 (molecules)"
            end = law_outcome(some, len(study.frames(arm.name)), study.seeds)
            cells = (arm.words, words, *figures_of(some), paper, end)
            rows.append(f"| {' | '.join(map(str, cells))} |")
    return "\n".join(rows)


def kind_table(study: TextStudy) -> str:
    rows = ["| run | prompts | seeds | R² | c | verdicts |", "|---|---|---|---|---|---|"]
    for arm in study.arms:
        for kind in KINDS:
            some = laws_of(study, arm.name, "meaning", kind)
            if some:
                cells = (arm.words, kind, *figures_of(some))
                rows.append(f"| {' | '.join(map(str, cells))} |")
    return "\n".join(rows)


def figure(study: TextStudy, laws: dict[tuple[str, str], list[Any]]) -> None:
    """Readings, coloured by step, and the laws of seed 0: one row an arm, one column a measure."""
    arms = [arm for arm in study.arms if (arm.name, 0) in study.done()]
    if not arms:
        return
    size = (11, 2.7 * len(arms) + 0.3)
    drawn, axes = plt.subplots(
        len(arms), len(MEASURES), figsize=size, squeeze=False, sharey="row", layout="constrained"
    )
    points = None
    for row, arm in zip(axes, arms, strict=True):
        for axis, (measure, words) in zip(row, MEASURES.items(), strict=True):
            column = "entropy_mean" if measure == "entropy" else measure
            for seed, frame in enumerate(study.frames(arm.name)):
                axis.plot(frame[column], frame.quality, "-", color="0.8", lw=0.7, zorder=1)
                points = axis.scatter(
                    frame[column], frame.quality, c=frame.step, s=16, marker="os^"[seed % 3]
                )
            for law in laws[arm.name, measure]:
                curve = law.predict(np.linspace(*law.range, 200))
                style = ":" if law.verdict == "unsupported" else "-"
                axis.plot(curve.x, curve.mid, style, color="C3", lw=1.2)
            axis.set_xlabel(words.partition(":")[0])
            axis.invert_xaxis()
        row[0].set_ylabel(f"quality R\n{arm.words}")
    drawn.colorbar(points, ax=axes, label="step")
    drawn.savefig(study.folder / "laws.png", dpi=110)
    plt.close(drawn)


if __name__ == "__main__":
    run_text_study(HERE, ARMS, page, __doc__)
