"""Plain numbers of a molecule: sizes, atoms of a kind, rings, any descriptor of rdkit."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from qdlaws.errors import BadData
from trainer.tasks.task import nearest

__all__ = ["any_descriptor", "graph_length", "hybridised", "largest_ring", "of_rdkit", "tpsa"]

Score = Callable[[Any], float]


def of_rdkit(module: str, name: str) -> Callable[[], Score]:
    """A function of rdkit, imported on first use."""

    def make() -> Score:
        from importlib import import_module

        function: Score = getattr(import_module(f"rdkit.Chem.{module}"), name)
        return function

    return make


def tpsa(sulphur_and_phosphorus: bool = False) -> Score:
    """Topological polar surface area (Å²); ``sulphur_and_phosphorus`` counts these atoms too."""
    area = of_rdkit("rdMolDescriptors", "CalcTPSA")()
    if not sulphur_and_phosphorus:
        return area
    function: Any = area
    return lambda mol: float(function(mol, includeSandP=True))


def graph_length() -> Score:
    """Bonds on the longest of the shortest paths between two atoms."""
    from rdkit import Chem

    distances: Any = Chem.GetDistanceMatrix
    return lambda mol: float(distances(mol).max())


def largest_ring() -> Score:
    """Atoms of the largest ring; 0 without one."""
    return lambda mol: float(max(map(len, mol.GetRingInfo().AtomRings()), default=0))


def hybridised(kind: str) -> Callable[[], Score]:
    """The number of atoms of a hybridisation: SP, SP2 or SP3."""

    def make() -> Score:
        from rdkit import Chem

        wanted = getattr(Chem.HybridizationType, kind)
        return lambda mol: float(sum(a.GetHybridization() == wanted for a in mol.GetAtoms()))

    return make


def any_descriptor(descriptor: str) -> Score:
    """Any descriptor of ``rdkit.Chem.Descriptors``, by its name there."""
    from rdkit.Chem import Descriptors

    functions = {key.lower(): function for key, function in Descriptors.descList}
    if descriptor.lower() not in functions:
        names = [key for key, _ in Descriptors.descList]
        raise BadData(f"rdkit has no descriptor {descriptor!r}{nearest(descriptor, names)}")
    chosen: Score = functions[descriptor.lower()]
    return chosen
