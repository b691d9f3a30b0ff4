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
from trainer.training.context import Bench, log_probs, micro_batches, one_number
from trainer.training.rollout import Batch
from trainer.types import Knobs, Rollouts, Step

__all__ = ["learning_rate", "make_optimizer", "update"]


def make_optimizer(bench: Bench) -> torch.optim.Optimizer:
    """The optimizer of the weights that are trained."""
    train = bench.config.train
    weights = [p for p in bench.policy.model.parameters() if p.requires_grad]
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
    bench: Bench, batch: Batch, knobs: Knobs, optimizer: torch.optim.Optimizer, step: int
) -> dict[str, float]:
    """Trains on the batch; gives what the log says of it."""
    train = bench.config.train
    rate = learning_rate(train, step)
    for part in optimizer.param_groups:
        part["lr"] = rate
    facts: dict[str, float] = {"lr": rate}
    rollouts = batch.rollouts
    if _recomputes(bench):
        sampled = rollouts.old_logp
        rollouts = replace(rollouts, old_logp=_now(bench, batch, rollouts, slice(None)))
        facts |= _mismatch(sampled, rollouts.old_logp, rollouts.mask)
    for epoch in range(train.epochs):
        for number, rows in enumerate(_minibatches(bench, rollouts, step, epoch)):
            first = epoch == 0 and number == 0
            part_rollouts = rows_of(rollouts, rows)
            now = None
            if not first and _reads_current(bench):
                now = _now(bench, batch, rollouts, rows)
            rng = torch.Generator().manual_seed(one_number(train.seed, 31, step, epoch, number))
            credited = credit(bench.recipe, part_rollouts, knobs, now, rng)
            told = _backward(bench, batch, rows, credited, knobs)
            facts |= _apply(bench, optimizer, step, told)
            if first and "mismatch" not in facts and told.gap_tokens:
                facts["mismatch"] = told.gap / told.gap_tokens
    return facts


def _recomputes(bench: Bench) -> bool:
    """Whether the trainer scores rollouts anew: where it reads other numbers than the sampler."""
    asked = bench.config.train.recompute
    if asked is not None:
        return asked
    if bench.foreign:
        return True
    several = bench.config.train.epochs * bench.config.train.minibatches > 1
    return several and bench.config.policy.dtype in ("bfloat16", "auto")


def _reads_current(bench: Bench) -> bool:
    """Whether tokens are chosen by what the policy says now (Clip-Cov, KL-Cov)."""
    return bench.recipe.silence is not None or any(t.only for t in bench.recipe.terms)


def _now(bench: Bench, batch: Batch, rollouts: Rollouts, rows: Tensor | slice) -> Tensor:
    """log π of the policy as it is, for rows of the batch, each process doing its share."""
    index = torch.arange(len(batch.ids))[rows]
    share = bench.world.mine(len(index))
    own = index[share.start : share.stop]
    got = log_probs(
        bench,
        bench.policy,
        [batch.ids[i] for i in own.tolist()],
        batch.tokens[own],
        rollouts.mask[own],
        bench.config.train.temperature,
    )
    return bench.world.gather_rows(got)


def _mismatch(sampled: Tensor, trained: Tensor, mask: Tensor) -> dict[str, float]:
    found = mismatch(sampled, trained, mask)
    return {"mismatch": float(found.mean)}


def _minibatches(bench: Bench, rollouts: Rollouts, step: int, epoch: int) -> list[Tensor]:
    """Rows of each optimizer step: whole groups where there are enough, shuffled in every epoch."""
    train, n = bench.config.train, len(rollouts.score)
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
    at = rows.to(rollouts.mask.device)

    def some(x: Tensor | None) -> Tensor | None:
        return None if x is None else x[at]

    same = rollouts.equivalent
    return replace(
        rollouts,
        score=rollouts.score[at],
        reward=rollouts.reward[at],
        group=rollouts.group[at],
        mask=rollouts.mask[at],
        old_logp=rollouts.old_logp[at],
        ref_logp=some(rollouts.ref_logp),
        count=rollouts.count[at],
        stored=rollouts.stored[at],
        equivalent=None if same is None else same[at][:, at],
        seen=some(rollouts.seen),
        truncated=some(rollouts.truncated),
    )


class _Told:
    """What the micro-batches of one optimizer step add up to."""

    def __init__(self) -> None:
        self.loss = self.gap = self.clipped = 0.0
        self.gap_tokens = self.tokens = 0


def _backward(bench: Bench, batch: Batch, rows: Tensor, credited: Credit, knobs: Knobs) -> _Told:
    """Gradients of this process's share, added up over its micro-batches."""
    told = _Told()
    counts = credited.weight.abs().sum(1)
    for weight in credited.term_weights:
        counts = counts + weight.abs().sum(1)
    share = bench.world.mine(len(rows))
    own = torch.arange(share.start, share.stop)
    own = own[(counts[own] > 0).cpu()]  # rows that nothing asks for are not computed
    ids = [batch.ids[int(rows[i])] for i in own]
    micros = micro_batches(credited.mask[own].sum(1), [len(i) for i in ids], bench.config)
    for micro in micros:
        at = own[micro]
        width = int(credited.mask[at].sum(1).max())
        few = _narrow(credited.rows(at.to(credited.mask.device)), width)
        scored = token_log_probs(
            bench.policy,
            [ids[i] for i in micro.tolist()],
            batch.tokens[rows[at], :width],
            few.mask,
            temperature=bench.config.train.temperature,
            entropy=bench.wants_entropy,
        )
        logp = scored.logp.to(few.old_logp.dtype)
        entropy = None if scored.entropy is None else scored.entropy.to(logp.dtype)
        loss = objective(bench.recipe, few, logp, knobs, entropy)
        loss.backward()  # type: ignore[no-untyped-call]
        _tell(told, loss, few, logp)
    if is_sharded(bench.policy.model):
        for _ in range(max(1, *bench.world.gather([len(micros)])) - len(micros)):
            _take_part(bench)
    else:
        bench.world.add([p for p in bench.policy.model.parameters() if p.requires_grad])
    return told


def _take_part(bench: Bench) -> None:
    """A pass that adds zeros to the gradient: a layer of a spread model needs all processes."""
    one = torch.full((1, 1), bench.policy.eos)
    scored = token_log_probs(
        bench.policy, [[bench.policy.eos]], one, torch.ones_like(one, dtype=torch.bool)
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


def _tell(told: _Told, loss: Tensor, few: Credit, logp: Tensor) -> None:
    told.loss += float(loss.detach())
    with torch.no_grad():
        fresh = few.mask & (few.weight > 0)
        step = Step(logp.detach(), few.old_logp, few.ref_logp, few.advantage, few.mask)
        told.clipped += int((step.is_clipped(0.2, 0.2) & fresh).sum())
        told.tokens += int(fresh.sum())
        told.gap += float(((logp - few.old_logp).abs() * fresh).sum())
        told.gap_tokens += int(fresh.sum())


def _apply(
    bench: Bench, optimizer: torch.optim.Optimizer, step: int, told: _Told
) -> dict[str, float]:
    """One optimizer step; a gradient that is not finite is never applied."""
    weights = [p for p in bench.policy.model.parameters() if p.requires_grad]
    total = sum(bench.world.gather([told.loss]))
    norm = float(plain(torch.nn.utils.clip_grad_norm_(weights, bench.config.train.clip_norm)))
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
        "clipped_share": told.clipped / told.tokens if told.tokens else float("nan"),
    }
