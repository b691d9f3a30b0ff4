"""Several processes as one: their ranks, gathering, sums. With one process, nothing happens.

Rollouts are sharded by prompt and gathered, so that what the optimizer batch decides is decided
from the whole batch on every process; gradients are sums over the global batch, never means of
means.
"""

from __future__ import annotations

import atexit
import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor

__all__ = ["World", "join_world"]

T = TypeVar("T")


@dataclass(frozen=True)
class World:
    """This process among all."""

    rank: int = 0
    size: int = 1

    @property
    def leads(self) -> bool:
        """Whether this is the one that writes."""
        return self.rank == 0

    def mine(self, n: int) -> range:
        """The part of n items that this process works on; it may be empty."""
        return range(n * self.rank // self.size, n * (self.rank + 1) // self.size)

    def gather(self, part: Sequence[T]) -> list[T]:
        """The parts of all processes, in the order of :meth:`mine`."""
        if self.size == 1:
            return list(part)
        parts: list[Any] = [None] * self.size
        dist.all_gather_object(parts, list(part))
        return [item for each in parts for item in each]

    def gather_rows(self, rows: Tensor, fill: float = 0) -> Tensor:
        """Rows of all processes in one tensor; narrower ones are filled up on the right."""
        if self.size == 1:
            return rows
        parts: list[Any] = [None] * self.size
        dist.all_gather_object(parts, rows.cpu())
        wide = [part for part in parts if part.ndim > 1]
        if wide:
            width = max(part.shape[1] for part in wide)
            parts = [torch.nn.functional.pad(p, (0, width - p.shape[1]), value=fill) for p in parts]
        return torch.cat(parts).to(rows.device)

    def broadcast(self, value: T) -> T:
        """The leading process's value, on every process."""
        if self.size == 1:
            return value
        box = [value]
        dist.broadcast_object_list(box, src=0)
        return box[0]

    def add(self, parameters: Sequence[torch.nn.Parameter]) -> None:
        """Sums gradients over the processes; one that had no samples adds zeros.

        Where no sample had a gradient it is zero rather than missing, so that the optimizer goes
        on by its momentum whatever the number of processes.
        """
        for parameter in parameters:
            if parameter.grad is None:
                parameter.grad = torch.zeros_like(parameter)
        if self.size == 1:
            return
        by_type: dict[torch.dtype, list[Tensor]] = {}
        for parameter in parameters:
            assert parameter.grad is not None
            by_type.setdefault(parameter.grad.dtype, []).append(parameter.grad)
        for gradients in by_type.values():  # one message for all of them
            flat = torch.cat([g.flatten() for g in gradients])
            dist.all_reduce(flat)
            totals = torch.split(flat, [g.numel() for g in gradients])
            for gradient, total in zip(gradients, totals, strict=True):
                gradient.copy_(total.view_as(gradient))

    def wait(self) -> None:
        """Waits until all processes have come to this call."""
        if self.size > 1:
            dist.barrier()


def join_world(device: str = "auto") -> World:
    """The world that ``torchrun`` has set up, or this process alone."""
    size = int(os.environ.get("WORLD_SIZE", "1"))
    if size == 1:
        return World()
    if not dist.is_initialized():
        cuda = device != "cpu" and torch.cuda.is_available()
        if cuda:
            torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", "0")))
        dist.init_process_group("cpu:gloo,cuda:nccl" if cuda else "gloo")
        atexit.register(_leave_world)
    return World(dist.get_rank(), dist.get_world_size())


def _leave_world() -> None:
    """Ends the threads of the process group; one that outlives Python aborts the process."""
    if dist.is_initialized():
        dist.destroy_process_group()
