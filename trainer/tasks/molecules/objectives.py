"""Scores of one molecule by name: QED, penalised logP, similarity, isomers, descriptors, …

Every entry of :data:`OBJECTIVES` makes, from its options, a plain function of an rdkit molecule.
rdkit is imported when a score is made, never when this module is.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from qdlaws.errors import BadData, QdlawsError
from trainer.tasks.task import nearest

__all__ = ["FINGERPRINTS", "OBJECTIVES", "Objective", "Range", "parse_formula"]

Score = Callable[[Any], float]


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


UNIT = Range(0.0, 1.0)
COUNT = Range(0.0, None)

# ---------------------------------------------------------------------- scores without options


def _of_rdkit(module: str, name: str) -> Callable[[], Score]:
    """A function of rdkit, imported on first use."""

    def make() -> Score:
        from importlib import import_module

        function: Score = getattr(import_module(f"rdkit.Chem.{module}"), name)
        return function

    return make


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


# ---------------------------------------------------------------------- scores with options

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
    logp, sa = _of_rdkit("Crippen", "MolLogP")(), _sa()

    def score(mol: Any) -> float:
        ring = -max(max(map(len, mol.GetRingInfo().AtomRings()), default=0) - 6, 0)
        parts = (logp(mol), -sa(mol), float(ring))
        if not normalised:
            return math.fsum(parts)
        return math.fsum((x - m) / s for x, (m, s) in zip(parts, ZINC, strict=True))

    return score


FINGERPRINTS = ("ecfp4", "ecfp6", "fcfp4", "fcfp6", "ap", "path", "phco")


def _similarity(query: str, fingerprint: str = "ecfp4", bits: int | None = None) -> Score:
    """Tanimoto similarity to ``query``, a SMILES.

    Fingerprints are counts without folding, as in GuacaMol; ``bits = 2048`` folds them to so many
    bits, as most similarity searches do. ecfp/fcfp: Morgan (by element / by feature), the number
    is the diameter; ap: atom pairs up to 10 bonds; path: rdkit's own; phco: Gobbi pharmacophores,
    which take minutes over a chain of some hundred atoms: give a timeout.
    """
    from rdkit.DataStructs import TanimotoSimilarity

    of = _fingerprint(fingerprint, bits)
    print_of_query = of(_molecule(query, "query"))
    return lambda mol: float(TanimotoSimilarity(of(mol), print_of_query))


def _fingerprint(name: str, bits: int | None) -> Callable[[Any], Any]:
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
    return chosen


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


def _smarts(pattern: str, inverse: bool = False) -> Score:
    """1 where the molecule has the substructure, else 0; turned around by ``inverse``."""
    from rdkit import Chem, rdBase

    with rdBase.BlockLogs():
        wanted = Chem.MolFromSmarts(pattern)
    if wanted is None:
        raise BadData(f"smarts: {pattern!r} is no SMARTS pattern")
    return lambda mol: float(mol.HasSubstructMatch(wanted) != inverse)


def _molecule(smiles: str, what: str) -> Any:
    from rdkit import Chem, rdBase

    with rdBase.BlockLogs():
        mol = Chem.MolFromSmiles(smiles)
    if mol is None or mol.GetNumAtoms() == 0:
        raise BadData(f"{what}: {smiles!r} is no molecule")
    return mol


OBJECTIVES: dict[str, Objective] = {
    "qed": Objective(_of_rdkit("QED", "qed"), UNIT),
    "logp": Objective(_of_rdkit("Crippen", "MolLogP")),
    "plogp": Objective(_plogp, Range(), {"type": "sigmoid", "low": -5, "high": 5, "k": 0.25}),
    "sa": Objective(_sa, Range(1.0, 10.0), {"type": "clipped", "lower": 10, "upper": 1}),
    "similarity": Objective(_similarity, UNIT),
    "isomers": Objective(_isomers, UNIT),
    "smarts": Objective(_smarts, Range(0.0, 1.0, binary=True)),
    "atoms": Objective(_atoms, COUNT),
    "mw": Objective(_of_rdkit("Descriptors", "MolWt"), COUNT),
    "tpsa": Objective(_of_rdkit("rdMolDescriptors", "CalcTPSA"), COUNT),
    "hbd": Objective(_of_rdkit("Lipinski", "NumHDonors"), COUNT),
    "hba": Objective(_of_rdkit("Lipinski", "NumHAcceptors"), COUNT),
    "rotatable_bonds": Objective(_of_rdkit("Lipinski", "NumRotatableBonds"), COUNT),
    "rings": Objective(_of_rdkit("rdMolDescriptors", "CalcNumRings"), COUNT),
    "aromatic_rings": Objective(_of_rdkit("rdMolDescriptors", "CalcNumAromaticRings"), COUNT),
    "heavy_atoms": Objective(_of_rdkit("Lipinski", "HeavyAtomCount"), COUNT),
    "bertz": Objective(_of_rdkit("GraphDescriptors", "BertzCT"), COUNT),
}
