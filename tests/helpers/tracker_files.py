"""Event files of TensorBoard and offline runs of W&B, written byte by byte for a test."""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Iterable

from qdlaws.readers.formats.crc32c import masked_crc32cs

BLOCK = 1 << 15


def varint(value: int) -> bytes:
    """A whole number as protobuf writes it."""
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)
    return bytes(out)


def message(number: int, content: bytes) -> bytes:
    """A field that holds bytes or another message."""
    return varint(number << 3 | 2) + varint(len(content)) + content


def scalar_event(step: int, values: dict[str, float]) -> bytes:
    """A TensorBoard event with some scalars."""
    summary = b"".join(
        message(1, message(1, tag.encode()) + b"\x15" + struct.pack("<f", value))
        for tag, value in values.items()
    )
    return b"\x10" + varint(step) + message(5, summary)


def restart_event(step: int) -> bytes:
    """A TensorBoard event that says that the run was started again at a step."""
    return b"\x10" + varint(step) + message(7, b"\x08\x01")


def event_file(events: Iterable[bytes]) -> bytes:
    """The events as TFRecords: length, its checksum, the event, its checksum."""
    events = list(events)
    lengths = [struct.pack("<Q", len(event)) for event in events]
    parts = (lengths, masked_crc32cs(lengths), events, masked_crc32cs(events))
    return b"".join(
        length + struct.pack("<I", length_crc) + event + struct.pack("<I", crc)
        for length, length_crc, event, crc in zip(*parts, strict=True)
    )


def history_record(row: dict[str, float | str]) -> bytes:
    """A row of history as W&B's offline file holds it."""
    items = (
        message(1, message(1, name.encode()) + message(16, json.dumps(value).encode()))
        for name, value in row.items()
    )
    return message(2, b"".join(items))


def wandb_file(records: Iterable[bytes], chunk: int = BLOCK) -> bytes:
    """The records as LevelDB log chunks of at most so many bytes."""
    out = bytearray(b":W&B\xe1\xbe\x00")
    for content in records:
        place, first = 0, True
        while first or place < len(content):
            left = BLOCK - len(out) % BLOCK
            if left < 7:
                out += bytes(left)
                continue
            data = content[place : place + min(left - 7, chunk)]
            place += len(data)
            last = place >= len(content)
            kind = {(True, True): 1, (True, False): 2, (False, False): 3, (False, True): 4}
            body = bytes([kind[first, last]]) + data
            out += struct.pack("<IH", zlib.crc32(body), len(data)) + body
            first = False
    return bytes(out)
