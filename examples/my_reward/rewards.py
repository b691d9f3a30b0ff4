"""A reward of mine: a plain function of one molecule.

    qdtrain run examples/my_reward/small_rings.toml --out runs/rings

The function gets a SMILES that is a valid molecule and gives a number; an exception is a failed
score, which is dropped and counted. It runs in a process of its own with a time limit.
"""

from __future__ import annotations

from rdkit import Chem


def aromatic_share(smiles: str) -> float:
    """The share of heavy atoms that are in an aromatic ring."""
    molecule = Chem.MolFromSmiles(smiles)
    aromatic = sum(atom.GetIsAromatic() for atom in molecule.GetAtoms())
    return aromatic / molecule.GetNumHeavyAtoms()
