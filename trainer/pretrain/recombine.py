"""More molecules from few: fragments exchanged at BRICS bonds, and randomised SMILES."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import numpy as np

from trainer.pretrain.smiles_corpus import clean

__all__ = ["randomised", "recombined"]

Site = tuple[str, str]


def recombined(smiles: Sequence[str], n: int, seed: int, *, longest: int = 60) -> list[str]:
    """Up to ``n`` new molecules: two halves of real ones, joined at a bond of the same BRICS kind.

    A molecule is cut at one BRICS bond (Degen et al. 2008, ChemMedChem 3, 1503), whose ends have
    the environments (i, j); a half with end i is joined to the half with end j of another molecule
    that was cut at an (i, j) bond. Halves are drawn uniformly over cuts. Fewer than ``n`` come back
    when the corpus allows no more.
    """
    from rdkit import Chem, rdBase

    halves = _halves(smiles)
    sites = [
        site for site, halves_of_site in halves.items() if halves_of_site[0] and halves_of_site[1]
    ]
    if not sites or n <= 0:
        return []
    rng = np.random.default_rng([seed, 17])
    weights = np.array([len(halves[site][0]) for site in sites], dtype=float)
    chosen = rng.choice(len(sites), size=4 * n, p=weights / weights.sum())
    distinct, new = set(smiles), []
    with rdBase.BlockLogs():
        for number in chosen:
            left, right = halves[sites[number]]
            pair = left[rng.integers(len(left))] + "." + right[rng.integers(len(right))]
            joined = Chem.molzip(Chem.MolFromSmiles(pair))
            text = clean(Chem.MolToSmiles(joined), longest=longest)
            if text is not None and text not in distinct:
                distinct.add(text)
                new.append(text)
            if len(new) == n:
                break
    return new


def _halves(smiles: Sequence[str]) -> dict[Site, tuple[list[str], list[str]]]:
    """BRICS kind of a bond -> SMILES of the halves at its first end and at its second end."""
    from rdkit import Chem
    from rdkit.Chem import BRICS

    find: Any = BRICS.FindBRICSBonds
    halves: dict[Site, tuple[list[str], list[str]]] = defaultdict(lambda: ([], []))
    for text in smiles:
        mol = Chem.MolFromSmiles(text)
        for ends, kinds in find(mol):
            parts = _cut(mol, ends)
            if len(parts) != 2:
                continue  # a bond of a ring
            first, second = (kinds, parts) if kinds[0] <= kinds[1] else (kinds[::-1], parts[::-1])
            site = halves[(first[0], first[1])]
            site[0].append(second[0])
            site[1].append(second[1])
    return dict(halves)


def _cut(mol: Any, ends: tuple[int, int]) -> list[str]:
    """SMILES of the pieces, each with ``[*:1]`` where the bond was; the first holds ``ends[0]``."""
    from rdkit import Chem

    bond = mol.GetBondBetweenAtoms(*ends).GetIdx()
    broken = Chem.FragmentOnBonds(mol, [bond], dummyLabels=[(0, 0)])
    for atom in broken.GetAtoms():
        if atom.GetAtomicNum() == 0:
            atom.SetAtomMapNum(1)
    order: list[tuple[int, ...]] = []
    parts = Chem.GetMolFrags(broken, asMols=True, fragsMolAtomMapping=order)
    texts = [Chem.MolToSmiles(part) for part in parts]
    return texts if ends[0] in order[0] else texts[::-1]


def randomised(smiles: Sequence[str], share: float, seed: int) -> list[str]:
    """Another spelling of a share of the molecules: SMILES from a random atom on."""
    from rdkit import Chem

    rng = np.random.default_rng([seed, 29])
    texts = []
    for text in smiles:
        if rng.random() >= share:
            continue
        mol = Chem.MolFromSmiles(text)
        order = [int(index) for index in rng.permutation(mol.GetNumAtoms())]
        texts.append(str(Chem.MolToSmiles(Chem.RenumberAtoms(mol, order), canonical=False)))
    return texts
