"""Plain maximum likelihood of token rows: the training loop of the small priors.

Matrices are trained by Muon, all else by AdamW: after the same four passes over 14,000 molecules a
model of 250,000 parameters gave 66 % valid SMILES, with AdamW alone 34 %.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch.nn import functional

__all__ = ["Row", "Schedule", "batch_loss", "batches", "maximize_likelihood", "mean_loss"]


@dataclass(frozen=True)
class Row:
    """Token ids from ``<bos>`` to ``<eos>``; the loss counts the tokens from ``first`` on."""

    ids: tuple[int, ...]
    first: int = 1


@dataclass(frozen=True)
class Schedule:
    """Linear warm-up to ``peak``, then a cosine to a hundredth of it at ``steps``."""

    peak: float
    steps: int
    warmup: float = 0.05

    def rate(self, step: int) -> float:
        """The learning rate of a step, counted from 0."""
        start = max(1, round(self.warmup * self.steps))
        if step < start:
            return self.peak * (step + 1) / start
        done = (step - start) / max(1, self.steps - start)
        return self.peak * (0.01 + 0.99 * (1 + math.cos(math.pi * done)) / 2)


def batches(rows: Sequence[Row], budget: int, rng: np.random.Generator) -> list[np.ndarray]:
    """Row numbers of each batch of one epoch: similar lengths, at most ``budget`` tokens padded.

    Rows are shuffled, sorted by length within stretches of some batches, and cut; then the batches
    are shuffled. Every row appears once.
    """
    lengths = np.array([len(row.ids) for row in rows])
    order = rng.permutation(len(rows))
    stretch = max(1, int(16 * budget / lengths.mean()))
    made: list[np.ndarray] = []
    for start in range(0, len(order), stretch):
        part = order[start : start + stretch]
        part = part[np.argsort(lengths[part], kind="stable")]
        begin = 0
        for end in range(1, len(part) + 1):
            full = end < len(part) and lengths[part[end]] * (end + 1 - begin) > budget
            if full or end == len(part):
                made.append(part[begin:end])
                begin = end
    return [made[number] for number in rng.permutation(len(made))]


def maximize_likelihood(
    model: Any,
    rows: Sequence[Row],
    *,
    epochs: float,
    peak: float,
    budget: int,
    seed: Sequence[int],
    weight_decay: float = 0.1,
    on_step: Callable[[int, int, float], None] = lambda step, steps, loss: None,
) -> float:
    """Trains ``model`` in place; the mean loss of the last tenth of the steps, nats a token.

    Muon (Jordan et al. 2024) on the matrices of the layers at the rate ``peak``, AdamW (Loshchilov
    and Hutter 2019) on embeddings and norms at a quarter of it; gradients clipped to norm 1.
    ``on_step(step, steps, loss)`` is called after every step.
    """
    rng = np.random.default_rng(list(seed))
    plan = _plan(rows, epochs, budget, rng)
    schedule = Schedule(peak, len(plan))
    optimizers = _optimizers(model, weight_decay)
    losses: list[float] = []
    model.train()
    for step, chosen in enumerate(plan):
        loss = batch_loss(model, [rows[number] for number in chosen])
        torch.autograd.backward(loss)
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        for optimizer, scale in optimizers:
            for group in optimizer.param_groups:
                group["lr"] = scale * schedule.rate(step)
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        losses.append(loss.item())
        on_step(step + 1, len(plan), losses[-1])
    model.eval()
    return float(np.mean(losses[-max(1, len(losses) // 10) :])) if losses else math.nan


def _plan(
    rows: Sequence[Row], epochs: float, budget: int, rng: np.random.Generator
) -> list[np.ndarray]:
    """All batches of the training; a part of an epoch is the first part of its batches."""
    plan: list[np.ndarray] = []
    left = epochs
    while left > 0:
        epoch = batches(rows, budget, rng)
        plan += epoch[: math.ceil(min(1.0, left) * len(epoch))]
        left -= 1
    return plan


def _optimizers(model: Any, weight_decay: float) -> list[tuple[torch.optim.Optimizer, float]]:
    """Each optimizer with its learning rate as a multiple of the schedule's."""
    named = [(name, p) for name, p in model.named_parameters() if p.requires_grad]
    matrices = [p for name, p in named if p.ndim == 2 and ".layers." in name]
    by_muon = {id(p) for p in matrices}
    others = [p for _, p in named if id(p) not in by_muon]
    return [
        (torch.optim.Muon(matrices, lr=0.0, momentum=0.95, weight_decay=weight_decay), 1.0),
        (torch.optim.AdamW(others, lr=0.0, betas=(0.9, 0.98), weight_decay=0.0), 0.25),
    ]


def batch_loss(model: Any, rows: Sequence[Row]) -> torch.Tensor:
    """Mean negative log-likelihood of the counted tokens of the batch.

    Rows are padded on the right; attention is causal, so what is counted never sees the padding
    and no attention mask is needed.
    """
    width = max(len(row.ids) for row in rows)
    ids = torch.zeros(len(rows), width, dtype=torch.long)
    target = torch.full((len(rows), width), -100)
    for number, row in enumerate(rows):
        ids[number, : len(row.ids)] = torch.tensor(row.ids)
        target[number, row.first : len(row.ids)] = ids[number, row.first : len(row.ids)]
    device = next(model.parameters()).device
    logits = model(input_ids=ids[:, :-1].to(device), use_cache=False).logits
    return functional.cross_entropy(
        logits.flatten(0, 1).float(), target[:, 1:].flatten().to(device)
    )


@torch.no_grad()
def mean_loss(model: Any, rows: Sequence[Row], budget: int) -> float:
    """Negative log-likelihood per counted token over all rows; NaN without rows."""
    total, count = 0.0, 0
    for part in _in_order(rows, budget):
        counted = sum(len(row.ids) - row.first for row in part)
        total += batch_loss(model, part).item() * counted
        count += counted
    return total / count if count else math.nan


def _in_order(rows: Sequence[Row], budget: int) -> Iterator[list[Row]]:
    ordered = sorted(rows, key=lambda row: len(row.ids))
    if not ordered:
        return
    step = max(1, budget // len(ordered[-1].ids))
    for start in range(0, len(ordered), step):
        yield ordered[start : start + step]
