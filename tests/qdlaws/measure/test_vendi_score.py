"""The Vendi score against its definition."""

import math

import numpy as np
import pytest

from qdlaws.errors import BadData
from qdlaws.measure.vendi_score import vendi, vendi_features


def kernel(n=40, d=6, seed=0):
    x = np.random.default_rng(seed).normal(size=(n, d))
    x /= np.linalg.norm(x, axis=1, keepdims=True)
    return x, x @ x.T


@pytest.mark.parametrize("q", [0.5, 1, 2, 3.5, math.inf])
def test_vendi_equals_its_definition_by_eigenvalues(q):
    x, k = kernel()
    lam = np.linalg.eigvalsh(k / len(k))
    lam = lam[lam > 1e-12]
    if q == 1:
        expected = np.exp(-np.sum(lam * np.log(lam)))
    elif math.isinf(q):
        expected = 1 / lam.max()
    else:
        expected = np.sum(lam**q) ** (1 / (1 - q))
    assert vendi(k, q).value == pytest.approx(expected, rel=1e-10)
    assert vendi_features(x, q).value == pytest.approx(expected, rel=1e-10)


def test_vendi_of_equal_and_of_orthogonal_samples():
    assert vendi(np.ones((9, 9))).value == pytest.approx(1)
    for q in (0, 0.3, 1, 2, math.inf):
        assert vendi(np.eye(9), q).value == pytest.approx(9)


@pytest.mark.peers
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_vendi_equals_the_authors_package():
    package = pytest.importorskip("vendi_score.vendi")
    # of full rank: at q < 1 the package adds up what rounding leaves of zero eigenvalues
    _, k = kernel(d=60)
    for q in (1, 2, 0.5):
        assert vendi(k, q).value == pytest.approx(package.score_K(k, q=q), rel=1e-9)


def test_vendi_at_a_smaller_size_has_an_error():
    _, k = kernel(60)
    half = vendi(k, m=30)
    assert half.m == 30
    assert half.se > 0
    assert half.value < vendi(k).value
    assert math.isnan(vendi(k).se)


def test_a_matrix_that_is_no_kernel_is_refused():
    with pytest.raises(BadData, match="ones on its diagonal"):
        vendi(2 * np.eye(3))
    with pytest.raises(BadData, match="shape"):
        vendi(np.ones((2, 3)))
