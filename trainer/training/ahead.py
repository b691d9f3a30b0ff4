"""Rollouts one step ahead: the next batch is drawn while the policy learns from this one.

The thread draws from a copy of the weights as they were before the update, so its completions are
one update old when they are trained on. The update scores them anew with the present weights and
multiplies each token's loss by the truncated importance weight min(π_now / π_drawn, cap) (Ionides
2008, doi 10.1198/106186008X320456; Espeholt et al. 2018, arXiv 1802.01561). Nothing is drawn ahead
of a checkpoint, an evaluation or a stage, so that a resumed run repeats the same numbers.
"""

from __future__ import annotations

import copy
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

import torch

from qdlaws.errors import BadData
from trainer.config import Config
from trainer.training.context import RunContext
from trainer.training.progress import Progress
from trainer.training.rollout import Batch, collect

__all__ = ["RolloutsAhead", "check_ahead"]


def check_ahead(config: Config, processes: int) -> None:
    """Refuses, in one line, what cannot draw ahead."""
    if not config.train.ahead:
        return
    if processes > 1:
        raise BadData("train.ahead = 1 draws in one process; this run has several")
    if config.train.graphs:
        raise BadData("train.ahead and train.graphs cannot be used together")


@dataclass(frozen=True)
class _Pending:
    """A batch on its way: drawn for this step, with these knobs, in this context."""

    step: int
    knobs: Any
    context: RunContext
    batch: Future[tuple[Batch, Progress]]


class RolloutsAhead:
    """The thread that draws the next batch, and the copy of the policy that it draws from."""

    def __init__(self) -> None:
        self.pool = ThreadPoolExecutor(1, thread_name_prefix="rollouts")
        self.pending: _Pending | None = None
        self.model: Any = None

    def start(self, context: RunContext, progress: Progress) -> None:
        """Begins to draw the batch after ``progress`` from the weights as they are now."""
        model = context.policy.model
        if self.model is None:
            self.model = copy.deepcopy(model)
        else:
            with torch.no_grad():
                for old, new in zip(self.model.parameters(), model.parameters(), strict=True):
                    old.copy_(new)
        drawing = replace(context, policy=replace(context.policy, model=self.model))
        batch = self.pool.submit(collect, drawing, progress)
        self.pending = _Pending(progress.step, progress.knobs, context, batch)

    def take(self, context: RunContext, progress: Progress) -> tuple[Batch, Progress, int]:
        """The batch after ``progress``, the progress after it, and how many updates old it is.

        A batch that was begun before a knob was turned is dropped and drawn anew.
        """
        pending, self.pending = self.pending, None
        if pending is not None:
            batch, after = pending.batch.result()
            given = (progress.step, progress.knobs, context)
            if (pending.step, pending.knobs) == given[:2] and pending.context is context:
                return batch, after, 1
        batch, after = collect(context, progress)
        return batch, after, 0

    def close(self) -> None:
        """Waits for the thread; what it has drawn is dropped."""
        self.pending = None
        self.pool.shutdown(wait=True)
