"""Scores of one molecule by name: QED, penalised logP, similarity, isomers, descriptors, …

Every entry of :data:`OBJECTIVES` makes, from its options, a plain function of an rdkit molecule.
rdkit is imported when a score is made, never when this module is.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from qdlaws.errors import BadData, QdlawsError
from trainer.tasks.molecules.descriptors import (
    Score,
    any_descriptor,
    graph_length,
    hybridised,
    largest_ring,
    of_rdkit,
    tpsa,
)
from trainer.tasks.task import nearest

__all__ = ["FINGERPRINTS", "OBJECTIVES", "Objective", "Range", "parse_formula"]


@dataclass(frozen=True)
class Range:
    """The values that a score can take; None where a bound is not known."""

    low: float | None = None
    high: float | None = None
    binary: bool = False


@dataclass(frozen=True)
class Objective:
    """The function that makes a score, its range, and the transform that fits it to [0, 1]."""

    make: Callable[..., Score]
    range: Range = field(default_factory=Range)
    transform: Mapping[str, Any] | None = None
    """Used where the configuration names none; ``transform = {type = "linear"}`` takes the raw."""
    meaning: str = ""
    """What it measures, where ``make`` has no docstring that says so."""

    @property
    def summary(self) -> str:
        """What it measures, in a line."""
        first = (self.make.__doc__ or "").strip().partition("\n\n")[0]
        return self.meaning or " ".join(first.split()).rstrip(".")


UNIT = Range(0.0, 1.0)
COUNT = Range(0.0, None)

# ---------------------------------------------------------------------- scores


def _sa() -> Score:
    """Synthetic accessibility, 1 (easy) … 10 (hard): Ertl & Schuffenhauer 2009."""
    score: Score = _sascorer().calculateScore
    return score


@cache
def _sascorer() -> Any:
    """rdkit's implementation, which its wheel carries among the contributions."""
    import importlib.util
    from pathlib import Path

    from rdkit import RDConfig

    folder = Path(RDConfig.RDContribDir) / "SA_Score"
    file = folder / "sascorer.py"
    if not (file.is_file() and (folder / "fpscores.pkl.gz").is_file()):
        raise QdlawsError(
            f"synthetic accessibility needs rdkit's Contrib/SA_Score, not found in {folder}; "
            "pip's rdkit has it"
        )
    spec = importlib.util.spec_from_file_location("rdkit_sascorer", file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


ZINC = (
    (2.4570953396190123, 1.434324401111988),
    (-3.0525811293166134, 0.8335207024513095),
    (-0.0485696876403053, 0.2860212110245455),
)
"""Mean and spread of logP, −SA and −(ring penalty) over ZINC-250k, as published."""


def _plogp(normalised: bool = False) -> Score:
    """Penalised logP: logP − SA − max(largest ring − 6, 0) (Gómez-Bombarelli et al. 2018).

    ``normalised`` standardises each of the three by its mean and spread over ZINC-250k (Kusner et
    al. 2017; the form whose values JT-VAE and GCPN report). Rings are those of rdkit's smallest
    set; code that takes them from networkx differs in about .3 % of molecules.
    """
    logp, sa = of_rdkit("Crippen", "MolLogP")(), _sa()

    def score(mol: Any) -> float:
        ring = -max(max(map(len, mol.GetRingInfo().AtomRings()), default=0) - 6, 0)
        parts = (logp(mol), -sa(mol), float(ring))
        if not normalised:
            return math.fsum(parts)
        return math.fsum((x - m) / s for x, (m, s) in zip(parts, ZINC, strict=True))

    return score


MORGAN = tuple(f"{kind}cfp{d}" for kind in "ef" for d in (2, 4, 6, 8))
FINGERPRINTS = (*MORGAN, "ap", "path", "phco")


def _similarity(
    query: str, fingerprint: str = "ecfp4", bits: int | None = None, counts: bool = True
) -> Score:
    """Tanimoto similarity to ``query``, a SMILES.

    Fingerprints are counts without folding, as in GuacaMol; ``counts = false`` tells only whether a
    feature is there; ``bits = 2048`` folds it to so many bits, as most similarity searches do.
    ecfp/fcfp: Morgan (by element / by feature), the number
    is the diameter; ap: atom pairs up to 10 bonds; path: rdkit's own; phco: Gobbi pharmacophores,
    which take minutes over a chain of some hundred atoms: give a timeout.
    """
    from rdkit.DataStructs import TanimotoSimilarity

    of = _fingerprint(fingerprint, bits, counts)
    print_of_query = of(_molecule(query, "query"))
    return lambda mol: float(TanimotoSimilarity(of(mol), print_of_query))


def _fingerprint(name: str, bits: int | None, counts: bool = True) -> Callable[[Any], Any]:
    from rdkit.Chem import rdFingerprintGenerator

    name = name.lower()
    if name not in FINGERPRINTS:
        hint = f"{nearest(name, FINGERPRINTS)}; have {', '.join(FINGERPRINTS)}"
        raise BadData(f"similarity has no fingerprint {name!r}{hint}")
    if bits is not None and (not isinstance(bits, int) or bits < 8):
        raise BadData(f"similarity: bits={bits!r}, a whole number of at least 8 was needed")
    if name == "phco":
        from rdkit.Chem.Pharm2D import Generate, Gobbi_Pharm2D

        pharmacophores: Any = Generate.Gen2DFingerprint
        return lambda mol: pharmacophores(mol, Gobbi_Pharm2D.factory)
    size: dict[str, Any] = {"fpSize": bits} if bits else {}
    if name == "path":
        paths = rdFingerprintGenerator.GetRDKitFPGenerator(**size)
        return lambda mol: paths.GetFingerprint(mol)
    if name == "ap":
        made = rdFingerprintGenerator.GetAtomPairGenerator(maxDistance=10, **size)
    else:
        if name.startswith("f"):
            size["atomInvariantsGenerator"] = rdFingerprintGenerator.GetMorganFeatureAtomInvGen()
        made = rdFingerprintGenerator.GetMorganGenerator(radius=int(name[-1]) // 2, **size)
    chosen: Callable[[Any], Any] = made.GetFingerprint if bits else made.GetSparseCountFingerprint
    return chosen if bits or counts else made.GetSparseFingerprint


def _isomers(formula: str, mean: str = "geometric") -> Score:
    """Closeness to a molecular formula (GuacaMol, Brown et al. 2019).

    The mean of Gaussians: of the count of each element that the formula names (σ 1) and of the
    number of all atoms, hydrogens included (σ 2).
    """
    target = parse_formula(formula)
    if mean not in ("geometric", "arithmetic"):
        raise BadData(f"isomers: mean={mean!r}, 'geometric' or 'arithmetic' was needed")
    total = sum(target.values())

    def score(mol: Any) -> float:
        counts = _elements(mol)
        off = [(counts.get(element, 0) - wanted) / 1.0 for element, wanted in target.items()]
        off.append((sum(counts.values()) - total) / 2.0)
        bells = [math.exp(-0.5 * z * z) for z in off]
        if mean == "arithmetic":
            return math.fsum(bells) / len(bells)
        return float(math.prod(bells) ** (1 / len(bells)))

    return score


def parse_formula(formula: str) -> dict[str, int]:
    """{"C": 11, "H": 24} of "C11H24"."""
    elements = re.findall(r"([A-Z][a-z]?)(\d*)", formula)
    if not elements or "".join(a + b for a, b in elements) != formula:
        raise BadData(f"found {formula!r}: a molecular formula such as C11H24 was needed")
    counts: dict[str, int] = {}
    for element, number in elements:
        counts[element] = counts.get(element, 0) + int(number or 1)
    return counts


def _elements(mol: Any) -> dict[str, int]:
    """Atoms of each element, hydrogens included."""
    counts: dict[str, int] = {"H": 0}
    for atom in mol.GetAtoms():
        symbol = atom.GetSymbol()
        counts[symbol] = counts.get(symbol, 0) + 1
        counts["H"] += atom.GetTotalNumHs()
    return counts


def _atoms(element: str) -> Score:
    """The number of atoms of an element."""
    return lambda mol: float(_elements(mol).get(element, 0))


def _smarts(pattern: str | Sequence[str], inverse: bool = False, chirality: bool = False) -> Score:
    """1 where the molecule has the substructure, or any of several, else 0.

    ``inverse`` turns it around; ``chirality``: stereo centres must match too.
    """
    given = [pattern] if isinstance(pattern, str) else list(pattern)
    wanted = [_pattern(one) for one in given]
    return lambda mol: float(
        any(mol.HasSubstructMatch(one, useChirality=chirality) for one in wanted) != inverse
    )


ALERTS = (
    *("[*;r{8-17}]", "[#8][#8]", "[#6;+]", "[#16][#16]", "[#7;!n][S;!$(S(=O)=O)]"),
    *("[#7;!n][#7;!n]", "C#C", "C(=[O,S])[O,S]", "[#7;!n][C;!$(C(=[O,N])[N,O])][#16;!s]"),
    "[#7;!n][C;!$(C(=[O,N])[N,O])][#7;!n]",
    "[#7;!n][C;!$(C(=[O,N])[N,O])][#8;!o]",
    "[#8;!o][C;!$(C(=[O,N])[N,O])][#16;!s]",
    "[#8;!o][C;!$(C(=[O,N])[N,O])][#8;!o]",
    "[#16;!s][C;!$(C(=[O,N])[N,O])][#16;!s]",
)
"""The unwanted groups of REINVENT4's example: large rings, peroxides, hydrazines, acetals, …"""


def _alerts(patterns: Sequence[str] = ALERTS) -> Score:
    """0 where the molecule has any unwanted group, else 1; by default the list of REINVENT4."""
    return _smarts([patterns] if isinstance(patterns, str) else patterns, inverse=True)


def _smarts_count(pattern: str) -> Score:
    """How often the molecule has the substructure."""
    wanted = _pattern(pattern)
    return lambda mol: float(len(mol.GetSubstructMatches(wanted)))


def _pattern(smarts: str) -> Any:
    from rdkit import Chem, rdBase

    with rdBase.BlockLogs():
        wanted = Chem.MolFromSmarts(smarts) if isinstance(smarts, str) else None
    if wanted is None:
        raise BadData(f"smarts: {smarts!r} is no SMARTS pattern")
    return wanted


def _molecule(smiles: str, what: str) -> Any:
    from rdkit import Chem, rdBase

    with rdBase.BlockLogs():
        mol = Chem.MolFromSmiles(smiles)
    if mol is None or mol.GetNumAtoms() == 0:
        raise BadData(f"{what}: {smiles!r} is no molecule")
    return mol


def _counts(
    make: Callable[..., Score], meaning: str = "", transform: Mapping[str, Any] | None = None
) -> Objective:
    return Objective(make, COUNT, transform, meaning)


OBJECTIVES: dict[str, Objective] = {
    "qed": Objective(of_rdkit("QED", "qed"), UNIT, meaning="Drug-likeness (Bickerton et al. 2012)"),
    "logp": Objective(of_rdkit("Crippen", "MolLogP"), meaning="Crippen's log P (octanol/water)"),
    "plogp": Objective(_plogp, Range(), {"type": "sigmoid", "low": -5, "high": 5, "k": 0.25}),
    "sa": Objective(_sa, Range(1.0, 10.0), {"type": "clipped", "lower": 10, "upper": 1}),
    "similarity": Objective(_similarity, UNIT),
    "isomers": Objective(_isomers, UNIT),
    "smarts": Objective(_smarts, Range(0.0, 1.0, binary=True)),
    "alerts": Objective(_alerts, Range(0.0, 1.0, binary=True)),
    "smarts_count": _counts(_smarts_count),
    "atoms": _counts(_atoms),
    "mw": _counts(of_rdkit("Descriptors", "MolWt"), "Molecular weight (g/mol)"),
    "tpsa": _counts(tpsa),
    "hbd": _counts(of_rdkit("Lipinski", "NumHDonors"), "Donors of hydrogen bonds"),
    "hba": _counts(of_rdkit("Lipinski", "NumHAcceptors"), "Acceptors of hydrogen bonds"),
    "rotatable_bonds": _counts(of_rdkit("Lipinski", "NumRotatableBonds"), "Rotatable bonds"),
    "rings": _counts(of_rdkit("rdMolDescriptors", "CalcNumRings"), "Rings"),
    "aromatic_rings": _counts(
        of_rdkit("rdMolDescriptors", "CalcNumAromaticRings"), "Aromatic rings"
    ),
    "aliphatic_rings": _counts(
        of_rdkit("rdMolDescriptors", "CalcNumAliphaticRings"), "Aliphatic rings"
    ),
    "largest_ring": _counts(largest_ring),
    "heavy_atoms": _counts(of_rdkit("Lipinski", "HeavyAtomCount"), "Atoms other than hydrogen"),
    "hetero_atoms": _counts(
        of_rdkit("Lipinski", "NumHeteroatoms"), "Atoms other than carbon and hydrogen"
    ),
    "sp_atoms": _counts(hybridised("SP"), "Atoms with sp hybridisation"),
    "sp2_atoms": _counts(hybridised("SP2"), "Atoms with sp² hybridisation"),
    "sp3_atoms": _counts(hybridised("SP3"), "Atoms with sp³ hybridisation"),
    "fraction_csp3": Objective(
        of_rdkit("Lipinski", "FractionCSP3"), UNIT, meaning="Share of the carbons that are sp³"
    ),
    "stereo_centers": _counts(
        of_rdkit("rdMolDescriptors", "CalcNumAtomStereoCenters"), "Stereo centres"
    ),
    "graph_length": _counts(graph_length),
    "bertz": _counts(
        of_rdkit("GraphDescriptors", "BertzCT"), "Bertz's index of the graph's complexity"
    ),
    "descriptor": Objective(any_descriptor),
}
