"""Checkpoints that are there as a whole or not at all, and the lock of a run's folder.

``checkpoints/step-000120/`` is a model that ``from_pretrained`` loads, with
``optimizer.safetensors`` and ``state.json`` beside it. It is written under another name, flushed to
the disk, then renamed.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from filelock import FileLock, Timeout
from safetensors.torch import load_file, save_file

from qdlaws.errors import BadData, BadLog, QdlawsError
from trainer.distributed.sharding import placed, plain
from trainer.policy import exported_weights, save_policy

if TYPE_CHECKING:
    from trainer.policy import Policy

__all__ = [
    "Saved",
    "checkpoint_steps",
    "folder_of",
    "gathered",
    "load_optimizer",
    "load_state",
    "lock",
    "prune",
    "save_checkpoint",
]


def folder_of(run: Path, step: int) -> Path:
    """Where the checkpoint of a step stands."""
    return run / "checkpoints" / f"step-{step:06d}"


def checkpoint_steps(run: Path) -> list[int]:
    """Steps that have a complete checkpoint, in order."""
    complete = (run / "checkpoints").glob("step-*/state.json")
    return sorted(int(path.parent.name.removeprefix("step-")) for path in complete)


@dataclass(frozen=True, eq=False)
class Saved:
    """The tensors of a checkpoint, whole."""

    weights: dict[str, torch.Tensor]
    """As exported: adapters are merged in."""
    adapters: dict[str, torch.Tensor]
    """As trained; empty where there are none."""
    optimizer: dict[str, torch.Tensor]


def gathered(policy: Policy, optimizer: torch.optim.Optimizer) -> Saved:
    """What a checkpoint holds; of a model that is spread over processes every one must ask."""
    adapters = {n: p for n, p in policy.model.named_parameters() if "lora_" in n}
    trained = {name: plain(p.detach()).contiguous().cpu() for name, p in adapters.items()}
    return Saved(exported_weights(policy), trained, _flat(optimizer))


def save_checkpoint(
    run: Path, step: int, policy: Policy, saved: Saved, state: Mapping[str, Any]
) -> Path:
    """Saves weights, optimizer and state; the folder appears only when it is complete."""
    final = folder_of(run, step)
    half = final.with_name(f".{final.name}.tmp")
    shutil.rmtree(half, ignore_errors=True)
    try:
        half.mkdir(parents=True)
        save_policy(policy, half, saved.weights)
        if saved.adapters:  # in training, unmerged: the exported model has them merged
            save_file(saved.adapters, half / "adapters.safetensors")
        save_file(saved.optimizer, half / "optimizer.safetensors")
        (half / "state.json").write_text(json.dumps(state), encoding="utf-8")
        for path in half.iterdir():
            _flush(path)
        if final.exists():  # the same step again, after a resume
            shutil.rmtree(final)
        half.rename(final)
        _flush(final.parent)
    except OSError as error:
        shutil.rmtree(half, ignore_errors=True)
        raise QdlawsError(
            f"cannot save {final}: {error.strerror or error}; {_last_good(run)}"
        ) from None
    except Exception as error:  # safetensors reports a full disk as an error of its own
        shutil.rmtree(half, ignore_errors=True)
        if "SafetensorError" not in type(error).__name__:
            raise
        raise QdlawsError(f"cannot save {final}: {error}; {_last_good(run)}") from None
    return final


def _last_good(run: Path) -> str:
    steps = checkpoint_steps(run)
    return f"the last good one is step {steps[-1]}" if steps else "there is none before it"


def _flush(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _flat(optimizer: torch.optim.Optimizer) -> dict[str, torch.Tensor]:
    """The optimizer's tensors by ``number.name``."""
    state = optimizer.state_dict()["state"]
    return {
        f"{number}.{name}": plain(torch.as_tensor(value)).contiguous().cpu()
        for number, values in state.items()
        for name, value in values.items()
        if value is not None
    }


def load_optimizer(optimizer: torch.optim.Optimizer, checkpoint: Path) -> None:
    """Puts the saved tensors back."""
    whole = optimizer.state_dict()
    weights = [p for part in optimizer.param_groups for p in part["params"]]
    state: dict[int, dict[str, torch.Tensor]] = {}
    for key, value in load_file(checkpoint / "optimizer.safetensors").items():
        number, _, name = key.partition(".")
        like = weights[int(number)]
        value = placed(value, like) if value.shape == like.shape else value
        state.setdefault(int(number), {})[name] = value
    optimizer.load_state_dict({**whole, "state": state})


def load_trained(policy: Policy, checkpoint: Path) -> None:
    """Puts saved weights into a policy of the same shape, bit for bit."""
    adapters = checkpoint / "adapters.safetensors"
    if adapters.exists():
        tensors = load_file(adapters)
    else:
        tensors = {}
        for path in sorted(checkpoint.glob("model*.safetensors")):
            tensors |= load_file(path)
    present = policy.model.state_dict()
    tensors = {n: placed(v, present[n]) if n in present else v for n, v in tensors.items()}
    missing, unexpected = policy.model.load_state_dict(tensors, strict=False)
    tied = set(getattr(policy.model, "_tied_weights_keys", None) or ())
    lost = [] if adapters.exists() else [n for n in missing if n not in tied]
    lost = [n for n in lost if "lm_head" not in n]  # tied heads are saved once
    if lost or unexpected:
        raise BadData(f"{checkpoint} does not fit the policy: {(lost or unexpected)[0]}")


def load_state(run: Path, step: int | None = None) -> tuple[Path, dict[str, Any]]:
    """Folder and state of a checkpoint, the newest by default."""
    steps = checkpoint_steps(run)
    if not steps:
        raise BadLog(f"no checkpoint in {run}: nothing to go on from")
    if step is not None and step not in steps:
        near = ", ".join(map(str, steps[-12:]))
        raise BadData(f"no checkpoint of step {step} in {run}; there are {near}")
    folder = folder_of(run, steps[-1] if step is None else step)
    state: dict[str, Any] = json.loads((folder / "state.json").read_text(encoding="utf-8"))
    return folder, state


def prune(run: Path, keep: int | None, named: int | None = None) -> None:
    """Removes all but the newest ``keep`` checkpoints and the one that the advice names."""
    if keep is None:
        return
    for step in checkpoint_steps(run)[: -max(keep, 1)]:
        if step != named:
            shutil.rmtree(folder_of(run, step), ignore_errors=True)


@contextmanager
def lock(run: Path) -> Iterator[None]:
    """Holds the run's folder; a second run that wants it gets one line. A kill frees it."""
    run.mkdir(parents=True, exist_ok=True)
    held = FileLock(run / ".lock")
    try:
        held.acquire(blocking=False)
    except Timeout:
        raise BadData(f"another process is writing {run}") from None
    try:
        yield
    finally:
        held.release()
