"""The checksum of TFRecords, on published values and beside the definition bit by bit."""

from __future__ import annotations

import random

import numpy as np
import pytest

from qdlaws.readers.formats.crc32c import masked_crc32c, masked_crc32cs


def by_definition(data: bytes) -> int:
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = (crc >> 1) ^ (0x82F63B78 if crc & 1 else 0)
    crc ^= 0xFFFFFFFF
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


@pytest.mark.parametrize(
    ("data", "crc"),  # RFC 3720, appendix B.4
    [
        (bytes(32), 0x8A9136AA),
        (b"\xff" * 32, 0x62A8AB43),
        (bytes(range(32)), 0x46DD794E),
        (b"123456789", 0xE3069283),
    ],
)
def test_published_values(data, crc):
    assert masked_crc32c(data) == ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


def test_strings_of_all_lengths_at_once():
    draw = random.Random(0)
    lengths = [*range(20), 63, 64, 65, 1000, 1023, 1024, 1025, 2047, 2048, 2049, 5000]
    pieces = [draw.randbytes(n) for n in lengths]
    draw.shuffle(pieces)
    np.testing.assert_array_equal(masked_crc32cs(pieces), [by_definition(p) for p in pieces])
