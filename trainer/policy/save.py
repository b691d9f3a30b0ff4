"""save_policy: a folder that ``from_pretrained`` loads unchanged, adapters merged in."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from trainer.policy.load import quiet
from trainer.policy.model import Policy, has_adapters

__all__ = ["merged_weights", "save_policy"]


def save_policy(policy: Policy, folder: str | Path) -> None:
    """Write weights (safetensors), config and tokenizer to ``folder``, which is made if missing.

    Adapters are merged into what is written and stay as they are in the policy itself.
    """
    model = policy.model
    with quiet():
        if has_adapters(model):
            weights = merged_weights(model, keep_adapters=not policy.frozen)
            model.get_base_model().save_pretrained(folder, state_dict=weights)
        else:
            model.save_pretrained(folder)
    policy.tokenizer.save_pretrained(folder)


@torch.no_grad()
def merged_weights(model: Any, *, keep_adapters: bool = True) -> dict[str, Tensor]:
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
