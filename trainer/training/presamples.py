"""Pre-sampling: before the first step, samples of the reference that later batches see again.

DPH-RL (arXiv 2509.07430) tries every prompt some times. Prompts that are nearly always solved keep
one confirmed sample with its reference log-probabilities; the others are explored.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save

from qdlaws.core.atomic_write import write_atomically
from qdlaws.errors import BadData, BadLog
from trainer.algorithms.replay import StoredSamples, confirm, partition
from trainer.errors import RunFailed
from trainer.tasks.task import Prompt
from trainer.training.context import Phase, RunContext, draw, log_probs
from trainer.types import ReferencePlan

__all__ = ["presample"]

FIXED_ROWS = 256
"""Rows of a step in runs from before they were a share of the batch: a resumed one goes on so."""


def presample(context: RunContext, folder: Path) -> RunContext:
    """The context with its stored samples, and with the prompts that are left to explore.

    They are drawn once and kept in ``folder``, so a resumed run reads what the first one drew; a
    recipe without a plan for them changes nothing.
    """
    plan = context.recipe.presamples
    if plan is None:
        return context
    path = folder / "rehearsal.safetensors"
    earlier = None
    if path.exists():
        stored, explored, earlier = _read_presamples(path)
    else:
        stored, explored, summary = _draw_presamples(context, plan)
        if context.world.leads:
            path.parent.mkdir(parents=True, exist_ok=True)
            tensors = {**vars(stored), "explored": torch.tensor(sorted(explored))}
            tensors["share"] = torch.tensor([plan.share], dtype=torch.float64)
            write_atomically(path, save({k: v.contiguous().cpu() for k, v in tensors.items()}))
            write_atomically(path.with_suffix(".txt"), summary + "\n")
        context.world.wait()
    if not explored:
        raise RunFailed("every prompt is near-perfect already: there is nothing to explore")
    prompts = [q for q in context.prompts if q.number in explored]
    return replace(context, prompts=prompts, stored=stored, rehearsed_rows=earlier)


def _read_presamples(path: Path) -> tuple[StoredSamples, set[int], int | None]:
    """The stored samples, the prompts to explore, and the rows of a step where they were fixed."""
    try:
        tensors = load_file(path)
        explored = set(tensors.pop("explored").tolist())
        earlier = None if tensors.pop("share", None) is not None else FIXED_ROWS
        return StoredSamples(**tensors), explored, earlier
    except (OSError, SafetensorError, KeyError, TypeError) as error:
        raise BadLog(
            f"{path} is damaged ({error}): remove it, and it is drawn anew with the same numbers"
        ) from None


def _draw_presamples(
    context: RunContext, plan: ReferencePlan
) -> tuple[StoredSamples, set[int], str]:
    """Attempts at every prompt by the reference; one more, confirmed, sample of the solved ones."""
    train = context.config.train
    of_reference = replace(context, policy=context.reference)
    prompts = list(context.prompts)
    rows = [q for q in prompts for _ in range(plan.attempts)]
    scores = _scores_of(of_reference, rows, Phase.PRESAMPLE)[0].view(len(prompts), plan.attempts)
    parts = partition(scores, plan)
    solved = [prompts[i] for i in parts.near_perfect.tolist()]
    explored = {prompts[i].number for i in parts.exploration.tolist()}
    if not solved:
        raise BadData(
            f"{context.recipe.name} rehearses prompts that the policy solves in {plan.threshold} "
            f"of {plan.attempts} attempts, but of {len(prompts)} there is none; lower threshold="
        )
    values, tokens, mask, ids = _scores_of(of_reference, solved, Phase.CONFIRM)
    ref = log_probs(context, context.reference, ids, tokens, mask, train.temperature)
    numbers = torch.tensor([q.number for q in solved])
    stored = confirm(StoredSamples(numbers, tokens.cpu(), mask.cpu(), ref.cpu()), values)
    line = f"{parts.summary()}; {len(stored)} samples of them were right again and are kept"
    return stored, explored, line


def _scores_of(context: RunContext, rows: list[Prompt], phase: int) -> tuple[Any, Any, Any, Any]:
    """Scores of one completion a row, with its tokens; each process draws its share."""
    world, train = context.world, context.config.train
    share = world.mine(len(rows))
    mine = rows[share.start : share.stop]
    keys = [(train.seed, phase, 0, q.number, share.start + i) for i, q in enumerate(mine)]
    drawn, ids, texts = draw(context, mine, keys, train.temperature)
    scores = context.task.score(mine, texts).score.tolist()
    return (
        torch.tensor(world.gather(scores), dtype=torch.float64),
        world.gather_rows(drawn.tokens, context.policy.pad),
        world.gather_rows(drawn.mask),
        world.gather(ids),
    )
