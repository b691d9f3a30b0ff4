"""The head of FlowRL: log Z of a prompt from the policy's hidden states.

A few layers on the mean over the prompt's tokens of the last hidden state, as in the released code;
the gradient flows on into the policy, as there.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from qdlaws.errors import BadLog
from trainer.policy import Policy
from trainer.types import HeadPlan

__all__ = ["FILE", "load_head", "log_partition", "make_head"]

FILE = "head.safetensors"
"""Its weights in a checkpoint."""


def make_head(policy: Policy, plan: HeadPlan, seed: int) -> nn.Module:
    """A new head for the policy's width, on its device; the last layer begins at log Z = 0."""
    width = policy.model.config.get_text_config(decoder=True).hidden_size
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        parts: list[nn.Module] = []
        for _ in range(plan.layers - 1):
            parts += [nn.Linear(width, width), nn.GELU(), nn.LayerNorm(width)]
        last = nn.Linear(width, 1)
    nn.init.zeros_(last.weight)
    nn.init.zeros_(last.bias)
    return nn.Sequential(*parts, last).to(policy.device, policy.dtype)


def log_partition(policy: Policy, head: nn.Module, prompts: Sequence[Sequence[int]]) -> Tensor:
    """log Z of each prompt, (B, 1), with gradient; a prompt of many rows is read once."""
    different = list(dict.fromkeys(tuple(prompt) for prompt in prompts))
    place = {prompt: i for i, prompt in enumerate(different)}
    length = torch.tensor([len(prompt) for prompt in different], device=policy.device)
    ids = torch.full((len(different), int(length.max())), policy.pad, device=policy.device)
    for row, prompt in enumerate(different):
        ids[row, : len(prompt)] = torch.tensor(prompt, device=policy.device)
    inside = torch.arange(ids.shape[1], device=policy.device)[None, :] < length[:, None]
    with policy.speaking() as model:  # what fills a row up comes after all that counts
        answer: Any = model(input_ids=ids, output_hidden_states=True, use_cache=False)
    hidden = answer.hidden_states[-1].to(policy.dtype)
    mean = (hidden * inside[..., None]).sum(1) / length[:, None]
    rows = torch.tensor([place[tuple(prompt)] for prompt in prompts], device=policy.device)
    values: Tensor = head(mean)
    return values[rows]


def load_head(head: nn.Module, checkpoint: Path) -> None:
    """Puts saved weights into a head of the same shape."""
    try:
        head.load_state_dict(load_file(checkpoint / FILE))
    except (OSError, SafetensorError, RuntimeError) as error:
        raise BadLog(f"{checkpoint / FILE} does not fit the recipe's head: {error}") from None
