"""Molecules are read, cleaned, split and recombined as the names say."""

import gzip
import random

import pytest
from rdkit import Chem

from qdlaws.errors import BadData, MissingColumn
from trainer.pretrain.recombine import randomised, recombined
from trainer.pretrain.smiles_corpus import (
    bundled_smiles,
    clean,
    clean_all,
    held_out,
    read_smiles,
    without_rare,
)


@pytest.fixture(scope="module")
def molecules():
    return clean_all(random.Random(0).sample(bundled_smiles(), 300))


@pytest.mark.parametrize(
    ("raw", "cleaned"),
    [
        ("OCC", "CCO"),
        ("CC(=O)[O-].[Na+]", "CC(=O)O"),  # the salt goes, the charge with it
        ("C[NH3+].[Cl-]", None),  # too short: two atoms are left
        ("CC[NH3+].[Cl-]", "CCN"),
        ("C[C@H](N)C(=O)O", "CC(N)C(=O)O"),
        ("F/C=C/F", "FC=CF"),
        ("O=[N+]([O-])c1ccccc1", "O=[N+]([O-])c1ccccc1"),  # neutral as a whole
        ("C[N+](C)(C)C", None),  # a charge that cannot be removed
        ("[2H]C([2H])CC", None),
        ("CC[Si](C)C", None),
        ("[CH2]CC", None),
        ("OOO", None),
        ("ClSCl", None),  # the C of Cl is no carbon
        ("not a molecule", None),
        ("C" * 61, None),
        ("", None),
    ],
)
def test_cleaning(raw, cleaned):
    assert clean(raw) == cleaned


def test_clean_molecules_are_canonical_and_stay(molecules):
    assert [Chem.CanonSmiles(text) for text in molecules] == molecules
    assert clean_all(molecules) == molecules
    assert clean_all([molecules[0], molecules[0]]) == molecules[:1]


def test_rare_symbols_go():
    assert without_rare(["CCO", "CCN", "CCO", "CI"], 2) == ["CCO", "CCO"]


def test_a_molecule_stays_on_its_side_of_the_split(molecules):
    kept, out = held_out(molecules, 0.2)
    assert sorted(kept + out) == sorted(molecules)
    assert 0.1 < len(out) / len(molecules) < 0.3  # 300 draws at 0.2: five standard errors
    again, _ = held_out([*molecules[::-1], "CCO"], 0.2)
    assert set(kept) <= set(again)
    assert held_out(molecules, 0.0) == (molecules, [])


def test_recombined_molecules_are_new_valid_and_of_the_corpus_kind(molecules):
    new = recombined(molecules, 100, seed=1)
    assert len(new) == len(set(new)) == 100
    assert not set(new) & set(molecules)
    assert clean_all(new) == new
    assert new == recombined(molecules, 100, seed=1)
    assert new != recombined(molecules, 100, seed=2)


def test_a_recombination_swaps_the_halves_of_two_molecules():
    # cut at amide bonds, acetyl + methylaniline and benzoyl + ethylamine can only be crossed
    new = set(recombined(["CCNC(=O)c1ccccc1", "CCCNC(C)=O"], 50, seed=0))
    assert {"CCNC(C)=O", "CCCNC(=O)c1ccccc1"} <= new
    assert recombined(["CCC"], 5, seed=0) == []  # nothing to cut
    assert recombined([], 5, seed=0) == []


def test_randomised_smiles_are_the_same_molecules(molecules):
    texts = randomised(molecules, 0.5, seed=3)
    assert {Chem.CanonSmiles(text) for text in texts} <= set(molecules)
    assert 0.35 < len(texts) / len(molecules) < 0.65
    assert sum(text not in set(molecules) for text in texts) > len(texts) / 2
    assert randomised(molecules, 0.0, seed=3) == []


def test_files_of_molecules(tmp_path):
    smi, csv, packed = tmp_path / "a.smi", tmp_path / "b.csv", tmp_path / "c.smi.gz"
    smi.write_text("smiles name\nCCO ethanol\n\nCCN\n")
    csv.write_text('id,Canonical_SMILES\n1,CCO\n2,\n3,"CCN"\n')
    with gzip.open(packed, "wt") as file:
        file.write("CCO\nCCN\n")
    assert read_smiles(smi) == read_smiles(csv) == read_smiles(packed) == ["CCO", "CCN"]
    with gzip.open(tmp_path / "d.csv.gz", "wt") as file:
        file.write("smiles\nCCO\n")
    assert read_smiles(tmp_path / "d.csv.gz") == ["CCO"]


def test_files_that_are_none(tmp_path):
    (tmp_path / "empty.smi").write_text("\n")
    (tmp_path / "names.csv").write_text("id,name\n1,a\n")
    with pytest.raises(BadData, match="no file"):
        read_smiles(tmp_path / "missing.smi")
    with pytest.raises(BadData, match="holds no SMILES"):
        read_smiles(tmp_path / "empty.smi")
    with pytest.raises(MissingColumn, match="name"):
        read_smiles(tmp_path / "names.csv")
