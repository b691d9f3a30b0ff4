"""REINVENT's diversity filter: an answer is worth less where its like has come before.

Answers fall into buckets, as molecules of one scaffold do. In the order of the batch, row by row,
an answer that has counted before is worth nothing; another that scores at least ``minscore`` counts
in its bucket, and is worth its score times a curve in the number n of answers that the bucket now
holds. The step curve (nothing from the (size + 1)-th on) is the filter of Blaschke et al. 2020, the
others are the intrinsic penalties of REINVENT4, where n counts this answer as well. The bonus for
novelty that REINVENT4 adds to them is :mod:`trainer.training.novelty`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field

from trainer.types import FilterPlan

__all__ = ["CURVES", "FilterMemory", "erf", "linear", "sigmoid", "step", "tanh"]


def step(n: int, size: int) -> float:
    """1 up to n = size, 0 beyond."""
    return float(n <= size)


def linear(n: int, size: int) -> float:
    """max(0, 1 − n/size)."""
    return max(0.0, 1 - n / size)


def sigmoid(n: int, size: int) -> float:
    """1 − 1/(1 + exp(−(2n/size − 1)/.15)): ½ where the bucket is half full."""
    return 1 - 1 / (1 + math.exp(-(2 * n / size - 1) / 0.15))


def erf(n: int, size: int) -> float:
    """1 + erf(√π/size) − erf(n·√π/size): 1 for the first, and never below erf(√π/size)."""
    width = math.sqrt(math.pi) / size
    return 1 + math.erf(width) - math.erf(width * n)


def tanh(n: int, size: int) -> float:
    """1 − tanh(3(n − 1)/size): 1 for the first."""
    return 1 - math.tanh(3 * (n - 1) / size)


CURVES: dict[str, Callable[[int, int], float]] = {
    curve.__name__: curve for curve in (step, linear, sigmoid, erf, tanh)
}
"""The penalties by name: the factor on the score of the n-th answer in a bucket of this size."""


@dataclass(frozen=True)
class FilterMemory:
    """The answers that have counted so far, and how full the buckets are."""

    counts: Mapping[Hashable, int] = field(default_factory=dict)
    """Counting answers in each bucket."""
    answers: Mapping[Hashable, None] = field(default_factory=dict)
    """The different answers that have counted, in their order."""
    buckets: Mapping[Hashable, None] = field(default_factory=dict)
    """All buckets that an answer has fallen into, counting or not, in their order."""

    def filtered(
        self,
        plan: FilterPlan,
        buckets: Sequence[Hashable | None],
        answers: Sequence[Hashable | None] | None,
        scores: Sequence[float],
    ) -> tuple[list[float], list[int], FilterMemory]:
        """The factor on each score of a batch, the rows that counted, and the memory after it.

        ``answers`` are the canonical forms, None where an answer is invalid and for all where a
        bucket is one answer: then repeats fill it as others would. A score that is NaN, and an
        answer in no bucket, is left as it is.
        """
        if answers is None:
            answers = [None] * len(buckets)
        counts, earlier = dict(self.counts), dict(self.answers)
        factors, counted = [], []
        for row, (bucket, answer, score) in enumerate(zip(buckets, answers, scores, strict=True)):
            repeated = answer is not None and answer in earlier
            factor = 1.0
            if plan.by == "same":
                factor = plan.multiplier if repeated else 1.0
                earlier |= {} if answer is None else {answer: None}
            elif bucket is not None:
                factor = 0.0 if repeated else 1.0
                if factor * score >= plan.minscore:
                    earlier |= {} if answer is None else {answer: None}
                    counts[bucket] = counts.get(bucket, 0) + 1
                    counted.append(row)
                    factor *= CURVES[plan.penalty](counts[bucket], plan.bucket)
            factors.append(factor)
        known = {**self.buckets, **{b: None for b in buckets if b not in (None, "")}}
        kept = known if plan.by == "similar" else self.buckets
        return factors, counted, FilterMemory(counts, earlier, kept)
