"""The optimizer steps on one batch: epochs, mini-batches, micro-batches, clipping, schedule."""

from __future__ import annotations

import math
from dataclasses import replace

import torch
from torch import Tensor

from trainer.algorithms.objective import Credit, credit, objective
from trainer.config import TrainOptions
from trainer.distributed.sharding import is_sharded, plain
from trainer.errors import RunFailed
from trainer.policy import token_log_probs
from trainer.sampling import mismatch
from trainer.training.context import RunContext, log_probs, micro_batches, one_number
from trainer.training.partition_head import log_partition
from trainer.training.rollout import Batch
from trainer.types import Knobs, Rollouts, Step

__all__ = ["learning_rate", "make_optimizer", "update"]


def make_optimizer(context: RunContext) -> torch.optim.Optimizer:
    """The optimizer of the weights that are trained."""
    train = context.config.train
    weights = context.trained
    if train.optimizer == "sgd":
        return torch.optim.SGD(weights, lr=train.lr, weight_decay=train.weight_decay)
    return torch.optim.AdamW(
        weights, lr=train.lr, betas=train.betas, weight_decay=train.weight_decay
    )


def learning_rate(train: TrainOptions, step: int) -> float:
    """The rate of the update after ``step``: a linear warm-up, then the schedule."""
    if step < train.warmup:
        return train.lr * (step + 1) / train.warmup
    share = (step - train.warmup) / max(train.steps - train.warmup, 1)
    if train.schedule == "linear":
        return train.lr * (1 - share)
    if train.schedule == "cosine":
        return train.lr * (1 + math.cos(math.pi * min(share, 1.0))) / 2
    return train.lr


def update(
    context: RunContext, batch: Batch, knobs: Knobs, optimizer: torch.optim.Optimizer, step: int
) -> dict[str, float]:
    """Trains on the batch; gives the figures of the update for the log."""
    train = context.config.train
    rate = learning_rate(train, step)
    for part in optimizer.param_groups:
        part["lr"] = rate
    facts: dict[str, float] = {"lr": rate}
    rollouts = batch.rollouts
    importance = None
    if _recomputes(context):
        sampled = rollouts.old_logp
        rollouts = replace(
            rollouts, old_logp=_current_log_probs(context, batch, rollouts, slice(None))
        )
        facts |= _mismatch(sampled, rollouts.old_logp, rollouts.mask)
        if train.ahead or train.sampler == "vllm":
            importance = truncated_importance(
                rollouts.old_logp, sampled, rollouts.mask, train.importance_cap
            )
            facts["importance"] = float(importance[rollouts.mask].mean())
    for epoch in range(train.epochs):
        for number, rows in enumerate(_minibatches(context, rollouts, step, epoch)):
            first = epoch == 0 and number == 0
            part_rollouts = rows_of(rollouts, rows)
            current = None
            if not first and context.recipe.selects_tokens:
                current = _current_log_probs(context, batch, rollouts, rows)
            rng = torch.Generator().manual_seed(one_number(train.seed, 31, step, epoch, number))
            credited = credit(context.recipe, part_rollouts, knobs, current, rng)
            if importance is not None:
                few = importance[rows.to(importance.device)]
                credited = replace(credited, weight=credited.weight * few)
            totals = _backward(context, batch, rows, credited, knobs)
            facts |= _apply(context, optimizer, step, totals)
            if first and "mismatch" not in facts and totals.gap_tokens:
                facts["mismatch"] = totals.gap / totals.gap_tokens
    return facts


def _recomputes(context: RunContext) -> bool:
    """Whether the trainer scores rollouts anew: where it reads other numbers than the sampler."""
    if context.config.train.ahead:
        return True
    configured = context.config.train.recompute
    if configured is not None:
        return configured
    if context.foreign:
        return True
    several = context.config.train.epochs * context.config.train.minibatches > 1
    coarse = context.config.policy.dtype in ("bfloat16", "auto")
    return several and (coarse or context.config.train.precision == "bf16")


def truncated_importance(now: Tensor, drawn: Tensor, mask: Tensor, cap: float) -> Tensor:
    """min(π_now / π_drawn, cap) of each token, (B, T); 1 where it does not count or is not known.

    Ionides 2008, "Truncated importance sampling", doi 10.1198/106186008X320456.
    """
    gap = torch.where(mask, now - drawn, 0.0)
    return torch.nan_to_num(gap, nan=0.0).exp().clamp_max(cap)


def _current_log_probs(
    context: RunContext, batch: Batch, rollouts: Rollouts, rows: Tensor | slice
) -> Tensor:
    """log π of the policy as it is, for rows of the batch, each process doing its share."""
    index = torch.arange(len(batch.ids))[rows]
    share = context.world.mine(len(index))
    mine = index[share.start : share.stop]
    got = log_probs(
        context,
        context.policy,
        [batch.ids[i] for i in mine.tolist()],
        batch.tokens[mine],
        rollouts.mask[mine],
        context.config.train.temperature,
    )
    return context.world.gather_rows(got)


def _mismatch(sampled: Tensor, trained: Tensor, mask: Tensor) -> dict[str, float]:
    return {"mismatch": float(mismatch(sampled, trained, mask).mean)}


def _minibatches(context: RunContext, rollouts: Rollouts, step: int, epoch: int) -> list[Tensor]:
    """Rows of each optimizer step: whole groups where there are enough, shuffled in every epoch."""
    train, n = context.config.train, len(rollouts.score)
    if train.minibatches == 1:
        return [torch.arange(n)]
    rng = torch.Generator().manual_seed(one_number(train.seed, 32, step, epoch))
    units = rollouts.group.cpu()
    if len(torch.unique(units)) < train.minibatches:
        units = torch.arange(n)
    names, place = torch.unique(units, return_inverse=True)
    turn = torch.empty(len(names), dtype=torch.long)
    turn[torch.randperm(len(names), generator=rng)] = torch.arange(len(names))
    which = turn[place] * train.minibatches // len(names)
    return [(which == i).nonzero().squeeze(1) for i in range(train.minibatches)]


def rows_of(rollouts: Rollouts, rows: Tensor) -> Rollouts:
    """Some rows of a batch."""
    if len(rows) == len(rollouts.score):
        return rollouts
    kept = rows.to(rollouts.mask.device)

    def some(x: Tensor | None) -> Tensor | None:
        return None if x is None else x[kept]

    same = rollouts.equivalent
    return replace(
        rollouts,
        score=rollouts.score[kept],
        reward=rollouts.reward[kept],
        group=rollouts.group[kept],
        mask=rollouts.mask[kept],
        old_logp=rollouts.old_logp[kept],
        ref_logp=some(rollouts.ref_logp),
        count=rollouts.count[kept],
        stored=rollouts.stored[kept],
        equivalent=None if same is None else same[kept][:, kept],
        seen=some(rollouts.seen),
        filter_factor=some(rollouts.filter_factor),
        truncated=some(rollouts.truncated),
    )


class _Totals:
    """What the micro-batches of one optimizer step add up to."""

    def __init__(self) -> None:
        self.loss = self.gap = self.clipped = 0.0
        self.gap_tokens = self.tokens = 0


def _backward(
    context: RunContext, batch: Batch, rows: Tensor, credited: Credit, knobs: Knobs
) -> _Totals:
    """Gradients of this process's share, added up over its micro-batches."""
    totals = _Totals()
    counts = credited.weight.abs().sum(1)
    for weight in credited.term_weights:
        counts = counts + weight.abs().sum(1)
    share = context.world.mine(len(rows))
    mine = torch.arange(share.start, share.stop)
    mine = mine[(counts[mine] > 0).cpu()]  # rows without weight are not computed
    ids = [batch.ids[int(rows[i])] for i in mine]
    lengths = credited.mask[mine].sum(1)
    micros = micro_batches(lengths, ids, context.config, context.policy)
    for micro in micros:
        places = mine[micro]
        width = int(credited.mask[places].sum(1).max())
        few = _narrow(credited.rows(places.to(credited.mask.device)), width)
        scored = token_log_probs(
            context.policy,
            [ids[i] for i in micro.tolist()],
            batch.tokens[rows[places], :width],
            few.mask,
            temperature=context.config.train.temperature,
            entropy="entropy" in context.recipe.needs,
        )
        logp = scored.logp.to(few.old_logp.dtype)
        entropy = None if scored.entropy is None else scored.entropy.to(logp.dtype)
        log_z = None
        if context.head is not None:
            log_z = log_partition(context.policy, context.head, [ids[i] for i in micro.tolist()])
            log_z = log_z.to(logp.dtype)
        loss = objective(context.recipe, few, logp, knobs, entropy, log_z)
        loss.backward()  # type: ignore[no-untyped-call]
        _add_up(totals, loss, few, logp)
    if is_sharded(context.policy.model):
        for _ in range(max(1, *context.world.gather([len(micros)])) - len(micros)):
            _add_zero_gradient(context)
    else:
        context.world.add(context.trained)
    return totals


def _add_zero_gradient(context: RunContext) -> None:
    """A pass that adds zeros to the gradient: a layer of a spread model needs all processes."""
    one = torch.full((1, 1), context.policy.eos)
    scored = token_log_probs(
        context.policy, [[context.policy.eos]], one, torch.ones_like(one, dtype=torch.bool)
    )
    (scored.logp.sum() * 0).backward()  # type: ignore[no-untyped-call]


def _narrow(credited: Credit, width: int) -> Credit:
    """Without the columns that only longer completions have."""
    ref = None if credited.ref_logp is None else credited.ref_logp[:, :width]
    return Credit(
        credited.old_logp[:, :width],
        ref,
        credited.advantage[:, :width],
        credited.mask[:, :width],
        credited.weight[:, :width],
        tuple(w[:, :width] for w in credited.term_weights),
    )


def _add_up(totals: _Totals, loss: Tensor, few: Credit, logp: Tensor) -> None:
    totals.loss += float(loss.detach())
    with torch.no_grad():
        fresh = few.mask & (few.weight > 0)
        step = Step(logp.detach(), few.old_logp, few.ref_logp, few.advantage, few.mask)
        totals.clipped += int((step.is_clipped(0.2, 0.2) & fresh).sum())
        totals.tokens += int(fresh.sum())
        totals.gap += float(((logp - few.old_logp).abs() * fresh).sum())
        totals.gap_tokens += int(fresh.sum())


def _apply(
    context: RunContext, optimizer: torch.optim.Optimizer, step: int, totals: _Totals
) -> dict[str, float]:
    """One optimizer step; a gradient that is not finite is never applied."""
    weights = context.trained
    total = sum(context.world.gather([totals.loss]))
    norm = float(plain(torch.nn.utils.clip_grad_norm_(weights, context.config.train.clip_norm)))
    if not (math.isfinite(total) and math.isfinite(norm)):
        optimizer.zero_grad(set_to_none=True)
        raise RunFailed(
            f"step {step + 1}: the loss is {total} and its gradient {norm}; the update was not "
            "applied. A lower train.lr or train.clip_norm may help"
        )
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)
    return {
        "loss": total,
        "grad_norm": norm,
        "clipped_share": totals.clipped / totals.tokens if totals.tokens else float("nan"),
    }
