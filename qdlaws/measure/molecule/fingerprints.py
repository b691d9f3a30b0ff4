"""Fingerprints as packed bits, and molecules parsed once: canonical form, bits, scaffold."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from qdlaws.core.types import Flags, Rows
from qdlaws.errors import BadData
from qdlaws.measure.standard_errors import codes

__all__ = [
    "BITS",
    "RADIUS",
    "Fingerprints",
    "Molecules",
    "as_fingerprints",
    "as_molecules",
    "fingerprint",
    "murcko_scaffolds",
    "read_molecules",
]

Bytes = npt.NDArray[np.uint8]
Result = TypeVar("Result")

RADIUS, BITS = 2, 2048
"""Morgan fingerprints of radius 2 folded to 2048 bits, as TDC, MOSES and the law's papers use."""
SHARE = 4000
"""Molecules that are worth a process (rdkit reads some 4,000 a second; a process starts in one)."""


@dataclass(frozen=True, eq=False)
class Fingerprints:
    """Bit vectors, eight bits a byte (lowest bit first): 256 bytes for 2048 bits.

    >>> read_molecules(["CCO", "CCN"]).fingerprints.packed.shape
    (2, 256)
    """

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
    """Strings read once: which are molecules, their canonical SMILES and their fingerprints.

    >>> molecules = read_molecules(["OCC", "no molecule"])
    >>> molecules.valid.tolist(), molecules.canonical[0]
    ([True, False], 'CCO')
    """

    valid: Flags  # (n,) over the strings given
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
    def labels(self) -> Rows:
        """For each valid molecule the number of its canonical form."""
        return codes(self.canonical)

    @cached_property
    def scaffolds(self) -> tuple[str, ...]:
        """The Bemis–Murcko scaffold of each valid molecule; worked out once a canonical form."""
        unique = list(dict.fromkeys(self.canonical))
        names = _in_parallel(murcko_scaffolds, unique, self.workers)
        return tuple(names[i] for i in self.labels)

    def take(self, rows: npt.ArrayLike) -> Molecules:
        """The valid molecules at these positions (repeats allowed), scaffolds included."""
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
    (``workers``: how many processes; None: as many as there are cores) where joblib is installed.
    An invalid string is counted, not fatal.

    >>> read_molecules(["OCC", "CCO", "no molecule"]).canonical[:2]
    ('CCO', 'CCO')
    """
    if isinstance(smiles, str):
        raise BadData("one string was found, a list of SMILES was needed")
    label = codes(list(smiles))
    different = list(dict.fromkeys(smiles))
    parsed = _in_parallel(fingerprint, different, workers)
    rows = [parsed[i] for i in label]
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


# ---------------------------------------------------------------------- rdkit, over the cores


def fingerprint(smiles: Sequence[str]) -> list[tuple[str, bytes] | None]:
    """(canonical SMILES, packed Morgan bits) of each string, None where it is no molecule."""
    from rdkit import Chem, DataStructs, rdBase
    from rdkit.Chem import rdFingerprintGenerator

    generator = rdFingerprintGenerator.GetMorganGenerator(radius=RADIUS, fpSize=BITS)
    results: list[tuple[str, bytes] | None] = []
    with rdBase.BlockLogs():
        for text in smiles:
            mol = Chem.MolFromSmiles(text) if isinstance(text, str) else None
            if mol is None or mol.GetNumAtoms() == 0:
                results.append(None)
            else:
                bits = DataStructs.BitVectToBinaryText(generator.GetFingerprint(mol))
                results.append((Chem.MolToSmiles(mol), bits))
    return results


def murcko_scaffolds(smiles: Sequence[str]) -> list[str]:
    """The Bemis–Murcko scaffold of each molecule; "" for molecules without a ring."""
    from rdkit import Chem, rdBase
    from rdkit.Chem.Scaffolds import MurckoScaffold

    with rdBase.BlockLogs():
        molecules = (Chem.MolFromSmiles(s) for s in smiles)
        core: Any = MurckoScaffold.GetScaffoldForMol
        return [Chem.MolToSmiles(core(mol)) for mol in molecules]


def _in_parallel(
    task: Callable[[Sequence[str]], list[Result]], items: Sequence[str], workers: int | None
) -> list[Result]:
    """The task's result for every item, in order; over processes where that pays."""
    if len(items) < 2 * SHARE:
        return task(items)
    try:
        import joblib
    except ImportError:
        return task(items)
    processes = min(workers or joblib.cpu_count(), len(items) // SHARE)
    if processes < 2:
        return task(items)
    parts = [items[i::processes] for i in range(processes)]
    results: list[Any] = [None] * len(items)
    done = joblib.Parallel(n_jobs=processes)(joblib.delayed(task)(part) for part in parts)
    for i, part in enumerate(done):
        results[i::processes] = part
    return results
