"""Checkpoints that are there as a whole or not at all.

``checkpoints/step-000120/`` is a model that ``from_pretrained`` loads, with
``optimizer.safetensors``, ``state.json`` and ``manifest.json`` beside it. It is written under
another name, flushed to the disk, then renamed; one that goes is renamed before it is removed. So
at no moment is a part of one taken for a whole, nor is there none once there was one.

Of a model that is spread over processes, each may write its own part (``checkpoint.parts``):
nothing is gathered then, and ``qdtrain export`` makes a model for ``from_pretrained`` of it.
"""

from __future__ import annotations

import json
import logging
import re
import secrets
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from qdlaws.errors import BadData, BadLog, QdlawsError
from trainer.distributed.sharding import placed, plain
from trainer.distributed.tensor_parts import has_parts, load_parts, part_shapes, save_parts
from trainer.policy import exported_weights, save_names, save_policy
from trainer.training.manifest import FORMAT, checked_state, is_interrupted, write_manifest
from trainer.training.novelty import FILE as NOVELTY
from trainer.training.partition_head import FILE as HEAD
from trainer.training.run_folder import LOGS, flush, growing_files, one_line

if TYPE_CHECKING:
    from trainer.policy import Policy
    from trainer.training.novelty import NoveltyNetworks

__all__ = [
    "Damage",
    "Saved",
    "checkpoint_steps",
    "due_steps",
    "folder_of",
    "gathered",
    "load_optimizer",
    "load_state",
    "load_trained",
    "new_folder",
    "newest_whole",
    "prune",
    "save_checkpoint",
    "save_in_parts",
    "set_aside",
    "step_of",
    "tidy",
]

FOLDER = re.compile(r"step-(\d{6,})")
LEFT = re.compile(r"\.(step-\d{6,})(?:\.[0-9a-f]+)?\.(tmp|old|gone)")
"""What a killed process leaves: half written, put aside for a new one, on its way out."""


def folder_of(run: Path, step: int) -> Path:
    """Where the checkpoint of a step stands."""
    return run / "checkpoints" / f"step-{step:06d}"


def step_of(folder: Path) -> int | None:
    """The step of a checkpoint's folder; None where its name is another."""
    name = FOLDER.fullmatch(folder.name)
    return None if name is None else int(name[1])


def checkpoint_steps(run: Path) -> list[int]:
    """Steps that have a complete checkpoint, in order."""
    complete = (run / "checkpoints").glob("step-*/state.json")
    steps = (step_of(path.parent) for path in complete)
    return sorted(step for step in steps if step is not None)


def due_steps(run: Path) -> list[int]:
    """Those that an unbroken run has too: all but those of an interruption."""
    return [step for step in checkpoint_steps(run) if not is_interrupted(folder_of(run, step))]


@dataclass(frozen=True, eq=False)
class Saved:
    """The tensors of a checkpoint, whole."""

    weights: dict[str, torch.Tensor]
    """As exported: adapters are merged in."""
    adapters: dict[str, torch.Tensor]
    """As trained; empty where there are none."""
    optimizer: dict[str, torch.Tensor]
    head: dict[str, torch.Tensor]
    """Of FlowRL; empty where the recipe has none."""
    novelty: dict[str, torch.Tensor]
    """Of a bonus for novelty; empty where the recipe has none."""


def gathered(
    policy: Policy,
    optimizer: torch.optim.Optimizer,
    head: torch.nn.Module | None = None,
    novelty: NoveltyNetworks | None = None,
) -> Saved:
    """What a checkpoint holds; of a model that is spread over processes every one must ask."""
    adapters = {n: p for n, p in policy.model.named_parameters() if "lora_" in n}
    trained = {name: plain(p.detach()).contiguous().cpu() for name, p in adapters.items()}
    values = {} if head is None else head.state_dict()
    own = {name: value.detach().contiguous().cpu() for name, value in values.items()}
    networks = {} if novelty is None else novelty.tensors()
    return Saved(exported_weights(policy), trained, _flat(optimizer), own, networks)


def save_checkpoint(
    run: Path,
    step: int,
    policy: Policy,
    saved: Saved | Path,
    state: Mapping[str, Any],
    interrupted: bool = False,
) -> Path:
    """Saves weights, optimizer and state; the folder appears only when it is complete.

    ``saved`` is what is to be written, or the new folder into which :func:`save_in_parts` has
    written it.
    """
    final = folder_of(run, step)
    half = saved if isinstance(saved, Path) else _beside(final, "tmp")
    try:
        if isinstance(saved, Saved):
            half.mkdir(parents=True)
            _write_whole(half, policy, saved)
        else:
            save_names(policy, half)
        values = json.dumps({"format": FORMAT, **state})
        (half / "state.json").write_text(values, encoding="utf-8")
        write_manifest(half, interrupted)
        for path in half.iterdir():
            flush(path)
        flush(half)
        _put(half, final)
    except Exception as error:
        shutil.rmtree(half, ignore_errors=True)
        if not (isinstance(error, (OSError, SafetensorError)) or type(error) is Exception):
            raise  # safetensors and tokenizers report a full disk by errors of their own
        reason = getattr(error, "strerror", None) or error
        raise QdlawsError(f"cannot save {final}: {reason}; {_last_good(run)}") from None
    return final


def _write_whole(folder: Path, policy: Policy, saved: Saved) -> None:
    save_policy(policy, folder, saved.weights)
    if saved.adapters:  # in training, unmerged: the exported model has them merged
        save_file(saved.adapters, folder / "adapters.safetensors")
    if saved.head:
        save_file(saved.head, folder / HEAD)
    if saved.novelty:
        save_file(saved.novelty, folder / NOVELTY)
    save_file(saved.optimizer, folder / "optimizer.safetensors")


def new_folder(run: Path, step: int) -> Path:
    """A new hidden folder for a checkpoint that is written in parts."""
    half = _beside(folder_of(run, step), "tmp")
    with one_line(f"save a checkpoint of {run}"):
        half.mkdir(parents=True)
    return half


def save_in_parts(half: Path, policy: Policy, optimizer: torch.optim.Optimizer) -> None:
    """Writes this process's part of weights and optimizer into a :func:`new_folder`.

    Every process must call it. Under LoRA only the adapters are written.
    """
    state = optimizer.state_dict()["state"]
    moments = {
        f"optimizer.{number}.{name}": torch.as_tensor(value)
        for number, values in state.items()
        for name, value in values.items()
        if value is not None
    }
    try:
        save_parts(half, {**_trained_tensors(policy), **moments})
    except QdlawsError:
        shutil.rmtree(half, ignore_errors=True)
        raise


def _trained_tensors(policy: Policy) -> dict[str, torch.Tensor]:
    """The tensors of the policy that a checkpoint in parts holds, by ``model.name``."""
    adapters = {n: p.detach() for n, p in policy.model.named_parameters() if "lora_" in n}
    return {f"model.{n}": t for n, t in (adapters or policy.model.state_dict()).items()}


def _beside(final: Path, end: str) -> Path:
    """A new hidden name beside a checkpoint."""
    return final.with_name(f".{final.name}.{secrets.token_hex(8)}.{end}")


def _put(half: Path, final: Path) -> None:
    """Gives a complete folder its name; one that bears it already is removed after that."""
    old = _beside(final, "old")
    if final.exists():
        final.rename(old)
    half.rename(final)
    flush(final.parent)
    shutil.rmtree(old, ignore_errors=True)


def _last_good(run: Path) -> str:
    steps = checkpoint_steps(run)
    return f"the last good one is step {steps[-1]}" if steps else "there is none before it"


def tidy(run: Path) -> None:
    """Ends what a killed process began. Only who holds the lock of the run may do that."""
    folder = run / "checkpoints"
    for path in sorted(folder.iterdir()) if folder.is_dir() else ():
        name = LEFT.fullmatch(path.name)
        if name is None:
            continue
        if name[2] == "old" and not (folder / name[1]).exists():
            path.rename(folder / name[1])  # killed between the two renames of a replacement
        else:
            shutil.rmtree(path, ignore_errors=True)


def _flat(optimizer: torch.optim.Optimizer) -> dict[str, torch.Tensor]:
    """The optimizer's tensors by ``number.name``."""
    state = optimizer.state_dict()["state"]
    return {
        f"{number}.{name}": plain(torch.as_tensor(value)).contiguous().cpu()
        for number, values in state.items()
        for name, value in values.items()
        if value is not None
    }


# ---------------------------------------------------------------------- loading


@dataclass(frozen=True)
class Damage:
    """A checkpoint that cannot be used, and the reason."""

    folder: Path
    reason: str

    def __str__(self) -> str:
        return f"{self.folder} cannot be used: {self.reason}"


def newest_whole(run: Path) -> tuple[Path, dict[str, Any], list[Damage]]:
    """The newest checkpoint that is whole, its state, and newer ones that are not.

    Every file is compared with the manifest, and the logs must reach as far as they did when it was
    saved. Where none is whole, one line says why, and nothing has been changed.
    """
    damaged: list[Damage] = []
    for step in reversed(checkpoint_steps(run)):
        folder = folder_of(run, step)
        try:
            state = checked_state(folder)
            _check_logs(run, state)
        except QdlawsError as error:
            damaged.append(Damage(folder, str(error)))
        else:
            return folder, state, damaged
    if not damaged:
        raise BadLog(f"no checkpoint in {run}: nothing to go on from")
    rest = f"; nor can the {len(damaged) - 1} before it" if len(damaged) > 1 else ""
    raise BadLog(f"{damaged[0]}{rest}: there is nothing to go on from, and nothing was changed")


def _check_logs(run: Path, state: Mapping[str, Any]) -> None:
    sizes = growing_files(run, state.get("sizes"))
    for path in (run / name for name in LOGS):
        present = path.stat().st_size if path.exists() else 0
        if present < sizes.get(path, 0):
            raise BadLog(
                f"{path.name} has {present} bytes, and had {sizes[path]} when it was saved"
            )


def load_state(run: Path, step: int | None = None) -> tuple[Path, dict[str, Any]]:
    """Folder and state of a whole checkpoint, the newest by default; damaged ones are named."""
    if step is None:
        folder, state, damaged = newest_whole(run)
        for each in damaged:
            logging.getLogger(__name__).warning("%s; using %s", each, folder.name)
        return folder, state
    steps = checkpoint_steps(run)
    if step not in steps:
        near = sorted(sorted(steps, key=lambda each: abs(each - step))[:4])
        have = "there are none"
        if steps:
            have = f"nearest are {', '.join(map(str, near))}, of {len(steps)} up to {steps[-1]}"
        raise BadData(f"no checkpoint of step {step} in {run}; {have}")
    folder = folder_of(run, step)
    try:
        return folder, checked_state(folder)
    except BadLog as error:
        whole, _, _ = newest_whole(run)
        raise BadLog(
            f"{Damage(folder, str(error))}; the newest whole one is {whole.name}"
        ) from None


def set_aside(damaged: list[Damage]) -> None:
    """Renames checkpoints that cannot be used, so that nothing takes them for whole."""
    for one in damaged:
        target = one.folder.with_name(f"{one.folder.name}.damaged")
        if target.exists():
            target = target.with_name(f"{target.name}.{secrets.token_hex(4)}")
        one.folder.rename(target)
        logging.getLogger(__name__).warning("%s; it is now %s", one, target.name)


def load_optimizer(optimizer: torch.optim.Optimizer, checkpoint: Path) -> None:
    """Puts the saved tensors back."""
    whole = optimizer.state_dict()
    weights = [p for part in optimizer.param_groups for p in part["params"]]
    state: dict[int, dict[str, torch.Tensor]] = {}
    if has_parts(checkpoint):
        moments = {}
        for key, shape in part_shapes(checkpoint).items():
            if key.startswith("optimizer."):
                _, number, name = key.split(".")
                like = weights[int(number)].detach()
                moments[key] = torch.zeros_like(like) if shape == like.shape else torch.zeros(shape)
                state.setdefault(int(number), {})[name] = moments[key]
        load_parts(checkpoint, moments)
        optimizer.load_state_dict({**whole, "state": state})
        return
    try:
        for key, value in load_file(checkpoint / "optimizer.safetensors").items():
            number, _, name = key.partition(".")
            like = weights[int(number)]
            value = placed(value, like) if value.shape == like.shape else value
            state.setdefault(int(number), {})[name] = value
        optimizer.load_state_dict({**whole, "state": state})
    except (OSError, SafetensorError, RuntimeError, KeyError, IndexError, ValueError) as error:
        raise BadLog(f"{checkpoint}/optimizer.safetensors does not fit: {error}") from None


def load_trained(policy: Policy, checkpoint: Path) -> None:
    """Puts saved weights into a policy of the same shape, bit for bit."""
    if has_parts(checkpoint):
        load_parts(checkpoint, _trained_tensors(policy))
        return
    adapters = checkpoint / "adapters.safetensors"
    files = [adapters] if adapters.exists() else sorted(checkpoint.glob("model*.safetensors"))
    present = policy.model.state_dict()
    try:
        tensors = {name: tensor for path in files for name, tensor in load_file(path).items()}
        tensors = {n: placed(v, present[n]) if n in present else v for n, v in tensors.items()}
        missing, unexpected = policy.model.load_state_dict(tensors, strict=False)
    except (OSError, SafetensorError, RuntimeError) as error:
        raise BadLog(f"{checkpoint} does not fit the policy: {error}") from None
    tied = set(getattr(policy.model, "_tied_weights_keys", None) or ())
    lost = [] if adapters.exists() else [n for n in missing if n not in tied]
    lost = [n for n in lost if "lm_head" not in n]  # tied heads are saved once
    if lost or unexpected:
        raise BadData(f"{checkpoint} does not fit the policy: {(lost or unexpected)[0]}")


# ---------------------------------------------------------------------- removing


def prune(run: Path, keep: int | None, named: int | None = None) -> None:
    """Removes all but the newest, the newest ``keep`` that were due, and the one that advice names.

    What an interruption saved is not counted, so a run that was interrupted keeps the checkpoints
    that it would have kept.
    """
    if keep is None:
        return
    steps, due = checkpoint_steps(run), due_steps(run)
    staying = {*steps[-1:], *due[-max(keep, 1) :], named}
    for step in steps:
        if step not in staying:
            gone = _beside(folder_of(run, step), "gone")
            folder_of(run, step).rename(gone)
            shutil.rmtree(gone, ignore_errors=True)
