"""A policy is loaded from a folder or a hub id, or refused in one line."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Any, Literal

import torch

from qdlaws.errors import BadData, QdlawsError
from trainer.policy.model import Policy, make_policy

__all__ = ["DType", "LoraOptions", "load_policy", "quiet"]

DType = Literal["float32", "bfloat16", "float64", "auto"]


@dataclass(frozen=True)
class LoraOptions:
    """Low-rank adapters (Hu et al. 2021, arXiv 2106.09685) instead of training all weights."""

    rank: int = 16
    alpha: int = 32
    """The adapter's output is scaled by alpha / rank."""
    targets: str | tuple[str, ...] = "all-linear"
    """Names of the layers that get one; ``all-linear``: every linear layer but the output."""
    seed: int = 0
    """Of their first weights, which are then the same in every process and every run."""


LOADING = Lock()
"""transformers patches itself while it loads: of two loads at once the patch would stay behind."""


def load_policy(
    source: str | Path,
    *,
    device: str | torch.device | None = None,
    dtype: DType = "float32",
    lora: LoraOptions | None = None,
    train_layers: int = 0,
    trust_remote_code: bool = False,
    gradient_checkpointing: bool = False,
) -> Policy:
    """The causal language model and tokenizer saved at ``source``, a folder or a hub id.

    Parameters
    ----------
    source : a folder written by ``save_pretrained``, or the id of a model on the hub; weights are
        read from safetensors only
    device : None takes CUDA where there is one
    dtype : of the weights; "auto" keeps the type they are stored in
    lora : low-rank adapters to train instead of all weights; needs the package peft
    train_layers : train only so many of the last layers; 0 trains all weights
    trust_remote_code : whether code that comes with the model may run
    gradient_checkpointing : recompute activations in backward instead of keeping them

    Returns
    -------
    Policy

    Raises
    ------
    BadData
        In one line, for a folder without a model, tokenizer or safetensors, and for whatever
        transformers refuses.
    """
    from transformers import AutoModelForCausalLM, AutoTokenizer

    device = device or ("cuda" if torch.cuda.is_available() else "cpu")
    _check_folder(source)
    code = {"trust_remote_code": trust_remote_code}
    with _one_line(source, "tokenizer"):
        tokenizer = AutoTokenizer.from_pretrained(source, **code)
    with LOADING, _one_line(source, "model"):
        model = AutoModelForCausalLM.from_pretrained(
            source,
            dtype=dtype if dtype == "auto" else getattr(torch, dtype),
            use_safetensors=True,
            **code,
        )
    if train_layers:
        _freeze_below(model, train_layers, source)
    if gradient_checkpointing:
        _recompute(model)
    policy = make_policy(_to(model, device), tokenizer, source=source)
    if lora is None:
        return policy
    return make_policy(_with_adapters(policy.model, lora), tokenizer, source=source)


def _check_folder(source: str | Path) -> None:
    """Refuses, in one line, folders for which transformers has a page about hubs and formats."""
    folder = Path(source)
    if not folder.is_dir():
        if isinstance(source, Path) or folder.is_absolute() or str(source).startswith("."):
            raise BadData(f"{source} is not a folder; needed: one written by save_pretrained")
        return
    files = sorted(path.name for path in folder.iterdir())
    if "config.json" not in files:
        raise BadData(f"{source} has no config.json; needed: a folder written by save_pretrained")
    if not any(name.endswith(".safetensors") for name in files):
        raise BadData(
            f"{source} has no *.safetensors, and no other weights are loaded; found: "
            + ", ".join(files)
        )
    if not any("token" in name or "vocab" in name for name in files):
        raise BadData(f"{source} has no tokenizer; save one there with tokenizer.save_pretrained")


@contextmanager
def _one_line(source: str | Path, what: str) -> Iterator[None]:
    from safetensors import SafetensorError

    expected = (OSError, ValueError, KeyError, ImportError, RuntimeError, SafetensorError)
    try:
        with quiet() if Path(source).is_dir() else nullcontext():  # a download shows its progress
            yield
    except expected as error:
        reason = next((line for line in str(error).splitlines() if line.strip()), repr(error))
        hint = "" if Path(source).is_dir() else " (there is no folder of that name)"
        message = f"could not load the {what} of {source}{hint}: {reason.strip()}"
        raise BadData(message) from error


@contextmanager
def quiet() -> Iterator[None]:
    """transformers' progress bars off: they are about seconds, and written to stderr."""
    from transformers.utils import logging

    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            logging.enable_progress_bar()


def _freeze_below(model: Any, layers: int, source: str | Path) -> None:
    """Leaves the last layers to be trained and nothing else: backward ends where they begin."""
    lists = [part for part in model.modules() if isinstance(part, torch.nn.ModuleList)]
    stack = max(lists, key=len, default=torch.nn.ModuleList())
    if layers > len(stack):
        raise BadData(f"{source} has {len(stack)} layers, fewer than train_layers = {layers}")
    model.requires_grad_(False)
    for layer in stack[-layers:]:
        layer.requires_grad_(True)


def _recompute(model: Any) -> None:
    """Activations are made again in backward instead of being kept."""
    older = model.gradient_checkpointing_enable
    getattr(model, "activation_checkpointing_enable", older)({"use_reentrant": False})


def _to(model: Any, device: str | torch.device) -> Any:
    try:
        return model.to(device)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise BadData(f"the model cannot be moved to device {device}: {reason}") from error


def _with_adapters(model: Any, options: LoraOptions) -> Any:
    try:
        from peft import LoraConfig, get_peft_model
    except ImportError as error:
        raise QdlawsError("LoRA needs the package peft: pip install peft") from error
    targets = options.targets if isinstance(options.targets, str) else list(options.targets)
    config = LoraConfig(
        r=options.rank,
        lora_alpha=options.alpha,
        target_modules=targets,
        lora_dropout=0.0,
        task_type="CAUSAL_LM",
    )
    try:
        with torch.random.fork_rng():
            torch.manual_seed(options.seed)
            return get_peft_model(model, config)
    except ValueError as error:
        reason = str(error).splitlines()[0]
        raise BadData(f"LoRA on layers {options.targets!r}: {reason}") from error
