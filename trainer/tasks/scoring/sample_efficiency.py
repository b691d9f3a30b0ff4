"""Sample efficiency, from the scores of the unique oracle calls in their order.

NaN, a call that failed, is a call and never a success.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Sequence

from qdlaws.errors import BadData

__all__ = ["calls_until", "top_auc", "yield_count"]


def yield_count(scores: Sequence[float], threshold: float) -> int:
    """Yield: unique answers that score at least ``threshold`` (Guo & Schwaller 2024, Saturn)."""
    return sum(score >= threshold for score in scores)


def calls_until(scores: Sequence[float], threshold: float, n: int) -> int | None:
    """OB-n, the oracle burden: calls until n unique answers score at least ``threshold``.

    None where there are fewer.
    """
    if n < 1:
        raise BadData(f"oracle burden of {n} answers: at least 1 was needed")
    successes = 0
    for call, score in enumerate(scores, 1):
        successes += score >= threshold
        if successes == n:
            return call
    return None


def top_auc(scores: Sequence[float], budget: int, k: int = 10, every: int = 100) -> float:
    """Area under "mean of the k best so far against calls", over the budget (PMO, Gao et al. 2022).

    By trapezia at every ``every`` calls, from 0 at no call; the last mean is kept up to the budget.
    With fewer than k answers their mean counts. NaN without a score.
    """
    if budget < 1 or k < 1 or every < 1:
        raise BadData(f"top-k AUC: budget {budget}, k {k}, every {every} must be at least 1")
    counted = list(scores[:budget])
    n = len(counted)
    best: list[float] = []
    area = before = 0.0
    last = 0
    for call, score in enumerate(counted, 1):
        if not math.isnan(score):
            (heapq.heappush if len(best) < k else heapq.heappushpop)(best, score)
        if (call % every == 0 or call == n) and best:
            now = math.fsum(best) / len(best)
            area += (call - last) * (now + before) / 2
            before, last = now, call
    if not best:
        return math.nan
    return (area + (budget - n) * before) / budget
