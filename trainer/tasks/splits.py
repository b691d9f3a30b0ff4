"""Which question is held out: decided by a hash of what it asks, never by its place in a file."""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import blake2b

from qdlaws.errors import QdlawsError

__all__ = ["check_share", "hold_out", "place"]


def place(text: str) -> float:
    """Where a text falls in [0, 1): the same on every machine and in every process."""
    digest = blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, "big") / 2**64


def hold_out(texts: Iterable[str], share: float) -> set[str]:
    """The texts of the lowest places, ``share`` of the different ones, at least one of two."""
    different = sorted(set(texts), key=lambda text: (place(text), text))
    count = round(share * len(different))
    if share > 0 and len(different) > 1:
        count = min(max(count, 1), len(different) - 1)
    return set(different[:count])


def check_share(name: str, share: float) -> float:
    """``share`` where it lies in [0, 1], else one clear line."""
    if not 0 <= share <= 1:
        raise QdlawsError(f"{name}={share}: a share between 0 and 1 was needed")
    return share
