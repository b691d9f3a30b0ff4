"""Does a law-guided run end where the best of a sweep would, without the sweep?

    python benchmarks/closed_loop.py                  5 seeds, molecules and arithmetic; goes on if interrupted
    python benchmarks/closed_loop.py --quick          1 seed, 40 steps, molecules
    python benchmarks/closed_loop.py --task molecules one task, so that two processes share the work

Every arm has the same steps, batch and learning rate, and ends with an evaluation on 4,000 fresh
samples. Rivals: a sweep of 7 fixed ratios, equal in log, its ends interpolated at the floor; the
weakest-KL run stopped at its last evaluation above the floor; kl_target and entropy_target, their
targets read off a sweep of one extra seed at the floor. Share = (R − R_prior)/(R_rival − R_prior).

Two more tasks have no law to rest on: a needle-like reward (tasks/motifs.py) and a cliff, similarity
to a query. There a law-guided run should end no worse than the best fixed strength that holds the
floor. On the needle a collapse takes some 20 steps, so there is an evaluation every 4.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parent / "tasks"))  # where motifs:make is found

OUT = Path(__file__).parent.parent / "out" / "closed_loop"
CELECOXIB = "Cc1ccc(cc1)-c1cc(nn1-c1ccc(cc1)S(N)(=O)=O)C(F)(F)F"
RATIOS = 7
PLAN_SAMPLES = 2000  # of the reference, before the first step of a law-guided run


@dataclass(frozen=True)
class Setting:
    """One task of the benchmark."""

    name: str
    preset: str | None
    settings: tuple[str, ...]
    floor: float
    kls: tuple[float, float]  # tightest and loosest of the sweep


SETTINGS = (
    Setting(
        "molecules",
        "demo",
        (
            "policy.model=molecules-60k",
            "steps=240",
            "eval.every=10",
            "eval.samples=400",
            "eval.final=4000",
        ),
        0.80,
        (0.3, 0.006),
    ),
    Setting(
        "arithmetic",
        "arithmetic",
        (
            "recipe=rloo",
            "task.eval_share=0",
            "steps=240",
            "eval.every=10",
            "eval.samples=1024",
            "eval.final=4000",
            "lr=5e-4",
        ),
        0.70,
        (0.8, 0.01),
    ),
)
HARD = (
    Setting(
        "needle",
        None,
        (
            "task=motifs:make",
            f"policy.model={OUT / 'motifs-prior'}",
            "policy.device=cpu",
            "steps=240",
            "lr=1e-3",
            "train.limit=10",
            "eval.every=4",
            "eval.samples=400",
            "eval.final=4000",
        ),
        0.60,
        (0.1, 0.005),
    ),
    Setting(
        "cliff",
        "demo",
        (
            "policy.model=molecules-60k",
            f'task.objective={{objective = "similarity", query = "{CELECOXIB}"}}',
            "steps=240",
            "eval.every=10",
            "eval.samples=400",
            "eval.final=4000",
        ),
        0.75,
        (0.1, 0.002),
    ),
)
COMMON = ("train.threads=1", "eval.keep=false", "control.advise=false", "checkpoint.keep=1")


def kl_grid(setting: Setting) -> list[float]:
    tight, loose = setting.kls
    return [float(f"{k:.4g}") for k in np.geomspace(tight, loose, RATIOS)]


def run(setting: Setting, name: str, seed: int, *extra: str, short: bool) -> Path:
    """The folder of a finished run; one that was cut short goes on."""
    from motifs import save_prior

    from trainer import load_config, resume, train
    from trainer.config import Config, with_settings
    from trainer.training import checkpoint

    folder = OUT / ("quick" if short else "full") / setting.name / f"seed-{seed}" / name
    if (folder / "summary.json").exists():
        return folder
    cut = ("steps=40", "eval.final=400") if short else ()
    asked = [*setting.settings, *COMMON, f"seed={seed}", *cut, *extra]
    if checkpoint.checkpoint_steps(folder):
        found = resume(folder)
    else:
        if setting.name == "needle" and not (OUT / "motifs-prior").exists():
            save_prior(OUT / "motifs-prior")
        preset = setting.preset
        config = with_settings(Config(), asked) if preset is None else load_config(preset, asked)
        found = train(config, folder)
    if found.ended == "interrupted":
        raise SystemExit("interrupted; the same command goes on")
    print(f"  {setting.name} seed {seed}: {name} done", flush=True)
    return folder


def evals(folder: Path) -> list[dict[str, Any]]:
    from trainer.training.metrics import read_rows

    return read_rows(folder / "metrics.jsonl", "eval")


def at_floor(ends: list[dict[str, Any]], floor: float, column: str) -> float:
    """A column of the sweep's ends, interpolated at D = floor; NaN where they do not reach it."""
    order = sorted(ends, key=lambda e: e["diversity"])
    d = np.array([e["diversity"] for e in order])
    if not d[0] <= floor <= d[-1]:
        return float("nan")
    return float(np.interp(floor, d, [e[column] for e in order]))


def arms(
    setting: Setting, seed: int, tuned: dict[str, float], short: bool
) -> Iterator[tuple[str, Path]]:
    """Name and folder of every arm of a seed."""
    for kl in kl_grid(setting):
        yield f"fixed {kl:g}", run(setting, f"fixed-{kl:g}", seed, f"recipe.kl={kl:g}", short=short)
    held = (f"control.min_diversity={setting.floor}",)
    yield (
        "law_guided",
        run(
            setting,
            "law_guided",
            seed,
            "control=law_guided",
            *held,
            "recipe.kl=none",
            short=short,
        ),
    )
    start = kl_grid(setting)[1]
    for name, column in (("kl_target", "kl"), ("entropy_target", "entropy")):
        if np.isfinite(tuned.get(column, np.nan)):
            extra = (
                f"control={name}",
                f"control.target={tuned[column]:.4f}",
                f"recipe.kl={start:g}",
            )
            yield name, run(setting, name, seed, *extra, short=short)


def tune(setting: Setting, seed: int, short: bool) -> dict[str, float]:
    """KL and entropy at the floor, from the sweep of an extra seed."""
    ends = []
    for kl in kl_grid(setting):
        folder = run(setting, f"fixed-{kl:g}", seed, f"recipe.kl={kl:g}", short=short)
        ends.append(evals(folder)[-1])
    return {column: at_floor(ends, setting.floor, column) for column in ("kl", "entropy")}


@dataclass(frozen=True)
class Found:
    """One arm of a seed beside its rivals."""

    held: bool
    """Ends at the floor or above, within two standard errors."""
    below: float
    """Share of the evaluations that read below it by more than two standard errors."""
    of_sweep: float
    of_stopped: float


def table(setting: Setting, seeds: list[int], tuned: dict[str, float], short: bool) -> str:
    """Every arm of every seed, and the means beside what is wanted."""
    floor = setting.floor
    lines = [
        f"### {setting.name}: floor {floor}, {len(seeds)} seed(s)",
        "",
        "| seed | arm | end D | end R | readings below floor − 2 se "
        "| share against the sweep | share against stopping | samples |",
        "|---|---|---|---|---|---|---|---|",
    ]
    steered: dict[str, list[Found]] = {}
    for seed in seeds:
        found = {name: evals(folder) for name, folder in arms(setting, seed, tuned, short)}
        sweep = [rows for name, rows in found.items() if name.startswith("fixed")]
        prior = float(np.mean([rows[0]["quality"] for rows in found.values()]))
        rival = at_floor([rows[-1] for rows in sweep], floor, "quality")
        loosest = found[f"fixed {kl_grid(setting)[-1]:g}"]
        last = max((i for i, r in enumerate(loosest) if r["diversity"] >= floor), default=0)
        stopped = loosest[last]["quality"]
        for name, rows in found.items():
            end = rows[-1]
            below = float(np.mean([r["diversity"] < floor - 2 * r["diversity_se"] for r in rows]))
            shares = [(end["quality"] - prior) / (other - prior) for other in (rival, stopped)]
            told = ["" if name.startswith("fixed") else f"{s:.2f}" for s in shares]
            planned = PLAN_SAMPLES if name == "law_guided" else 0
            lines.append(
                f"| {seed} | {name} | {end['diversity']:.3f} ± {end['diversity_se']:.3f} "
                f"| {end['quality']:.3f} | {below:.0%} | {told[0]} | {told[1]} "
                f"| {drawn(rows) + planned:,} |"
            )
            if not name.startswith("fixed"):
                made = Found(holds(end, floor), below, shares[0], shares[1])
                steered.setdefault(name, []).append(made)
        lines.append(
            f"| {seed} | *sweep at the floor; stopped* | {floor} | {rival:.3f}; {stopped:.3f} "
            f"| | | | {sum(map(drawn, sweep)):,}; {drawn(loosest[: last + 1]):,} |"
        )
    return "\n".join([*lines, "", *summary(steered)])


def drawn(rows: list[dict[str, Any]]) -> int:
    """Samples of training and of the evaluations."""
    return int(rows[-1]["samples_seen"]) + sum(int(r["n_samples"]) for r in rows)


def summary(steered: dict[str, list[Found]]) -> list[str]:
    """What is wanted, and what each controller reached over the seeds."""
    wanted = (
        ("end D ≥ floor − 2 se in every seed", lambda f: f"{sum(x.held for x in f)} of {len(f)}"),
        ("readings below floor − 2 se ≤ 5 %", lambda f: f"{np.mean([x.below for x in f]):.1%}"),
        ("share against the sweep ≥ .95", lambda f: _worst([x.of_sweep for x in f])),
        ("share against stopping ≥ 1", lambda f: _worst([x.of_stopped for x in f])),
    )
    lines = ["| wanted | " + " | ".join(steered) + " |", "|---" * (1 + len(steered)) + "|"]
    for words, told in wanted:
        lines.append(f"| {words} | " + " | ".join(told(f) for f in steered.values()) + " |")
    return lines


def _worst(values: list[float]) -> str:
    return f"{np.mean(values):.2f} (worst {min(values):.2f})"


def hard_table(setting: Setting, seeds: list[int], short: bool) -> str:
    """Ends beside the best fixed strength that holds the floor, for rewards without a law."""
    lines = [
        f"### {setting.name}: floor {setting.floor}, {len(seeds)} seed(s)",
        "",
        "| seed | fixed: kl → end D, R | best that holds | law guided: end D, R | below | no worse |",
        "|---|---|---|---|---|---|",
    ]
    for seed in seeds:
        found = {name: evals(folder) for name, folder in arms(setting, seed, {}, short)}
        guided = found.pop("law_guided")
        ends = {name.removeprefix("fixed "): rows[-1] for name, rows in found.items()}
        sweep = "; ".join(
            f"{kl} → {e['diversity']:.2f}, {e['quality']:.3f}" for kl, e in ends.items()
        )
        holding = [e for e in ends.values() if holds(e, setting.floor)]
        end = guided[-1]
        best = max(holding, key=lambda e: float(e["quality"]), default=ends[next(iter(ends))])
        below = np.mean([r["diversity"] < setting.floor - 2 * r["diversity_se"] for r in guided])
        doubt = 2 * float(np.hypot(end["quality_se"], best["quality_se"]))
        fine = holds(end, setting.floor) and end["quality"] >= best["quality"] - doubt
        lines.append(
            f"| {seed} | {sweep} | {best['diversity']:.3f}, {best['quality']:.3f} "
            f"| {end['diversity']:.3f}, {end['quality']:.3f} ± {end['quality_se']:.3f} "
            f"| {below:.0%} | {'yes' if fine else 'NO'} |"
        )
    return "\n".join(lines)


def holds(end: dict[str, Any], floor: float) -> bool:
    """Whether a run ends at or above the floor, within two standard errors."""
    return bool(end["diversity"] >= floor - 2 * end["diversity_se"])


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="1 seed, 40 steps, molecules")
    parser.add_argument("--seeds", type=int, default=5)
    names = [s.name for s in (*SETTINGS, *HARD)]
    parser.add_argument("--task", choices=names, help="one task only")
    parser.add_argument("--json", action="store_true", help="the ends as JSON")
    asked = parser.parse_args()
    for setting in SETTINGS:
        if asked.task not in (None, setting.name) or (asked.quick and setting.name != "molecules"):
            continue
        tuned = tune(setting, 100, asked.quick)
        seeds = list(range(1 if asked.quick else asked.seeds))
        print(table(setting, seeds, tuned, asked.quick), flush=True)
        if asked.json:
            print(json.dumps(tuned))
    for setting in HARD:
        if asked.task in (None, setting.name) and not asked.quick:
            print(hard_table(setting, list(range(asked.seeds)), False), flush=True)


if __name__ == "__main__":
    main()
