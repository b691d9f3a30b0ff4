"""CRC-32C (Castagnoli) of many byte strings at once, masked as TFRecord files hold it.

A CRC is linear over bits: zero bytes in front of the data change nothing once the starting value is
part of the data. So strings of any length are set flush right in one matrix and taken a column at a
time; long strings are cut into rows of 1 KiB whose CRCs are joined.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cache

import numpy as np
import numpy.typing as npt

__all__ = ["masked_crc32c", "masked_crc32cs"]

POLYNOMIAL, MASK = 0x82F63B78, 0xA282EAD8
ONES = 0xFFFFFFFF  # the starting value, and what the result is turned over with
ROW = 1024
Words = npt.NDArray[np.uint32]
Bytes = npt.NDArray[np.uint8]


def masked_crc32c(data: bytes) -> int:
    """The masked CRC-32C of one byte string."""
    return int(masked_crc32cs([data])[0])


def masked_crc32cs(pieces: Sequence[bytes]) -> Words:
    """The masked CRC-32C of each of the byte strings."""
    crcs = np.empty(len(pieces), np.uint32)
    lengths = np.array([len(piece) for piece in pieces], dtype=np.int64)
    sizes = np.frexp(lengths)[1]  # strings of like length share a matrix: little of it is empty
    for size in np.unique(sizes):
        places = np.flatnonzero(sizes == size)
        crcs[places] = _crcs([pieces[i] for i in places.tolist()], lengths[places])
    return ((crcs >> 15 | crcs << 17) + np.uint32(MASK)).astype(np.uint32)


def _crcs(pieces: list[bytes], lengths: npt.NDArray[np.int64]) -> Words:
    longest = int(lengths.max())
    if longest < 4:  # too short to take up the starting value
        return np.array([_of_few(piece) for piece in pieces], dtype=np.uint32)
    if longest > ROW:
        return np.array([_of_long(piece) for piece in pieces], dtype=np.uint32)
    matrix = _flush_right(pieces, longest)
    first = (longest - lengths)[:, None] + np.arange(4)
    matrix[np.arange(len(pieces))[:, None], first] ^= 255
    return np.asarray(_advance(np.zeros(len(pieces), np.uint32), matrix.T.copy()) ^ ONES)


def _flush_right(pieces: Iterable[bytes], width: int) -> Bytes:
    joined = b"".join(piece.rjust(width, b"\0") for piece in pieces)
    return np.frombuffer(joined, np.uint8).reshape(-1, width).copy()


def _of_few(piece: bytes) -> int:
    state = np.full(1, ONES, np.uint32)
    return int(_advance(state, np.frombuffer(piece, np.uint8)[:, None])[0]) ^ ONES


def _of_long(piece: bytes) -> int:
    started = bytes(byte ^ 255 for byte in piece[:4]) + piece[4:]
    rows = _flush_right([started], -(-len(piece) // ROW) * ROW).reshape(-1, ROW)
    crc, (a, b, c, d) = 0, _shift_tables()
    for row in _advance(np.zeros(len(rows), np.uint32), rows.T.copy()).tolist():
        crc = a[crc & 255] ^ b[crc >> 8 & 255] ^ c[crc >> 16 & 255] ^ d[crc >> 24] ^ row
    return crc ^ ONES


def _advance(states: Words, columns: Iterable[Bytes]) -> Words:
    """The states after the bytes of every column, one byte a state."""
    table = _byte_table()
    for column in columns:
        states = (states >> 8) ^ table[(states ^ column) & 255]
    return states


@cache
def _byte_table() -> Words:
    table: Words = np.arange(256, dtype=np.uint32)
    for _ in range(8):
        table = np.where(table & 1, (table >> 1) ^ np.uint32(POLYNOMIAL), table >> 1)
    return table


@cache
def _shift_tables() -> list[list[int]]:
    """What each byte of a state becomes when a row of zero bytes follows."""
    states = np.concatenate([np.arange(256, dtype=np.uint32) << (8 * i) for i in range(4)])
    shifted = _advance(states, np.zeros((ROW, 1), np.uint8))
    return [part.tolist() for part in np.split(shifted, 4)]
