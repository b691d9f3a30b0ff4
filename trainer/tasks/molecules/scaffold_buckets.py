"""Scaffold buckets of molecules, for a diversity filter (REINVENT, Blaschke et al. 2020).

:class:`trainer.algorithms.diversity_filter.FilterMemory` counts them; a bucket that is full makes
its molecules worth less. Keys are strings, so that a checkpoint can hold them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Any

from qdlaws.errors import BadData
from trainer.tasks.task import nearest

__all__ = ["FILTERS", "bucket_keys"]

FILTERS = ("scaffold", "topological", "similar")


def bucket_keys(
    smiles: Sequence[str | None],
    by: str = "scaffold",
    *,
    known: Iterable[Any] = (),
    similarity: float = 0.4,
) -> list[str | None]:
    """The bucket of each molecule; None for None.

    ``scaffold``: its Bemis–Murcko scaffold (all molecules without a ring share the bucket "").
    ``topological``: the scaffold with all atoms and bonds made the same. ``similar``: the most
    similar of the scaffolds in ``known`` and of those before it here, if the Dice similarity of
    their atom pairs is at least ``similarity``, else its own scaffold. All as in REINVENT4.
    """
    if by not in FILTERS:
        raise BadData(f"found filter {by!r}{nearest(by, FILTERS)}; have {', '.join(FILTERS)}")
    cores = [None if one is None else _scaffold(one, by == "topological") for one in smiles]
    return cores if by != "similar" else _merged(cores, known, similarity)


@lru_cache(100_000)
def _scaffold(smiles: str, generic: bool) -> str:
    from rdkit import Chem
    from rdkit.Chem.Scaffolds import MurckoScaffold

    mol = Chem.MolFromSmiles(smiles)
    core_of: Any = MurckoScaffold.GetScaffoldForMol
    make_generic: Any = MurckoScaffold.MakeScaffoldGeneric
    core = core_of(mol)
    text: str = Chem.MolToSmiles(make_generic(core) if generic else core)
    return text


def _merged(cores: list[str | None], known: Iterable[Any], similarity: float) -> list[str | None]:
    """Each scaffold, or the earlier one that it is most similar to."""
    from rdkit.DataStructs import BulkDiceSimilarity

    earlier = [core for core in dict.fromkeys(known) if core]
    prints = [_atom_pairs(core) for core in earlier]
    merged: list[str | None] = []
    for core in cores:
        if not core or core in earlier:
            merged.append(core)
            continue
        similarities = BulkDiceSimilarity(_atom_pairs(core), prints)
        best = max(range(len(similarities)), key=similarities.__getitem__, default=None)
        if best is not None and similarities[best] >= similarity:
            merged.append(earlier[best])
        else:
            merged.append(core)
            earlier.append(core)
            prints.append(_atom_pairs(core))
    return merged


@lru_cache(100_000)
def _atom_pairs(smiles: str) -> Any:
    from rdkit import Chem
    from rdkit.Chem import rdFingerprintGenerator

    generator = rdFingerprintGenerator.GetAtomPairGenerator()
    return generator.GetSparseCountFingerprint(Chem.MolFromSmiles(smiles))
