"""Diversity of molecules against rdkit, brute force and closed forms."""

import math
from collections import Counter
from itertools import combinations

import numpy as np
import pytest

from qdlaws.errors import BadData, QdlawsError
from qdlaws.measure.molecule.diversity import (
    circles,
    internal_diversity,
    reference_distance,
    scaffolds,
    unique_share,
    valid_share,
)
from qdlaws.measure.molecule.fingerprints import Fingerprints, as_fingerprints, read_molecules
from qdlaws.measure.molecule.tanimoto import tanimoto_matrix, tanimoto_mean

pytest.importorskip("rdkit")


FEW = ["CCO", "CCO", "OCC", "c1ccccc1", "c1ccccc1C", "CCCCCC", "C1CCNCC1", "not a molecule", ""]


def rdkit_pairs(strings):
    """The pairwise Tanimoto similarities as rdkit has them, row by row."""
    from rdkit import Chem, DataStructs
    from rdkit.Chem import rdFingerprintGenerator

    generator = rdFingerprintGenerator.GetMorganGenerator(radius=2, fpSize=2048)
    prints = [generator.GetFingerprint(Chem.MolFromSmiles(s)) for s in strings]
    return prints, [
        DataStructs.BulkTanimotoSimilarity(prints[i], prints[:i]) for i in range(1, len(prints))
    ]


@pytest.fixture(scope="module")
def valid(smiles):
    molecules = read_molecules(smiles[:2050], workers=1)
    return [s for s, ok in zip(smiles, molecules.valid, strict=False) if ok][:2000]


def test_internal_diversity_of_2000_molecules_equals_rdkit(valid):
    prints, rows = rdkit_pairs(valid)
    expected = 1 - math.fsum(map(math.fsum, rows)) / math.comb(len(valid), 2)
    assert internal_diversity(valid).value == pytest.approx(expected, abs=1e-12)
    assert tanimoto_mean(prints).value == pytest.approx(1 - expected, abs=1e-12)


def test_errors_of_internal_diversity_match_the_bootstrap(valid):
    rng = np.random.default_rng(0)
    sample = read_molecules([valid[i] for i in rng.integers(0, len(valid), 300)], workers=1)
    distance = 1 - tanimoto_matrix(sample)
    draws = []
    for _ in range(2000):
        w = np.bincount(rng.integers(0, 300, 300), minlength=300).astype(float)
        # pairs of one molecule with its own copies are no independent draws: left out
        draws.append((w @ distance @ w) / (300 * 300 - w @ w))
    assert internal_diversity(sample).se == pytest.approx(np.std(draws), rel=0.08)


def test_duplicates_are_kept_or_not_and_the_kind_says_so():
    kept, once = internal_diversity(FEW), internal_diversity(FEW, unique=True)
    distance = 1 - tanimoto_matrix(read_molecules(FEW))
    assert kept.value == pytest.approx(distance[np.triu_indices(7, 1)].mean(), abs=1e-14)
    first = [0, 3, 4, 5, 6]
    assert once.value == pytest.approx(
        distance[np.ix_(first, first)][np.triu_indices(5, 1)].mean(), abs=1e-14
    )
    assert once.value > kept.value
    assert kept.dropped == once.dropped == 2
    with pytest.raises(QdlawsError, match="different measures"):
        _ = kept < once


def test_leaving_duplicates_out_hides_collapse():
    collapsed = ["CCO"] * 96 + ["c1ccccc1", "CCCCCC", "C1CCNCC1", "CC(=O)N"]
    assert internal_diversity(collapsed).value < 0.1
    assert internal_diversity(collapsed, unique=True).value > 0.8
    assert unique_share(collapsed).value == pytest.approx(0.05)


def test_invalid_strings_are_counted():
    molecules = read_molecules(FEW)
    assert molecules.invalid == 2
    assert valid_share(FEW).value == pytest.approx(7 / 9)
    assert internal_diversity(["nonsense", "C("]).n == 0
    assert math.isnan(internal_diversity(["nonsense", "C("]).value)
    with pytest.raises(BadData, match="one string"):
        read_molecules("CCO")


def brute_force_circles(strings, threshold):
    molecules = read_molecules(strings).unique()
    far = 1 - tanimoto_matrix(molecules) > threshold
    n = len(far)
    for size in range(n, 0, -1):
        for rows in combinations(range(n), size):
            if far[np.ix_(rows, rows)].sum() == size * (size - 1):
                return size
    return 0


@pytest.mark.parametrize("threshold", [0.3, 0.6, 0.75, 0.9])
@pytest.mark.parametrize("start", [0, 40, 900])
def test_circles_equal_brute_force(valid, threshold, start):
    few = valid[start : start + 13]
    ours = circles(few, threshold)
    assert ours.value == brute_force_circles(few, threshold)
    assert ours.kind == f"circles_exact@{threshold:g}"
    assert circles(few, threshold, method="greedy").value <= ours.value


def test_greedy_circles_are_packing_number_and_cannot_be_extended(valid):
    ours = circles(valid[:400], 0.8)
    assert ours.kind == "circles_greedy@0.8"
    assert ours.m == 400
    at_half = circles(valid[:400], 0.8, m=200)
    assert at_half.se > 0
    assert at_half.value < ours.value


def test_scaffolds_equal_rdkits_counts(valid):
    from rdkit.Chem.Scaffolds.MurckoScaffold import MurckoScaffoldSmiles

    some = valid[:300]
    expected = Counter(MurckoScaffoldSmiles(s) for s in some)
    ours = scaffolds(some)
    assert ours.frequencies == dict(expected)
    assert ours.count.value == len(expected)
    p = np.array(list(expected.values())) / 300
    assert ours.entropy.value == pytest.approx(-(p * np.log(p)).sum())
    assert math.isnan(ours.count.se)
    assert "m ≤ 150" in ours.count.reason


def test_rarefied_counts_equal_enumeration():
    strings = ["CCO", "CCO", "c1ccccc1", "CCC", "CCC", "CCC"]
    for m in range(1, 7):
        expected = np.mean([len(set(rows)) for rows in combinations(strings, m)])
        assert unique_share(strings, m).value == pytest.approx(expected / m, rel=1e-12)
    assert unique_share(strings, 3).se > 0


def test_distance_to_a_reference():
    ours = reference_distance(FEW, ["CCO", "CCCCCC"])
    both = [*FEW[:7], "CCO", "CCCCCC"]
    distance = 1 - tanimoto_matrix(read_molecules(both))[:7, 7:]
    assert ours.value == pytest.approx(distance.mean(), abs=1e-14)
    assert ours.se == pytest.approx(distance.mean(1).std(ddof=1) / math.sqrt(7))
    nearest = reference_distance(FEW, ["CCO", "CCCCCC"], nearest=True)
    assert nearest.value == pytest.approx(distance.min(1).mean(), abs=1e-14)
    with pytest.raises(BadData, match="reference"):
        reference_distance(FEW, ["nonsense"])


def test_fingerprints_are_taken_in_three_forms():
    bits = np.random.default_rng(4).random((5, 16)) < 0.5
    packed = Fingerprints(np.packbits(bits, axis=1, bitorder="little"))
    assert tanimoto_mean(bits).value == tanimoto_mean(packed).value
    with pytest.raises(BadData, match="0 and 1"):
        as_fingerprints(np.full((3, 4), 7))
