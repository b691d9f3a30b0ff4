"""Tanimoto similarities against rdkit and their definitions."""

import math

import numpy as np
import pytest

from qdlaws.measure.molecule import tanimoto
from qdlaws.measure.molecule.fingerprints import read_molecules
from qdlaws.measure.molecule.tanimoto import isim, tanimoto_matrix, tanimoto_mean, tanimoto_sampled

pytest.importorskip("rdkit")


@pytest.fixture(scope="module")
def valid(smiles):
    molecules = read_molecules(smiles[:2050], workers=1)
    return [s for s, ok in zip(smiles, molecules.valid, strict=False) if ok][:2000]


def test_weights_of_duplicates_give_the_same_sums():
    rng = np.random.default_rng(1)
    bits = rng.random((30, 64)) < 0.3
    bits[3] = 0  # an empty vector: similarity 1 with itself and with its copy
    many = bits[rng.integers(0, 30, 200)]
    matrix = tanimoto_matrix(many)
    ours = tanimoto_mean(many)
    assert ours.value == pytest.approx(matrix[np.triu_indices(200, 1)].mean(), abs=1e-13)


@pytest.mark.parametrize("width", [64, 192])
def test_the_compiled_loop_gives_the_sums_of_the_matrix(monkeypatch, width):
    rng = np.random.default_rng(3)
    bits = rng.random((75, width)) < np.linspace(0.02, 0.6, 75)[:, None]
    bits[[3, 70]] = 0  # empty vectors
    many = bits[rng.integers(0, 75, 300)]
    by_matrices = tanimoto_mean(many)
    monkeypatch.setattr(tanimoto, "MANY", 0)
    compiled = tanimoto_mean(many)
    matrix = tanimoto_matrix(many)
    assert compiled.value == pytest.approx(matrix[np.triu_indices(300, 1)].mean(), abs=1e-13)
    assert compiled.value == pytest.approx(by_matrices.value, abs=1e-13)
    assert compiled.se == pytest.approx(by_matrices.se, rel=1e-10)
    odd = bits[:, : width - 8]  # no whole number of words: by matrices
    assert tanimoto_mean(odd).value == pytest.approx(
        tanimoto_matrix(odd)[np.triu_indices(75, 1)].mean(), abs=1e-13
    )


def test_tanimoto_matrix_equals_its_definition():
    bits = np.random.default_rng(2).random((50, 128)) < np.linspace(0.01, 0.9, 128)
    both = bits.astype(int) @ bits.T.astype(int)
    either = (bits[:, None] | bits[None]).sum(-1)
    assert np.array_equal(tanimoto_matrix(bits), both / either)


def test_approximations_state_their_error(valid):
    exact = tanimoto_mean(read_molecules(valid, workers=1))
    prints = read_molecules(valid, workers=1).fingerprints
    sampled = [tanimoto_sampled(prints, pairs=20_000, seed=s).value for s in range(40)]
    left_out = np.std(sampled)
    one = tanimoto_sampled(prints, pairs=20_000)
    assert np.mean(sampled) == pytest.approx(exact.value, abs=3 * left_out / math.sqrt(40))
    assert one.se == pytest.approx(math.hypot(exact.se, left_out), rel=0.25)
    assert isim(prints).value == pytest.approx(exact.value, abs=0.01)
    assert isim(prints).kind != exact.kind


def test_isim_equals_its_definition_and_its_jackknife():
    bits = np.random.default_rng(3).random((12, 40)) < 0.3

    def value(x):
        c, n = x.sum(0).astype(float), len(x)
        both = (c * (c - 1) / 2).sum()
        return both / (both + (c * (n - c)).sum())

    left = np.array([value(np.delete(bits, i, axis=0)) for i in range(12)])
    ours = isim(bits)
    assert ours.value == pytest.approx(value(bits), rel=1e-12)
    assert ours.se == pytest.approx(math.sqrt(11 / 12 * ((left - left.mean()) ** 2).sum()))
