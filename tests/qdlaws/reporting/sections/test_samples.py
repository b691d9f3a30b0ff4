"""Samples of the last evaluation: molecules as pictures, texts with how often they came."""

from pathlib import Path

import numpy as np
import pytest

from qdlaws import fit, read
from qdlaws.readers.run_folder import Drawn, run_files
from qdlaws.reporting.run_data import RunView
from qdlaws.reporting.sections.samples import diverse, samples_section


def section_of(folder: Path) -> str:
    return samples_section([RunView("run", fit(read(folder)))], [run_files(str(folder))])


def test_a_run_without_samples_has_no_such_section(folder):
    assert section_of(folder) == ""


def test_molecules_of_the_last_step_are_drawn_best_first(folder):
    pytest.importorskip("rdkit")
    smiles = ["CCO", "c1ccccc1", "CCN", "nonsense(", "OCC", "C1CCCCC1"]
    table = ["step,SMILES,Score", "100,CCCCCCCC,0.99"]
    table += [f"110,{s},{0.1 * i}" for i, s in enumerate(smiles)]
    (folder / "samples" / "reinvent_1.csv").write_text("\n".join(table) + "\n110,CBr,")
    text = section_of(folder)
    assert "7 molecules were drawn, 4 of them valid and different" in text
    assert "CCCCCCCC" not in text  # of an earlier step
    assert text.index('alt="C1CCCCC1"') < text.index('alt="OCC"') < text.index('alt="CCN"')
    assert 'alt="CCO"' not in text  # the same molecule, with a lower score


def test_texts_are_listed_once_with_how_often_they_came(folder):
    rows = (
        "prompt,completion,score\n24=,20+4,1\n24=,20+4,1\n24=,<i>3*8</i>,1\n24=,5,0\n25=,20+4,0\n"
    )
    (folder / "samples" / "step-000110.csv").write_text(rows)
    text = section_of(folder).replace(' class="number"', "")
    assert "the best of 5 samples, 4 of them different" in text
    assert "<td>20+4</td><td>1</td><td>2</td>" in text
    assert "<td>25=</td><td>20+4</td><td>0</td><td>1</td>" in text  # another question
    assert "<i>3*8</i>" not in text


def test_the_diverse_set_is_farther_apart_than_the_best():
    pytest.importorskip("rdkit")
    from rdkit import Chem, DataStructs
    from rdkit.Chem.rdFingerprintGenerator import GetMorganGenerator

    alike = ["C" * n + "O" for n in range(3, 15)]
    apart = ["c1ccccc1C(=O)O", "C1CCNCC1", "FC(F)(F)C#N", "O=S(=O)(N)c1ccsc1"]
    drawn = [(Drawn(s, 1 - i / 100), Chem.MolFromSmiles(s)) for i, s in enumerate(alike + apart)]
    chosen = diverse([*drawn, *drawn], 5)  # the better half is all of them once
    make = GetMorganGenerator(radius=2, fpSize=2048)

    def spread(molecules):
        prints = [make.GetFingerprint(mol) for _, mol in molecules]
        near = [DataStructs.BulkTanimotoSimilarity(p, prints) for p in prints]
        return 1 - (np.sum(near) - len(prints)) / (len(prints) * (len(prints) - 1))

    assert chosen[0][0].text == alike[0]  # the best is always among them
    assert spread(chosen) > spread(drawn[:5]) + 0.2
