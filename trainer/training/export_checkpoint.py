"""The model of a checkpoint as a folder that ``from_pretrained`` loads, however it was saved."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from qdlaws.errors import BadData
from trainer.config import load_config
from trainer.consent import Trust, check_run
from trainer.policy import save_policy
from trainer.training import checkpoint, run_folder
from trainer.training.setup import load_models

__all__ = ["export_checkpoint"]


def export_checkpoint(source: Path, out: Path, trust: Trust = False) -> Path:
    """Writes the model of a checkpoint, or of a run's newest, without optimizer; gives ``out``.

    One process puts together what several have written in parts, and merges adapters. It needs
    memory for the whole model on the CPU, and no device.
    """
    step = checkpoint.step_of(source)
    run = source if step is None else source.parent.parent
    if not (run / "config.toml").exists():
        raise BadData(f"{source} is no checkpoint of a run, nor a run: there is no config.toml")
    if out.exists() and any(out.iterdir()):
        raise BadData(f"{out} is not empty: an export needs a folder of its own")
    config = load_config(run / "config.toml")
    check_run(run, config, trust)
    saved, _ = checkpoint.load_state(run, step)
    policy, _ = load_models(replace(config, policy=replace(config.policy, device="cpu")))
    checkpoint.load_trained(policy, saved)
    with run_folder.one_line(f"write {out}"):
        out.mkdir(parents=True, exist_ok=True)
        save_policy(policy, out)
    return out
