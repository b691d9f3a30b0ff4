"""The part of the protobuf wire format that event files need: fields and their raw values.

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
    place, end = 0, len(message)
    while place < end:
        tag, place = _varint(message, place)
        number, wire = tag >> 3, tag & 7
        if wire == 0:
            value, place = _varint(message, place)
            yield number, wire, value
            continue
        if wire == 2:
            size, place = _varint(message, place)
        elif wire in (1, 5):
            size = 8 if wire == 1 else 4
        else:
            raise ValueError(f"wire type {wire}")
        if place + size > end:
            raise ValueError("a field breaks off")
        yield number, wire, message[place : place + size]
        place += size


def _varint(message: bytes, place: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        if place >= len(message) or shift > 63:
            raise ValueError("a varint breaks off")
        byte = message[place]
        place += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, place
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
