"""Study 6: is the policy flat over all good answers, and are more good molecules found?

    python studies/mara/run.py [--quick] [--seeds 5] [--page]

MARA gives every good answer the reward that makes its probability that of the likeliest good one.
Three parts: the exact optima, the task of writing 1 or 2, and molecules at 10,000 training calls.
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
import numpy as np

from studies.study import COMMON, Arm, Study, mean_spread, not_run, run_study, table, write_page

HERE = Path(__file__).resolve().parent
CALLS = 10_000
SCREENS = (0.80, 0.85, 0.90)
MOLECULES = (
    *COMMON,
    "policy.model=molecules-60k",
    "task.objective=qed",
    "train.samples=128",
    "train.steps=96",
    "eval.every=48",
    "eval.samples=400",
)
REINVENT = (*MOLECULES, "recipe.reward_scale=40.0")
WEAK, STRONG = ("recipe.kl=0.03",), ("recipe.kl=0.1",)
NEVER = "recipe.threshold=2.0"  # no molecule scores so much: the recipe is then the plain one
ONE_TWO = (
    *COMMON,
    "policy.model=studies/mara/prior",
    "task=studies.mara.one_two:make",
    "task.in_process=true",
    "train.samples=64",
    "train.steps=150",
    "train.limit=3",
    "train.lr=2e-3",
    "eval.every=150",
    "eval.samples=400",
)
FLAT = "recipe.threshold=0.5"  # both answers are worth 1
ARMS = (
    Arm("reinvent", "reinvent", REINVENT, "REINVENT, σ 40"),
    Arm("reinvent-mara", "reinvent_mara", REINVENT, "REINVENT + MARA, σ 40, τ .80"),
    Arm("two-rloo-0.03", "demo", (*ONE_TWO, *WEAK), "RLOO, β .03"),
    Arm("two-mara-0.03", "mara", (*ONE_TWO, *WEAK, FLAT), "MARA, β .03"),
    Arm("rloo", "demo", (*MOLECULES, *WEAK), "RLOO, reverse KL .03"),
    Arm("mara", "mara", (*MOLECULES, *WEAK), "RLOO + MARA, reverse KL .03"),
    Arm("two-rloo-0.1", "demo", (*ONE_TWO, *STRONG), "RLOO, β .1"),
    Arm("two-mara-0.1", "mara", (*ONE_TWO, *STRONG, FLAT), "MARA, β .1"),
    Arm(
        "forward",
        "mara",
        (*MOLECULES, "recipe.name=mara_forward", *WEAK, NEVER),
        "RLOO, forward KL .03",
    ),
    Arm(
        "mara-forward",
        "mara",
        (*MOLECULES, "recipe.name=mara_forward", *WEAK),
        "RLOO + MARA 2, forward KL .03",
    ),
    Arm("rloo-strong", "demo", (*MOLECULES, *STRONG), "RLOO, reverse KL .1"),
    Arm("mara-strong", "mara", (*MOLECULES, *STRONG), "RLOO + MARA, reverse KL .1"),
)
PAIRS = (
    ("reinvent", "reinvent-mara"),
    ("rloo", "mara"),
    ("forward", "mara-forward"),
    ("rloo-strong", "mara-strong"),
)
PAPER = {
    "reinvent": "Yield .85 1098 ± 88, OB-100 4360 ± 257, #Circles 8",
    "reinvent-mara": "τ .80: 1235 ± 130, 3943 ± 303, 8; τ .85: 1438 ± 126, 4230 ± 401, 8",
}
CRITERION = (
    "Written before the runs. *Flat target*: reproduced where the exact optimum gives both blocks "
    "of good answers .500. *1–2*: reproduced where plain RLOO ends at .5 bit or less and MARA at "
    ".9 bit or more at a reward of .95 or more, mean over seeds. *Molecules*: reproduced where "
    "MARA's Yield is above that of the same recipe without it at one screen or more (one-sided "
    "paired t test over five seeds, p < .05) and its #Circles are not lower (95 % interval)."
)


def study_of(folder: Path, scratch: Path, seeds: int = 5) -> Study:
    """The whole study, in a folder."""
    return Study(folder, ARMS, seeds, scratch, figures)


FEW = ("train.steps=2", "train.samples=16", "eval.every=2", "eval.samples=16")


def tiny(folder: Path, scratch: Path) -> Study:
    """The pipeline in seconds; its figures mean nothing."""
    return study_of(folder, scratch).small(*FEW, arms=3)


def figures(out: Path) -> dict[str, Any]:
    """Of molecules: Yield, OB-100, diversity and #Circles; of 1–2: the bits between the two."""
    from trainer import load_config
    from trainer.training.evaluate_checkpoint import evaluate_checkpoint

    state = json.loads(max(out.glob("checkpoints/step-*/state.json")).read_text())["task"]
    if state:
        return yields(state)
    from studies.mara.one_two import bits

    samples, kept = load_config(out / "config.toml").eval.samples, out / "final.csv"
    evaluate_checkpoint(str(out), samples=samples, out=kept, trust=True)
    import pandas as pd

    texts = pd.read_csv(kept, dtype=str, keep_default_na=False).completion.tolist()
    return {"bits": round(bits(texts), 4)}


def yields(state: dict[str, Any]) -> dict[str, Any]:
    """What the first 10,000 molecules that training scored hold, from the oracle's memory."""
    from qdlaws import measure
    from trainer.tasks.scoring.sample_efficiency import calls_until, yield_count

    calls = state["calls"]["train"][:CALLS]
    scores = [float("nan") if state["rows"][i] is None else state["rows"][i][0] for i in calls]
    told: dict[str, Any] = {"calls": len(calls)}
    for screen in SCREENS:
        good = [state["keys"][i] for i, s in zip(calls, scores, strict=True) if s >= screen]
        told[f"yield@{screen}"] = yield_count(scores, screen)
        told[f"ob100@{screen}"] = calls_until(scores, screen, 100)
        if len(good) > 1:
            shown = measure.read_molecules(good[:: max(1, len(good) // 1000)][:1000])
            told[f"intdiv@{screen}"] = round(measure.internal_diversity(shown).value, 4)
            most = measure.circles(shown, method="greedy")
            told[f"circles@{screen}"] = round(most.value, 1)
    return told


# ---------------------------------------------------------------------- the page


def page(study: Study) -> None:
    """README.md of the study and its figure, from the finished runs."""
    figure(study)
    blocks = [
        "# Study 6: every good answer alike (MARA)",
        "**Question.** Is the policy that training aims at flat over all good answers? Does it "
        "then find more good molecules with the same number of scores?",
        f"**Set-up.** {study.count()}. `python studies/mara/run.py`.",
        CRITERION,
        "## Flat target",
        flat_target(),
        "The closed forms of `trainer.analysis.exact_bandit` on 100 actions with two equal blocks "
        "of good ones, the second nearly out of reach of the prior. Paper: Figure 5 of "
        "arXiv 2510.20817. **Verdict: reproduced** under both KLs.",
        "## Write 1 or 2",
        one_two(study),
        "A prior of 7,000 weights writes 1 in 80 % and 2 in 15 %; 150 steps of 64, learning rate "
        "2e-3. One bit is half and half. Paper: text and figure on the 1–2 task, Qwen2.5-3B, "
        "β .001 to .03.",
        "## Molecules, first 10,000 scores of training",
        molecules(study),
        "QED from the 60 k prior, 96 steps of 128 molecules, learning rate 5e-4; scores of "
        "evaluations do not count. Yield: different molecules at the screen or above; OB-100: "
        "scores until there are 100. #Circles (greedy, Tanimoto distance .75) and IntDiv are of "
        "1,000 of the good ones. Paper: Table 2b (ALL-AMIDE) of arXiv 2510.20817.",
        "## MARA less the same recipe without it, paired by seed",
        gains(study),
        f"**Verdict on molecules.** {verdict(study)}",
        "![Yield](yield.png)",
        "## What differs from the paper",
        "The paper's reward is a product of docking, QED, hydrogen bonds and a retrosynthesis, of "
        "which good molecules are rare; QED is cheap and a quarter of the prior's molecules score "
        ".80, so Yield is high from the start and the higher screen is the telling one. The paper "
        "has no run with RLOO on molecules.",
    ]
    write_page(study.folder / "README.md", blocks)


def flat_target() -> str:
    """Mass of the second block of good actions, by the exact optima."""
    from trainer.analysis.exact_bandit import (
        decaying_bandit,
        forward_optimum,
        mara_forward_optimum,
        mara_optimum,
        tilt,
    )

    bandit = decaying_bandit()
    rows = []
    for beta in (0.01, 0.1, 1.0):
        optima = (
            ("reverse KL", tilt(bandit, beta)),
            ("reverse KL, MARA", mara_optimum(bandit, beta, 0.5)),
            ("forward KL", forward_optimum(bandit.reward, bandit.ref_logits.softmax(-1), beta)),
            ("forward KL, MARA 2", mara_forward_optimum(bandit, beta, 0.5)),
        )
        for words, policy in optima:
            first, second = float(policy[0, 5:30].sum()), float(policy[0, 70:95].sum())
            good = np.r_[policy[0, 5:30].numpy(), policy[0, 70:95].numpy()]
            paper = "flat bars" if "MARA" in words else "second plateau nearly empty"
            share = second / (first + second)
            rows.append(
                [f"{beta:g}", words, f"{share:.3f}", f"{good.max() / good.min():.1f}", paper]
            )
    return table(["β", "objective", "second block", "largest over smallest", "paper"], rows)


def one_two(study: Study) -> str:
    rows = []
    for arm in (a for a in study.arms if a.name.startswith("two")):
        bits, reward = (list(study.values(arm.name, n).values()) for n in ("bits", "quality"))
        paper = "many near 50/50" if "mara" in arm.name else "all but one run collapse, mostly to 1"
        word = f"open ({len(bits)} of {study.seeds} seeds)"
        if len(bits) >= study.seeds:
            mean, good = np.mean(bits), np.mean(reward)
            holds = (mean >= 0.9 and good >= 0.95) if "mara" in arm.name else mean <= 0.5
            word = "as criterion" if holds else "not as criterion"
        rows.append(
            [arm.words, str(len(bits)), mean_spread(bits), mean_spread(reward), paper, word]
        )
    return table(["run", "seeds", "bits", "reward", "paper", "verdict"], rows)


def molecules(study: Study) -> str:
    names = [n for s in (0.85, 0.9) for n in (f"yield@{s}", f"ob100@{s}", f"circles@{s}")]
    names = ["calls", "yield@0.8", *names, "intdiv@0.85", "quality"]
    rows, waiting = [], []
    for arm in (a for a in study.arms if not a.name.startswith("two")):
        each = [list(study.values(arm.name, name).values()) for name in names]
        if not each[0]:
            waiting.append(arm.words)
            continue
        cells = [
            mean_spread(v, 3 if n in ("quality", "intdiv@0.85") else 0)
            for n, v in zip(names, each, strict=True)
        ]
        rows.append([arm.words, str(len(each[0])), *cells, PAPER.get(arm.name, "no such run")])
    heads = [n.replace("yield", "Yield").replace("ob100", "OB-100") for n in names]
    heads = [n.replace("circles", "#Circles").replace("intdiv", "IntDiv") for n in heads]
    heads = [n.replace("@0.", " ≥ .").replace("quality", "R at the end") for n in heads]
    return table(["run", "seeds", *heads, "paper"], rows) + not_run(waiting)


def gains(study: Study) -> str:
    names = [f"{n}@{s}" for n in ("yield", "circles") for s in SCREENS]
    rows = []
    for plain, flat in PAIRS:
        gaps = [study.difference(flat, plain, name) for name in names]
        if not gaps[0].seeds:
            continue
        words = next((a.words for a in study.arms if a.name == flat), flat)
        cells = ["–" if not g.seeds else whole(g) for g in gaps]
        rows.append([words, str(gaps[0].seeds), *cells])
    heads = [
        n.replace("yield@0.", "Yield ≥ .").replace("circles@0.", "#Circles ≥ .") for n in names
    ]
    return table(["run", "pairs of seeds", *heads], rows)


def whole(gap: Any) -> str:
    """A difference of counts."""
    if np.isnan(gap.low):
        return f"{gap.mean:+.0f}"
    return f"{gap.mean:+.0f} [{gap.low:+.0f}, {gap.high:+.0f}]"


def verdict(study: Study) -> str:
    from scipy import stats

    words = []
    for plain, flat in PAIRS:
        gaps = [study.difference(flat, plain, f"yield@{s}") for s in SCREENS]
        n = gaps[0].seeds
        if n < study.seeds:
            words.append(f"{flat}: open ({n} of {study.seeds} seeds)")
            continue
        quantile = stats.t.ppf(0.975, n - 1) / stats.t.ppf(0.95, n - 1)
        more = any(g.mean > (g.mean - g.low) / quantile for g in gaps)
        circles = all(study.difference(flat, plain, f"circles@{s}").high >= 0 for s in SCREENS)
        word = "reproduced" if more and circles else "partly" if more else "not"
        words.append(f"{flat}: {word}")
    return "; ".join(words) + "."


def figure(study: Study) -> None:
    """Yield at the two screens of the paper's scale, with and without MARA, a dot a seed."""
    drawn, axes = plt.subplots(1, len(SCREENS), figsize=(9, 3.4), layout="constrained")
    for axis, screen in zip(axes, SCREENS, strict=True):
        for place, (plain, flat) in enumerate(PAIRS):
            one, other = (study.values(n, f"yield@{screen}") for n in (plain, flat))
            for seed in sorted(set(one) & set(other)):
                axis.plot([place - 0.15, place + 0.15], [one[seed], other[seed]], "-", color=".7")
            axis.plot([place - 0.15] * len(one), list(one.values()), "o", color="C0", ms=4)
            axis.plot([place + 0.15] * len(other), list(other.values()), "o", color="C1", ms=4)
        axis.set_xticks(range(len(PAIRS)), ["REINVENT", "RLOO .03", "forward .03", "RLOO .1"])
        axis.tick_params(axis="x", labelsize=7, rotation=20)
        axis.set_title(f"QED ≥ {screen:g}", fontsize=9)
        axis.set_ylim(bottom=0, top=1.08 * axis.get_ylim()[1])
        axis.set_xlim(-0.5, len(PAIRS) - 0.5)
    axes[0].set_ylabel("Yield of 10,000 scores")
    axes[0].plot([], [], "o", color="C0", label="without")
    axes[0].plot([], [], "o", color="C1", label="with MARA")
    axes[0].legend(fontsize=7, frameon=False, loc="lower right")
    drawn.savefig(study.folder / "yield.png", dpi=110)
    plt.close(drawn)


if __name__ == "__main__":
    run_study(study_of(HERE, Path()), page, __doc__, FEW, 4)
