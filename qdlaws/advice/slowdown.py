"""How surely a run has slowed: the probability that quality bends down against the step.

    quality_i = b0 + b1·t_i + b2·t_i² + error_i,     P(slowed) = P(b2 < 0 | readings)

Errors last a few readings and have a white share or none (:mod:`qdlaws.inference.error_model`);
the models are weighed by their marginal likelihoods under flat priors of b and log σ, so b2 is a
mixture of t distributions. None of them is white noise alone: a short run of slow errors looks like
one of white errors that bends.

It is the evidence that separates a run that gains less than it did from one that has gained evenly
all along, which a forecast that expects trends to fade takes for the same.
"""

from __future__ import annotations

from itertools import product

import numpy as np

from qdlaws.core.types import Array
from qdlaws.inference.error_model import grams

__all__ = ["probability_slowed"]

MEMORIES = (1.0, 3.0, 8.0)
"""Memories of the errors, in mean gaps between readings."""

WHITES = (0.0, 0.5)
"""White shares of the errors."""

LEAST_READINGS = 8
"""Readings below which a bend is not judged."""


def probability_slowed(step: Array, y: Array, se: Array | None = None) -> float:
    """P(y has bent down over the run); one half where nothing can be said."""
    from scipy.special import stdtr

    measured = np.isfinite(y)
    step, y = step[measured], y[measured]
    n = len(y)
    if n < LEAST_READINGS or not np.ptp(y) > 0:
        return 0.5
    weight = None
    if se is not None:
        se = se[measured]
        good = np.isfinite(se) & (se > 0)
        if good.any():
            weight = np.where(good, se / np.median(se[good]), 1.0) ** 2
    memory, white = np.array(list(product(MEMORIES, WHITES))).T
    t = 2 * (step - step[0]) / (step[-1] - step[0]) - 1
    columns = np.column_stack([np.ones(n), t, t**2, (y - y[0]) / np.ptp(y)])
    moments = grams(columns, (t + 1) * (n - 1) / 2, memory, white, weight)
    design, products, squares = (
        moments.gram[:, :3, :3],
        moments.gram[:, :3, 3],
        moments.gram[:, 3, 3],
    )
    inverse = np.linalg.inv(design)
    b = np.einsum("mij,mj->mi", inverse, products)
    rest = np.maximum(squares - np.einsum("mi,mi->m", products, b), 1e-12)
    dof = n - 3
    likelihood = -0.5 * (moments.logdet + np.linalg.slogdet(design).logabsdet + dof * np.log(rest))
    share = np.exp(likelihood - likelihood.max())
    error = np.sqrt(rest / dof * inverse[:, 2, 2])
    return float(share @ stdtr(dof, -b[:, 2] / error) / share.sum())
