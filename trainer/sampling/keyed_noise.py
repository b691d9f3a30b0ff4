"""Uniform numbers that depend on a key and a position only: counter-based, in float64.

A sample's noise is a function of its key, say (seed, phase, step, prompt, sample), so that a run
gives the same samples however they are batched, spread over processes or resumed. The generator
is SplitMix64 (Steele, Lea & Flood 2014, "Fast splittable pseudorandom number generators",
doi 10.1145/2660193.2660195); the stream of a key starts at a hash of it by the same mixer.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

__all__ = ["splitmix", "streams", "uniforms"]

U64 = NDArray[np.uint64]

GOLDEN = np.uint64(0x9E3779B97F4A7C15)  # 2^64 / golden ratio, the step of SplitMix64
FIRST, SECOND = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)


def splitmix(state: U64, counter: U64) -> U64:
    """Output number ``counter`` (from 0) of SplitMix64 seeded with ``state``."""
    z = state + (counter + np.uint64(1)) * GOLDEN
    z = (z ^ (z >> np.uint64(30))) * FIRST
    z = (z ^ (z >> np.uint64(27))) * SECOND
    mixed: U64 = z ^ (z >> np.uint64(31))
    return mixed


def streams(keys: Sequence[tuple[int, ...]]) -> U64:
    """The start of each key's stream, (B,): all parts of the key are mixed in, one by one."""
    length = len(keys[0]) if len(keys) else 0
    parts = np.array([[part % 2**64 for part in key] for key in keys], np.uint64)
    parts = parts.reshape(len(keys), length)
    state = np.full(len(keys), length, np.uint64)
    for part in parts.T:
        state = splitmix(state ^ part, np.zeros(1, np.uint64))
    return state


def uniforms(streams: U64, start: int, stop: int) -> NDArray[np.float64]:
    """Uniform numbers in [0, 1) of positions ``start`` to ``stop``, (B, stop − start).

    The upper 53 bits of each output, so that every float64 multiple of 2⁻⁵³ is as likely.
    """
    counter = np.arange(start, stop, dtype=np.uint64)
    bits = splitmix(streams[:, None], counter[None, :]) >> np.uint64(11)
    return bits.astype(np.float64) * 2.0**-53
