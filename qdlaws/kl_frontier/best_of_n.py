"""Best of n: quality and KL of drawing n samples of the reference and keeping the best.

Quality is the U-statistic of the maximum (the mean over all subsets of n of the samples), its
standard error that of the Hájek projection. KL is at most log n − (n − 1)/n (Beirami et al. 2024),
less where rewards tie.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from qdlaws.core.types import Array

__all__ = ["BestOfN", "best_of", "best_of_one_prompt"]


class BestOfN(NamedTuple):
    """Best of n, the mean over prompts; NaN where the samples are too few."""

    n: int
    quality: float
    quality_se: float
    kl: float
    kl_bound: float
    """log n − (n − 1)/n, the KL without ties."""


def best_of(rewards: Array, n: int, min_groups: float) -> BestOfN:
    """Best of n from rewards (prompts, samples), NaN being a failed score.

    ``min_groups`` is the number of disjoint groups of n that every prompt must hold.
    """
    bound = float(np.log(n) - (n - 1) / n)
    if np.isfinite(rewards).sum(1).min() / n < min_groups:
        return BestOfN(n, np.nan, np.nan, np.nan, bound)
    parts = [best_of_one_prompt(np.sort(line[np.isfinite(line)]), n) for line in rewards]
    quality, se, kl = np.array(parts).T
    if len(parts) > 1:
        se = np.array([quality.std(ddof=1) / np.sqrt(len(parts))])
    return BestOfN(n, float(quality.mean()), float(se[0]), float(kl.mean()), bound)


def best_of_one_prompt(ordered: Array, n: int) -> tuple[float, float, float]:
    """The mean of the maximum of n of the sorted rewards, its standard error, and the KL."""
    total = len(ordered)
    p = _maximum_weights(total, n)
    quality = float(p @ ordered)
    # Hájek projection: h(x) = E max(x, best of n − 1 others)
    others = _maximum_weights(total, n - 1) if n > 1 else np.zeros(total)
    below = np.cumsum(others)
    above = np.append(np.cumsum((others * ordered)[::-1])[::-1][1:], 0.0)
    h = (below if n > 1 else 1.0) * ordered + above
    se = n * float(h.std()) / np.sqrt(total)
    return quality, se, _best_of_kl(ordered, n)


def _maximum_weights(total: int, n: int) -> Array:
    """P(the i-th smallest of ``total`` is the largest of n drawn without replacement)."""
    # C(i, n)/C(total, n) = ∏_{j<n} (i − j)/(total − j): the probability that all n are ≤ the i-th
    i = np.arange(total + 1)[:, None]
    if n <= 64:
        j = np.arange(n)[None, :]
        within = np.prod(np.maximum(i - j, 0) / (total - j), axis=1)
    else:
        from scipy.special import gammaln

        k = np.maximum(i[:, 0], n)
        log = gammaln(k + 1) - gammaln(k - n + 1) - gammaln(total + 1) + gammaln(total - n + 1)
        within = np.where(i[:, 0] >= n, np.exp(log), 0.0)
    return np.asarray(np.diff(within))


def _best_of_kl(ordered: Array, n: int) -> float:
    """KL(best of n‖reference), ties at the top being broken at random.

    A value that occurs once counts as a continuous piece ∫ n·u^(n−1)·log(n·u^(n−1)) du of the
    quantile u, one that repeats as an atom.
    """
    _, count = np.unique(ordered, return_counts=True)
    high = np.cumsum(count) / len(ordered)
    low = high - count / len(ordered)

    def antiderivative(u: Array) -> Array:
        logs = np.log(np.where(u > 0, u, 1.0))
        return np.asarray(u**n * np.log(n) + (n - 1) * u**n * (logs - 1 / n))

    mass = high**n - low**n
    with np.errstate(divide="ignore", invalid="ignore"):
        atom = np.where(mass > 0, mass * np.log(mass / (high - low)), 0.0)
    return float(np.where(count > 1, atom, antiderivative(high) - antiderivative(low)).sum())
