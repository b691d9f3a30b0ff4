"""Tanimoto similarity over all pairs: exact without an n × n matrix, and two O(n) approximations.

Similarity of bit vectors: |a ∧ b| / |a ∨ b|; of two empty ones 1, as rdkit has it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from qdlaws.core.types import Array
from qdlaws.measure.estimate import Estimate
from qdlaws.measure.molecule.fingerprints import Fingerprints, as_fingerprints
from qdlaws.measure.standard_errors import pairwise_mean, weighted_sums

__all__ = [
    "isim",
    "similarity_blocks",
    "tanimoto_cross",
    "tanimoto_matrix",
    "tanimoto_mean",
    "tanimoto_sampled",
]


CELLS = 1 << 21
"""Pairs that are worked on at once: 16 MiB of float64."""
STRIP = 16
"""Rows that are divided and summed up together."""
MANY = 3_000
"""Different vectors from which the compiled loop is worth the seconds of its first compilation."""
COMMON = 1 / 32
"""A bit on in a larger share of the molecules than this goes through the dense product."""


def tanimoto_mean(fingerprints: Any) -> Estimate:
    """The mean Tanimoto similarity over pairs i < j, with the standard error of a U-statistic.

    Duplicates are kept. Time is O(n²) over the *different* vectors, memory O(n).

    >>> from qdlaws.measure import read_molecules
    >>> tanimoto_mean(read_molecules(["CCO", "CCO"]).fingerprints).value
    1.0
    """
    prints = as_fingerprints(fingerprints)
    rows, squares = _row_sums(prints)
    return pairwise_mean(rows, squares, kind="tanimoto_mean")


def tanimoto_sampled(fingerprints: Any, pairs: int = 100_000, seed: int = 0) -> Estimate:
    """The mean Tanimoto similarity from a balanced sample of pairs: O(n + pairs), unbiased.

    Sample i is paired with its next K neighbours on a random circle, so that every sample is in
    2K pairs. The standard error holds both the samples drawn and the pairs left out: it is the
    dyadic-robust one, (Σ_i R_i² − Σ_p e_p²)/P², e_p being centred pairs and R_i their sums at i.

    >>> from qdlaws.measure import read_molecules
    >>> tanimoto_sampled(read_molecules(["CCO", "CCO"]).fingerprints, pairs=10).value
    1.0
    """
    prints = as_fingerprints(fingerprints)
    n = len(prints)
    reach = max(1, math.ceil(pairs / max(n, 1)))
    if n < 4 or 2 * reach >= n - 1:
        return tanimoto_mean(prints)
    order = np.random.default_rng(seed).permutation(n)
    words = _words(prints.packed[order])
    on = prints.counts[order]
    values = np.empty((reach, n))
    for k in range(1, reach + 1):
        both = np.bitwise_count(words & np.roll(words, -k, axis=0)).sum(axis=1, dtype=np.int64)
        either = on + np.roll(on, -k) - both
        values[k - 1] = np.where(either > 0, both / np.maximum(either, 1), 1.0)
    mean = float(values.mean())
    errors = values - mean
    sums = errors.sum(axis=0)  # of the errors of the pairs at each sample
    for k in range(1, reach + 1):
        sums += np.roll(errors[k - 1], k)
    variance = (float(sums @ sums) - float((errors**2).sum())) / errors.size**2
    se = math.sqrt(max(variance, float((errors**2).sum()) / errors.size**2))
    return Estimate(mean, se, n, "tanimoto_mean", df=n - 1)


def isim(fingerprints: Any) -> Estimate:
    """iSIM: Σ_b C(c_b, 2) / Σ_b [C(c_b, 2) + c_b (n − c_b)], c_b the count of bit b; O(n).

    A ratio of sums where the mean similarity is a mean of ratios, hence close to it (within about
    .01 on drug-like molecules) and not equal; so it has a kind of its own and its jackknife error
    is about iSIM itself (López-Pérez, Kim & Miranda-Quintana 2024).

    >>> from qdlaws.measure import read_molecules
    >>> round(isim(read_molecules(["CCO", "CCN", "CCC"]).fingerprints).value, 3)
    0.391
    """
    prints = as_fingerprints(fingerprints)
    n = len(prints)
    bits = prints.unpacked()
    count = bits.sum(axis=0, dtype=np.int64).astype(float)
    both = float(np.sum(count * (count - 1) / 2))
    either = both + float(np.sum(count * (n - count)))
    if n < 3 or not either:
        value = both / either if either else math.nan
        return Estimate(value, math.nan, n, "isim", reason="fewer than three samples, or no bit on")
    # without molecule i both sums move by something linear in its bits x_i
    fewer_both = bits @ (count - 1)
    fewer_apart = count.sum() + bits @ (n - 2 * count)
    left = (both - fewer_both) / (either - fewer_both - fewer_apart)
    variance = (n - 1) / n * float(np.sum((left - left.mean()) ** 2))
    return Estimate(both / either, math.sqrt(variance), n, "isim", df=n - 1)


def tanimoto_matrix(fingerprints: Any) -> Array:
    """The full n × n similarity matrix, for kernels (Vendi); memory 8 n² bytes.

    >>> from qdlaws.measure import read_molecules
    >>> tanimoto_matrix(read_molecules(["CCO", "CCO"]).fingerprints).tolist()
    [[1.0, 1.0], [1.0, 1.0]]
    """
    prints = as_fingerprints(fingerprints)
    matrix = np.empty((len(prints), len(prints)))
    for low, block in similarity_blocks(prints):
        matrix[low : low + len(block), low:] = block
        matrix[low:, low : low + len(block)] = block.T
    return matrix


def tanimoto_cross(a: Any, b: Any) -> Iterator[tuple[int, Array]]:
    """(first row, similarities of a block of rows of ``a`` with all of ``b``)."""
    left, right = as_fingerprints(a), as_fingerprints(b)
    dense = right.unpacked().astype(np.float32).T
    step = max(1, CELLS // max(len(right), 1))
    for low in range(0, len(left), step):
        rows = left[low : low + step]
        both = rows.unpacked().astype(np.float32) @ dense
        yield low, _ratio(both, rows.counts.astype(np.float32), right.counts.astype(np.float32))


def similarity_blocks(prints: Fingerprints) -> Iterator[tuple[int, Array]]:
    """(low, similarities of rows low… with columns low…): the upper triangle, block by block.

    |a ∧ b| is a sum over bits. The few bits that many molecules have go through a float32 matrix
    product (exact: integers below 2²⁴); the many that few have, through a sparse one.
    """
    n = len(prints)
    dense, rare = _split(prints)
    on = prints.counts.astype(np.float32)
    step = max(STRIP, min(512, CELLS // max(n, 1) // STRIP * STRIP))
    for low in range(0, n, step):
        both = dense[low : low + step] @ dense[low:].T
        extra = rare[low : low + step] @ rare[low:].T
        rows = np.repeat(np.arange(len(both)), np.diff(extra.indptr))
        both.reshape(-1)[rows * (n - low) + extra.indices] += extra.data
        for k in range(0, len(both), STRIP):  # few rows at once: they stay in the cache
            top = low + k
            yield top, _ratio(both[k : k + STRIP, k:], on[top : top + STRIP], on[top:])


# ---------------------------------------------------------------------- helpers


def _split(prints: Fingerprints) -> tuple[npt.NDArray[np.float32], Any]:
    """The bits that many vectors have as a dense matrix, the others as a sparse one."""
    from scipy.sparse import csr_array

    n, width = len(prints), prints.packed.shape[1] * 8
    where = np.flatnonzero(prints.unpacked().view(bool))
    row, bit = np.divmod(where, width)
    count = np.bincount(bit, minlength=width)
    common = count > COMMON * n
    column = np.cumsum(common) - 1
    many = common[bit]
    dense = np.zeros((n, int(common.sum())), np.float32)
    dense[row[many], column[bit[many]]] = 1
    ones = np.ones(int((~many).sum()), np.float32)
    return dense, csr_array((ones, (row[~many], bit[~many])), shape=(n, width))


def _ratio(both: npt.NDArray[Any], on: npt.NDArray[Any], other: npt.NDArray[Any]) -> Array:
    """both / (on + other − both) in float64; 1 where both vectors are empty."""
    either = on[:, None] + other[None]
    either -= both
    if not on.all() and not other.all():
        empty = either == 0
        either[empty] = 1
        both = np.where(empty, 1, both)
    ratio: Array = np.divide(both, either, dtype=np.float64)
    return ratio


def _row_sums(prints: Fingerprints) -> tuple[Array, float]:
    """Σ_{j≠i} s_ij for each i, and Σ_{i≠j} s_ij²; equal vectors are worked on once."""
    n = len(prints)
    if not n:
        return np.empty(0), 0.0
    keys = np.ascontiguousarray(prints.packed).view(f"V{prints.packed.shape[1]}").ravel()
    _, first, inverse, counts = np.unique(
        keys, return_index=True, return_inverse=True, return_counts=True
    )
    different, weights = Fingerprints(prints.packed[first]), counts.astype(float)
    if len(different) >= MANY and different.packed.shape[1] % 8 == 0:
        from qdlaws.measure.molecule.pair_kernel import similarity_sums

        words = np.ascontiguousarray(different.packed).view(np.uint64)
        sums, squares = similarity_sums(words, different.counts.astype(float), weights)
    else:
        sums, squares = weighted_sums(similarity_blocks(different), weights)
    return sums[inverse] - 1, squares - n  # without each one's similarity to itself


def _words(packed: npt.NDArray[np.uint8]) -> npt.NDArray[Any]:
    """The same bits as 64-bit words where the width allows it."""
    whole = packed.shape[1] % 8 == 0
    return np.ascontiguousarray(packed).view(np.uint64) if whole else packed
