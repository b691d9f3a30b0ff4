"""A model spread over the processes (FSDP2); all but :func:`shard` leave a whole model as it is.

In training each process keeps 1/N of weights, gradients and optimizer state, and gathers a layer at
a time. Passes without gradient (rollouts, the reference, evaluations) run inside :func:`whole`, on
weights gathered for as long as it takes: processes may then decode different numbers of tokens
without waiting for each other. That costs a full copy of one model's weights while it lasts, and no
more than that.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from trainer.distributed.world import World

__all__ = ["is_sharded", "placed", "plain", "shard", "whole"]


def shard(model: Any, world: World, device: str = "cpu") -> None:
    """Spreads a model over all processes in place: decoder layers one by one, then the rest.

    Gradients are sums over the processes, as :meth:`World.add` makes them for a whole model. The
    model may be on the CPU; it goes to ``device`` layer by layer, so it never is there as a whole.
    """
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import FSDPModule, fully_shard

    mesh = init_device_mesh(device, (world.size,))
    kinds = set(getattr(model, "_no_split_modules", None) or ())
    layers = [m for m in model.modules() if m is not model and type(m).__name__ in kinds]
    for part in (*layers, model):
        fully_shard(part, mesh=mesh)
    for part in _parts(model):
        assert isinstance(part, FSDPModule)
        part.set_gradient_divide_factor(1.0)
        part.set_force_sum_reduction_for_comms(True)


def is_sharded(model: nn.Module) -> bool:
    """Whether the model is spread over the processes."""
    return bool(_parts(model))


@contextmanager
def whole(model: nn.Module) -> Iterator[None]:
    """Within this context every process has all weights and no pass needs another process.

    For passes without gradient. Every process must enter it as often as the others.
    """
    parts = _parts(model)
    for part in parts:
        part.set_reshard_after_forward(False, recurse=False)
        part.unshard()
    try:
        yield
    finally:
        for part in parts:
            part.reshard()
            # what fully_shard does by itself: the root's weights are needed first in backward
            part.set_reshard_after_forward(part is not parts[0], recurse=False)


def plain(tensor: Tensor) -> Tensor:
    """The tensor as a whole, gathered where it is spread; then every process must call this."""
    full: Tensor = tensor.full_tensor() if hasattr(tensor, "full_tensor") else tensor
    return full


def placed(value: Tensor, like: Tensor) -> Tensor:
    """A whole tensor, which every process has, spread as ``like`` is."""
    if not hasattr(like, "device_mesh"):
        return value
    from torch.distributed.tensor import distribute_tensor

    value = value.to(like.device)
    return distribute_tensor(value, like.device_mesh, like.placements, src_data_rank=None)  # type: ignore[attr-defined]


def _parts(model: nn.Module) -> list[Any]:
    """The modules that are spread, the outermost first."""
    if not torch.distributed.is_available():
        return []
    from torch.distributed.fsdp import FSDPModule

    return [part for part in model.modules() if isinstance(part, FSDPModule)]
