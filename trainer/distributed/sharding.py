"""A model spread over the processes (FSDP2); all but :func:`shard` leave a whole model as it is.

In training each process keeps 1/N of weights, gradients and optimizer state, and gathers a layer at
a time. Passes without gradient (rollouts, the reference, evaluations) run inside :func:`passes`. By
default the weights are gathered for as long as it takes (:func:`whole`): processes may then decode
different numbers of tokens without waiting for each other. That costs a full copy of one model's
weights while it lasts, and no more than that. Where even that copy does not fit, a layer is
gathered at a time and all processes do the same number of passes (:func:`in_step`).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from trainer.distributed.world import World

__all__ = ["in_step", "is_sharded", "passes", "placed", "plain", "shard", "whole"]

IN_STEP = "_passes_in_step"


def shard(model: Any, world: World, device: str = "cpu", gather: bool = True) -> None:
    """Spreads a model over all processes in place: decoder layers one by one, then the rest.

    ``gather``: whether :func:`passes` gathers all weights of this model, or a layer at a time.

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
    setattr(model, IN_STEP, not gather)


def is_sharded(model: nn.Module) -> bool:
    """Whether the model is spread over the processes."""
    return bool(_parts(model))


@contextmanager
def passes(model: nn.Module) -> Iterator[None]:
    """Within this context every process does as many passes without gradient as it has to.

    Every process must enter it as often as the others.
    """
    parts = _parts(model)
    with in_step(model) if parts and getattr(parts[0], IN_STEP, False) else whole(model):
        yield


@contextmanager
def in_step(model: nn.Module) -> Iterator[None]:
    """Within this context a pass gathers a layer at a time, and processes wait for each other.

    One that has no more to do makes empty passes for as long as another has: a layer is gathered
    from all of them. Before each pass they agree whether there is one.
    """
    parts = _parts(model)
    if not parts:
        yield
        return
    root = parts[0]
    for part in parts:  # else the first pass would make its buffers, perhaps in inference mode
        part.unshard()
        part.reshard()
    hook = root.register_forward_pre_hook(lambda *_: _any_has_a_pass(True) and None, prepend=True)
    try:
        yield
    finally:
        hook.remove()
    nothing = torch.zeros(1, 1, dtype=torch.long, device=next(root.parameters()).device)
    with torch.no_grad():
        while _any_has_a_pass(False):
            root(input_ids=nothing, use_cache=False)


def _any_has_a_pass(mine: bool) -> bool:
    """Whether this process or any other is about to make a pass."""
    count = torch.tensor(int(mine))
    torch.distributed.all_reduce(count)
    return bool(count)


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
