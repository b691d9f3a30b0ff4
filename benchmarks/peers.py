"""What people do today: 95 % intervals of the mean law by five classical routes, started at truth.

Each takes a run, the true law (for the start only) and the spots, and returns (2, spots): low and
high. All fit R = p + q·g_κ(u) by least squares, the form without a singularity, which is kind to
them: in a, b, c the same routines often do not converge.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable

import numpy as np
import numpy.typing as npt
from bootstrap import refit

from qdlaws import Law
from qdlaws.core.law import shape
from qdlaws.simulation import SimulatedRun, jacobian

Array = npt.NDArray[np.float64]
Peer = Callable[[SimulatedRun, Law, Array, np.random.Generator], Array]

LEVEL = 0.95
BOOTSTRAPS = 999


def least_squares(run: SimulatedRun, start: Law) -> tuple[Law, Array, Array]:
    """curve_fit from the truth: the fitted law, its covariance and its residuals."""
    from scipy.optimize import curve_fit

    u = (run.x - start.x_lo) / start.width

    def model(u: Array, p: float, q: float, kappa: float) -> Array:
        return np.asarray(p + q * shape(kappa, u))

    first = (float(start.p), float(start.q), float(start.kappa))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        (p, q, kappa), cov = curve_fit(model, u, run.y, p0=first, maxfev=5000)
    law = Law(start.x_lo, start.x_hi, kappa, p, q)
    return law, cov, run.y - law.value(run.x)


def covariance(run: SimulatedRun, start: Law, spots: Array, rng: np.random.Generator) -> Array:
    """curve_fit's covariance and the delta method (lmfit's ``eval_uncertainty`` is the same)."""
    law, cov, _ = least_squares(run, start)
    return _delta(law, cov, spots, len(run.y) - 3)


def hac(run: SimulatedRun, start: Law, spots: Array, rng: np.random.Generator) -> Array:
    """Newey–West on the Jacobian of the fit, by statsmodels, with its usual lag 4(n/100)^(2/9)."""
    import statsmodels.api as sm

    law, _, residual = least_squares(run, start)
    n = len(run.y)
    keywords = {"maxlags": int(4 * (n / 100) ** (2 / 9)), "use_correction": True}
    fitted = sm.OLS(residual, jacobian(law, run.x)).fit(cov_type="HAC", cov_kwds=keywords)
    return _delta(law, fitted.cov_params(), spots, n - 3)


def _delta(law: Law, cov: Array, spots: Array, dof: int) -> Array:
    from scipy.special import stdtrit

    at = jacobian(law, spots)
    half = stdtrit(dof, (1 + LEVEL) / 2) * np.sqrt(np.einsum("ij,jk,ik->i", at, cov, at))
    value = law.value(spots)
    return np.stack([value - half, value + half])


def block_bootstrap(run: SimulatedRun, start: Law, spots: Array, rng: np.random.Generator) -> Array:
    """Moving blocks of residuals, the length by the AR(1) rule, percentile intervals."""
    law, _, residual = least_squares(run, start)
    n = len(run.y)
    fitted = law.value(run.x)
    residual = residual - residual.mean()
    rho = float(np.clip(residual[1:] @ residual[:-1] / (residual @ residual), 0.0, 0.97))
    length = int(np.clip(np.ceil((6 * n) ** (1 / 3) * (rho / (1 - rho**2)) ** (2 / 3)), 1, n // 3))
    blocks = -(-n // length)
    starts = rng.integers(0, n - length + 1, (BOOTSTRAPS, blocks))
    rows = (starts[:, :, None] + np.arange(length)).reshape(BOOTSTRAPS, -1)[:, :n]
    values = refit(run.x, fitted + residual[rows]).law.value(spots)
    return np.asarray(np.nanquantile(values, [(1 - LEVEL) / 2, (1 + LEVEL) / 2], axis=0))


def profile(run: SimulatedRun, start: Law, spots: Array, rng: np.random.Generator) -> Array:
    """lmfit's ``conf_interval`` of the value at each spot: the law written as v + q·(g(u) − g(u₀)),
    so that the profile is of the very thing that is asked for."""
    import lmfit

    law, _, _ = least_squares(run, start)
    u = (run.x - start.x_lo) / start.width
    out = np.full((2, len(spots)), np.nan)
    for i, spot in enumerate(spots):
        u0 = (spot - start.x_lo) / start.width

        def residual(params: lmfit.Parameters, u0: float = u0) -> Array:
            v, q, kappa = (params[name].value for name in ("v", "q", "kappa"))
            return np.asarray(v + q * (shape(kappa, u) - shape(kappa, u0)) - run.y)

        params = lmfit.Parameters()
        params.add("v", value=float(law.value(spot)))
        params.add("q", value=float(law.q))
        params.add("kappa", value=float(law.kappa))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            minimizer = lmfit.Minimizer(residual, params)
            try:
                result = minimizer.minimize(method="leastsq")
                found = lmfit.conf_interval(minimizer, result, p_names=["v"], sigmas=[LEVEL])["v"]
            except (lmfit.MinimizerException, ValueError, np.linalg.LinAlgError):
                continue
        out[:, i] = found[0][1], found[-1][1]
    return out


PEERS: dict[str, Peer] = {
    "curve_fit": covariance,
    "HAC": hac,
    "block bootstrap": block_bootstrap,
    "conf_interval": profile,
}
