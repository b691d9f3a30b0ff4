"""Rival forms on the same data: line, quadratic, power law, c = 1, and the law of the other sign.

Each is fitted by maximum likelihood under the same family of error models (slow part plus white
noise) and judged by the Bayesian information criterion; a difference of 6 is called clear.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from qdlaws.core.law import shape
from qdlaws.core.types import Array
from qdlaws.inference.error_model import grams
from qdlaws.inference.gls import curvature_range
from qdlaws.laws.fitted import FittedLaw

__all__ = ["CLEAR", "Rival", "rivals"]

CLEAR = 6.0


class Rival(NamedTuple):
    """A form, its number of coefficients, and its BIC minus that of the law (below 0 is better)."""

    form: str
    coefficients: int
    delta_bic: float


def rivals(fit: FittedLaw) -> tuple[Rival, ...]:
    """The rival forms of a law, the best first; the law itself stands among them at 0."""
    post = fit.known_posterior
    thin = slice(None, None, int(np.ceil(fit.n / 2000)))
    x, y = fit.path.mean[thin], fit.y[thin]
    weight = None if fit.weight is None else fit.weight[thin]
    y = (y - y.mean()) / y.std()
    u = (x - post.law.x_lo) / post.law.width
    ends = np.abs(curvature_range(u, 12.0))
    down, up = (np.geomspace(min(0.1, end / 10), end, 16) for end in ends)
    kappas = np.concatenate([-down[::-1], up])
    bent = shape(kappas[:, None], u)
    forms: dict[str, tuple[int, list[list[Array]]]] = {
        "line": (2, [[u]]),
        "quadratic": (3, [[u, u**2]]),
        "concave exponential": (3, [[g] for g in bent[kappas > 0]]),
        "convex exponential": (3, [[g] for g in bent[kappas < 0]]),
        "exponential with c = 1": (2, [[np.expm1(x - x.max())]]),
    }
    if x.min() > 0:
        powers = [k for k in np.linspace(-6, 6, 25) if k != 0]
        forms["power law"] = (3, [[(x / x.max()) ** k] for k in powers])
    ours = "concave exponential" if np.median(post.law.kappa) > 0 else "convex exponential"
    loglik = _loglik(fit, thin, y, weight, [d for _, designs in forms.values() for d in designs])
    best, start = {}, 0
    for form, (_, designs) in forms.items():
        best[form] = loglik[start : start + len(designs)].max()
        start += len(designs)
    size = np.log(len(y))
    bic = {form: forms[form][0] * size - 2 * value for form, value in best.items()}
    table = [Rival(form, forms[form][0], float(bic[form] - bic[ours])) for form in forms]
    return tuple(sorted(table, key=lambda rival: rival.delta_bic))


def _loglik(
    fit: FittedLaw, thin: slice, y: Array, weight: Array | None, designs: list[list[Array]]
) -> Array:
    """The likelihood of each design (with an intercept), at its best error model."""
    step = fit.step[thin]
    t = (step - step[0]) / float(np.median(np.diff(step)))
    memory = np.repeat(np.geomspace(0.5, max(t[-1], 2.0), 7), 5)
    white = np.tile([0.0, 0.25, 0.5, 0.75, 0.95], 7)
    memory, white = np.append(memory, 0.0), np.append(white, 1.0)
    flat = [column for design in designs for column in design]
    columns = np.column_stack([np.ones_like(y), y, *flat])
    columns[:, 2:] -= columns[:, 2:].mean(0)
    columns[:, 2:] /= np.abs(columns[:, 2:]).max(0) + 1e-300
    g = grams(columns, t, memory, white, weight)
    out = np.empty(len(designs))
    at, n = 2, len(y)
    for i, design in enumerate(designs):
        index = [0, *range(at, at + len(design))]
        at += len(design)
        xx, xy = g.gram[:, index][:, :, index], g.gram[:, index, 1]
        # alike columns (an x of two values is its own square) must not make it singular
        ridge = 1e-12 * np.trace(xx, axis1=1, axis2=2)[:, None, None] * np.eye(len(index))
        beta = np.linalg.solve(xx + ridge, xy[..., None])[..., 0]
        rss = np.maximum(g.gram[:, 1, 1] - (xy * beta).sum(-1), 1e-14 * g.gram[:, 1, 1])
        out[i] = np.max(-0.5 * (n * np.log(rss / n) + g.logdet))
    return out
