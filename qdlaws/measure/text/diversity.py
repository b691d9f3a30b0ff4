"""Diversity of texts: distinct-n, EAD, n-grams, edit distance, and any embedding."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from qdlaws.core.types import Array, Rows
from qdlaws.errors import BadData
from qdlaws.measure.estimate import Estimate
from qdlaws.measure.standard_errors import codes, pairwise_mean, rarefied, weighted_sums
from qdlaws.measure.text.tokens import Tokenizer, Tokens, as_tokens
from qdlaws.measure.vendi_score import vendi_features

__all__ = [
    "distinct_n",
    "ead",
    "edit_diversity",
    "embed_once",
    "embedding_diversity",
    "embedding_vendi",
    "ngram_distances",
    "ngram_diversity",
]

Texts = Sequence[str] | Tokens
Embed = Callable[[Sequence[str]], Any] | npt.NDArray[Any]

CELLS = 1 << 21
"""Pairs that are worked on at once: 16 MiB of float64."""


def distinct_n(
    texts: Texts,
    n: int = 2,
    m: int | None = None,
    *,
    tokenizer: Tokenizer = str.split,
    repeats: int = 100,
) -> Estimate:
    """Different n-grams over all n-grams (Li et al. 2016), expected among m texts.

    Examples
    --------
    >>> distinct_n(["a b c", "a b d"], n=2).value  # ab, bc, bd of ab, bc, ab, bd
    0.75
    """
    return _gram_score(texts, n, m, tokenizer, f"distinct_{n}", repeats, lambda d, c: d / c)


def ead(
    texts: Texts,
    n: int = 1,
    m: int | None = None,
    *,
    vocabulary: int | None = None,
    tokenizer: Tokenizer = str.split,
    repeats: int = 100,
) -> Estimate:
    """Expectation-adjusted distinct: N / (V·[1 − ((V−1)/V)^C]), expected among m texts.

    N different n-grams of C in all, over what C draws from V equally likely ones would give, so
    that length does not matter (Liu et al. 2022). V is the tokenizer's vocabulary; None takes the
    different tokens seen, which makes values of different samples hard to compare.

    >>> round(ead(["a b", "a c", "a b"], n=1, m=3, vocabulary=10).value, 3)
    0.64
    """
    tokens = as_tokens(texts, tokenizer)
    size = vocabulary or tokens.vocabulary

    def adjusted(different: int, count: int) -> float:
        # 1 − ((V−1)/V)^C, without cancellation for large V
        return different / (size * -math.expm1(count * math.log1p(-1 / size)))

    if size == 1:
        adjusted = lambda different, count: 1.0  # noqa: E731
    return _gram_score(tokens, n, m, tokenizer, f"ead_{n}_V{size}", repeats, adjusted)


def edit_diversity(texts: Sequence[str], *, tokenizer: Tokenizer | None = None) -> Estimate:
    """Mean pairwise Levenshtein distance over the longer length, of characters or of tokens.

    Duplicates are kept; equal texts are compared once. rapidfuzz works out the pairs where it is
    installed, else Myers's bit-parallel algorithm.

    Examples
    --------
    >>> round(edit_diversity(["cat", "cut", "dog", "cat"]).value, 3)
    0.611
    """
    label = codes(list(texts))
    different = list(dict.fromkeys(texts))
    parts: list[Sequence[Any]] = [tokenizer(t) for t in different] if tokenizer else [*different]
    weight = np.bincount(label, minlength=len(parts)).astype(float)
    sums, squares = weighted_sums(_edit_blocks(parts), weight)
    kind = "edit_distance_tokens" if tokenizer else "edit_distance"
    return pairwise_mean(sums[label], squares, kind=kind)


def ngram_diversity(texts: Texts, n: int = 2, *, tokenizer: Tokenizer = str.split) -> Estimate:
    """Mean pairwise distance 1 − cos of the counts of n-grams of words, of lengths 1 to n.

    Duplicates are kept. Two texts without a common word are at distance 1, two of the same words in
    the same order at 0; length matters little, unlike in an edit distance.

    Examples
    --------
    >>> round(ngram_diversity(["a b", "a b", "a c", "d e"]).value, 3)
    0.722
    """
    rows = _ngram_rows(texts, n, tokenizer)
    sums, squares = np.zeros(rows.shape[0]), 0.0
    for low, distance in _ngram_blocks(rows):
        sums[low : low + len(distance)] = distance.sum(axis=1)
        squares += float(np.sum(distance * distance))
    return pairwise_mean(sums, squares, kind=f"ngram_cosine_{n}")


def ngram_distances(texts: Texts, n: int = 2, *, tokenizer: Tokenizer = str.split) -> Array:
    """The distances (texts, texts) of :func:`ngram_diversity`.

    >>> ngram_distances(["a b", "a b", "c d"]).round(2).tolist()
    [[0.0, 0.0, 1.0], [0.0, 0.0, 1.0], [1.0, 1.0, 0.0]]
    """
    rows = _ngram_rows(texts, n, tokenizer)
    blocks = [distance for _, distance in _ngram_blocks(rows)]
    return np.concatenate(blocks) if blocks else np.zeros((0, 0))


def embed_once(texts: Sequence[str], embed: Embed) -> Array:
    """(n, d) rows: the embedding called on the different texts only, or the array given."""
    if callable(embed):
        different = list(dict.fromkeys(texts))
        rows = _numbers(embed(different))
        rows = rows[codes(list(texts))] if len(rows) == len(different) else rows
    else:
        rows = _numbers(embed)
    if rows.ndim != 2 or len(rows) != len(texts):
        raise BadData(f"embeddings of shape {rows.shape} for {len(texts)} texts: (n, d) was needed")
    return rows


def embedding_diversity(
    texts: Sequence[str], embed: Embed, *, metric: Literal["cosine", "euclidean"] = "cosine"
) -> Estimate:
    """Mean pairwise distance of embeddings, duplicates kept, without an n × n matrix.

    ``embed`` maps a list of texts to an (n, d) array, or is that array.

    >>> letters = lambda texts: [[text.count(c) for c in "abc"] for text in texts]
    >>> round(embedding_diversity(["ab", "bc", "ab"], letters).value, 3)
    0.333
    """
    rows = embed_once(texts, embed)
    if metric not in ("cosine", "euclidean"):
        raise BadData(f"metric={metric!r}: 'cosine' or 'euclidean' was needed")
    if metric == "cosine":
        norms = np.linalg.norm(rows, axis=1, keepdims=True)
        if not np.all(norms > 0):
            raise BadData("an embedding of length 0 has no cosine distance")
        rows = rows / norms
    sums, squares = np.zeros(len(rows)), 0.0
    length = np.sum(rows * rows, axis=1)
    step = max(1, CELLS // max(len(rows), 1))
    for low in range(0, len(rows), step):
        block = rows[low : low + step] @ rows.T
        if metric == "cosine":
            distance = 1 - block
        else:
            squared = length[low : low + step, None] + length[None] - 2 * block
            distance = np.sqrt(np.maximum(squared, 0.0))
        diagonal = np.arange(low, low + len(block))
        distance[diagonal - low, diagonal] = 0.0
        sums[low : low + step] = distance.sum(axis=1)
        squares += float(np.sum(distance * distance))
    return pairwise_mean(sums, squares, kind=f"embedding_{metric}")


def embedding_vendi(
    texts: Sequence[str], embed: Embed, q: float = 1, m: int | None = None, *, repeats: int = 100
) -> Estimate:
    """The Vendi score of the cosine kernel of embeddings, expected among m texts.

    >>> letters = lambda texts: [[text.count(c) for c in "abc"] for text in texts]
    >>> round(embedding_vendi(["a", "b", "c"], letters, m=3).value, 3)
    3.0
    """
    return vendi_features(embed_once(texts, embed), q, m, repeats=repeats)


# ---------------------------------------------------------------------- helpers


def _gram_score(
    texts: Texts,
    n: int,
    m: int | None,
    tokenizer: Tokenizer,
    kind: str,
    repeats: int,
    score: Callable[[int, int], float],
) -> Estimate:
    """A score of (different n-grams, all n-grams), on subsets of the texts."""
    tokens = as_tokens(texts, tokenizer)
    gram, text = tokens.grams(n)
    bounds = np.searchsorted(text, np.arange(len(tokens) + 1))
    if not len(gram):
        why = f"no text has {n} tokens"
        return Estimate(math.nan, math.nan, len(tokens), kind, m=m, reason=why)

    def on(rows: Rows) -> float:
        picked = gram if len(rows) == len(tokens) else gram[_spans(bounds, rows)]
        if not len(picked):
            return math.nan
        return score(int(np.count_nonzero(np.bincount(picked))), len(picked))

    return rarefied(on, len(tokens), m, kind=kind, repeats=repeats)


def _ngram_rows(texts: Texts, n: int, tokenizer: Tokenizer) -> Any:
    """A sparse row of length 1 for each text: its counts of n-grams; one column is "no word"."""
    from scipy.sparse import csr_array

    tokens = as_tokens(texts, tokenizer)
    size = len(tokens)
    empty = np.flatnonzero(tokens.lengths == 0)
    text, column, width = [empty], [np.zeros(len(empty), np.intp)], 1
    for length in range(1, n + 1):
        gram, where = tokens.grams(length)
        text.append(where)
        column.append(gram + width)
        width += int(gram.max(initial=-1)) + 1
    place = np.concatenate(text), np.concatenate(column)
    counts = csr_array((np.ones(len(place[0])), place), shape=(size, width))  # equal places add up
    norms = np.sqrt(np.asarray((counts * counts).sum(axis=1)).ravel())
    counts.data /= np.repeat(norms, np.diff(counts.indptr))
    return counts


def _ngram_blocks(rows: Any) -> Iterator[tuple[int, Array]]:
    """(low, distances of the rows low… to all), in blocks; exactly 0 to themselves."""
    step = max(1, CELLS // max(rows.shape[0], 1))
    for low in range(0, rows.shape[0], step):
        distance = np.clip(1 - (rows[low : low + step] @ rows.T).toarray(), 0.0, 1.0)
        distance[distance < 1e-12] = 0.0  # the rounding of equal texts
        yield low, distance


def _spans(bounds: Rows, rows: Rows) -> Rows:
    """The positions bounds[r] … bounds[r + 1] of every row r, one after the other."""
    sizes = bounds[rows + 1] - bounds[rows]
    ends = np.cumsum(sizes)
    places: Rows = np.arange(int(ends[-1])) + np.repeat(bounds[rows] - (ends - sizes), sizes)
    return places


def _edit_blocks(parts: list[Sequence[Any]]) -> Iterator[tuple[int, Array]]:
    """(low, normalised distances of parts low… to parts low…): the upper triangle, in blocks."""
    lengths = np.array([len(p) for p in parts], float)
    step = max(1, min(64, CELLS // max(len(parts), 1)))
    for low in range(0, len(parts), step):
        some, others = parts[low : low + step], parts[low:]
        longer = np.maximum(lengths[low : low + step, None], lengths[None, low:])
        yield low, _edit_distances(some, others) / np.maximum(longer, 1)


def _edit_distances(some: list[Sequence[Any]], others: list[Sequence[Any]]) -> Array:
    """Levenshtein distances of every one of ``some`` to every one of ``others``."""
    try:
        from rapidfuzz.distance import Levenshtein
        from rapidfuzz.process import cdist
    except ImportError:
        return np.stack([_myers(one, others) for one in some])
    return np.asarray(cdist(some, others, scorer=Levenshtein.distance, workers=-1), float)


def _myers(one: Sequence[Any], others: Sequence[Sequence[Any]]) -> Array:
    """Levenshtein distances of one sequence to others: a column of the table is two integers.

    Myers (1999) in the form of Hyyrö (2003); Python integers are as wide as the sequence.
    """
    size = len(one)
    where: dict[Any, int] = {}
    for i, token in enumerate(one):
        where[token] = where.get(token, 0) | 1 << i
    full, last = (1 << size) - 1, 1 << max(size - 1, 0)
    distances = np.empty(len(others))
    for k, other in enumerate(others):
        plus, minus, distance = full, 0, size
        for token in other if size else ():
            match = where.get(token, 0)
            diagonal = (((match & plus) + plus) ^ plus) | match | minus
            up = minus | (full & ~(diagonal | plus))
            down = plus & diagonal
            distance += bool(up & last) - bool(down & last)
            up = up << 1 | 1
            plus = (down << 1 | ~(diagonal | up)) & full
            minus = up & diagonal & full
        distances[k] = distance if size else len(other)
    return distances


def _numbers(values: Any) -> Array:
    """float64 of an array or a tensor (detached, on the CPU)."""
    if hasattr(values, "detach"):
        values = values.detach().cpu().double().numpy()
    return np.asarray(values, float)
