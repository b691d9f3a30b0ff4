"""Study 5: does a reward for diverse right answers raise pass@1 and pass@k on new problems?

    python studies/darling/run.py [--quick] [--seeds 5] [--page]

DARLING multiplies the reward by how different an answer is from the other answers of its prompt.
Here a prior of 96,000 weights writes expressions that equal a number; half of the numbers are held
out. Which expressions mean the same is said by a canonical form, or by a classifier of pairs that
was trained on it, as in the paper.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt

from studies.study import COMMON, ROOT, Arm, Study, mean_spread, run_study, table, write_page

HERE = Path(__file__).resolve().parent
CLASSIFIER = "out/studies/darling/partition"
STEPS, HALF = 200, 100
SHARED = (
    *COMMON,
    "recipe.kl=0.0",
    "task.eval_share=0.5",
    f"train.steps={STEPS}",
    f"eval.every={HALF}",
    "eval.prompts=18",
    "eval.samples=1152",
)
ARMS = (
    Arm("grpo", "arithmetic", SHARED, "GRPO"),
    Arm("darling-key", "darling", SHARED, "DARLING, canonical form"),
    Arm("grpo-centred", "arithmetic", (*SHARED, "recipe.normalise=none"), "GRPO without the std"),
    Arm(
        "darling-learned",
        "darling",
        (*SHARED, f"task.equivalence=learned:{CLASSIFIER}"),
        "DARLING, learned classifier",
    ),
)
FIGURES = ("pass@1", "pass@4", "pass@8", "distinct_correct", "diversity_correct", "entropy")
NAMES = {
    "pass@1": "pass@1",
    "pass@4": "pass@4",
    "pass@8": "pass@8",
    "distinct_correct": "different right answers of 32",
    "diversity_correct": "diversity of right answers",
    "entropy": "entropy, nats",
}
PAPER = {
    "grpo": "pass@1 23.40, pass@128 53.42",
    "darling-learned": "pass@1 26.91, pass@128 61.04",
    "darling-key": "no such row: the paper's classes are learned",
    "grpo-centred": "pass@1 23.50 with and 23.40 without (0/1 rewards)",
}
CRITERION = (
    "Written before the runs: *reproduced* where, over five seeds and on held-out numbers at step "
    f"{STEPS}, DARLING less GRPO is above 0 in pass@1 and at least .05 in pass@8, both with 95 % "
    "intervals (paired by seed) that exclude 0; *partly* where one of the two holds; *not* "
    "otherwise. k stops at 8 because the prior's pass@16 is .997."
)


def study_of(folder: Path, scratch: Path, seeds: int = 5) -> Study:
    """The whole study, in a folder."""
    return Study(folder, ARMS, seeds, scratch, on_training_numbers, train_classifier)


def tiny(folder: Path, scratch: Path) -> Study:
    """The pipeline in seconds; its figures mean nothing."""
    return study_of(folder, scratch).small(*FEW, "eval.prompts=4", "eval.samples=32", arms=1)


FEW = ("train.steps=2", "eval.every=1", "eval.samples=144")


def train_classifier(scratch: Path) -> None:
    """The classifier of pairs, from 2,000 pairs that the canonical form labels; made once."""
    folder = ROOT / CLASSIFIER
    if folder.exists() or scratch.name != "studies":
        return
    from qdlaws.measure.equivalence.learned import train_partition
    from trainer.tasks import make_task
    from trainer.tasks.labelled_pairs import pairs_of_task

    shown = pairs_of_task(make_task("arithmetic", eval_share=0.5), 10_000, 0)
    learned = train_partition(
        shown.pairs, shown.same, groups=shown.groups, characters=True, epochs=4, seed=0
    )
    learned.save(folder)
    report = {"accuracy": learned.report.accuracy, "constant": learned.report.base_rate}
    (HERE / "classifier.json").write_text(json.dumps(report) + "\n")


def on_training_numbers(out: Path) -> dict[str, Any]:
    """pass@1 and different right answers on the numbers that the run was trained on."""
    from trainer import load_config
    from trainer.training.evaluate_checkpoint import evaluate_checkpoint

    samples = load_config(out / "config.toml").eval.samples
    row = evaluate_checkpoint(str(out), samples=samples, settings=["eval.split=train"], trust=True)
    return {f"train {name}": row.get(name) for name in ("pass@1", "distinct_correct")}


# ---------------------------------------------------------------------- the page


def page(study: Study) -> None:
    """README.md of the study and its figure, from the finished runs."""
    figure(study)
    blocks = [
        "# Study 5: a reward for diversity (DARLING)",
        "**Question.** Do pass@1 *and* pass@k on problems that were not trained on rise when right "
        "answers are paid for being different from each other?",
        f"**Set-up.** {study.count()}. `python studies/darling/run.py`: prior `arithmetic` (96 k "
        f"weights; `24=` asks for an expression that equals 24), {STEPS} steps of 16 numbers × 8 "
        "answers, learning rate 3e-4, no KL (as the paper's mathematics). 18 numbers are trained "
        "on and 18 are held out; each evaluation draws 64 answers to each.",
        CRITERION,
        f"## Held out, step {STEPS}",
        results(study, STEPS),
        "Mean over seeds ± standard error. Paper: arXiv 2509.02534, results on mathematics, "
        "mean of AIME25, OlympiadBench, HMMT25 and Brumo25 with Qwen3-4B-Base, in per cent (of the "
        "14B model, its Table 10: pass@1 32.24 and 36.13, pass@128 60.01 and 70.17).",
        f"## Less GRPO, paired by seed, step {STEPS}",
        differences(study, STEPS),
        f"## Less GRPO, step {HALF}",
        differences(study, HALF),
        f"**Verdict.** {verdict(study)}",
        "## On the numbers that were trained on",
        trained_on(study),
        "![pass@k held out](passk.png)",
        "## What differs from the paper",
        "A model 40,000 times smaller, 18 problems, and right answers that differ by a rule and "
        "not by strategy. The paper's classifier has 4 billion weights and is "
        "right in 89 % of held-out pairs; ours is a small encoder that was shown 2,000 pairs"
        + accuracy()
        + ". All runs overfit after about 100 steps, as the column at step 100 shows.",
    ]
    write_page(study.folder / "README.md", blocks)


def results(study: Study, step: int) -> str:
    rows = []
    prior = study.arms[0].name
    start = [mean_spread(list(study.values(prior, name, 0).values())) for name in FIGURES]
    rows.append(["prior", "", *start, "pass@1 14.3, pass@128 50.17"])
    for arm in study.arms:
        each = [study.values(arm.name, name, step) for name in FIGURES]
        cells = [mean_spread(list(values.values())) for values in each]
        rows.append([arm.words, str(len(each[0])), *cells, PAPER[arm.name]])
    return table(["run", "seeds", *NAMES.values(), "paper"], rows)


def differences(study: Study, step: int) -> str:
    rows = []
    for arm in study.arms[1:]:
        gaps = [study.difference(arm.name, "grpo", name, step) for name in FIGURES]
        rows.append([arm.words, str(gaps[0].seeds), *map(str, gaps)])
    return table(["run", "pairs of seeds", *NAMES.values()], rows)


def verdict(study: Study) -> str:
    """By the criterion, of both ways of saying which answers mean the same."""
    words = []
    for arm in (a for a in study.arms if a.name.startswith("darling")):
        first = study.difference(arm.name, "grpo", "pass@1", STEPS)
        eighth = study.difference(arm.name, "grpo", "pass@8", STEPS)
        holds = [first.low > 0, eighth.low > 0 and eighth.mean >= 0.05]
        word = "reproduced" if all(holds) else "partly" if any(holds) else "not"
        if first.seeds < study.seeds:
            so_far = f"; so far: {word}" if first.seeds > 1 else ""
            word = f"open ({first.seeds} of {study.seeds} seeds{so_far})"
        words.append(f"{arm.words}: {word}")
    return "; ".join(words) + "."


def trained_on(study: Study) -> str:
    rows = []
    for arm in study.arms:
        names = ("train pass@1", "train distinct_correct")
        cells = [mean_spread(list(study.values(arm.name, name).values())) for name in names]
        rows.append([arm.words, *cells])
    return table(["run", "pass@1", "different right answers of 32"], rows)


def accuracy() -> str:
    """What the classifier reached on pairs of numbers that it was not shown."""
    path = HERE / "classifier.json"
    if not path.exists():
        return ""
    report = json.loads(path.read_text())
    right, constant = report["accuracy"], report["constant"]
    return f" ({right:.0%} right on held-out pairs; a constant answer: {constant:.0%})"


def figure(study: Study) -> None:
    """pass@k on held-out numbers of all arms, mean over seeds."""
    drawn, axis = plt.subplots(figsize=(6.4, 3.8), layout="constrained")
    ks = [1, 2, 4, 8, 16, 32]
    for number, arm in enumerate(study.arms):
        each = [study.values(arm.name, f"pass@{k}", STEPS) for k in ks]
        if not each[0]:
            continue
        means = [sum(v.values()) / len(v) for v in each]
        axis.plot(ks, means, "o-", ms=3, color=f"C{number}", label=f"{arm.words} ({len(each[0])})")
    start = [study.values("grpo", f"pass@{k}", 0) for k in ks]
    if start[0]:
        means = [sum(v.values()) / len(v) for v in start]
        axis.plot(ks, means, "k:", label="prior")
    axis.set_xscale("log", base=2, nonpositive="clip")
    axis.set_xticks(ks, [str(k) for k in ks])
    axis.set_xlabel("k")
    axis.set_ylabel("pass@k on held-out numbers")
    axis.set_title(f"step {STEPS}; number of seeds in brackets", fontsize=9)
    axis.legend(fontsize=7, frameon=False)
    drawn.savefig(study.folder / "passk.png", dpi=110)
    plt.close(drawn)


if __name__ == "__main__":
    run_study(study_of(HERE, Path()), page, __doc__, FEW, 3)
