"""Just enough of the protobuf wire format to read event files: fields and their raw values.

https://protobuf.dev/programming-guides/encoding: a field is a varint tag (number · 8 + wire type),
then a varint (0), 8 bytes (1), a length and bytes (2), or 4 bytes (5).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

__all__ = ["Field", "as_double", "as_float", "fields", "signed"]

Field = tuple[int, int, int | bytes]
"""(number, wire type, value): varints as int, everything else as bytes."""


def fields(message: bytes) -> Iterator[Field]:
    """The fields of a message in order; ValueError where it breaks off or is no message."""
    at, end = 0, len(message)
    while at < end:
        tag, at = _varint(message, at)
        number, wire = tag >> 3, tag & 7
        if wire == 0:
            value, at = _varint(message, at)
            yield number, wire, value
            continue
        if wire == 2:
            size, at = _varint(message, at)
        elif wire in (1, 5):
            size = 8 if wire == 1 else 4
        else:
            raise ValueError(f"wire type {wire}")
        if at + size > end:
            raise ValueError("a field breaks off")
        yield number, wire, message[at : at + size]
        at += size


def _varint(message: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        if at >= len(message) or shift > 63:
            raise ValueError("a varint breaks off")
        byte = message[at]
        at += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, at
        shift += 7


def signed(value: int) -> int:
    """A varint as the int64 it stands for."""
    return value - (1 << 64) if value >= 1 << 63 else value


def as_double(value: int | bytes) -> float:
    """Eight bytes as a double."""
    return float(struct.unpack("<d", value)[0]) if isinstance(value, bytes) else float(value)


def as_float(value: int | bytes) -> float:
    """Four bytes as a float."""
    return float(struct.unpack("<f", value)[0]) if isinstance(value, bytes) else float(value)
