"""Regenerate the fixtures of the reader tests: ``python make_fixtures.py TOOL …``.

Every tool that installs from a package index writes its own file here; its version goes to
``fixtures/versions.json``. The other formats are written by hand in the tests that read them.

    TRL (and TensorBoard through it):  trl accelerate datasets tensorboard, beside the trainer extra
    tensorboard:  torch tensorboard          wandb:  wandb          trackio:  trackio
    mlflow:  mlflow                          verl:   verl (without its dependencies)
"""

from __future__ import annotations

import importlib.metadata
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

FIXTURES = Path(__file__).parents[1] / "qdlaws" / "readers" / "fixtures"
SERIES = [
    # step, reward, entropy: what the trackers are told, and what the tests expect back
    (step, round(0.2 + 0.6 * step / (step + 20), 6), round(2.0 - 0.012 * step, 6))
    for step in range(1, 41)
]


@contextmanager
def scratch() -> Iterator[Path]:
    """An empty working folder that is gone afterwards."""
    here = os.getcwd()
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        try:
            yield Path(folder)
        finally:
            os.chdir(here)


def keep(source: Path, name: str) -> None:
    """Copy a file or folder that a tool wrote into the fixtures."""
    target = FIXTURES / name
    if target.is_dir():
        shutil.rmtree(target)
    target.parent.mkdir(parents=True, exist_ok=True)
    (shutil.copytree if source.is_dir() else shutil.copy)(source, target)


# ---------------------------------------------------------------------- TRL


def trl() -> None:
    """20 GRPO steps of a tiny policy with evaluations: trainer_state.json and event files."""
    import torch
    from datasets import Dataset
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast
    from trl import GRPOConfig, GRPOTrainer

    torch.manual_seed(0)
    words = ["<pad>", "<eos>", *(f"w{i}" for i in range(30))]
    raw = Tokenizer(models.WordLevel({w: i for i, w in enumerate(words)}, unk_token="<pad>"))
    raw.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=raw, pad_token="<pad>", eos_token="<eos>", padding_side="left"
    )
    size = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 1}
    heads = {"num_attention_heads": 2, "num_key_value_heads": 2}
    ends = {"pad_token_id": 0, "eos_token_id": 1, "bos_token_id": 1}
    policy = LlamaForCausalLM(LlamaConfig(vocab_size=len(words), **size, **heads, **ends))

    def reward_even(completions: list[str], **_: object) -> list[float]:
        scores = []
        for text in completions:
            numbers = [int(w[1:]) for w in text.split() if w.startswith("w")]
            scores.append(sum(n % 2 == 0 for n in numbers) / max(len(numbers), 1))
        return scores

    data = Dataset.from_dict({"prompt": ["w1 w2", "w3 w4", "w5 w6", "w7 w8"] * 8})
    with scratch() as folder:
        config = GRPOConfig(
            output_dir=str(folder / "out"), max_steps=20, logging_steps=1, save_steps=10,
            eval_strategy="steps", eval_steps=2, per_device_train_batch_size=8,
            per_device_eval_batch_size=8, num_generations=4, max_completion_length=8,
            learning_rate=5e-3, beta=0.02, report_to=["tensorboard"], use_cpu=True, seed=1,
            disable_tqdm=True,
        )  # fmt: skip
        policy.save_pretrained(folder / "policy")  # the reference is loaded from there
        tokenizer.save_pretrained(folder / "policy")
        os.environ["TENSORBOARD_LOGGING_DIR"] = str(folder / "tb")
        trainer = GRPOTrainer(
            model=str(folder / "policy"), reward_funcs=reward_even, args=config,
            processing_class=tokenizer, train_dataset=data, eval_dataset=data.select(range(4)),
        )  # fmt: skip
        trainer.train()
        for step in (10, 20):
            state = folder / "out" / f"checkpoint-{step}" / "trainer_state.json"
            keep(state, f"trl/checkpoint-{step}/trainer_state.json")
        (events,) = (folder / "tb").rglob("events.out.tfevents*")
        keep(events, "trl-tensorboard/events.out.tfevents.1.trl")


# ---------------------------------------------------------------------- trackers


def tensorboard() -> None:
    """REINVENT4's tags of 4.3–4.7, whose likelihoods lie in folders of their own; a restart."""
    from torch.utils.tensorboard import SummaryWriter

    with scratch() as folder:
        writer = SummaryWriter(str(folder / "tb"))
        for step, reward, entropy in SERIES:
            writer.add_scalar("Average total score", reward, step)
            writer.add_scalar("iSIM: Average similarity", 1 - entropy / 3, step)
            nll = {"prior NLL": 30.0, "agent NLL": 10 * entropy, "augmented NLL": 5.0}
            writer.add_scalars("Loss (likelihood averages)", nll, step)
        writer.close()
        for place, path in enumerate(sorted((folder / "tb").rglob("events*"))):
            below = path.parent.relative_to(folder / "tb")
            keep(path, f"reinvent-tensorboard/{below}/events.out.tfevents.{place}.host")
        for part, (first, last) in enumerate(((0, 30), (19, 40))):
            writer = SummaryWriter(str(folder / "again"), purge_step=20 if part else None)
            for step, reward, _ in SERIES[first:last]:
                writer.add_scalar("train/reward", reward + part, step)
            writer.close()
        parts = sorted((folder / "again").rglob("events*"), key=lambda p: p.stat().st_mtime_ns)
        for place, path in enumerate(parts):
            keep(path, f"tensorboard-restarted/events.out.tfevents.{place}.host")


def wandb() -> None:
    """An offline run with nested keys, unknown values, and a clock of its own."""
    import wandb as tracker

    with scratch() as folder:
        nothing_else = {"x_disable_stats": True, "x_disable_meta": True, "disable_git": True}
        quiet = tracker.Settings(
            silent=True, console="off", host="host", program="train.py", **nothing_else
        )
        run = tracker.init(mode="offline", project="fixtures", dir=str(folder), settings=quiet)
        for step, reward, entropy in SERIES:
            row = {"train/reward": reward, "train/entropy": entropy, "train/reward_std": 0.1}
            row |= {"train/kl": float("nan"), "nested": {"a": step, "text": "words"}}
            run.log({"train/global_step": 10 * step, **row, "big": 2**40, "flag": True})
        run.finish()
        (path,) = folder.rglob("*.wandb")
        keep(path, "wandb/run-fixture.wandb")


def mlflow() -> None:
    """Two runs in a database; one in the old file store."""
    import mlflow as tracker

    os.environ["MLFLOW_ALLOW_FILE_STORE"] = "true"
    with scratch() as folder:
        for uri, runs in ((f"sqlite:///{folder}/mlflow.db", 2), ((folder / "mlruns").as_uri(), 1)):
            tracker.set_tracking_uri(uri)
            for number in range(runs):
                with tracker.start_run(run_name=f"run-{number}"):
                    for step, reward, entropy in SERIES[: 40 // (number + 1)]:
                        metrics = {"reward": reward + number, "entropy": entropy}
                        tracker.log_metrics({**metrics, "rewards/even/mean": reward}, step=step)
                    tracker.log_metric("kl", float("nan"), step=1)
        slim(folder / "mlflow.db", "UPDATE runs SET artifact_uri = '', source_name = ''")
        keep(folder / "mlflow.db", "mlflow/mlflow.db")
        (metrics,) = (folder / "mlruns").glob("*/*/metrics")
        keep(metrics, "mlruns/0/run0/metrics")
        meta = (metrics.parent / "meta.yaml").read_text().replace(str(folder), "")
        (FIXTURES / "mlruns/0/run0/meta.yaml").write_text(meta)


def slim(database: Path, *statements: str) -> None:
    """Leave the tables of metrics and runs without their indices: the rest is empty, but large."""
    import sqlite3

    with sqlite3.connect(database) as base:
        base.execute("PRAGMA foreign_keys = OFF")
        base.execute("PRAGMA journal_mode = DELETE")
        names = [n for (n,) in base.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        for name in names:
            if name not in ("metrics", "runs") and not name.startswith("sqlite_"):
                base.execute(f'DROP TABLE "{name}"')
        for statement in statements:
            base.execute(statement)
        indices = "SELECT name FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL"
        for (name,) in base.execute(indices).fetchall():
            base.execute(f'DROP INDEX "{name}"')
    base = sqlite3.connect(database, isolation_level=None)
    base.execute("VACUUM")
    base.close()


def trackio() -> None:
    """One run in Trackio's database."""
    with scratch() as folder:
        os.environ["TRACKIO_DIR"] = str(folder / "trackio")
        import trackio as tracker

        tracker.init(project="fixtures", name="first", embed=False)
        for step, reward, entropy in SERIES:
            tracker.log({"reward": reward, "entropy": entropy, "kl": float("nan")}, step=step)
        tracker.finish()
        path = next(p for p in folder.rglob("fixtures.db"))
        slim(path)
        keep(path, "trackio/fixtures.db")


def verl() -> None:
    """verl's own formatting of a console line and its file logger, with NumPy's numbers."""
    import importlib.util

    import numpy as np

    spec = importlib.util.find_spec("verl")
    assert spec is not None
    assert spec.submodule_search_locations
    root = Path(spec.submodule_search_locations[0])
    path = root / "utils" / "logger" / "aggregate_logger.py"
    module_spec = importlib.util.spec_from_file_location("aggregate_logger", path)
    assert module_spec is not None
    assert module_spec.loader is not None
    module = importlib.util.module_from_spec(module_spec)
    module_spec.loader.exec_module(module)
    lines, rows = ["Training from scratch"], []
    for step, reward, entropy in SERIES:
        data: dict[str, object] = {"actor/entropy": np.float64(entropy), "actor/ppo_kl": 1e-5}
        data |= {"critic/score/mean": reward, "actor/kl_loss": np.float32(0.01), "lr": 1e-6}
        if step % 5 == 0:
            data["val-core/math/acc/mean@8"] = np.float64(reward / 2)
        lines.append("(TaskRunner pid=77) " + module.concat_dict_to_str(data, step))
        plain = {k: float(v) for k, v in data.items()}  # type: ignore[arg-type]
        rows.append(json.dumps({"step": step, "data": plain}))
    (FIXTURES / "verl").mkdir(parents=True, exist_ok=True)
    (FIXTURES / "verl" / "console.log").write_text("\n".join(lines) + "\n")
    (FIXTURES / "verl" / "experiment.jsonl").write_text("\n".join(rows) + "\n")


MAKERS: dict[str, Callable[[], None]] = {
    m.__name__: m for m in (trl, tensorboard, wandb, mlflow, trackio, verl)
}


def main(names: list[str]) -> None:
    """Make the named fixtures, and note the versions of the tools that wrote them."""
    versions = FIXTURES / "versions.json"
    noted = json.loads(versions.read_text()) if versions.exists() else {}
    for name in names or MAKERS:
        MAKERS[name]()
        noted[name] = importlib.metadata.version(name)
        versions.write_text(json.dumps(noted, indent=2, sort_keys=True) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
