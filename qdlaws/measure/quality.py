"""Quality: mean score, pass@k, mean@k, best-of-n, maj@k, with errors over prompts."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Hashable, Sequence
from functools import lru_cache
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from qdlaws.core.types import Array, Rows
from qdlaws.errors import BadData, NotEnoughData
from qdlaws.measure.estimate import Estimate
from qdlaws.measure.standard_errors import ONE_UNIT, clustered_mean, codes, rarefied

__all__ = ["best_of_n", "maj_at_k", "mean_at_k", "mean_score", "pass_at_k", "pass_curve"]

Prompts = Sequence[Hashable] | npt.NDArray[Any] | None


def mean_score(
    scores: npt.ArrayLike,
    prompts: Prompts = None,
    *,
    valid: npt.ArrayLike | None = None,
    over: Literal["all", "valid"] = "all",
) -> Estimate:
    """The mean score with its standard error, clustered by prompt where prompts repeat.

    Parameters
    ----------
    scores : array-like
        One a sample. NaN is a score that failed: it is left out and counted in ``dropped``.
    prompts : sequence, optional
        One label a sample; with a single prompt the samples are the units.
    valid : array-like of bool, optional
        Which samples are valid.
    over : {"all", "valid"}
        Invalid samples score 0, or are left out; the kind of the estimate says which.

    Returns
    -------
    Estimate
        Scores of 0 and 1 only get the interval of a share.

    Examples
    --------
    >>> print(mean_score([1, 0, 1, 1], prompts=["a", "a", "b", "b"]))
    mean_score: 0.75 ± 0.25 (n=2)
    """
    values = _vector(scores)
    if over not in ("all", "valid"):
        raise BadData(f"over={over!r}: 'all' or 'valid' was needed")
    mask = np.ones(len(values), bool) if valid is None else np.asarray(valid, bool)
    if len(mask) != len(values):
        raise BadData(f"{len(values)} scores but {len(mask)} valid flags")
    if over == "all":
        values, keep = np.where(mask, values, 0.0), np.ones(len(values), bool)
    else:
        keep = mask
    failed = keep & ~np.isfinite(values)
    use = keep & ~failed
    binary = bool(np.isin(values[use], (0.0, 1.0)).all())
    kind = "mean_score" if over == "all" else "mean_score_valid"
    groups = None if prompts is None else _labels(prompts, len(values))[use]
    return clustered_mean(
        values[use], clusters=groups, kind=kind, share=binary, dropped=int(failed.sum())
    )


def mean_at_k(scores: npt.ArrayLike, prompts: Prompts = None, k: int | None = None) -> Estimate:
    """mean@k: the mean over prompts of the mean of each prompt's first k scores (all for None).

    >>> mean_at_k([1.0, 0.0, 1.0, 1.0], prompts=["p", "p", "q", "q"]).value
    0.75
    """
    groups, dropped = _grouped(scores, prompts)
    if k is not None:
        _enough([len(g) for g in groups], k)
        groups = [g[:k] for g in groups]
    binary = all(np.isin(g, (0.0, 1.0)).all() for g in groups)
    kind = "mean@k" if k is None else f"mean@{k}"
    if len(groups) == 1:
        return clustered_mean(groups[0], kind=kind, share=binary, dropped=dropped)
    means = [g.mean() for g in groups]
    return clustered_mean(means, kind=kind, share=binary, dropped=dropped)


def pass_at_k(correct: npt.ArrayLike, total: npt.ArrayLike, k: int) -> Estimate:
    """pass@k, 1 − C(n−c, k)/C(n, k) averaged over prompts, with its error over prompts.

    The estimate is unbiased (Chen et al. 2021). Of one prompt the error is over its samples, in
    closed form: the square of the failure probability has the unbiased estimate
    C(n−c, 2k)/C(n, 2k), so it needs 2k ≤ n.

    Parameters
    ----------
    correct, total : array-like of int
        Right samples and all samples, one entry a prompt (or one number each: one prompt).
    k : int

    Returns
    -------
    Estimate

    Examples
    --------
    >>> round(pass_at_k([1, 3], [4, 4], k=2).value, 3)  # (1/2 + 1)/2
    0.75
    """
    hits, sizes = _counts(correct, total)
    _enough(sizes, k)
    values = [1 - _miss(n, c, k) for n, c in zip(sizes, hits, strict=True)]
    if len(values) > 1:
        return clustered_mean(values, kind="pass@k", m=k, share=True)
    n, c = sizes[0], hits[0]
    if 2 * k > n:
        why = f"one prompt of {n} samples: its own error needs {2 * k} samples"
        return Estimate(values[0], math.nan, n, "pass@k", m=k, share=True, reason=why)
    variance = max(_miss(n, c, k) ** 2 - _miss(n, c, 2 * k), 0.0)
    return Estimate(values[0], math.sqrt(variance), n, "pass@k", m=k, df=n - 1, share=True)


def pass_curve(
    correct: npt.ArrayLike, total: npt.ArrayLike, ks: Sequence[int] | None = None
) -> dict[int, Estimate]:
    """{k: pass@k} for k = 1 … the smallest number of samples of any prompt, or for ``ks``.

    >>> {k: round(e.value, 2) for k, e in pass_curve([1, 0], [3, 3]).items()}
    {1: 0.17, 2: 0.33, 3: 0.5}
    """
    _, sizes = _counts(correct, total)
    return {k: pass_at_k(correct, total, k) for k in (ks or range(1, min(sizes) + 1))}


def best_of_n(scores: npt.ArrayLike, n: int, prompts: Prompts = None) -> Estimate:
    """The expected best of n samples, averaged over prompts, with its error over prompts.

    Of N scores s_(1) ≤ … ≤ s_(N) the best of n drawn without replacement is s_(i) with probability
    C(i−1, n−1)/C(N, n): the unbiased estimate. Of one prompt the error is over its samples and
    needs 2n ≤ N.

    >>> round(best_of_n([0.0, 1.0, 0.0, 1.0], n=2).value, 3)
    0.833
    """
    groups, dropped = _grouped(scores, prompts)
    _enough([len(g) for g in groups], n)
    values = [_expected_best(g, n) for g in groups]
    if len(groups) > 1:
        return clustered_mean(values, kind="best_of_n", m=n, dropped=dropped)
    only = groups[0]
    return rarefied(
        lambda rows: float(only[rows].max()),
        len(only),
        n,
        kind="best_of_n",
        repeats=400,
        value=values[0],
        dropped=dropped,
    )


def maj_at_k(
    answers: Sequence[Hashable],
    correct: npt.ArrayLike,
    k: int,
    prompts: Prompts = None,
) -> Estimate:
    """maj@k: the chance that the commonest of k answers is correct, averaged over prompts.

    Exact over all subsets of k of a prompt's samples; a tie is broken at random. ``answers`` holds
    the final answer of each sample, ``correct`` whether it is right (NaN: failed, dropped).

    >>> maj_at_k(["4", "4", "5"], [True, True, False], k=3).value
    1.0
    """
    right = _vector(correct)
    if len(answers) != len(right):
        raise BadData(f"{len(answers)} answers but {len(right)} marks of correctness")
    labels = _labels(prompts, len(right))
    scored = np.isfinite(right)
    values = []
    for prompt in np.unique(labels[scored]):
        rows = np.flatnonzero((labels == prompt) & scored)
        _enough([len(rows)], k)
        values.append(_majority([answers[i] for i in rows.tolist()], right[rows], k))
    dropped = int((~scored).sum())
    if not values:
        raise NotEnoughData("maj@k: every mark is NaN, at least one was needed")
    if len(values) == 1:
        n = int(scored.sum())
        return Estimate(
            values[0], math.nan, n, "maj@k", m=k, share=True, reason=ONE_UNIT, dropped=dropped
        )
    return clustered_mean(values, kind="maj@k", m=k, share=True, dropped=dropped)


# ---------------------------------------------------------------------- helpers


def _vector(scores: npt.ArrayLike) -> Array:
    values = np.asarray(scores, float)
    if values.ndim != 1:
        raise BadData(f"scores of shape {values.shape}: one number a sample was needed")
    return values


def _labels(prompts: Prompts, n: int) -> Rows:
    if prompts is None:
        return np.zeros(n, np.intp)
    if len(prompts) != n:
        raise BadData(f"{n} scores but {len(prompts)} prompts: one prompt a sample was needed")
    return codes(prompts)


def _grouped(scores: npt.ArrayLike, prompts: Prompts) -> tuple[list[Array], int]:
    """The scores of each prompt that did not fail, and how many failed; rows of a matrix too."""
    values = np.asarray(scores, float)
    if values.ndim == 2 and prompts is None:
        prompts = np.repeat(np.arange(len(values)), values.shape[1])
        values = values.ravel()
    values = _vector(values)
    labels = _labels(prompts, len(values))
    scored = np.isfinite(values)
    groups = [values[scored & (labels == g)] for g in range(labels.max(initial=-1) + 1)]
    groups = [g for g in groups if len(g)]
    if not groups:
        raise NotEnoughData("every score is NaN, at least one was needed")
    return groups, int((~scored).sum())


def _counts(correct: npt.ArrayLike, total: npt.ArrayLike) -> tuple[list[int], list[int]]:
    hits, sizes = np.broadcast_arrays(np.atleast_1d(correct), np.atleast_1d(total))
    if hits.ndim != 1 or not len(hits):
        raise BadData("pass@k needs one number of correct samples and one total a prompt")
    if np.any(hits != np.floor(hits)) or np.any(hits < 0) or np.any(hits > sizes):
        raise BadData("pass@k: correct must be whole numbers between 0 and total")
    return [int(c) for c in hits], [int(n) for n in sizes]


def _enough(sizes: Sequence[int], k: int) -> None:
    if k < 1 or min(sizes) < k:
        raise NotEnoughData(f"k={k}: between 1 and {min(sizes)}, the fewest samples of a prompt")


@lru_cache(maxsize=65536)
def _miss(n: int, c: int, k: int) -> float:
    """C(n−c, k)/C(n, k): the chance that k of n samples hold none of the c correct ones."""
    return math.comb(n - c, k) / math.comb(n, k)


def _expected_best(scores: Array, n: int) -> float:
    size = len(scores)
    weights = [math.comb(i, n - 1) / math.comb(size, n) for i in range(size)]
    return float(np.sort(scores) @ np.asarray(weights))


def _majority(answers: Sequence[Hashable], correct: Array, k: int) -> float:
    """Σ over answers of P(it wins among k draws) × how correct it is.

    With t votes for the answer, the others hold at most t each; a tie with s others is won with
    probability 1/(s+1) = ∫₀¹ yˢ dy, so ties are counted by a polynomial in y that Gauss–Legendre
    nodes integrate exactly.
    """
    sizes = Counter(answers)
    marks: dict[Hashable, list[float]] = {}
    for answer, mark in zip(answers, correct, strict=True):
        marks.setdefault(answer, []).append(float(mark))
    chance = 0.0
    for answer, size in sizes.items():
        mark = float(np.mean(marks[answer]))
        if mark:
            others = tuple(sorted((s for a, s in sizes.items() if a != answer), reverse=True))
            chance += mark * _wins(size, others, k) / math.comb(len(answers), k)
    return chance


@lru_cache(maxsize=4096)
def _wins(size: int, others: tuple[int, ...], k: int) -> float:
    """The number of k-subsets in which an answer with ``size`` samples wins, ties shared."""
    total = 0.0
    for t in range(1, min(size, k) + 1):
        nodes, weights = np.polynomial.legendre.leggauss(k // t // 2 + 1)
        y = (nodes + 1) / 2
        ways = np.zeros((len(y), k - t + 1))  # ways[:, v]: v votes given to the others so far
        ways[:, 0] = 1.0
        for other in others:
            grown = ways.copy()
            for v in range(1, min(other, t, k - t) + 1):
                factor = math.comb(other, v) * (y if v == t else np.ones_like(y))
                grown[:, v:] += ways[:, : k - t + 1 - v] * factor[:, None]
            ways = grown
        total += math.comb(size, t) * float(weights @ ways[:, k - t]) / 2
    return total
