"""Best of n: quality and KL of drawing n samples of the reference and keeping the best."""

from __future__ import annotations

import numpy as np

from qdlaws.core.types import Array

__all__ = ["best_of", "best_of_one"]


def best_of(rewards: Array, n: int, least: float) -> dict[str, float]:
    bound = float(np.log(n) - (n - 1) / n)
    row = {"n": n, "quality": np.nan, "quality_se": np.nan, "kl": np.nan, "kl_bound": bound}
    if np.isfinite(rewards).sum(1).min() / n < least:
        return row
    parts = [best_of_one(np.sort(line[np.isfinite(line)]), n) for line in rewards]
    quality, se, kl = np.array(parts).T
    if len(parts) > 1:
        se = np.array([quality.std(ddof=1) / np.sqrt(len(parts))])
    return row | {
        "quality": float(quality.mean()),
        "quality_se": float(se[0]),
        "kl": float(kl.mean()),
    }


def best_of_one(ordered: Array, n: int) -> tuple[float, float, float]:
    """The U-statistic of the maximum of n of the sorted rewards, its error, and the KL."""
    total = len(ordered)
    p = _maximum_weights(total, n)
    quality = float(p @ ordered)
    # Hájek projection: h(x) = E max(x, best of n − 1 others)
    rest = _maximum_weights(total, n - 1) if n > 1 else np.zeros(total)
    below = np.cumsum(rest)
    above = np.append(np.cumsum((rest * ordered)[::-1])[::-1][1:], 0.0)
    h = (below if n > 1 else 1.0) * ordered + above
    se = n * float(h.std()) / np.sqrt(total)
    return quality, se, _best_of_kl(ordered, n)


def _maximum_weights(total: int, n: int) -> Array:
    """P(the i-th smallest of ``total`` is the largest of n drawn without putting back)."""
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
    """KL(best of n‖reference), the best being drawn evenly among those that tie.

    A value that occurs once stands for a continuous piece ∫ n·u^(n−1)·log(n·u^(n−1)) du of the
    quantile u, one that repeats for an atom.
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
