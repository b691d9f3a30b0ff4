"""A policy is saved as a folder that ``from_pretrained`` loads unchanged, adapters merged in."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from trainer.distributed.sharding import plain
from trainer.policy.load import quiet
from trainer.policy.model import Policy, has_adapters

__all__ = ["exported_weights", "save_names", "save_policy"]


def save_policy(
    policy: Policy, folder: str | Path, weights: dict[str, Tensor] | None = None
) -> None:
    """Write weights (safetensors), config and tokenizer to ``folder``, which is made if missing.

    Adapters are merged into what is written and stay as they are in the policy itself. ``weights``
    are :func:`exported_weights`, where they had to be gathered from several processes before.
    """
    weights = exported_weights(policy) if weights is None else weights
    model = policy.model.get_base_model() if has_adapters(policy.model) else policy.model
    with quiet():
        model.save_pretrained(folder, state_dict=weights)
    policy.tokenizer.save_pretrained(folder)


def save_names(policy: Policy, folder: str | Path) -> None:
    """Write all that :func:`save_policy` does but the weights: configuration and tokenizer."""
    model = policy.model.get_base_model() if has_adapters(policy.model) else policy.model
    model.config.save_pretrained(folder)
    policy.tokenizer.save_pretrained(folder)


@torch.no_grad()
def exported_weights(policy: Policy) -> dict[str, Tensor]:
    """The weights that ``from_pretrained`` loads; a spread model needs all processes here."""
    if has_adapters(policy.model):
        weights = _merged_weights(policy.model, keep_adapters=not policy.frozen)
    else:
        weights = policy.model.state_dict()
    return {name: plain(value) for name, value in weights.items()}


@torch.no_grad()
def _merged_weights(model: Any, *, keep_adapters: bool = True) -> dict[str, Tensor]:
    """The state of the model below the adapters, W + ΔW where there is an adapter."""
    base = model.get_base_model()
    weights = {
        name.replace(".base_layer.", "."): value
        for name, value in base.state_dict().items()
        if ".lora_" not in name
    }
    for name, module in base.named_modules():
        if keep_adapters and hasattr(module, "get_delta_weight"):
            for adapter in module.active_adapters:
                weight = weights[f"{name}.weight"]
                weights[f"{name}.weight"] = weight + module.get_delta_weight(adapter).to(weight)
    return weights
