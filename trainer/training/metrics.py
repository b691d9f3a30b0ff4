"""The logged names with definition and unit, the files of rows, and trackers beside them."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Protocol

from qdlaws.core.json_lines import read_json_lines
from qdlaws.core.serialize import plain
from qdlaws.errors import BadData, QdlawsError

__all__ = [
    "METRICS",
    "JsonLines",
    "Sink",
    "check_sinks",
    "cut_back",
    "describe",
    "numbers_of",
    "open_sinks",
    "read_rows",
]

METRICS: dict[str, str] = {
    "step": "optimizer steps on new rollouts done so far",
    "phase": "train: what the update of this step saw; eval: fresh samples of the policy after it",
    # ── both
    "kl_coef": "Knobs.kl in force: strength of the recipe's own divergence",
    "reward_scale": "Knobs.reward_scale in force: factor on the reward",
    "entropy_coef": "Knobs.entropy in force: weight of the entropy bonus",
    # ── eval
    "quality": "mean task score, invalid completions counted as the task says",
    "quality_valid": "mean task score of the valid completions",
    "diversity": "chance or distance between two independent samples, duplicates kept",
    "diversity_unique": "the same over different completions only; hides collapse",
    "diversity_equivalence": "chance that two completions of a prompt differ in meaning",
    "diversity_ngrams": "mean distance 1 − cos of words and pairs of words, within a prompt",
    "diversity_embedding": "mean distance 1 − cos of embeddings, within a prompt",
    "diversity_wording": "mean edit distance of words between two completions of a prompt, 0 to 1",
    "diversity_wording_unique": "the same over different completions only; hides collapse",
    "diversity_correct": "chance that two right completions of a prompt differ in meaning",
    "distinct_correct": "different right answers among m samples of a prompt",
    "solved": "share of prompts with at least one right answer among m samples",
    "scaffold_count": "different scaffolds among m samples",
    "scaffold_entropy": "entropy of the scaffolds among m samples (nats)",
    "circles": "most molecules of m, any two of which are at least .75 apart (Tanimoto distance)",
    "unique_share": "different completions among m samples ÷ m",
    "valid_share": "share of completions that the task can read",
    "entropy": "exact entropy of the next token, mean over sampled tokens (nats per token)",
    "kl": "log π − log π_ref of whole completions, mean (nats per completion)",
    "n_samples": "completions drawn",
    "n_prompts": "different prompts asked",
    "entropy_temperature": "temperature at which entropies were taken",
    "n_failed": "completions whose score failed or ran out of time; left out of the means",
    "pass@k": "chance that at least one of k samples is right, unbiased",
    "length": "tokens of a completion, mean",
    "truncated_share": "share of completions cut by the limit",
    "samples_seen": "completions drawn for training so far",
    "seconds": "wall clock since the start of this process",
    # ── train
    "reward": "mean task score of the rollouts",
    "reward/NAME": "mean of one reward of several",
    "train_entropy": "exact entropy of the next token over the rollouts (nats per token)",
    "train_kl": "log π_old − log π_ref of the rollouts (nats per completion)",
    "loss": "sum of the loss over the last optimizer batch",
    "grad_norm": "norm of the gradient over all processes, before clipping",
    "clipped_share": "share of tokens where PPO clipping leaves no gradient",
    "mixed_share": "share of groups whose scores are not all equal",
    "filtered_share": "share of samples that the diversity filter made worth less",
    "kept_share": "share of samples that the recipe keeps",
    "failed": "rollouts without a score",
    "rollouts": "completions in the batch",
    "truncated": "share of rollouts cut by the limit",
    "lr": "learning rate of this step",
    "mismatch": "mean |log π(trainer) − log π(sampler)| per token",
    "oracle_calls": "unique molecules that training had scored; evaluations are not counted",
    "oracle_other_calls": "unique molecules that were scored for evaluations or a plan alone",
    "oracle_cached": "scores that training took from memory",
    "oracle_capped": "scores that training did not get because the budget was spent",
    "oracle_failed": "molecules without a score: an error, a crash, the time limit",
    "oracle_timed_out": "of these, molecules that ran out of time; seldom twice the same ones",
    "timed_out": "completions so far whose rewards ran out of time; seldom twice the same ones",
    "yield@S": "unique molecules of training with a score of at least S",
    "obN@S": "training's oracle calls until N unique molecules score at least S; null: not yet",
    "topK_auc": "mean score of training's best K so far, over its oracle calls ÷ budget (PMO)",
    "mark": "1 on the first evaluation of a new stage",
}
"""Name → definition and unit. ``NAME_se`` is a standard error, ``NAME_kind`` the kind measured."""


def describe(name: str) -> str:
    """The definition of a logged name; empty where it is a task's own."""
    if name.endswith("_se"):
        return f"standard error of {name[:-3]}"
    if name.startswith("pass@"):
        name = "pass@k"
    return METRICS.get(name, METRICS["reward/NAME"] if name.startswith("reward/") else "")


class JsonLines:
    """An append-only file of JSON objects; every line that was written survives a kill."""

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self._file = path.open("ab", buffering=0)
        except OSError as error:
            raise QdlawsError(f"cannot write {path}: {error.strerror or error}") from None

    def write(self, row: Mapping[str, Any]) -> None:
        """Adds one line; NaN and infinite numbers are null."""
        line = json.dumps(plain(row), ensure_ascii=False, allow_nan=False) + "\n"
        rest = memoryview(line.encode())
        try:
            while rest:  # nothing stays in a buffer, which would be written again when it is closed
                rest = rest[self._file.write(rest) :]
        except OSError as error:
            raise QdlawsError(f"cannot write {self.path}: {error.strerror or error}") from None

    def size(self) -> int:
        """The size in bytes, once all of it is on the disk."""
        os.fsync(self._file.fileno())
        return self._file.tell()

    def close(self) -> None:
        """Closes the file."""
        self._file.close()


def cut_back(path: Path, size: int) -> None:
    """Shortens a file to its size at a checkpoint; an error where it is shorter already."""
    present = path.stat().st_size if path.exists() else 0
    if present < size:
        raise BadData(f"{path} has {present} bytes, but the checkpoint was made when it had {size}")
    if present > size:
        no_link = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
        with os.fdopen(os.open(path, os.O_RDWR | no_link), "r+b") as file:
            file.truncate(size)


def read_rows(path: Path, phase: str | None = None) -> list[dict[str, Any]]:
    """The rows of a metrics.jsonl, of one phase or of both; a half-written line is left out."""
    rows = read_json_lines(path).rows
    return [row for row in rows if phase is None or row.get("phase") == phase]


# ---------------------------------------------------------------------- other people's trackers


class Sink(Protocol):
    """Where rows go beside metrics.jsonl."""

    def log(self, row: Mapping[str, float], step: int) -> None:
        """Numbers of one step."""

    def close(self) -> None:
        """The run is over."""


class _TensorBoard:
    def __init__(self, folder: Path, project: str, config: Mapping[str, Any]) -> None:
        from torch.utils.tensorboard import SummaryWriter

        self._writer = SummaryWriter(str(folder / "tensorboard"))

    def log(self, row: Mapping[str, float], step: int) -> None:
        for name, value in row.items():
            self._writer.add_scalar(name, value, step)

    def close(self) -> None:
        self._writer.close()


class _Wandb:
    def __init__(self, folder: Path, project: str, config: Mapping[str, Any]) -> None:
        import wandb

        self._run = wandb.init(
            project=project, name=folder.name, dir=str(folder), config=dict(config)
        )

    def log(self, row: Mapping[str, float], step: int) -> None:
        self._run.log(dict(row), step=step)

    def close(self) -> None:
        self._run.finish()


class _Mlflow:
    def __init__(self, folder: Path, project: str, config: Mapping[str, Any]) -> None:
        import mlflow

        self._mlflow = mlflow
        mlflow.set_experiment(project)
        mlflow.start_run(run_name=folder.name)

    def log(self, row: Mapping[str, float], step: int) -> None:
        self._mlflow.log_metrics({k.replace("@", "_at_"): v for k, v in row.items()}, step=step)

    def close(self) -> None:
        self._mlflow.end_run()


SINKS: dict[str, Any] = {"tensorboard": _TensorBoard, "wandb": _Wandb, "mlflow": _Mlflow}


PACKAGES = {"tensorboard": "tensorboard", "wandb": "wandb", "mlflow": "mlflow"}
"""The package that each sink needs; the extra ``trackers`` brings them."""


def check_sinks(names: Sequence[str]) -> None:
    """BadData, before a run begins, for a sink that is unknown or whose package is not there."""
    for name in names:
        if name not in SINKS:
            near = get_close_matches(name, SINKS, n=1)
            hint = f" (did you mean {near[0]!r}?)" if near else ""
            raise BadData(f"unknown sink {name!r}{hint}; there are {', '.join(SINKS)}")
        if find_spec(PACKAGES[name]) is None:
            raise BadData(
                f"the sink {name} needs a package that is not installed: "
                f"pip install {PACKAGES[name]}, or the extra 'qdlaws[trackers]'"
            )


def open_sinks(
    names: tuple[str, ...], folder: Path, project: str, config: Mapping[str, Any]
) -> list[Sink]:
    """The sinks of these names; one line where a package is not there."""
    check_sinks(names)
    sinks: list[Sink] = []
    for name in names:
        try:
            sinks.append(SINKS[name](folder, project, config))
        except ImportError as error:
            raise BadData(f"the sink {name} needs a package that is not there: {error}") from None
    return sinks


def numbers_of(row: Mapping[str, Any]) -> dict[str, float]:
    """The numbers of a row, prefixed by its phase, as trackers want them."""
    phase = row.get("phase", "train")
    return {
        f"{phase}/{name}": float(value)
        for name, value in row.items()
        if isinstance(value, (int, float)) and not isinstance(value, bool) and name != "step"
    }
