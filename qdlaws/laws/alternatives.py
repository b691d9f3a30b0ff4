"""Other forms on the same data: line, quadratic, power law, c = 1, and the law of the other sign.

Each is fitted by maximum likelihood under the same family of error models (a slow part and white
noise) and compared by the Bayesian information criterion (Schwarz 1978); a difference of 6 is
strong evidence (Kass and Raftery 1995).
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from qdlaws.core.law import shape
from qdlaws.core.serialize import plain
from qdlaws.core.summary import Result, Summary
from qdlaws.core.types import Array
from qdlaws.inference.error_model import grams
from qdlaws.laws.fitted import FittedLaw

__all__ = ["STRONG", "Rival", "Rivals", "rivals"]

STRONG = 6.0
"""A difference of BIC that is strong evidence."""


class Rival(NamedTuple):
    """A form, its number of coefficients, and its BIC minus that of the law (below 0 is better)."""

    form: str
    coefficients: int
    delta_bic: float


class Rivals(tuple[Rival, ...], Result):
    """The rival forms of a law, the best first."""

    def summary(self) -> Summary:
        """One row for each form: how much its BIC exceeds that of the law."""
        rows = tuple(
            (rival.form, f"ΔBIC {rival.delta_bic:+.1f}, {rival.coefficients} coefficients")
            for rival in self
        )
        return Summary("forms by BIC (below 0: better than the law)", self[0].form, rows)

    def to_dict(self) -> dict[str, Any]:
        """Each form's number of coefficients and ΔBIC."""
        values: dict[str, Any] = plain({r.form: r._asdict() for r in self})
        return values

    def to_frame(self) -> pd.DataFrame:
        """One row for each form: form, coefficients, delta_bic."""
        return pd.DataFrame(self, columns=list(Rival._fields))

    __repr__ = Result.__repr__


def rivals(fit: FittedLaw) -> Rivals:
    """The rival forms of a law, the best first; the law itself stands among them with ΔBIC = 0."""
    posterior = fit.required_posterior
    thin = slice(None, None, int(np.ceil(fit.n / 2000)))
    x, y = fit.path.mean[thin], fit.y[thin]
    y = (y - y.mean()) / y.std()
    u = (x - posterior.law.x_lo) / posterior.law.width
    forms = _forms(x, u)
    designs = [design for _, group in forms.values() for design in group]
    log_likelihoods = iter(_log_likelihoods(fit, thin, y, designs))
    penalty = np.log(len(y))
    bic = {
        form: coefficients * penalty - 2 * max(next(log_likelihoods) for _ in group)
        for form, (coefficients, group) in forms.items()
    }
    concave = np.median(posterior.law.kappa) > 0
    reference = bic["concave exponential" if concave else "convex exponential"]
    table = [Rival(form, forms[form][0], float(bic[form] - reference)) for form in forms]
    return Rivals(sorted(table, key=lambda rival: rival.delta_bic))


def _forms(x: Array, u: Array) -> dict[str, tuple[int, list[list[Array]]]]:
    """For each form its number of coefficients and its designs: the columns beside an intercept.

    A form with a parameter that is not linear has one design for each of its values.
    """
    steepness = np.geomspace(0.1, 12.0, 16)
    forms: dict[str, tuple[int, list[list[Array]]]] = {
        "line": (2, [[u]]),
        "quadratic": (3, [[u, u**2]]),
        "concave exponential": (3, [[shape(kappa, u)] for kappa in steepness]),
        "convex exponential": (3, [[shape(kappa, u)] for kappa in -steepness]),
        "exponential with c = 1": (2, [[np.expm1(x - x.max())]]),
    }
    if x.min() > 0:
        powers = [k for k in np.linspace(-6, 6, 25) if k != 0]
        forms["power law"] = (3, [[(x / x.max()) ** k] for k in powers])
    return forms


def _log_likelihoods(
    fit: FittedLaw, thin: slice, y: Array, designs: list[list[Array]]
) -> list[float]:
    """The log-likelihood of each design with an intercept, under its best error model."""
    step, weight = fit.step[thin], None if fit.weight is None else fit.weight[thin]
    t = (step - step[0]) / float(np.median(np.diff(step)))
    memory = np.repeat(np.geomspace(0.5, max(t[-1], 2.0), 7), 5)
    white = np.tile([0.0, 0.25, 0.5, 0.75, 0.95], 7)
    memory, white = np.append(memory, 0.0), np.append(white, 1.0)
    flat = [column for design in designs for column in design]
    columns = np.column_stack([np.ones_like(y), y, *flat])
    columns[:, 2:] -= columns[:, 2:].mean(0)
    columns[:, 2:] /= np.abs(columns[:, 2:]).max(0) + 1e-300
    g = grams(columns, t, memory, white, weight)
    values = []
    start, n = 2, len(y)
    for design in designs:
        index = [0, *range(start, start + len(design))]
        start += len(design)
        xx, xy = g.gram[:, index][:, :, index], g.gram[:, index, 1]
        # equal columns (an x of two values is its own square) must not make it singular
        ridge = 1e-12 * np.trace(xx, axis1=1, axis2=2)[:, None, None] * np.eye(len(index))
        beta = np.linalg.solve(xx + ridge, xy[..., None])[..., 0]
        rss = np.maximum(g.gram[:, 1, 1] - (xy * beta).sum(-1), 1e-14 * g.gram[:, 1, 1])
        values.append(float(np.max(-0.5 * (n * np.log(rss / n) + g.logdet))))
    return values
