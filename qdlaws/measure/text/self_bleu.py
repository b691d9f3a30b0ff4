"""Self-BLEU: how well every text is predicted by all the others; high means little diversity.

BLEU against n − 1 references costs O(n²) when asked n times. But a reference set enters BLEU only
through the largest count of each n-gram, and leaving one text out changes that only where this
text holds the largest: the two largest counts of each n-gram give all n scores in one pass.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from qdlaws.core.types import Array, Flags, Rows
from qdlaws.errors import BadData
from qdlaws.measure.estimate import Estimate
from qdlaws.measure.standard_errors import rarefied
from qdlaws.measure.text.tokens import Tokenizer, Tokens, as_tokens

__all__ = ["self_bleu", "self_bleu_scores"]

Smoothing = Literal["epsilon", "exp", "none"]


def self_bleu(
    texts: Sequence[str] | Tokens,
    n: int = 4,
    m: int | None = None,
    *,
    smoothing: Smoothing = "epsilon",
    tokenizer: Tokenizer = str.split,
    repeats: int = 50,
) -> Estimate:
    """The mean BLEU-n of each of m texts against the others as references (Zhu et al. 2018).

    ``smoothing``: ``"epsilon"`` counts .1 match where there is none (NLTK's method 1, which
    Texygen uses), ``"exp"`` halves at each empty order and leaves out orders longer than the text
    (sacrebleu's sentence BLEU, scaled to [0, 1]), ``"none"`` gives 0 there. More texts are more
    references, so the value grows with m. Where a sample holds one or two exact copies the value
    rests on how many there happen to be, and the 95 % interval covers about 86 %.

    >>> texts = ["the red ball is here", "the red ball was here", "a cat sat on a mat"]
    >>> 0 < self_bleu(texts, m=3).value < 1
    True
    """
    if smoothing not in ("epsilon", "exp", "none"):
        raise BadData(f"smoothing={smoothing!r}: 'epsilon', 'exp' or 'none' was needed")
    tokens = as_tokens(texts, tokenizer)
    table = [_counts(tokens, order) for order in range(1, n + 1)]
    kind = f"self_bleu_{n}_{smoothing}"
    if len(tokens) < 2:
        return Estimate(np.nan, np.nan, len(tokens), kind, reason="fewer than two texts")
    if m is not None and m < 2:
        raise BadData(f"m={m}: self-BLEU needs at least two texts")
    return rarefied(
        lambda rows: float(_scores(table, tokens.lengths, rows, smoothing).mean()),
        len(tokens),
        m,
        kind=kind,
        repeats=repeats,
    )


def self_bleu_scores(
    texts: Sequence[str] | Tokens,
    n: int = 4,
    *,
    smoothing: Smoothing = "epsilon",
    tokenizer: Tokenizer = str.split,
) -> Array:
    """The BLEU of each text against all others.

    >>> self_bleu_scores(["a b c d e", "a b c d e", "v w x y z"]).round(2).tolist()
    [1.0, 1.0, 0.0]
    """
    tokens = as_tokens(texts, tokenizer)
    table = [_counts(tokens, order) for order in range(1, n + 1)]
    return _scores(table, tokens.lengths, np.arange(len(tokens)), smoothing)


@dataclass(frozen=True)
class _Counts:
    """How often each n-gram stands in each text; sorted by n-gram, the largest count first."""

    gram: Rows
    text: Rows
    count: Rows
    order: int


def _counts(tokens: Tokens, order: int) -> _Counts:
    gram, text = tokens.grams(order)
    key, count = np.unique(gram * len(tokens) + text, return_counts=True)
    gram, text = np.divmod(key, max(len(tokens), 1))
    rank = np.lexsort((-count, gram))
    return _Counts(gram[rank], text[rank], count[rank], order)


def _scores(table: list[_Counts], lengths: Rows, rows: Rows, smoothing: Smoothing) -> Array:
    """BLEU of each text of ``rows`` against the others of ``rows``."""
    inside = np.zeros(len(lengths), bool)
    inside[rows] = True
    size = lengths[rows]
    matches = np.array([_clipped(counts, inside)[rows] for counts in table])  # (orders, texts)
    possible = np.maximum(size[None] - np.arange(len(table))[:, None], 0)
    with np.errstate(divide="ignore", invalid="ignore"):
        logs, used = _log_precisions(matches, possible, smoothing)
        mean = np.where(used.any(axis=0), logs.sum(axis=0) / used.sum(axis=0), -np.inf)
        reference = _closest(size)
        penalty = np.where(size >= reference, 0.0, 1 - reference / np.maximum(size, 1))
    score = np.exp(mean + penalty)
    # no word in common: both packages call that 0, whatever the smoothing
    return np.where((matches[0] == 0) | (size == 0), 0.0, score)


def _clipped(counts: _Counts, inside: Flags) -> Array:
    """Σ over n-grams of min(count, the largest count in any other text), for every text."""
    here = inside[counts.text]
    gram, text, count = counts.gram[here], counts.text[here], counts.count[here]
    if not len(gram):
        return np.zeros(len(inside))
    first = np.concatenate([[True], gram[1:] != gram[:-1]])
    start = np.flatnonzero(first)
    many = np.concatenate([np.diff(start), [len(gram) - start[-1]]]) > 1
    best = count[start]
    second = np.where(many, count[np.minimum(start + 1, len(count) - 1)], 0)
    group = np.cumsum(first) - 1
    other = np.where(first, second[group], best[group])
    return np.asarray(np.bincount(text, np.minimum(count, other), len(inside)), float)


def _log_precisions(matches: Array, possible: Rows, smoothing: Smoothing) -> tuple[Array, Flags]:
    """log precision of each order, and which orders enter the mean."""
    none = matches == 0
    if smoothing == "exp":
        used = possible > 0
        halvings = np.cumsum(none & used, axis=0)
        precision = np.where(none, 0.5**halvings, matches) / np.maximum(possible, 1)
        return np.where(used, np.log(precision), 0.0), used
    floor = 0.1 if smoothing == "epsilon" else 0.0
    precision = np.where(none, floor, matches) / np.maximum(possible, 1)
    return np.log(precision), np.ones(matches.shape, bool)


def _closest(size: Rows) -> Rows:
    """For each text the length of the other text closest to its own; the shorter of two."""
    order = np.argsort(size, kind="stable")
    ranked = size[order]
    before = np.concatenate([[-np.inf], ranked[:-1].astype(float)])
    after = np.concatenate([ranked[1:].astype(float), [np.inf]])
    nearest = np.where(ranked - before <= after - ranked, before, after)
    closest = np.empty(len(size), np.intp)
    closest[order] = nearest.astype(np.intp)
    return closest
