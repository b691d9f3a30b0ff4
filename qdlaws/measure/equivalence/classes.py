"""Classes of texts that say the same: by union–find, by pairs, or one by one.

An equivalence that comes from a classifier need not be transitive, so how pairs are turned into a
number matters: ``"union"`` merges whatever is linked (DARLING's code), ``"pairwise"`` averages the
pairs (DARLING's text), ``"first"`` compares every text with the first of each class so far
(NoveltyBench).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Sequence
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from qdlaws.core.types import Array, Flags, Rows
from qdlaws.errors import BadData, NotEnoughData
from qdlaws.measure.equivalence.relations import Equivalence
from qdlaws.measure.estimate import Estimate
from qdlaws.measure.standard_errors import clustered_mean, codes, pairwise_mean, rarefied

__all__ = ["distinct_classes", "distinct_k", "partition", "same_matrix", "sample_diversity"]

Same = Equivalence | Callable[[str, str], Any]
Reading = Literal["union", "pairwise", "first"]


def same_matrix(texts: Sequence[str], same: Same) -> Flags:
    """(n, n): whether two texts say the same; equal texts always do, and order does not matter.

    A callable sees each pair of different texts once, an :class:`Equivalence` all texts together.
    """
    label = codes(list(texts))
    different = list(dict.fromkeys(texts))
    n = len(different)
    if isinstance(same, Equivalence):
        table = np.array(same.matrix(different), bool)
        if table.shape != (n, n):
            raise BadData(f"{same.name}: a matrix of shape {table.shape} for {n} texts")
    else:
        table = np.zeros((n, n), bool)
        for i in range(n):
            for j in range(i + 1, n):
                table[i, j] = bool(same(different[i], different[j]))
    table |= table.T
    np.fill_diagonal(table, True)
    full: Flags = table[np.ix_(label, label)]
    return full


def partition(
    texts: Sequence[str], same: Same, *, reading: Literal["union", "first"] = "union"
) -> Rows:
    """The number of the class of each text, 0, 1, 2, … in order of appearance.

    >>> from qdlaws.measure import exact
    >>> partition(["a", "b", "a"], exact()).tolist()
    [0, 1, 0]
    """
    if isinstance(same, Equivalence) and same.key is not None:
        return _by_key(texts, same)  # a key is transitive: both readings agree
    if reading == "first" and not isinstance(same, Equivalence):
        return _one_by_one(texts, same)
    table = same_matrix(texts, same)
    return _first(table) if reading == "first" else _linked(table)


def distinct_classes(
    texts: Sequence[str],
    same: Same,
    m: int | None = None,
    *,
    reading: Reading = "union",
    repeats: int = 100,
) -> Estimate:
    """The number of classes expected among m texts, or for ``"pairwise"`` the share of pairs apart.

    Parameters
    ----------
    texts : sequence of str
    same : Equivalence, or a function of two texts
    m : int, optional
        The number of texts that the count refers to; all of them by default.
    reading : {"union", "pairwise", "first"}
        How pairs become classes. The pairwise reading is a U-statistic: it does not depend on the
        number of texts and always has a standard error.
    repeats : int
        Random subsets of m texts that are drawn.

    Returns
    -------
    Estimate

    Examples
    --------
    >>> from qdlaws.measure import normalised
    >>> distinct_classes(["Yes.", "yes", "no", "perhaps"], normalised()).value
    3.0
    """
    if reading == "pairwise":
        if m is not None:
            raise BadData("the pairwise reading does not depend on a sample size: leave m out")
        apart = ~same_matrix(texts, same)
        sums = apart.sum(axis=1).astype(float)
        return pairwise_mean(sums, float(sums.sum()), kind="distinct_pairs", share=True)
    if reading not in ("union", "first"):
        raise BadData(f"reading={reading!r}: 'union', 'pairwise' or 'first' was needed")
    count = _counter(texts, same, reading)
    return rarefied(count, len(texts), m, kind=f"distinct_classes_{reading}", repeats=repeats)


def distinct_k(
    texts: Sequence[str],
    same: Same,
    k: int = 10,
    prompts: Sequence[Hashable] | npt.NDArray[Any] | None = None,
    *,
    repeats: int = 100,
) -> Estimate:
    """NoveltyBench's distinct_k: classes among k generations of a prompt, averaged over prompts.

    Each generation is compared with the first of every class so far (Zhang et al. 2025). A prompt
    with more than k generations gives the expected number among k of them. The error is over
    prompts; of one prompt, over its generations, which needs 2k of them.

    >>> from qdlaws.measure import exact
    >>> distinct_k(["a", "b", "a", "c"], exact(), k=4).value
    3.0
    """
    groups = np.zeros(len(texts), np.intp) if prompts is None else codes(prompts)
    if len(groups) != len(texts):
        raise BadData(f"{len(texts)} texts but {len(groups)} prompts: one prompt a text was needed")
    values = []
    for group in range(int(groups.max(initial=-1)) + 1):
        generations = [texts[i] for i in np.flatnonzero(groups == group).tolist()]
        if not 1 <= k <= len(generations):
            size = f"prompt {group + 1} has {len(generations)} generations"
            raise NotEnoughData(f"k={k}, but {size}")
        count = _counter(generations, same, "first")
        values.append(rarefied(count, len(generations), k, kind="distinct_k", repeats=repeats))
    if len(values) == 1:
        return values[0]
    return clustered_mean([v.value for v in values], kind="distinct_k", m=k)


def sample_diversity(
    texts: Sequence[str],
    same: Same,
    *,
    reading: Literal["union", "pairwise"] = "union",
    floor: float = 0.0,
) -> Array:
    """DARLING's diversity of each text among its group: the share of the others that say another.

    1/(n−1) · Σ_{j≠i} [not same(i, j)] for ``"pairwise"``, (n − s)/(n − 1) with s the size of the
    text's class for ``"union"``, never below ``floor`` (their code: .1). NaN for one text alone.

    >>> from qdlaws.measure import exact
    >>> sample_diversity(["a", "a", "b"], exact()).tolist()
    [0.5, 0.5, 1.0]
    """
    n = len(texts)
    if n < 2:
        return np.full(n, math.nan)
    if reading == "union":
        label = partition(texts, same)
        apart = n - np.bincount(label)[label]
    elif reading == "pairwise":
        apart = (~same_matrix(texts, same)).sum(axis=1)
    else:
        raise BadData(f"reading={reading!r}: 'union' or 'pairwise' was needed")
    return np.maximum(apart / (n - 1), floor)


# ---------------------------------------------------------------------- helpers


def _by_key(texts: Sequence[str], same: Equivalence) -> Rows:
    assert same.key is not None
    keys = {text: same.key(text) for text in dict.fromkeys(texts)}
    return codes([keys[text] for text in texts])


def _counter(texts: Sequence[str], same: Same, reading: str) -> Callable[[Rows], float]:
    """The number of classes of a subset of the texts, pairs worked out once."""
    if isinstance(same, Equivalence) and same.key is not None:
        label = _by_key(texts, same)
        return lambda rows: float(len(np.unique(label[rows])))
    table = same_matrix(texts, same)
    split = _linked if reading == "union" else _first
    return lambda rows: float(split(table[np.ix_(rows, rows)]).max(initial=-1) + 1)


def _linked(table: Flags) -> Rows:
    """Classes as connected components: whatever is linked, however indirectly."""
    from scipy.sparse import csr_array
    from scipy.sparse.csgraph import connected_components

    if not len(table):
        return np.empty(0, np.intp)
    return codes(connected_components(csr_array(table), directed=False)[1])


def _first(table: Flags) -> Rows:
    """Each text joins the first class whose founder it equals, or founds one."""
    founders: list[int] = []
    label = np.empty(len(table), np.intp)
    for i, row in enumerate(table):
        same = np.flatnonzero(row[founders]) if founders else np.empty(0, np.intp)
        label[i] = same[0] if len(same) else len(founders)
        if not len(same):
            founders.append(i)
    return label


def _one_by_one(texts: Sequence[str], same: Callable[[str, str], Any]) -> Rows:
    """As :func:`_first`, but it compares n × classes pairs and not n²."""
    founders: list[str] = []
    classes: dict[str, int] = {}
    for text in texts:
        if text not in classes:
            matches = (i for i, founder in enumerate(founders) if same(founder, text))
            classes[text] = next(matches, len(founders))
            if classes[text] == len(founders):
                founders.append(text)
    return np.array([classes[text] for text in texts], np.intp)
