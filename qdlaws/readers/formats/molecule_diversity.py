"""The diversity of each step's molecules, measured once: kept in the user's cache folder.

A batch is known by the checksum of its SMILES, so that a log that has grown is measured from where
it had ended, and a copy of it not at all. The kind of fingerprint and the versions of rdkit and of
this package are part of the key.
"""

from __future__ import annotations

import hashlib
import sqlite3
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec

import numpy as np

from qdlaws.core.user_cache import MOST_BYTES, cache_folder

__all__ = ["BatchDiversity", "batch_diversity", "has_rdkit"]

LONGEST_SMILES = 1_000  # beyond this it is no molecule that anybody samples
MOST_MOLECULES = 2_000  # of one step: the cost grows with the square
KIND = "internal_diversity, Morgan radius 2, 2048 bits, repeats kept"
TABLE = "CREATE TABLE IF NOT EXISTS diversity (key BLOB PRIMARY KEY, value REAL, error REAL)"
PATIENCE, EVERY = 2.0, 0.5
"""Seconds until a line says what takes so long, and between two of them."""


class BatchDiversity:
    """Internal diversity of batches of SMILES, looked up before it is measured."""

    def __init__(self, name: str, base: sqlite3.Connection | None) -> None:
        self._name, self._base = name, base
        self._began = self._shown = time.monotonic()
        self._batches = self.measured = 0
        self._line = ""

    def __call__(self, smiles: Sequence[str]) -> dict[str, float]:
        """Columns ``diversity`` and ``diversity_se``; none where rdkit is missing."""
        smiles = [s for s in smiles if 0 < len(s) <= LONGEST_SMILES]
        if len(smiles) > MOST_MOLECULES:
            smiles = smiles[:: -(-len(smiles) // MOST_MOLECULES)]
        if not has_rdkit():
            return {}
        self._batches += 1
        value, error = self._diversity(smiles) if len(smiles) > 1 else (np.nan, np.nan)
        return {"diversity": value, "diversity_se": error}

    def _diversity(self, smiles: Sequence[str]) -> tuple[float, float]:
        key = _key(smiles)
        if (kept := self._kept(key)) is not None:
            return kept
        self._show()
        from qdlaws.measure import internal_diversity

        estimate = internal_diversity(smiles, unique=False)
        self.measured += 1
        value, error = float(estimate.value), float(estimate.se)
        if self._base is not None:
            with suppress(sqlite3.Error):
                row = (key, value, error)
                self._base.execute("INSERT OR REPLACE INTO diversity VALUES (?, ?, ?)", row)
        return value, error

    def _kept(self, key: bytes) -> tuple[float, float] | None:
        if self._base is None:
            return None
        with suppress(sqlite3.Error):
            query = "SELECT value, error FROM diversity WHERE key = ?"
            row = self._base.execute(query, (key,)).fetchone()
            if row and all(isinstance(number, float | None) for number in row):
                value, error = (np.nan if number is None else float(number) for number in row)
                return value, error
        return None

    def _show(self) -> None:
        """A line on the terminal, once two seconds have passed."""
        now = time.monotonic()
        if now - self._began > PATIENCE and now - self._shown > EVERY and sys.stderr.isatty():
            self._shown = now
            self._line = f"{self._name}: the molecules of step {self._batches} are measured …"
            print(f"\r{self._line}", end="", file=sys.stderr, flush=True)

    def clear_line(self) -> None:
        """Takes the line off the terminal again."""
        if self._line:
            print("\r" + " " * len(self._line) + "\r", end="", file=sys.stderr, flush=True)


@contextmanager
def batch_diversity(name: str) -> Iterator[BatchDiversity]:
    """The measure for the batches of one file; what it worked out is kept at the end."""
    base = _opened()
    measure = BatchDiversity(name, base)
    try:
        yield measure
    finally:
        measure.clear_line()
        if base is not None:
            with suppress(sqlite3.Error):
                base.commit()
            base.close()


@cache
def has_rdkit() -> bool:
    """Whether molecules can be read."""
    return find_spec("rdkit") is not None


def _opened() -> sqlite3.Connection | None:
    """The store of what is known; None where there is none. One that is damaged is begun anew."""
    if (folder := cache_folder()) is None:
        return None
    path = folder / "diversity.sqlite3"
    for _ in range(2):
        try:
            if path.exists() and path.stat().st_size > MOST_BYTES // 2:
                path.unlink()
            base = sqlite3.connect(path, timeout=2.0)
            base.execute(TABLE)
            return base
        except sqlite3.OperationalError:  # locked, or read-only
            return None
        except sqlite3.DatabaseError:
            with suppress(OSError):
                path.unlink()
        except OSError:
            return None
    return None


@cache
def _versions() -> str:
    numbers = []
    for package in ("qdlaws", "rdkit"):
        try:
            numbers.append(version(package))
        except PackageNotFoundError:
            numbers.append("?")
    return f"{KIND}; {numbers}"


def _key(smiles: Sequence[str]) -> bytes:
    """The checksum of the SMILES, of how they are measured, and by which versions."""
    text = "\n".join((_versions(), *smiles)).encode("utf-8", "surrogatepass")
    return hashlib.blake2b(text, digest_size=20).digest()
