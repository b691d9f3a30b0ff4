"""A study of a language model on open prompts: the models' folders, and what samples say.

The model is SmolLM2-135M-Instruct, or any folder or hub id in ``STUDY_MODEL``; D is measured by a
sentence encoder. Both stay out of ``results.jsonl``: settings name them as ``{model}`` and
``{encoder}``.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

import qdlaws as qd
from studies import models
from studies.study import DIGITS, Arm, Study, arguments
from studies.text.measures import SAME, cross_distance, measured, representative
from studies.text.prompts import HELD_OUT, TRAIN

__all__ = [
    "EVALUATION",
    "SHARED",
    "TextStudy",
    "ends_table",
    "examples_table",
    "kind_of_prompt",
    "run_text_study",
    "tiny_study",
]

SHARED = (
    "policy.model={model}",
    "policy.device=cpu",
    "policy.train_layers=8",
    "task.name=dataset",
    "task.path={prompts}",
    "task.eval_path={held_out}",
    'task.rewards=["studies.text.quality:quality", "studies.text.quality:finished", '
    '"studies.text.quality:brief", "studies.text.quality:distinct", '
    '"studies.text.quality:content"]',
    "task.weights=[1, 0, 0, 0, 0]",
    "task.embedding={encoder}",
    f"task.equivalence=similarity:{SAME}",
    "task.lowest=0",
    "task.highest=1",
    "train.threads=1",
    "train.precision=bf16",
    "train.steps=39",
    "train.prompts=4",
    "train.samples=8",
    "train.limit=16",
    "train.temperature=0.8",
    "train.lr=1e-4",
    "train.warmup=4",
    "eval.every=3",
    "eval.samples=72",
    "eval.prompts=12",
    "checkpoint.every=39",
    "checkpoint.keep=1",
    "control.advise=false",
)
"""Of every arm: 4 prompts × 8 answers of at most 16 tokens a step, 12 held-out prompts × 6."""
EVALUATION = "every 3 steps 72 fresh answers to 12 prompts that are held out are evaluated."
EXAMPLES = 3
COLUMNS = {
    "quality": "quality",
    "meaning": "D of meaning",
    "wording": "D of wording",
    "distinct": "classes of 6",
    "entropy_mean": "entropy",
}


@dataclass(frozen=True)
class TextStudy(Study):
    """A study whose evaluations are measured from their samples as well."""

    random: bool = False
    """With a model and an encoder of random weights: the pipeline in seconds."""

    def places(self) -> dict[str, str]:
        """What the names in braces stand for on this machine."""
        if self.random:
            folder = self.scratch / self.folder.name
            model = models.random_model(folder / "model")
            encoder = models.random_encoder(folder / "encoder")
        else:
            model = Path(os.environ.get("STUDY_MODEL") or models.language_model())
            encoder = models.sentence_encoder()
        named = {"model": model, "encoder": encoder, "prompts": TRAIN, "held_out": HELD_OUT}
        return {name: str(path) for name, path in named.items()}

    def run_one(self, arm: Arm, seed: int) -> None:
        places = self.places()
        filled = tuple(_filled(setting, places) for setting in arm.settings)
        super().run_one(replace(arm, settings=filled), seed)

    def keep(
        self, arm: Arm, seed: int, rows: Sequence[dict[str, Any]], seconds: float, *more: Any
    ) -> None:
        """The evaluations, what their samples say, and the samples of the first and the last."""
        from trainer.tasks.scoring.text_diversity import embedding

        run = self.scratch / self.folder.name / f"{arm.name}-{seed}" / "samples"
        embed = embedding(self.places()["encoder"])
        assert embed is not None
        tables = [pd.read_csv(run / f"step-{row['step']:06d}.csv") for row in rows]
        figures = [
            {
                "step": row["step"],
                **measured(table, kind_of_prompt(table.prompt), embed),
                "meaning_to_first": cross_distance(tables[0], table, embed),
            }
            for row, table in zip(rows, tables, strict=True)
        ]
        ends = [
            table.assign(step=row["step"])[["step", "prompt", "completion", "score"]]
            for row, table in ((rows[0], tables[0]), (rows[-1], tables[-1]))
        ]
        for name, frame in (("text", pd.DataFrame(figures)), ("samples", pd.concat(ends))):
            path = self.folder / name / f"{arm.name}-{seed}.csv"
            path.parent.mkdir(parents=True, exist_ok=True)
            frame.round(DIGITS).to_csv(path, index=False)
        named = next(each for each in self.arms if each.name == arm.name)  # without folders
        super().keep(named, seed, rows, seconds, *more)

    def frame(self, arm: str, seed: int) -> pd.DataFrame:
        """The evaluations of a finished run, with what their samples say."""
        text = pd.read_csv(self.folder / "text" / f"{arm}-{seed}.csv")
        return super().frame(arm, seed).merge(text, on="step", suffixes=("_trainer", ""))

    def log(self, arm: str, seed: int, diversity: str = "meaning", prefix: str = "") -> qd.RunLog:
        """A finished run as a log; errors are those of samples of the same prompts."""
        frame = self.frame(arm, seed)
        columns = {
            "step": frame.step,
            "quality": frame[f"{prefix}quality"],
            "quality_se": frame[f"{prefix}quality_se"],
            "diversity": frame[f"{prefix}{diversity}"],
            "entropy": frame[f"{prefix}entropy_mean"],
            "entropy_se": frame[f"{prefix}entropy_mean_se"],
        }
        if f"{prefix}{diversity}_se" in frame:
            columns["diversity_se"] = frame[f"{prefix}{diversity}_se"]
        return qd.RunLog.from_frame(
            pd.DataFrame(columns), kinds={"diversity": diversity}, source=f"{arm}, seed {seed}"
        )


def kind_of_prompt(prompts: Sequence[str]) -> list[str]:
    """The kind of each prompt, from the words of the user's turn in it."""
    rows = [json.loads(line) for path in (TRAIN, HELD_OUT) for line in path.open(encoding="utf-8")]
    kinds = {row["prompt"][-1]["content"]: row["kind"] for row in rows}
    return [next(kind for text, kind in kinds.items() if text in prompt) for prompt in prompts]


def tiny_study(arms: Sequence[Arm], folder: Path, scratch: Path) -> TextStudy:
    """The first arm in a few steps of two prompts with a model of random weights.

    It tries the pipeline in seconds; its figures mean nothing.
    """
    few = ("steps=2", "prompts=2", "samples=3", "limit=4", "lr=1e-3", "warmup=0")
    evals = ("eval.every=1", "eval.samples=36", "checkpoint.every=2", "task.workers=0")
    model = ("policy.train_layers=0", "train.precision=float32")
    small = (*(f"train.{setting}" for setting in few), *evals, *model)
    first = replace(arms[0], settings=(*arms[0].settings, *small))
    return TextStudy(folder, (first,), 1, scratch, random=True)


def run_text_study(
    here: Path, arms: tuple[Arm, ...], page: Callable[[TextStudy], None], words: str
) -> None:
    """The program of a study: its runs, then its page."""
    options = arguments(here.name, here, 3, words.splitlines()[0])
    study = TextStudy(options.folder, arms, options.seeds, options.scratch)
    if options.quick:
        study = tiny_study(arms, options.folder, options.scratch)
    if not options.page:
        study.run(options.on)
    page(study)


def ends_table(study: TextStudy, kinds: Sequence[str]) -> str:
    """Each measure at the first evaluation and at the last, over all prompts and by kind."""
    head = ["run", "prompts", *COLUMNS.values()]
    rows = [f"| {' | '.join(head)} |", "|" + "---|" * len(head)]
    for arm in study.arms:
        frames = study.frames(arm.name)
        if not frames:
            continue
        for kind in ("", *kinds):
            prefix = f"{kind}_" if kind else ""
            cells = []
            for name in COLUMNS:
                first, last = (
                    float(np.mean([frame[prefix + name].iloc[i] for frame in frames]))
                    for i in (0, -1)
                )
                cells.append(f"{first:.2f} → {last:.2f}")
            rows.append(f"| {arm.words} | {kind or 'all'} | {' | '.join(cells)} |")
    return "\n".join(rows)


def examples_table(study: TextStudy, arm: str, seed: int = 0) -> str:
    """Three answers from the start and three from the end, with their scores."""
    table = pd.read_csv(study.folder / "samples" / f"{arm}-{seed}.csv").reset_index(drop=True)
    rows = ["| step | prompt | answer | quality |", "|---|---|---|---|"]
    for step, part in table.groupby("step"):
        for each in representative(part, EXAMPLES).itertuples():
            prompt = each.prompt.splitlines()[-1].removeprefix("user: ")
            answer = " ".join(str(each.completion).replace("|", "/").split())
            rows.append(f"| {step} | {prompt} | {answer} | {each.score:.2f} |")
    return "\n".join(rows)


def _filled(setting: str, places: dict[str, str]) -> str:
    for name, path in places.items():
        setting = setting.replace(f"{{{name}}}", path)
    return setting
