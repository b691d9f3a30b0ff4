"""Scores of molecules against rdkit's own, GuacaMol's package and published numbers."""

import math
import sys
from pathlib import Path
from unittest.mock import MagicMock

import numpy as np
import pytest

from qdlaws.errors import BadData
from trainer.tasks.molecules import guacamol
from trainer.tasks.molecules.composite import read_objective
from trainer.tasks.molecules.objectives import FINGERPRINTS, OBJECTIVES, parse_formula
from trainer.tasks.molecules.score_function import score_function

pytest.importorskip("rdkit")


def score(objective, smiles):
    """The total of one molecule."""
    return score_function(read_objective(objective))([smiles])[0][0]


def raw(objective, smiles):
    """The score before its usual transform."""
    given = {"objective": objective} if isinstance(objective, str) else objective
    return score({**given, "transform": {"type": "linear"}}, smiles)


ASPIRIN = "CC(=O)Oc1ccccc1C(=O)O"

# printed by the package guacamol 0.5.5 (suite v2)
BY_GUACAMOL = [
    ("celecoxib_rediscovery", guacamol.CELECOXIB, 1.0),
    ("troglitazone_rediscovery", guacamol.CELECOXIB, 0.129496402878),
    ("thiothixene_rediscovery", guacamol.CELECOXIB, 0.209302325581),
    ("aripiprazole_similarity", guacamol.CELECOXIB, 0.182254196643),
    ("albuterol_similarity", guacamol.ALBUTEROL, 1.0),
    ("mestranol_similarity", guacamol.MESTRANOL, 1.0),
    ("isomers_c11h24", "CCCCCCCCCCC", 1.0),
    ("isomers_c11h24", "CC(C)CCCCCCCC", 1.0),
    ("isomers_c11h24", "CCCCCCCCCC", 0.298694689288),
    ("isomers_c7h8n2o2", "NC(=O)c1ccc(O)nc1C", 1.0),
    ("isomers_c7h8n2o2", "c1ccccc1", 0.080058312787),
    ("isomers_c9h10n2o2pf2cl", guacamol.SITAGLIPTIN, 0.000031202885),
    ("median1", guacamol.MENTHOL, 0.4),
    ("median2", guacamol.SILDENAFIL, 0.362371537670),
    ("osimertinib_mpo", guacamol.OSIMERTINIB, 0.133341719003),
    ("fexofenadine_mpo", guacamol.FEXOFENADINE, 0.597340261912),
    ("ranolazine_mpo", guacamol.RANOLAZINE, 0.049237359143),
    ("perindopril_mpo", guacamol.PERINDOPRIL, 0.018315638889),
    ("amlodipine_mpo", guacamol.AMLODIPINE, 0.367879441171),
    ("sitagliptin_mpo", guacamol.SITAGLIPTIN, 0.000003726653),
    ("zaleplon_mpo", guacamol.ZALEPLON, 0.466498721183),
    ("valsartan_smarts", guacamol.SITAGLIPTIN, 0.0),
    ("deco_hop", guacamol.QUINAZOLINE, 0.5),
    ("scaffold_hop", guacamol.QUINAZOLINE, 0.666666666667),
]


@pytest.mark.parametrize(("name", "smiles", "expected"), BY_GUACAMOL)
def test_scores_are_those_of_guacamol(name, smiles, expected):
    assert score(name, smiles) == pytest.approx(expected, abs=1e-9)


def test_isomers_by_hand():
    # decane misses C11H24 by one carbon, two hydrogens, three atoms
    wanted = [math.exp(-1 / 2), math.exp(-4 / 2), math.exp(-((3 / 2) ** 2) / 2)]
    spec = {"objective": "isomers", "formula": "C11H24"}
    assert score(spec, "CCCCCCCCCC") == pytest.approx(math.prod(wanted) ** (1 / 3), rel=1e-12)
    mean = score({**spec, "mean": "arithmetic"}, "CCCCCCCCCC")
    assert mean == pytest.approx(sum(wanted) / 3, rel=1e-12)


def test_formulas_are_parsed():
    assert parse_formula("C9H10N2O2PF2Cl") == {
        "C": 9, "H": 10, "N": 2, "O": 2, "P": 1, "F": 2, "Cl": 1,
    }  # fmt: skip
    for wrong in ("", "c6h6", "C6-H6", "6"):
        with pytest.raises(BadData, match="such as C11H24"):
            parse_formula(wrong)


def test_synthetic_accessibility_as_published_with_rdkit():
    from rdkit import RDConfig

    file = Path(RDConfig.RDContribDir) / "SA_Score" / "data" / "zim.100.txt"
    rows = [line.split("\t") for line in file.read_text().splitlines()[1:]]
    assert len(rows) == 100
    for smiles, _, expected in rows:
        assert raw("sa", smiles) == pytest.approx(float(expected), abs=1e-3)


def test_synthetic_accessibility_is_easy_at_one():
    assert score("sa", "CCO") == pytest.approx((10 - raw("sa", "CCO")) / 9, rel=1e-12)


# the best molecule that JT-VAE reports (Jin et al. 2018): 5.30
JT_VAE = "ClC1=CC=C2C(C=C(C(C)=O)C(C(NC3=CC(NC(NC4=CC(C5=C(C)C=CC=C5)=CC=C4)=O)=CC=C3)=O)=C2)=C1"


def test_penalised_logp_as_published():
    spec = {"objective": "plogp", "normalised": True, "transform": {"type": "linear"}}
    assert score(spec, JT_VAE) == pytest.approx(5.30, abs=5e-3)


def test_penalised_logp_from_its_parts():
    ring12 = "C1CCCCCCCCCCC1"
    for smiles, penalty in ((ASPIRIN, 0), (ring12, 6), ("CCCC", 0)):
        expected = raw("logp", smiles) - raw("sa", smiles) - penalty
        assert raw("plogp", smiles) == pytest.approx(expected, abs=1e-12)
    middle = 1 / (1 + 10 ** (-0.25 * raw("plogp", ASPIRIN)))  # low −5, high 5, k ¼
    assert score("plogp", ASPIRIN) == pytest.approx(middle, rel=1e-12)


def test_descriptors_are_those_of_rdkit():
    from rdkit import Chem
    from rdkit.Chem import QED, Crippen, Descriptors, GraphDescriptors, Lipinski, rdMolDescriptors

    mol = Chem.MolFromSmiles(ASPIRIN)
    theirs = {
        "qed": QED.qed,
        "logp": Crippen.MolLogP,
        "mw": Descriptors.MolWt,
        "tpsa": Descriptors.TPSA,
        "hbd": Lipinski.NumHDonors,
        "hba": Lipinski.NumHAcceptors,
        "rotatable_bonds": Lipinski.NumRotatableBonds,
        "rings": rdMolDescriptors.CalcNumRings,
        "aromatic_rings": rdMolDescriptors.CalcNumAromaticRings,
        "aliphatic_rings": Lipinski.NumAliphaticRings,
        "hetero_atoms": Lipinski.NumHeteroatoms,
        "fraction_csp3": Lipinski.FractionCSP3,
        "stereo_centers": rdMolDescriptors.CalcNumAtomStereoCenters,
        "heavy_atoms": lambda m: m.GetNumHeavyAtoms(),
        "bertz": GraphDescriptors.BertzCT,
    }
    for name, function in theirs.items():
        assert raw(name, ASPIRIN) == function(mol), name
    assert raw("mw", ASPIRIN) == pytest.approx(180.16, abs=0.01)  # what a textbook says
    shape = {"graph_length", "largest_ring", "sp_atoms", "sp2_atoms", "sp3_atoms"}
    patterns = {"similarity", "isomers", "smarts", "smarts_count", "alerts", "atoms"}
    assert {"sa", "plogp", "descriptor", *theirs} | shape | patterns == set(OBJECTIVES)


@pytest.mark.parametrize(
    ("objective", "smiles", "expected"),
    [
        ({"objective": "smarts_count", "pattern": "[F,Cl]"}, "FC(Cl)CF", 3),
        ({"objective": "smarts", "pattern": ["N", "Cl"]}, "CCl", 1),
        ({"objective": "smarts", "pattern": ["N", "Cl"], "inverse": True}, "CCl", 0),
        ("alerts", "CCO", 1),
        ("alerts", "C#CC", 0),
        ({"objective": "alerts", "patterns": ["[OH]"]}, "CCO", 0),
    ],
)
def test_numbers_that_can_be_counted_by_hand(objective, smiles, expected):
    assert raw(objective, smiles) == pytest.approx(expected, abs=0.01)


def test_chirality_counts_where_it_is_wanted():
    pattern = "C[C@H](N)O"
    for smiles, there in (("C[C@H](N)O", 1), ("C[C@@H](N)O", 0)):
        spec = {"objective": "smarts", "pattern": pattern, "chirality": True}
        assert raw(spec, smiles) == there
        assert raw({**spec, "chirality": False}, smiles) == 1


def test_similarity_by_the_presence_of_features_alone():
    spec = {"objective": "similarity", "query": "CCCCCCCC", "fingerprint": "ecfp2"}
    assert raw(spec, "CCCCCCCCCC") < 1
    assert raw({**spec, "counts": False}, "CCCCCCCCCC") == 1


@pytest.mark.parametrize("fingerprint", FINGERPRINTS)
def test_similarity_is_one_to_itself_and_symmetric(fingerprint):
    def like(query, smiles):
        spec = {"objective": "similarity", "query": query, "fingerprint": fingerprint}
        return score(spec, smiles)

    other = guacamol.CELECOXIB
    assert like(ASPIRIN, "OC(=O)c1ccccc1OC(C)=O") == 1  # the same molecule, written otherwise
    assert 0 < like(ASPIRIN, other) < 1
    assert like(ASPIRIN, other) == like(other, ASPIRIN)


def test_similarity_of_folded_bits():
    from rdkit import Chem, DataStructs
    from rdkit.Chem import rdFingerprintGenerator

    generator = rdFingerprintGenerator.GetMorganGenerator(radius=2, fpSize=2048)
    a, b = (generator.GetFingerprint(Chem.MolFromSmiles(s)) for s in (ASPIRIN, guacamol.CELECOXIB))
    spec = {"objective": "similarity", "query": ASPIRIN, "bits": 2048}
    assert score(spec, guacamol.CELECOXIB) == DataStructs.TanimotoSimilarity(a, b)


def test_substructure_and_atoms():
    ring = {"objective": "smarts", "pattern": "c1ccccc1"}
    assert [score(ring, s) for s in (ASPIRIN, "CCO")] == [1, 0]
    assert [score({**ring, "inverse": True}, s) for s in (ASPIRIN, "CCO")] == [0, 1]
    oxygen = {"objective": "atoms", "element": "O"}
    assert [score(oxygen, s) for s in (ASPIRIN, "CCO", "CC")] == [4, 1, 0]
    assert score({"objective": "atoms", "element": "H"}, "CCO") == 6


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ({"objective": "similarity", "query": "no molecule"}, "'no molecule' is no molecule"),
        ({"objective": "similarity", "query": "C", "fingerprint": "ecpf4"}, "did you mean 'ecfp4'"),
        ({"objective": "similarity", "query": "C", "bits": 2}, "bits=2"),
        ({"objective": "isomers", "formula": "C6", "mean": "mode"}, "mean='mode'"),
        ({"objective": "smarts", "pattern": "c1cc("}, "is no SMARTS pattern"),
    ],
)
def test_bad_values_are_refused_in_one_line(spec, words):
    with pytest.raises(BadData) as caught:
        score(spec, "CC")
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.peers
def test_every_benchmark_of_guacamol_on_many_molecules(monkeypatch):
    import scipy
    from rdkit import Chem, RDConfig

    # guacamol 0.5.5 imports a function that scipy has lost, and a package of a network (FCD)
    # that only its distribution benchmarks use
    monkeypatch.setattr(scipy, "histogram", np.histogram, raising=False)
    for name in ("FCD", "fcd"):
        monkeypatch.setitem(sys.modules, name, MagicMock())
    suite = pytest.importorskip("guacamol.benchmark_suites", exc_type=ImportError)
    names = [
        "celecoxib_rediscovery", "troglitazone_rediscovery", "thiothixene_rediscovery",
        "aripiprazole_similarity", "albuterol_similarity", "mestranol_similarity",
        "isomers_c11h24", "isomers_c9h10n2o2pf2cl", "median1", "median2", "osimertinib_mpo",
        "fexofenadine_mpo", "ranolazine_mpo", "perindopril_mpo", "amlodipine_mpo",
        "sitagliptin_mpo", "zaleplon_mpo", "valsartan_smarts", "deco_hop", "scaffold_hop",
    ]  # fmt: skip
    file = Path(RDConfig.RDDataDir) / "NCI" / "first_5K.smi"
    lines = [line.split()[0] for line in file.read_text().splitlines()[:60]]
    smiles = [Chem.CanonSmiles(s) for s in [*lines, guacamol.CELECOXIB, guacamol.SILDENAFIL]]
    for name, benchmark in zip(names, suite.goal_directed_suite_v2(), strict=True):
        theirs = benchmark.objective.score_list(smiles)
        ours = [row[0] for row in score_function(read_objective(name))(smiles)]
        assert ours == pytest.approx(theirs, abs=1e-12), name
