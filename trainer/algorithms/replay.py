"""Replay memories: stored samples of the reference (DPH), the best so far (REINVENT), buckets.

DPH-RL (arXiv 2509.07430): every prompt is tried some times by the initial policy; prompts that it
nearly always solves are rehearsed on one more, confirmed, sample of it with the log-probabilities
it had; the others are explored without any divergence. No reference model is needed online.

>>> memory = Memory(ReplayPlan(size=2)).remember(["CCO", "CC", "C"], [0.9, 0.2, 0.5])
>>> memory.keys
('CCO', 'C')
>>> buckets = Buckets().add(["benzene", "benzene", None], [0.9, 0.1, 0.9])
>>> buckets.seen(["benzene", "pyridine"]).tolist()
[1, 0]

Prompts that the reference nearly always solves, and their samples that were right again:

>>> scores = torch.tensor([[1.0, 1.0, 1.0], [0.0, 1.0, 0.0]])
>>> parts = partition(scores, ReferencePlan(attempts=3, threshold=3))
>>> isinstance(parts, Partition), parts.near_perfect.tolist(), parts.exploration.tolist()
(True, [0], [1])
>>> tokens = torch.tensor([[5, 2], [7, 2]])
>>> drawn = StoredSamples(torch.tensor([0, 0]), tokens, tokens > 0, torch.zeros(2, 2))
>>> len(confirm(drawn, torch.tensor([1.0, 0.0])))
1
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from qdlaws.errors import BadData
from trainer.types import ReferencePlan, ReplayPlan

__all__ = ["Buckets", "Memory", "Partition", "StoredSamples", "confirm", "partition"]


@dataclass(frozen=True)
class Partition:
    """Which prompts are rehearsed and which explored."""

    near_perfect: Tensor  # prompt numbers
    exploration: Tensor
    failed: int
    """Attempts whose scoring failed; they count as not correct."""

    def summary(self) -> str:
        """One line with the sizes."""
        total = len(self.near_perfect) + len(self.exploration)
        line = f"{len(self.near_perfect)} of {total} prompts are rehearsed"
        line += f", {len(self.exploration)} explored"
        return line + (f"; {self.failed} attempts could not be scored" if self.failed else "")


def partition(score: Tensor, plan: ReferencePlan, correct_above: float = 0.5) -> Partition:
    """Near-perfect and exploration prompts from the scores of all attempts, (P, attempts)."""
    if score.ndim != 2 or score.shape[1] != plan.attempts:
        raise BadData(
            f"found scores of shape {tuple(score.shape)}, needed (prompts, {plan.attempts})"
        )
    if not 1 <= plan.threshold <= plan.attempts:
        raise BadData(f"threshold {plan.threshold} is not within 1 … {plan.attempts} attempts")
    near = (score > correct_above).sum(1) >= plan.threshold
    return Partition(
        near.nonzero().squeeze(1), (~near).nonzero().squeeze(1), int(torch.isnan(score).sum())
    )


@dataclass(frozen=True)
class StoredSamples:
    """Samples of the reference with the per-token log-probabilities that it gave them."""

    prompt: Tensor  # (N,) prompt numbers
    tokens: Tensor  # (N, T)
    mask: Tensor  # (N, T) bool
    ref_logp: Tensor  # (N, T)

    def __len__(self) -> int:
        return len(self.prompt)

    def rows(self, index: Tensor) -> StoredSamples:
        """Some of them."""
        return StoredSamples(
            self.prompt[index], self.tokens[index], self.mask[index], self.ref_logp[index]
        )

    def at(self, step: int, per_step: int, seed: int) -> StoredSamples:
        """The samples that step ``step`` rehearses: shuffled anew in every round, cycled.

        A function of its arguments alone, so a resumed run rehearses what it would have.
        """
        if len(self) == 0:
            return self
        places = torch.arange(step * per_step, (step + 1) * per_step)
        rounds = torch.div(places, len(self), rounding_mode="floor")
        index = places % len(self)
        for turn in sorted(set(rounds.tolist())):
            rng = torch.Generator().manual_seed(hash((seed, turn)) % 2**63)
            order = torch.randperm(len(self), generator=rng)
            index = torch.where(rounds == turn, order[places % len(self)], index)
        return self.rows(index)


def confirm(drawn: StoredSamples, score: Tensor, correct_above: float = 0.5) -> StoredSamples:
    """Those of one more draw per near-perfect prompt that came out correct again."""
    if len(score) != len(drawn):
        raise BadData(f"found {len(score)} scores for {len(drawn)} samples")
    return drawn.rows((score > correct_above).nonzero().squeeze(1))


@dataclass(frozen=True)
class Memory:
    """REINVENT's inception: the best different completions so far, best first."""

    plan: ReplayPlan = field(default_factory=ReplayPlan)
    keys: tuple[Hashable, ...] = ()
    scores: tuple[float, ...] = ()

    def remember(self, keys: Sequence[Hashable], scores: Sequence[float]) -> Memory:
        """The memory after a batch; a key already known keeps its better score, NaN is ignored."""
        best = dict(zip(self.keys, self.scores, strict=True))
        for key, score in zip(keys, scores, strict=True):
            if score == score and score > best.get(key, float("-inf")):
                best[key] = score
        order = sorted(best, key=lambda key: -best[key])[: self.plan.size]
        return replace(self, keys=tuple(order), scores=tuple(best[key] for key in order))

    def draw(self, rng: torch.Generator) -> list[Hashable]:
        """Keys to replay, without repetition, each as likely as another."""
        chosen = torch.randperm(len(self.keys), generator=rng)[: self.plan.per_step]
        return [self.keys[i] for i in chosen.tolist()]


@dataclass(frozen=True)
class Buckets:
    """How many counting samples fell into each bucket (scaffold) so far."""

    counts: Mapping[Hashable, int] = field(default_factory=dict)

    def seen(self, buckets: Sequence[Hashable | None]) -> Tensor:
        """Earlier samples in the bucket of each row, rows before it in this batch not counted."""
        return torch.tensor([0 if b is None else self.counts.get(b, 0) for b in buckets])

    def add(
        self, buckets: Sequence[Hashable | None], scores: Sequence[float], threshold: float = 0.4
    ) -> Buckets:
        """The counts after a batch; no bucket, or a score below ``threshold``, does not count."""
        counts = dict(self.counts)
        for bucket, score in zip(buckets, scores, strict=True):
            if bucket is not None and score >= threshold:
                counts[bucket] = counts.get(bucket, 0) + 1
        return Buckets(counts)
