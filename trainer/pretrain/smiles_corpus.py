"""Molecules to train a prior on: reading, cleaning, splitting.

The bundled corpus is what rdkit's wheel carries: 5,000 compounds of the NCI and 10,000 of the WEHI
screening library. It is small and old-fashioned: good for demonstrations, not a picture of drugs.
"""

from __future__ import annotations

import gzip
import zlib
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from qdlaws.errors import BadData, MissingColumn
from trainer.policy.tokenizer import symbols

__all__ = [
    "bundled_smiles",
    "clean",
    "clean_all",
    "held_out",
    "read_smiles",
    "without_rare",
]

ATOMS = frozenset({"C", "N", "O", "S", "P", "F", "Cl", "Br", "I", "B"})


def bundled_smiles() -> list[str]:
    """The raw SMILES of the two collections in rdkit's wheel, about 15,000."""
    from rdkit import RDConfig

    data = Path(RDConfig.RDDataDir)
    files = (data / "NCI" / "first_5K.smi", data / "Pains" / "test_data" / "wehi_mols.csv")
    for file in files:
        if not file.is_file():
            raise BadData(
                f"this rdkit has no {file.name}; give a file of molecules (--smiles FILE)"
            )
    nci = [line.split()[0] for line in files[0].read_text().splitlines() if line.split()]
    wehi = [line.split('"')[1] for line in files[1].read_text().splitlines() if '"' in line]
    return nci + wehi


def read_smiles(path: str | Path) -> list[str]:
    """The SMILES of a file: ``.smi``/``.txt`` (first word) or ``.csv``/``.tsv``, also ``.gz``."""
    path = Path(path)
    if not path.is_file():
        raise BadData(f"no file of SMILES at {path}")
    kind = path.with_suffix("").suffix if path.suffix == ".gz" else path.suffix
    if kind in (".csv", ".tsv"):
        return _column(path, "," if kind == ".csv" else "\t")
    opener: Any = gzip.open if path.suffix == ".gz" else open
    with opener(path, "rt", encoding="utf-8") as lines:
        words = [line.split() for line in lines if not line.startswith("#")]
    smiles = [word[0] for word in words if word]
    if smiles and smiles[0].lower() in ("smiles", "smi", "canonical_smiles"):
        smiles = smiles[1:]
    if not smiles:
        raise BadData(f"{path} holds no SMILES: one a line was needed")
    return smiles


def _column(path: Path, separator: str) -> list[str]:
    import pandas as pd

    table = pd.read_csv(path, sep=separator)
    names = [name for name in table.columns if "smiles" in str(name).lower()]
    if not names:
        raise MissingColumn(
            f"{path} has the columns {list(table.columns)}; one with SMILES in its name is needed"
        )
    return [str(value) for value in table[names[0]].dropna()]


def clean(smiles: str, *, longest: int = 60, atoms: frozenset[str] = ATOMS) -> str | None:
    """Canonical SMILES of the largest fragment, neutral and without stereo; None if unfit.

    Unfit: unreadable, an atom outside ``atoms``, an isotope, a radical, a net charge that cannot
    be removed, no carbon, or more than ``longest`` symbols.
    """
    from rdkit import Chem, rdBase
    from rdkit.Chem.MolStandardize import rdMolStandardize

    with rdBase.BlockLogs():
        mol = Chem.MolFromSmiles(smiles)
        if mol is None:
            return None
        if "." in smiles:
            mol = max(Chem.GetMolFrags(mol, asMols=True), key=lambda part: part.GetNumHeavyAtoms())
        if any(_odd(atom, atoms) for atom in mol.GetAtoms()):
            return None
        if Chem.GetFormalCharge(mol):
            mol = rdMolStandardize.Uncharger().uncharge(mol)
        Chem.RemoveStereochemistry(mol)
        # once more through the parser: what is left must be readable, and its text canonical
        again = Chem.MolFromSmiles(Chem.MolToSmiles(mol))
    if again is None or Chem.GetFormalCharge(again):
        return None
    text = str(Chem.MolToSmiles(again))
    fits = 3 <= len(symbols(text)) <= longest and "c" in text.lower().replace("cl", "")
    return text if fits else None


def _odd(atom: Any, atoms: frozenset[str]) -> bool:
    return (
        atom.GetSymbol() not in atoms
        or atom.GetIsotope() != 0
        or atom.GetNumRadicalElectrons() != 0
    )


def clean_all(smiles: Iterable[str], *, longest: int = 60) -> list[str]:
    """The distinct clean molecules, in order of first appearance."""
    cleaned = (clean(text, longest=longest) for text in smiles)
    return list(dict.fromkeys(text for text in cleaned if text is not None))


def without_rare(smiles: Sequence[str], fewest: int) -> list[str]:
    """The molecules all of whose symbols occur in at least ``fewest`` molecules."""
    count = Counter(symbol for text in smiles for symbol in set(symbols(text)))
    return [text for text in smiles if all(count[s] >= fewest for s in symbols(text))]


def held_out(texts: Iterable[str], share: float) -> tuple[list[str], list[str]]:
    """(kept, held out): split by a hash of the text, so that a molecule stays on its side."""
    kept: list[str] = []
    out: list[str] = []
    for text in texts:
        (out if zlib.crc32(text.encode()) < share * 2**32 else kept).append(text)
    return kept, out
