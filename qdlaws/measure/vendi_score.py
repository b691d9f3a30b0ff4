"""The Vendi score: the effective number of different samples under a similarity kernel."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from qdlaws.core.types import Array, Rows
from qdlaws.errors import BadData
from qdlaws.measure.estimate import Estimate
from qdlaws.measure.standard_errors import rarefied

__all__ = ["vendi", "vendi_features", "vendi_value"]


def vendi(
    kernel: npt.ArrayLike, q: float = 1, m: int | None = None, *, repeats: int = 100
) -> Estimate:
    """The Vendi score: exp of the Rényi entropy of order q of the eigenvalues of K/n.

    It is an effective number of different samples (Friedman & Dieng 2023; orders q: Pasarkar &
    Dieng 2024). It grows with n, so it is reported as expected among m samples.

    Parameters
    ----------
    kernel : array-like, shape (n, n)
        Positive semi-definite, with ones on its diagonal.
    q : float
        The order; 2 needs no eigenvalues.
    m : int, optional
        The sample size that the score refers to; n by default, which has no standard error.

    Examples
    --------
    >>> import numpy as np
    >>> round(vendi(np.eye(3)).value, 6), round(vendi(np.ones((3, 3))).value, 6)
    (3.0, 1.0)
    """
    matrix = np.asarray(kernel, float)
    if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1]:
        raise BadData(f"kernel of shape {matrix.shape}: (n, n) was needed")
    if not np.allclose(np.diag(matrix), 1) or not np.allclose(matrix, matrix.T):
        raise BadData("a Vendi kernel is symmetric with ones on its diagonal; normalise it first")
    return rarefied(
        lambda rows: vendi_value(matrix[np.ix_(rows, rows)], q),
        len(matrix),
        m,
        kind=f"vendi_q{q:g}",
        repeats=repeats,
    )


def vendi_features(
    features: npt.ArrayLike, q: float = 1, m: int | None = None, *, repeats: int = 100
) -> Estimate:
    """The Vendi score of the cosine kernel of features (n, d): O(n·d·min(n, d)).

    >>> import numpy as np
    >>> round(vendi_features(np.eye(3), m=3).value, 3)
    3.0
    """
    rows = np.asarray(features, float)
    norms = np.linalg.norm(rows, axis=1, keepdims=True)
    if rows.ndim != 2 or not np.all(norms > 0):
        raise BadData("features (n, d) without all-zero rows were needed")
    unit = rows / norms

    def score(chosen: Rows) -> float:
        x = unit[chosen]
        gram = x.T @ x if x.shape[1] < len(x) else x @ x.T  # the same non-zero eigenvalues
        return _renyi(gram, len(x), q)

    return rarefied(score, len(unit), m, kind=f"vendi_q{q:g}", repeats=repeats)


def vendi_value(kernel: Array, q: float = 1) -> float:
    """The Vendi score of one kernel matrix."""
    return _renyi(kernel, len(kernel), q)


def _renyi(gram: Array, n: int, q: float) -> float:
    if q < 0:
        raise BadData(f"q={q}: an order of at least 0 was needed")
    if q == 2:  # Σλ² is the squared Frobenius norm
        return float(n**2 / np.sum(gram * gram))
    share = np.linalg.eigvalsh(gram / n)
    share = share[share > len(share) * np.finfo(float).eps]  # rank deficient up to rounding
    if q == 0:
        return float(len(share))
    if q == 1:
        return float(np.exp(-np.sum(share * np.log(share))))
    if math.isinf(q):
        return float(1 / share.max())
    return float(np.sum(share**q) ** (1 / (1 - q)))
