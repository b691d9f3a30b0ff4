"""What runs at a fixed KL strength reach beside what their plan promised.

    python benchmarks/plan_runs.py            the runs (goes on if interrupted) and the table
    python benchmarks/plan_runs.py --write    also writes trainer/training/plan_runs.json
    python benchmarks/plan_runs.py --print    the table alone, from that file

A plan predicts from samples of the reference the best policy of each KL strength, the tilted
reference. No run gets there: it loses more diversity than the tilt and gains less quality than the
tilt allows. How much is measured here with the bundled priors: 240 steps at a fixed strength, then
4,000 fresh samples, against the plan of 2,000 samples of the same configuration. With the plan's
R₀, D₀ of the reference and R*, D* of the tilt, a run that ended at R, D has

    share of the gain   (R − R₀)/(R* − R₀)          loss beside the tilt's   (D₀ − D)/(D₀ − D*)

``trainer.training.plan`` reads the file and corrects its table by them; the last column of the
table is what it then says of a run when the runs of that setting are left out. The ends of the
sweeps of ``closed_loop.py`` (5 seeds of each strength) are taken from its committed table.
"""

from __future__ import annotations

import argparse
import json
import math
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).parent.parent
OUT = ROOT / "out" / "plan_runs"
FILE = ROOT / "trainer" / "training" / "plan_runs.json"
STEPS, FINAL, PLAN_SAMPLES = 240, 4000, 2000
COMMON = (
    f"steps={STEPS}",
    f"eval.every={STEPS}",
    "eval.samples=400",
    f"eval.final={FINAL}",
    "train.threads=1",
    "eval.keep=false",
    "control.advise=false",
    "checkpoint.keep=1",
)


@dataclass(frozen=True)
class Setting:
    """A prior, an objective and the strengths that it is run at."""

    name: str
    preset: str
    settings: tuple[str, ...]
    kls: tuple[float, ...]


def molecules(name: str, prior: str, objective: str, kls: tuple[float, ...]) -> Setting:
    chosen = (f"policy.model={prior}", f"task.objective={objective}")
    return Setting(name, "demo", chosen, kls)


@dataclass(frozen=True)
class Sweep:
    """A sweep of ``closed_loop.py``, whose ends stand in its table."""

    name: str
    table: str
    preset: str
    settings: tuple[str, ...]


SETTINGS = (molecules("QED, 250k", "molecules-250k", "qed", (0.12, 0.06)),)
SWEEPS = (
    Sweep("QED, 60k", "molecules", "demo", ("policy.model=molecules-60k",)),
    Sweep(
        "arithmetic", "arithmetic", "arithmetic", ("recipe=rloo", "task.eval_share=0", "lr=5e-4")
    ),
)


def measured(setting: Setting) -> list[dict[str, Any]]:
    """The ends of the runs of a setting beside the plan of the same configuration."""
    from trainer import load_config, resume, train
    from trainer.training import checkpoint
    from trainer.training.metrics import read_rows

    ends = {}
    for kl in setting.kls:
        name = "".join(c if c.isalnum() else "-" for c in setting.name)
        folder = OUT / name / f"{kl:g}"
        config = load_config(
            setting.preset, [*setting.settings, *COMMON, "seed=0", f"recipe.kl={kl:g}"]
        )
        if not (folder / "summary.json").exists():
            begun = checkpoint.checkpoint_steps(folder)
            ended = resume(folder) if begun else train(config, folder)
            if ended.ended == "interrupted":
                raise SystemExit("interrupted; the same command goes on")
            print(f"  {setting.name}: {kl:g} done", flush=True)
        end = read_rows(folder / "metrics.jsonl", "eval")[-1]
        ends[kl] = [(end["quality"], end["diversity"])]
    return beside_plan(setting.name, config, ends)


def swept(sweep: Sweep) -> list[dict[str, Any]]:
    """The ends of a sweep beside its plan."""
    from trainer import load_config

    text = (ROOT / "benchmarks" / "results" / "closed_loop.md").read_text(encoding="utf-8")
    section = text.split(f"### {sweep.table}:")[1].split("\n### ")[0]
    row = r"\| \d+ \| fixed ([\d.]+) \| ([\d.]+) ± [\d.]+ \| ([\d.]+) \|"
    ends: dict[float, list[tuple[float, float]]] = {}
    for kl, diversity, quality in re.findall(row, section):
        ends.setdefault(float(kl), []).append((float(quality), float(diversity)))
    config = load_config(sweep.preset, [*sweep.settings, *COMMON])
    return beside_plan(sweep.name, config, ends)


def beside_plan(
    name: str, config: Any, ends: dict[float, list[tuple[float, float]]]
) -> list[dict[str, Any]]:
    """Mean quality and diversity of every strength's runs beside the bound, where samples reach."""
    from trainer.distributed.world import World
    from trainer.tasks import capabilities
    from trainer.training.plan import tilts
    from trainer.training.setup import make_context

    context = make_context(config, World())
    try:
        reference, *rows = tilts(context, [math.inf, *ends], PLAN_SAMPLES)
    finally:
        capabilities.close(context.task)
    out = []
    for (kl, values), tilt in zip(ends.items(), rows, strict=True):
        if math.isfinite(tilt["diversity"]):
            quality, diversity = np.mean(values, axis=0).tolist()
            out.append(
                {
                    "setting": name,
                    "kl_coef": kl,
                    "seeds": len(values),
                    "reference": {c: round(reference[c], 4) for c in ("quality", "diversity")},
                    "tilt": {c: round(tilt[c], 4) for c in ("quality", "diversity", "kl")},
                    "run": {"quality": round(quality, 4), "diversity": round(diversity, 4)},
                }
            )
    return out


def table(runs: list[dict[str, Any]]) -> str:
    """Every run beside its bound and beside what the runs of the other settings predict for it."""
    from trainer.training.shortfall import fit_shortfall

    whole = fit_shortfall(runs)
    lines = [
        "| setting | kl | KL of the tilt | bound R, D | runs ended at R, D "
        "| predicted without this setting R, D | miss / error |",
        "|---|---|---|---|---|---|---|",
    ]
    misses: dict[str, list[tuple[float, float, float, float]]] = {}
    for run in runs:
        tilt, reference, end = run["tilt"], run["reference"], run["run"]
        others = fit_shortfall([r for r in runs if r["setting"] != run["setting"]])
        kl = np.array(tilt["kl"])
        r, r_se = others.quality(kl, reference["quality"], np.array(tilt["quality"]))
        d, d_se = others.diversity(kl, reference["diversity"], np.array(tilt["diversity"]))
        off = (abs(end["quality"] - r), abs(end["diversity"] - d))
        bound = (abs(end["quality"] - tilt["quality"]), abs(end["diversity"] - tilt["diversity"]))
        misses.setdefault(run["setting"], []).append((*bound, *map(float, off)))
        lines.append(
            f"| {run['setting']} | {run['kl_coef']:g} | {tilt['kl']:.2f} "
            f"| {tilt['quality']:.3f}, {tilt['diversity']:.3f} "
            f"| {end['quality']:.3f}, {end['diversity']:.3f} "
            f"| {r:.3f} ± {r_se:.3f}, {d:.3f} ± {d_se:.3f} "
            f"| {off[0] / r_se:.1f}, {off[1] / d_se:.1f} |"
        )
    mean = np.mean([np.mean(values, axis=0) for values in misses.values()], axis=0)
    return "\n".join(
        [
            *lines,
            "",
            f"Mean distance of where runs ended, settings weighted equally: from the bound "
            f"{mean[0]:.3f} in R and {mean[1]:.3f} in D, from the prediction {mean[2]:.3f} and "
            f"{mean[3]:.3f}.",
            "",
            f"logit share of the gain = {whole.share.intercept:.3f} + {whole.share.slope:.3f} log K"
            f" ± {whole.share.spread:.2f};  log loss = {whole.loss.intercept:.3f} + "
            f"{whole.loss.slope:.3f} K ± {whole.loss.spread:.2f}  (K: KL of the tilt, nats)",
        ]
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--write", action="store_true", help=f"also write {FILE.name}")
    parser.add_argument("--print", action="store_true", help="the table of the written file alone")
    chosen = parser.parse_args()
    if chosen.print:
        print(table(json.loads(FILE.read_text(encoding="utf-8"))["runs"]))
        return
    runs = [run for setting in SETTINGS for run in measured(setting)]
    runs += [run for sweep in SWEEPS for run in swept(sweep)]
    if chosen.write:
        lines = ",\n".join(json.dumps(run, ensure_ascii=False) for run in runs)
        FILE.write_text(f'{{"steps": {STEPS}, "runs": [\n{lines}\n]}}\n', encoding="utf-8")
    print(table(runs))


if __name__ == "__main__":
    main()
