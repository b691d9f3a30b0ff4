"""Record what the released loggers of tools write that are in no package index.

``RELEASED=folder python -m tests.helpers.record_released_loggers``: the folder holds checkouts of
InternLM/xtuner, alibaba/ROLL and thinking-machines-lab/tinker-cookbook, and torch writes the tags
of MolecularAI/Reinvent. The names of the keys are those of the trainers; the commit of each is in
``fixtures/versions.json``. Nothing of the checkouts is copied, only what their loggers wrote.
"""

from __future__ import annotations

import contextlib
import importlib
import io
import json
import logging
import os
import subprocess
import sys
import types
from collections.abc import Callable
from pathlib import Path

from tests.helpers.make_fixtures import FIXTURES, SERIES, keep, scratch


def xtuner() -> None:
    """XTuner's ``JsonlWriter`` with the scalars of its RL trainer, and some evaluations."""
    utils = types.ModuleType("xtuner.v1.utils")
    vars(utils)["get_logger"] = logging.getLogger
    sys.modules["xtuner.v1.utils"] = utils
    module = importlib.import_module("xtuner.v1._writer.jsonl_writer")
    with scratch() as folder:
        writer = module.JsonlWriter(folder / "exp_tracking")
        for step, reward, entropy in SERIES:
            row = {"time/step": 30.1, "response/batch_size": 64, "response/rewards/mean": reward}
            row |= {"response/rewards/min": 0.0, "response/rewards/max": 1.0}
            row |= {"response/raw_rewards/mean": reward, "response/advantages/mean": 0.0}
            row |= {"entropy/rollout": entropy + 0.01, "entropy/train": entropy}
            row |= {"train_metrics/worker_0/step_avg_loss": 0.01}
            row |= {"eval/accuracy": reward / 2} if step % 5 == 0 else {}
            writer.add_scalars(tag_scalar_dict=row, global_step=step)
        writer.close()
        keep(folder / "exp_tracking" / "tracker.jsonl", "xtuner/tracker.jsonl")


def roll() -> None:
    """ROLL's tracker "stdout" with the metrics of its RLVR pipeline."""
    printed = io.StringIO()
    with scratch(), contextlib.redirect_stdout(printed):
        tracking = importlib.import_module("roll.utils.tracking")
        tracker = tracking.StdoutTracker({})
        for step, reward, entropy in SERIES:
            row = {"system/global_step": step, "system/batch_size": 64, "time/step_total": 9.5}
            row |= {"critic/entropy/mean": entropy, "critic/correct/mean": reward}
            row |= {"critic/score/mean": reward, "critic/score/max": 1, "critic/score/min": 0}
            row |= {"critic/rewards/mean": reward - 0.1, "critic/kl": 0.001, "critic/kl_coef": 0.1}
            row |= {"actor/pg_loss@sum": -0.01, "actor/kl_loss@sum": 0.002}
            row |= {"val_correct/all/mean": reward / 2} if step % 10 == 0 else {}
            tracker.log(values=row, step=step)
    lines = [line for line in printed.getvalue().splitlines() if line.startswith("[")]
    (FIXTURES / "roll").mkdir(parents=True, exist_ok=True)
    (FIXTURES / "roll" / "driver.log").write_text("\n".join(lines) + "\n")


def tinker() -> None:
    """The ``metrics.jsonl`` of tinker-cookbook, with the metrics of its RL loop."""
    storage = importlib.import_module("tinker_cookbook.stores.storage")
    store = importlib.import_module("tinker_cookbook.stores.training_store")
    with scratch() as folder:
        run = store.TrainingRunStore(storage.storage_from_uri(str(folder / "run")))
        for step, reward, entropy in SERIES:
            row = {"progress/batch": step, "optim/lr": 4e-5, "progress/done_frac": step / 40}
            row |= {"env/all/ac_tokens_per_turn": 80.5, "env/all/reward/total": reward}
            row |= {"env/all/by_group/frac_mixed": 0.5, "optim/kl_sample_train_v1": 1e-4}
            row |= {"optim/kl_sample_train_v2": 1e-4, "optim/entropy": entropy, "time/total": 9.0}
            row |= {"test/env/all/reward/total": reward / 2} if step % 5 == 0 else {}
            run.write_metrics(row, step)
        keep(folder / "run" / "metrics.jsonl", "tinker/metrics.jsonl")


def reinvent3() -> None:
    """REINVENT 3's tags: mean log-likelihoods by ``add_scalars``, in folders of their own."""
    from torch.utils.tensorboard import SummaryWriter

    with scratch() as folder:
        writer = SummaryWriter(str(folder / "tb"))
        for step, score, entropy in SERIES:
            means = {"prior": -30.0, "augmented": -30.0 + 128 * score, "agent": -10 * entropy}
            writer.add_scalars("nll/avg", means, step)
            writer.add_scalar("QED Score", score, step)
            writer.add_scalar("Valid SMILES", 97.0, step)
            writer.add_scalar("Number of SMILES found", 10 * step, step)
            writer.add_scalar("Average score", score, step)
        writer.close()
        for place, path in enumerate(sorted((folder / "tb").rglob("events*"))):
            below = path.parent.relative_to(folder / "tb")
            keep(path, f"reinvent3-tensorboard/{below}/events.out.tfevents.{place}.host")


RECORDERS: dict[str, tuple[str, Callable[[], None]]] = {
    "xtuner": ("xtuner", xtuner),
    "roll": ("ROLL", roll),
    "tinker": ("tinker-cookbook", tinker),
    "reinvent3": ("Reinvent", reinvent3),
}
"""Fixture → (checkout that its names and its logger come from, what records it)."""


def main(names: list[str]) -> None:
    """Record the named fixtures, and note the commits of the checkouts."""
    released = Path(os.environ["RELEASED"])
    versions = FIXTURES / "versions.json"
    for name in names or RECORDERS:
        folder, record = RECORDERS[name]
        sys.path.insert(0, str(released / folder))
        record()
        git = ("git", "-C", str(released / folder), "rev-parse", "--short=9", "HEAD")
        commit = subprocess.run(git, capture_output=True, text=True, check=True, timeout=30)
        noted = json.loads(versions.read_text()) | {name: commit.stdout.strip()}
        versions.write_text(json.dumps(noted, indent=2, sort_keys=True) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
