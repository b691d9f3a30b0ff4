"""Held-out splits: decided by a hash of the question, never by its position in a file."""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import blake2b

from qdlaws.errors import QdlawsError

__all__ = ["check_share", "hash_fraction", "hold_out"]


def hash_fraction(text: str) -> float:
    """A hash of the text in [0, 1): the same on every machine and in every process."""
    digest = blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, "big") / 2**64


def hold_out(texts: Iterable[str], share: float) -> set[str]:
    """A ``share`` of the different texts, those with the lowest hashes; at least one of two."""
    different = sorted(set(texts), key=lambda text: (hash_fraction(text), text))
    count = round(share * len(different))
    if share > 0 and len(different) > 1:
        count = min(max(count, 1), len(different) - 1)
    return set(different[:count])


def check_share(name: str, share: float) -> float:
    """``share`` itself; refused in one line unless it lies in [0, 1]."""
    if not 0 <= share <= 1:
        raise QdlawsError(f"{name}={share}: a share between 0 and 1 was needed")
    return share
