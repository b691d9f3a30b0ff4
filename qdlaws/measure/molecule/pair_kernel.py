"""The compiled loop over all pairs of bit vectors: sums of similarities by popcounts of words.

A pair costs one AND and one population count for every 64 bits and nothing but registers, so that
the loop keeps its speed where other programs fill the caches. Numba compiles it on its first call,
within some seconds, and keeps the result on disk.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numba
import numpy as np
import numpy.typing as npt
from numba.core import types
from numba.extending import intrinsic

from qdlaws.core.types import Array

__all__ = ["similarity_sums"]

TILE = 16
"""Rows that meet each other row while it is in the cache."""


@intrinsic
def _bits_on(typing: Any, word: Any) -> Any:
    """The number of bits that are on in a word of 64, by the processor's instruction."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.ctpop(arguments[0])

    return types.uint64(types.uint64), generate


def _compiled(function: Callable[..., Any]) -> Any:
    """The function, compiled on its first call; on disk where a folder for that can be written."""
    options: dict[str, Any] = {"nogil": True, "error_model": "numpy"}
    try:
        return numba.njit(cache=True, **options)(function)
    except RuntimeError:  # no folder can be written: compiled anew in every process
        return numba.njit(**options)(function)


@_compiled
def similarity_sums(
    words: npt.NDArray[np.uint64], on: Array, weights: Array
) -> tuple[Array, float]:
    """For each vector i the sum of w_j·s_ij over all j, and Σ_ij w_i·w_j·s_ij².

    ``words`` are the vectors (n, bits/64), ``on`` the bits that are on in each, s the Tanimoto
    similarity, of two empty vectors 1. The sums hold each vector's similarity to itself.
    """
    n, width = words.shape
    sums = weights.copy()
    squares = (weights * weights).sum()
    inside = np.zeros(TILE)
    for low in range(0, n, TILE):
        high = min(low + TILE, n)
        inside[:] = 0.0
        for j in range(low + 1, n):
            gained = 0.0
            for i in range(low, min(high, j)):
                both = numba.uint64(0)
                for k in range(width):
                    both += _bits_on(words[i, k] & words[j, k])  # type: ignore[call-arg]
                either = on[i] + on[j] - both
                similarity = both / either if either > 0.0 else 1.0
                inside[i - low] += weights[j] * similarity
                gained += weights[i] * similarity
                squares += 2.0 * weights[i] * weights[j] * similarity * similarity
            sums[j] += gained
        for i in range(low, high):
            sums[i] += inside[i - low]
    return sums, squares
