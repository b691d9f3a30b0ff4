"""Small checkpoints made without a model: a state, an optimizer's tensors, a manifest."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from safetensors.torch import save_file

from trainer.training.checkpoint import folder_of
from trainer.training.manifest import FORMAT, write_manifest


def state_of(step: int) -> dict:
    """The least that a state holds."""
    counts = {"step": step, "cursor": 0, "samples": 0}
    rest = {"knobs": {"kl": 0.1}, "memory": None, "buckets": [], "kept": None}
    return {**counts, **rest, "sizes": {}, "task": None}


def make_checkpoint(run: Path, step: int, interrupted: bool = False, manifest: bool = True) -> Path:
    """A whole checkpoint of a step; without a manifest as the first versions wrote them."""
    folder = folder_of(run, step)
    folder.mkdir(parents=True)
    save_file({"0.exp_avg": torch.arange(4.0)}, folder / "optimizer.safetensors")
    values = {**state_of(step), **({"format": FORMAT} if manifest else {})}
    (folder / "state.json").write_text(json.dumps(values))
    if manifest:
        write_manifest(folder, interrupted)
    return folder


def flip_bit(path: Path, place: int = -1) -> None:
    """Changes one bit of a file."""
    content = bytearray(path.read_bytes())
    content[place] ^= 1
    path.write_bytes(content)
