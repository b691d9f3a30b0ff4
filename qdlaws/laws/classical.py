"""The classical estimates beside the posterior: lmfit fits, statsmodels diagnostics, HAC lines.

Least squares takes every checkpoint for independent; only the HAC line does not. The tests compare
these estimates with certified data.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from qdlaws.core.interval import Interval, Params
from qdlaws.core.law import shape
from qdlaws.core.types import Array

if TYPE_CHECKING:
    from lmfit import Model, Parameters
    from lmfit.model import ModelResult

__all__ = ["diagnostics", "hac_line", "lmfit_law", "precise_fit", "start_values"]

TIGHT = {"ftol": 1e-15, "xtol": 1e-15, "gtol": 0.0}
"""MINPACK stops at rounding only."""


def exponential(x: Array, a: float, b: float, c: float) -> Array:
    """R = b − a·exp(c·x)."""
    with np.errstate(over="ignore"):
        return np.asarray(b - a * np.exp(c * x))


def straight(x: Array, slope: float, intercept: float) -> Array:
    """H = slope·D + intercept."""
    return np.asarray(slope * x + intercept)


def precise_fit(
    model: Model,
    x: Array,
    y: Array,
    params: Parameters,
    derivatives: Callable[[Parameters], Array] | None = None,
) -> ModelResult:
    """lmfit's least-squares fit, refined by Gauss–Newton steps with accurate derivatives.

    MINPACK's forward differences and its stopping rule leave six correct digits of the estimates
    of NIST's data sets and five of their standard errors; this leaves eight and seven.
    ``derivatives`` are those of the model by the parameters that vary, where they have a formula
    and ``params`` are near the optimum.
    """
    data = {model.independent_vars[0]: x}
    if derivatives is None:
        params = model.fit(y, params, **data, fit_kws=TIGHT).params
        derivatives = partial(central_differences, model, x)
    params = gauss_newton(model, x, y, params, derivatives)

    def residual_jacobian(params: Parameters, *_: Any, **__: Any) -> Array:
        return -derivatives(params)  # lmfit's residual is data − model

    return model.fit(y, params, **data, fit_kws={**TIGHT, "Dfun": residual_jacobian})


def gauss_newton(
    model: Model, x: Array, y: Array, params: Parameters, derivatives: Callable[[Parameters], Array]
) -> Parameters:
    """The parameters after Gauss–Newton steps, as long as the sum of squares does not grow."""
    data = {model.independent_vars[0]: x}
    residual = y - model.eval(params, **data)
    for _ in range(20):
        steps, *_ = np.linalg.lstsq(derivatives(params), residual, rcond=None)
        moved = params.copy()
        for name, step in zip([n for n, p in params.items() if p.vary], steps, strict=True):
            moved[name].value += step  # lmfit keeps it within its bounds
        moved.update_constraints()
        moved_residual = y - model.eval(moved, **data)
        if not moved_residual @ moved_residual <= residual @ residual * (1 + 1e-14):
            break
        params, residual = moved, moved_residual
    return params


def central_differences(model: Model, x: Array, params: Parameters) -> Array:
    """The derivatives of a model by each of the parameters that vary, one a column."""
    data = {model.independent_vars[0]: x}
    shifted, columns = params.copy(), []
    for name in [name for name, p in params.items() if p.vary]:
        value = params[name].value
        step = 6e-6 * max(abs(value), 1e-6)  # about ε^(1/3), the best for central differences
        shifted[name].value = value + step
        above = model.eval(shifted, **data)
        shifted[name].value = value - step
        below = model.eval(shifted, **data)
        shifted[name].value = value
        columns.append((above - below) / (2 * step))
    return np.column_stack(columns)


def exponential_derivatives(x: Array, params: Parameters) -> Array:
    """∂R/∂(a, b, c) of b − a·exp(c·x), without the parameters that are held or tied (a = b)."""
    tied = params["a"].expr is not None
    # lmfit updates a tied parameter only after this call: a is read from b
    a, c = params["b" if tied else "a"].value, params["c"].value
    with np.errstate(over="ignore"):
        growth = np.exp(c * x)
    columns = {
        "a": -growth,
        "b": 1 - growth if tied else np.ones_like(x),
        "c": -a * x * growth,
    }
    return np.column_stack([columns[name] for name, p in params.items() if p.vary])


def lmfit_law(x: Array, y: Array, line: bool = False, through_origin: bool = False) -> ModelResult:
    """The least-squares fit as an lmfit ModelResult, from start values that need no guess.

    ``through_origin`` ties a = b, so that
    R = b·(1 − exp(c·x)).
    """
    from lmfit import Model

    if line:
        model = Model(straight)
        slope, intercept = np.polyfit(x, y, 1)
        return model.fit(y, x=x, slope=slope, intercept=intercept, fit_kws=TIGHT)
    model = Model(exponential)
    a, b, c = start_values(x, y, through_origin)
    params = model.make_params(a=a, b=b, c=c)
    if through_origin:
        params["a"].set(expr="b")
    return precise_fit(model, x, y, params, partial(exponential_derivatives, x))


def start_values(x: Array, y: Array, through_origin: bool = False) -> tuple[float, float, float]:
    """a, b, c near the least-squares optimum: variable projection (Golub and Pereyra 1973).

    For each c of a grid the best a and b follow from linear least squares.
    """
    size = float(np.abs(x).max() if through_origin else np.ptp(x))
    low = float(x.min())

    def linear_fit(kappa: float) -> tuple[float, Array]:
        if through_origin:
            columns = -np.expm1(kappa / size * x)[:, None]
        else:
            columns = np.column_stack([np.ones_like(x), shape(kappa, (x - low) / size)])
        coefficients, *_ = np.linalg.lstsq(columns, y, rcond=None)
        return float(np.sum((y - columns @ coefficients) ** 2)), np.asarray(coefficients)

    grid = np.concatenate([-np.geomspace(30, 0.01, 80), np.geomspace(0.01, 30, 80)])
    kappa = float(min(grid, key=lambda k: linear_fit(k)[0]))
    coefficients, c = linear_fit(kappa)[1], kappa / size
    if through_origin:
        return float(coefficients[0]), float(coefficients[0]), c
    p, q = map(float, coefficients)
    return -q * float(np.exp(-c * low) / np.expm1(kappa)), p - q / float(np.expm1(kappa)), c


def diagnostics(residual: Array, x: Array) -> dict[str, float]:
    """Tests of whether the residuals are independent and of equal size.

    Ljung–Box p-value (10 lags, or n/5), Durbin–Watson statistic (2 where independent), and the
    Breusch–Pagan p-value for a variance that depends on x.
    """
    from statsmodels.stats.diagnostic import acorr_ljungbox, het_breuschpagan
    from statsmodels.stats.stattools import durbin_watson

    lags = max(1, min(10, len(residual) // 5))
    box = acorr_ljungbox(residual, lags=[lags])
    _, breusch, _, _ = het_breuschpagan(residual, np.column_stack([np.ones_like(x), x]))
    return {
        "ljung_box_p": float(box["lb_pvalue"].iloc[0]),
        "durbin_watson": float(durbin_watson(residual)),
        "breusch_pagan_p": float(breusch),
    }


def hac_line(x: Array, y: Array, level: float = 0.95) -> Params:
    """Slope and intercept of y on x with HAC errors (Newey and West 1987), 4·(n/100)^(2/9) lags."""
    import statsmodels.api as sm

    lags = int(np.ceil(4 * (len(x) / 100) ** (2 / 9)))
    result = sm.OLS(y, sm.add_constant(x)).fit(
        cov_type="HAC", cov_kwds={"maxlags": lags, "use_correction": True}
    )
    bounds = result.conf_int(alpha=1 - level)
    return Params(
        {
            name: Interval(float(low), float(mid), float(high), level)
            for name, mid, (low, high) in zip(
                ("intercept", "slope"), result.params, bounds, strict=True
            )
        }
    )
