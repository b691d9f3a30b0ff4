"""Texts of a policy to canonical SMILES and back, and molecules to train a prior on."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from qdlaws.errors import BadData, QdlawsError
from trainer.tasks.task import nearest

__all__ = ["REPRESENTATIONS", "canonical", "corpus", "decoder", "encoder"]

REPRESENTATIONS = ("smiles", "selfies")
LONGEST = 100_000
"""Texts whose canonical form is remembered: late in a run most samples are repeats."""


def decoder(representation: str) -> Callable[[str], str | None]:
    """Text of a policy → SMILES; None where the text is no SELFIES."""
    if representation == "smiles":
        return str.strip
    selfies = _selfies(representation)

    def decode(text: str) -> str | None:
        try:
            smiles: str = selfies.decoder(text.strip())
        except selfies.DecoderError:
            return None
        return smiles

    return decode


def encoder(representation: str) -> Callable[[str], str | None]:
    """SMILES → text of a policy; None where SELFIES cannot express it."""
    if representation == "smiles":
        return str
    selfies = _selfies(representation)

    def encode(smiles: str) -> str | None:
        try:
            text: str = selfies.encoder(smiles)
        except selfies.EncoderError:
            return None
        return text

    return encode


def canonical(smiles: Sequence[str | None]) -> list[str | None]:
    """rdkit's canonical SMILES of each; None where it is no molecule, or has a blank in it."""
    from rdkit import rdBase

    with rdBase.BlockLogs():
        return [None if one is None else _canonical(one) for one in smiles]


@lru_cache(LONGEST)
def _canonical(smiles: str) -> str | None:
    from rdkit import Chem

    if not smiles or any(map(str.isspace, smiles)):  # rdkit takes what follows a blank for a name
        return None
    mol = Chem.MolFromSmiles(smiles)
    if mol is None or mol.GetNumAtoms() == 0:
        return None
    text: str = Chem.MolToSmiles(mol)
    return text


def corpus(n: int, seed: int, representation: str = "smiles") -> list[str]:
    """``n`` texts: compounds of the NCI from rdkit's wheel, each written in a random atom order.

    For trying things out; ``qdtrain pretrain`` makes better priors from more.
    """
    from rdkit import Chem, RDConfig, rdBase

    file = Path(RDConfig.RDDataDir) / "NCI" / "first_5K.smi"
    if not file.is_file():
        raise BadData(f"this rdkit has no {file}")
    rng = random.Random(seed)
    encode = encoder(representation)
    lines = [line.split()[0] for line in file.read_text().splitlines() if line.split()]
    texts: list[str] = []
    with rdBase.BlockLogs():
        while len(texts) < n:
            mol = Chem.MolFromSmiles(rng.choice(lines))
            if mol is None or mol.GetNumAtoms() == 0:
                continue
            order = rng.sample(range(mol.GetNumAtoms()), mol.GetNumAtoms())
            written = Chem.MolToSmiles(Chem.RenumberAtoms(mol, order), canonical=False)
            text = encode(written)
            texts += [text] if text else []
    return texts


def _selfies(representation: str) -> Any:
    if representation not in REPRESENTATIONS:
        hint = f"{nearest(representation, REPRESENTATIONS)}; have {', '.join(REPRESENTATIONS)}"
        raise BadData(f"found representation {representation!r}{hint}")
    try:
        import selfies  # type: ignore[import-not-found, import-untyped, unused-ignore]
    except ImportError:
        raise QdlawsError('representation "selfies" needs: pip install selfies') from None
    return selfies
