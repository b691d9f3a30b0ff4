"""Fingerprints as packed bits, and molecules parsed once: canonical form, bits, scaffold."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from qdlaws.errors import BadData
from qdlaws.measure._parallel import BITS, spread
from qdlaws.measure.standard_errors import codes

__all__ = ["Fingerprints", "Molecules", "as_fingerprints", "as_molecules", "read_molecules"]

Bytes = npt.NDArray[np.uint8]


@dataclass(frozen=True, eq=False)
class Fingerprints:
    """Bit vectors, eight bits a byte (lowest bit first): 256 bytes for 2048 bits."""

    packed: Bytes  # (n, bytes)

    def __len__(self) -> int:
        return len(self.packed)

    def __getitem__(self, rows: Any) -> Fingerprints:
        return Fingerprints(np.atleast_2d(self.packed[rows]))

    @cached_property
    def counts(self) -> npt.NDArray[np.int64]:
        """Bits that are on in each."""
        on: npt.NDArray[np.int64] = np.bitwise_count(self.packed).sum(axis=1, dtype=np.int64)
        return on

    def unpacked(self) -> Bytes:
        """(n, bits) of 0 and 1."""
        return np.unpackbits(self.packed, axis=1, bitorder="little")


@dataclass(frozen=True, eq=False)
class Molecules:
    """Strings read once: which are molecules, their canonical SMILES and their fingerprints."""

    valid: npt.NDArray[np.bool_]  # (n,) over the strings given
    canonical: tuple[str, ...]  # of the valid ones, in their order
    fingerprints: Fingerprints  # of the valid ones
    workers: int | None = None

    def __len__(self) -> int:
        """The strings given, valid or not."""
        return len(self.valid)

    @property
    def invalid(self) -> int:
        return int((~self.valid).sum())

    @cached_property
    def labels(self) -> npt.NDArray[np.intp]:
        """For each valid molecule the number of its canonical form."""
        return codes(self.canonical)

    @cached_property
    def scaffolds(self) -> tuple[str, ...]:
        """The Bemis–Murcko scaffold of each valid molecule; worked out once a canonical form."""
        unique = list(dict.fromkeys(self.canonical))
        found = spread("scaffold", unique, self.workers)
        return tuple(found[i] for i in self.labels)

    def take(self, rows: npt.ArrayLike) -> Molecules:
        """The valid molecules of these positions (repeats allowed), with what is known of them."""
        index = np.asarray(rows, np.intp)
        taken = Molecules(
            np.ones(len(index), bool),
            tuple(self.canonical[i] for i in index.tolist()),
            Fingerprints(self.fingerprints.packed[index]),
            self.workers,
        )
        if "scaffolds" in self.__dict__:
            taken.__dict__["scaffolds"] = tuple(self.scaffolds[i] for i in index.tolist())
        return taken

    def unique(self) -> Molecules:
        """One of each canonical form; invalid strings stay counted."""
        _, first = np.unique(self.labels, return_index=True)
        keep = ~self.valid.copy()
        keep[np.flatnonzero(self.valid)[first]] = True
        return Molecules(
            self.valid[keep],
            tuple(self.canonical[i] for i in first),
            Fingerprints(self.fingerprints.packed[first]),
            self.workers,
        )


def read_molecules(smiles: Sequence[str], workers: int | None = None) -> Molecules:
    """The strings parsed, canonicalised and fingerprinted (Morgan, radius 2, 2048 bits).

    Equal strings are read once; thousands of different ones are spread over the cores
    (``workers``: how many processes; None: as many as there are cores). An invalid string is
    counted, not fatal.
    """
    if isinstance(smiles, str):
        raise BadData("one string was found, a list of SMILES was needed")
    label = codes(list(smiles))
    different = list(dict.fromkeys(smiles))
    found = spread("fingerprint", different, workers)
    rows = [found[i] for i in label]
    good = [row for row in rows if row is not None]
    packed = np.frombuffer(b"".join(bits for _, bits in good), np.uint8).reshape(-1, BITS // 8)
    return Molecules(
        np.array([row is not None for row in rows], bool),
        tuple(text for text, _ in good),
        Fingerprints(packed),
        workers,
    )


def as_molecules(smiles: Sequence[str] | Molecules, workers: int | None = None) -> Molecules:
    """Molecules as they are; strings read."""
    return smiles if isinstance(smiles, Molecules) else read_molecules(smiles, workers)


def as_fingerprints(given: Any) -> Fingerprints:
    """Fingerprints from packed ones, an (n, bits) array of 0 and 1, or rdkit bit vectors."""
    if isinstance(given, Fingerprints):
        return given
    if isinstance(given, Molecules):
        return given.fingerprints
    if not isinstance(given, np.ndarray) and len(given) and hasattr(given[0], "GetNumOnBits"):
        from rdkit.DataStructs import BitVectToBinaryText

        rows = [np.frombuffer(BitVectToBinaryText(bits), np.uint8) for bits in given]
        return Fingerprints(np.stack(rows))
    bits = np.asarray(given)
    if bits.ndim != 2:
        raise BadData(f"fingerprints of shape {bits.shape}: (n, bits) was needed")
    if bits.dtype != bool and not np.isin(bits, (0, 1)).all():
        raise BadData(
            "fingerprints hold other numbers than 0 and 1; wrap packed bytes in Fingerprints"
        )
    return Fingerprints(np.packbits(bits.astype(bool), axis=1, bitorder="little"))
