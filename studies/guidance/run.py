"""Study 4: a floor of semantic diversity held on a language model, and mixtures of checkpoints.

    python studies/guidance/run.py [--quick] [--seeds 3] [--page]

The law-guided controller turns the KL strength so that D of meaning stays at a floor, beside fixed
strengths; the runs without a floor are those of study 3. The paper's third hint, a mixture of
policies, is worked out exactly from the samples of study 3.
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import matplotlib
import numpy as np
import pandas as pd

matplotlib.use("Agg")
import matplotlib.pyplot as plt

import qdlaws as qd
from studies.creativity.run import study_of as study_3_of
from studies.models import WEIGHTS
from studies.study import Arm, Study, median_range, table, write_page
from studies.text.study import (
    EVALUATION,
    SHARED,
    TextStudy,
    examples_table,
    run_text_study,
    tiny_study,
)

HERE = Path(__file__).resolve().parent
FLOOR = 0.5
"""Of D of meaning; the model begins at about .68, and GRPO without a floor comes below .40."""
STEPS = 27
RLOO = (*SHARED, "recipe.name=rloo", "recipe.kl=0.1", f"train.steps={STEPS}")
GUIDED = ("control.name=law_guided", f"control.min_diversity={FLOOR}", "control.gain=0.3")
ARMS = (
    Arm("guided", "stories", (*RLOO, *GUIDED), f"law-guided, floor {FLOOR}"),
    Arm("strong", "stories", RLOO, "RLOO, KL .1"),
)
ABLATIONS = HERE.parent / "ablations"
SIZES = {"base": "60 k", "size-250k": "250 k", "size-1m": "1 M"}
START = ("quality", "diversity", "entropy")
BESIDE = ("grpo", "rloo")
"""Runs of study 3 that stand beside them."""
CRITERION = (
    "Written before the runs: the floor is *held* where the last three evaluations of a run "
    "average at the floor or above, less two standard errors, and fewer than one evaluation in ten "
    "lies below it by more than two. The run is worth its control where its quality at the end is "
    "higher than that of every fixed strength that held the floor too. A mixture is *above the "
    "curve* where its quality exceeds that of the run's own readings at the same diversity in at "
    "least two of three seeds."
)


def study_of(folder: Path, scratch: Path, seeds: int = 3) -> TextStudy:
    """The whole study, in a folder."""
    return TextStudy(folder, ARMS, seeds, scratch)


def tiny(folder: Path, scratch: Path) -> TextStudy:
    """The pipeline in seconds; its figures mean nothing."""
    return tiny_study(ARMS, folder, scratch)


# ---------------------------------------------------------------------- the page


def page(study: TextStudy) -> None:
    """README.md of the study and its figure, from the finished runs of this study and study 3."""
    beside = study_3_of(HERE.parent / "creativity", study.scratch)
    runs = [
        (arm.words, source, arm.name)
        for source, arms in ((study, study.arms), (beside, beside.arms))
        for arm in arms
        if source is study or arm.name in BESIDE
    ]
    figure(study, runs)
    blocks = [
        "# Study 4: guidance on a language model",
        "**Question.** Can a run be told how much diversity of meaning to keep, in place of a KL "
        "strength? Does a mixture of checkpoints lie above the curve of a run, as the paper hints?",
        f"**Set-up.** {study.count()}, beside runs of [study 3](../creativity/README.md) with the "
        f"same prompts and learning rate. {WEIGHTS}; {EVALUATION} The law-guided run begins "
        f"at KL .1 and turns reward scale / KL at every evaluation to hold D of meaning at "
        f"{FLOOR} or above; of the runs of study 3 the first {STEPS} steps count. `python "
        "studies/guidance/run.py`.",
        CRITERION,
        "## The floor",
        floor_table(runs),
        "Quality and D are means of the last three evaluations; *below* counts evaluations that "
        "lie below the floor by more than two standard errors (of samples, prompts held fixed).",
        "![runs of study 4](floor.png)",
        "## The paper's hints",
        "The paper could not be read; a reviewer names three hints.",
        "*Pre-training moves the start of the curve.* The same run of study 2 from three sizes of "
        "the prior, which learned from the same molecules:",
        prior_table(),
        "*The law is general.* In entropy it is so over algorithms: at equal entropy 24 recipes "
        "are within .03 of GRPO's reward in [study 8](../entropy/README.md). Over objectives and "
        "sizes each has its own curve ([study 1](../law/README.md), "
        "[study 2](../ablations/README.md)), and so has each seed of a language model "
        "([study 3](../creativity/README.md)).",
        "*Mixtures or ensembles of policies lie above the curve.* A mixture draws each answer from "
        "the first evaluation's policy or from a later one's; its quality and diversity follow "
        "exactly from those of the two and from the distance between them.",
        mixture_table(beside),
        *(
            f"## Answers\n\nLaw-guided, seed 0, before and after.\n\n{examples_table(study, name)}"
            for name in ("guided",)
            if (name, 0) in study.done()
        ),
    ]
    write_page(study.folder / "README.md", blocks)


def floor_table(runs: list[tuple[str, TextStudy, str]]) -> str:
    rows = [
        "| run | seeds | quality at the end | D of meaning at the end | below | floor held |",
        "|---|---|---|---|---|---|",
    ]
    for words, source, arm in runs:
        frames = first_steps(source, arm)
        if not frames:
            continue
        quality = median_range([f.quality.tail(3).mean() for f in frames], 2)
        level = median_range([f.meaning.tail(3).mean() for f in frames], 2)
        below = [int((f.meaning < FLOOR - 2 * f.meaning_se).sum()) for f in frames]
        of = sum(len(f) for f in frames)
        kept = sum(held(f) for f in frames)
        cells = (words, len(frames), quality, level, f"{sum(below)} of {of}")
        rows.append(f"| {' | '.join(map(str, cells))} | {kept} of {len(frames)} |")
    return "\n".join(rows)


def prior_table() -> str:
    """The start and the ceiling of the run of study 2 from each size of prior."""
    study = Study(ABLATIONS, (), 5, ABLATIONS)
    rows = []
    for arm, words in SIZES.items():
        frames = study.frames(arm)
        if not frames:
            continue
        laws = [
            law for seed in range(study.seeds)
            if (arm, seed) in study.done() and (law := qd.fit(study.log(arm, seed)).rd) is not None
        ]  # fmt: skip
        ceilings = [(law.to_dict().get("ceiling") or {}).get("mid") or np.nan for law in laws]
        start = [median_range([f[n].iloc[0] for f in frames]) for n in START]
        rows.append([words, str(len(frames)), *start, median_range(ceilings, 2)])
    heads = ["weights of the prior", "seeds", "R at the start", "D at the start", "H at the start"]
    return table([*heads, "ceiling of the law"], rows)


def first_steps(source: TextStudy, arm: str) -> list[pd.DataFrame]:
    """The finished seeds of an arm as far as the runs of this study go."""
    return [frame[frame.step <= STEPS] for frame in source.frames(arm)]


def held(frame: pd.DataFrame) -> bool:
    """Whether the run held the floor, by the criterion."""
    last = frame.tail(3)
    error = float((last.meaning_se**2).sum()) ** 0.5 / len(last)
    below = (frame.meaning < FLOOR - 2 * frame.meaning_se).mean()
    return bool(last.meaning.mean() >= FLOOR - 2 * error and below < 0.1)


def mixtures(frame: pd.DataFrame) -> pd.DataFrame:
    """Half of the answers from the first evaluation, half from a later one, beside the run's own.

    ``of_run`` is the quality of the run at the diversity of the mixture, from a straight line
    between its readings in the order of their diversity.
    """
    first, later = frame.iloc[0], frame.iloc[1:]
    mixed = pd.DataFrame(
        {
            "step": later.step,
            "quality": (first.quality + later.quality) / 2,
            "meaning": (first.meaning + 2 * later.meaning_to_first + later.meaning) / 4,
        }
    )
    ranked = frame.sort_values("meaning")
    smooth = ranked.quality.rolling(3, center=True, min_periods=1).mean()
    mixed["of_run"] = np.interp(mixed.meaning, ranked.meaning, smooth)
    return mixed


def mixture_table(beside: TextStudy) -> str:
    rows = [
        "| run | mixture of the first with step | D of meaning | quality of the mixture | "
        "quality of the run there | above |",
        "|---|---|---|---|---|---|",
    ]
    for arm in beside.arms:
        for seed in range(beside.seeds):
            if arm.name not in BESIDE or (arm.name, seed) not in beside.done():
                continue
            each = mixtures(beside.frame(arm.name, seed)).iloc[-1]
            above = "yes" if each.quality > each.of_run else "no"
            cells = (f"{arm.words}, seed {seed}", int(each.step), f"{each.meaning:.2f}")
            figures = (f"{each.quality:.2f}", f"{each.of_run:.2f}", above)
            rows.append(f"| {' | '.join(map(str, (*cells, *figures)))} |")
    return "\n".join(rows)


def figure(study: TextStudy, runs: list[tuple[str, TextStudy, str]]) -> None:
    """Quality and D of meaning over the steps, and one on the other, of every run."""
    drawn, axes = plt.subplots(1, 3, figsize=(11, 3.2), layout="constrained")
    for number, (words, source, arm) in enumerate(runs):
        for seed, frame in enumerate(first_steps(source, arm)):
            style = {"color": f"C{number}", "lw": 1.2, "marker": "o", "ms": 3}
            label = words if seed == 0 else None
            axes[0].plot(frame.step, frame.quality, label=label, **style)
            axes[1].plot(frame.step, frame.meaning, **style)
            axes[2].plot(frame.meaning, frame.quality, **style)
    axes[1].axhline(FLOOR, color="k", lw=0.8, ls=":")
    axes[2].axvline(FLOOR, color="k", lw=0.8, ls=":")
    for axis, x, y in zip(
        axes,
        ("step", "step", "D of meaning"),
        ("quality", "D of meaning", "quality"),
        strict=True,
    ):
        axis.set(xlabel=x, ylabel=y)
    axes[2].invert_xaxis()
    axes[0].legend(fontsize=7, frameon=False)
    drawn.savefig(study.folder / "floor.png", dpi=110)
    plt.close(drawn)


if __name__ == "__main__":
    run_text_study(HERE, ARMS, page, __doc__)
