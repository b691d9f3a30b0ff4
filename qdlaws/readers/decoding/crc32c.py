"""CRC-32C (Castagnoli), masked as LevelDB and TFRecord mask it; used to tell formats apart."""

from __future__ import annotations

from functools import cache

__all__ = ["masked_crc32c"]

POLYNOMIAL = 0x82F63B78
MASK = 0xA282EAD8


@cache
def _table() -> tuple[int, ...]:
    table = []
    for byte in range(256):
        for _ in range(8):
            byte = (byte >> 1) ^ (POLYNOMIAL if byte & 1 else 0)
        table.append(byte)
    return tuple(table)


def masked_crc32c(data: bytes) -> int:
    """The rotated and shifted CRC-32C of the data, as it stands in the files."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc = (crc >> 8) ^ _table()[(crc ^ byte) & 255]
    crc ^= 0xFFFFFFFF
    return ((crc >> 15 | crc << 17) + MASK) & 0xFFFFFFFF
