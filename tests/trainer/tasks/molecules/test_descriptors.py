"""Numbers of small molecules that can be counted by hand, and any descriptor of rdkit."""

import pytest

from qdlaws.errors import BadData
from trainer.tasks.molecules.composite import read_objective
from trainer.tasks.molecules.descriptors import any_descriptor
from trainer.tasks.molecules.objectives import OBJECTIVES

Chem = pytest.importorskip("rdkit.Chem")


def number(name, smiles, **options):
    return OBJECTIVES[name].make(**options)(Chem.MolFromSmiles(smiles))


@pytest.mark.parametrize(
    ("name", "smiles", "expected"),
    [
        ("graph_length", "CCCC(C)C", 4),
        ("graph_length", "C", 0),
        ("largest_ring", "C1CCCCC1C1CC1", 6),
        ("largest_ring", "CCO", 0),
        ("sp_atoms", "C#CC", 2),
        ("sp2_atoms", "C=CC", 2),
        ("sp3_atoms", "C=CC", 1),
        ("aliphatic_rings", "C1CC1c1ccccc1", 1),
        ("hetero_atoms", "OCCN", 2),
        ("fraction_csp3", "C=CCC", 0.5),
        ("stereo_centers", "CC(O)C(N)F", 2),
    ],
)
def test_numbers_that_can_be_counted_by_hand(name, smiles, expected):
    assert number(name, smiles) == expected


def test_the_surface_of_sulphur_counts_where_it_is_wanted():
    assert number("tpsa", "CS(=O)C") == pytest.approx(17.07, abs=0.01)
    assert number("tpsa", "CS(=O)C", sulphur_and_phosphorus=True) == pytest.approx(36.28, abs=0.01)


def test_any_descriptor_of_rdkit_by_its_name():
    assert number("descriptor", "OCCO", descriptor="nhohcount") == 2
    with pytest.raises(BadData, match=r"no descriptor 'MolLogQ' .did you mean 'MolLogP'"):
        any_descriptor("MolLogQ")
    given = {"objective": "descriptor", "descriptor": "MolMR"}
    assert read_objective(given).range.low is None
