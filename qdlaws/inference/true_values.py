"""The posterior of the true values T_i behind noisy readings y_i = T_i + ε_i along a run.

    T_i = f(t_i) + β·m_i + δ_i
    f   a path whose slope is an Ornstein–Uhlenbeck process (rate κ), plus Wiener θ₁; level diffuse
    δ_i ~ N(0, ω) true deviations of single checkpoints from the path
    ε_i ~ N(0, se_i²), or N(0, τ²) where no standard error is given
    m   a column that may explain T (the law of quality), weighted by its Bayesian evidence

A state-space model (integrated Ornstein–Uhlenbeck process; Harvey 1989). θ₁, κ, the size of the
slope, ω, τ are integrated over a grid: the posterior is an average over smooth and rough runs, and
a reading is shrunk towards its neighbours by as much as the run justifies. A Kalman filter gives
the evidence of every grid point in O(n); the draws use the banded precision of (f, f′) (Gaussian
Markov random fields; Rue & Held 2005). Without standard errors ω and τ² are not identified
separately, and all scatter counts as noise.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from qdlaws.core.types import Array

__all__ = [
    "Setting",
    "SettingPosterior",
    "TrueValues",
    "joint_draws",
    "log_evidence",
    "setting_posterior",
    "true_values",
]

JOINT_DRAWS = 1024
"""Draws of all true values together."""

LONG_RUN = 200
"""Rows beyond which half as many draws are made."""

COLUMN_SCALE = 1.0
"""Prior standard deviation of β, both m and y having standard deviation 1."""


@dataclass(frozen=True, eq=False)
class TrueValues:
    """The posterior of the true values: means and equally probable joint draws."""

    mean: Array  # (n,)
    draws: Array  # (S, n)
    noise: Array  # (n,) standard deviation of one reading
    known_noise: bool
    p_column: float  # posterior probability that the column explains T; NaN without one

    @property
    def sd(self) -> Array:
        return np.asarray(self.draws.std(0))


@dataclass(frozen=True)
class Setting:
    """One point of the grid; the unit of variance is that of y, of time the median gap."""

    rough: float  # θ₁
    rate: float  # κ of the slope
    slope: float  # standard deviation of the slope
    deviation: float  # ω
    noise: float  # factor on the sampling variances
    weight: float  # prior mass


@dataclass(frozen=True, eq=False)
class SettingPosterior:
    """The states (f, f′) given y, under one setting."""

    factor: Array  # lower banded Cholesky factor of the precision of the states
    state: Array  # (2n, 1 or 2) mean of the states given y (and given m)
    deviation_share: Array  # (n,) share of a residual that is the checkpoint's true deviation
    deviation_sd: Array  # (n,) standard deviation of that deviation, given the residual
    noise: float  # factor on the sampling variances
    beta: tuple[float, float]  # mean and standard deviation of β


def true_values(
    step: Array, y: Array, se: Array | None = None, column: Array | None = None, seed: int = 0
) -> TrueValues:
    """The posterior of the true values at the steps.

    ``se`` are the standard errors of the readings, ``column`` a column that may explain T.
    """
    n = len(y)
    centre, scale = float(y.mean()), float(y.std())
    if n < 4 or not scale > 0:
        return _without_pooling(y, se, seed)
    z = (y - centre) / scale
    h = np.diff(step) / float(np.median(np.diff(step)))
    noise2 = np.ones(n) if se is None else np.maximum(se / scale, 1e-4) ** 2
    m = None
    if column is not None and np.std(column) > 0:
        m = (column - column.mean()) / column.std()
    grid = _settings(n, float(np.mean(noise2)), noise_known=se is not None)
    log = log_evidence(h, z, m, noise2, grid) + np.log([[g.weight] for g in grid])
    posterior = np.exp(log - log.max())
    posterior[posterior < 1e-3] = 0
    rows = np.flatnonzero(posterior.sum(1))
    posterior = posterior[rows] / posterior.sum()
    settings = [setting_posterior(h, z, m, noise2 * grid[i].noise, grid[i]) for i in rows]
    draws, tau2 = joint_draws(settings, posterior, z, m, seed)
    return TrueValues(
        mean=centre + scale * draws.mean(0),
        draws=centre + scale * draws,
        noise=scale * np.sqrt(tau2 * noise2),
        known_noise=se is not None,
        p_column=float(posterior[:, 1].sum()) if m is not None else np.nan,
    )


def _without_pooling(y: Array, se: Array | None, seed: int) -> TrueValues:
    """Each reading by itself, where there are too few to estimate a path."""
    noise = np.full(len(y), np.nan) if se is None else se
    rng = np.random.default_rng(seed)
    draws = y + np.nan_to_num(noise) * rng.standard_normal((JOINT_DRAWS, len(y)))
    return TrueValues(y.copy(), draws, noise, se is not None, np.nan)


def _settings(n: int, noise2: float, noise_known: bool) -> list[Setting]:
    """The grid and its prior mass.

    The slope keeps its course from a 60th of the run to twice the run, and is such that the run as
    a whole may change by little or by six standard deviations.
    """
    smooth = [(k, s) for k in (0.5, 2.0, 6.0, 20.0, 60.0) for s in (0.7, 2.0, 6.0)]
    rough = [(0.0, 0.5), *((v, 0.5 / 4) for v in np.geomspace(0.03, 0.5, 4) ** 2)]
    deviations = [(0.0, 0.4), *((v * noise2, 0.6 / 3) for v in (0.25, 1.0, 4.0))]
    noises = [1.0]
    if not noise_known:  # any share of the variance of y, and no deviations of checkpoints
        rough = [(0.0, 0.5), *((v, 0.5 / 3) for v in np.geomspace(0.03, 0.5, 3) ** 2)]
        deviations, noises = [(0.0, 1.0)], [0.01, 0.03, 0.1, 0.2, 0.4, 0.6, 0.8, 1.0]
    return [
        Setting(one, k / n, s / n, deviation, noise, p1 * p3 / len(smooth) / len(noises))
        for one, p1 in rough
        for k, s in smooth
        for deviation, p3 in deviations
        for noise in noises
    ]


def _transition(h: Array, rate: Array, slope: Array, one: Array) -> tuple[Array, ...]:
    """r, e of A = [[1, r], [0, e]] and the innovation variances ff, fv, vv over a time h."""
    e = np.exp(-rate * h)
    reach = -np.expm1(-rate * h) / rate
    diffusion = 2 * rate * slope**2
    vv = slope**2 * -np.expm1(-2 * rate * h)
    fv = diffusion * reach**2 / 2
    with np.errstate(invalid="ignore"):
        ff = diffusion / rate**2 * (h - 2 * reach - np.expm1(-2 * rate * h) / (2 * rate))
    ff = np.where(rate * h < 1e-2, diffusion * h**3 / 3, ff) + one * h
    return reach, e, ff, fv, vv


def log_evidence(h: Array, z: Array, m: Array | None, noise2: Array, grid: list[Setting]) -> Array:
    """log p(y | setting) without and with the column: a Kalman filter over the whole grid at once.

    The diffuse level is a column of ones, projected out at the end.
    """
    one, rate, slope, deviation, factor = (
        np.array([getattr(g, name) for g in grid])[:, None]
        for name in ("rough", "rate", "slope", "deviation", "noise")
    )
    columns = np.column_stack([np.ones(len(z)), z] + ([] if m is None else [m]))
    size = columns.shape[1]
    f, v = (np.zeros((len(grid), size)) for _ in range(2))
    ff, fv, vv = np.zeros_like(one), np.zeros_like(one), slope**2
    gram, logdet = np.zeros((len(grid), size, size)), np.zeros(len(grid))
    moves: dict[float, tuple[Array, ...]] = {}
    for i, row in enumerate(columns):
        variance = ff + noise2[i] * factor + deviation
        innovation = row - f
        gram += innovation[:, :, None] * (innovation / variance)[:, None, :]
        logdet += np.log(variance[:, 0])
        k1, k2 = ff / variance, fv / variance
        f, v = f + k1 * innovation, v + k2 * innovation
        ff, fv, vv = ff * (1 - k1), fv * (1 - k1), vv - k2 * fv
        if i < len(h):
            gap = float(h[i])
            if gap not in moves:
                moves[gap] = _transition(np.array(gap), rate, slope, one)
            r, e, q_ff, q_fv, q_vv = moves[gap]
            f, v = f + r * v, e * v
            ff = ff + 2 * r * fv + r**2 * vv + q_ff
            fv, vv = e * (fv + r * vv) + q_fv, e**2 * vv + q_vv
    ones = gram[:, 0, 0]
    logdet += np.log(ones)
    gram = gram - gram[:, :, :1] * gram[:, :1, :] / ones[:, None, None]
    without = -0.5 * (logdet + gram[:, 1, 1])
    if m is None:
        return np.asarray(without[:, None])
    precision = gram[:, 2, 2] + 1 / COLUMN_SCALE**2
    gain = gram[:, 1, 2] ** 2 / precision - np.log(COLUMN_SCALE**2 * precision)
    return np.column_stack([without, without + 0.5 * gain])


def _prior_bands(h: Array, setting: Setting) -> Array:
    """Lower banded precision (4, 2n) of the states (f, f′).

    f′ is an Ornstein–Uhlenbeck process, f its integral plus a Wiener process.
    """
    n = len(h) + 1
    rate, slope, rough = (np.array(x) for x in (setting.rate, setting.slope, setting.rough))
    reach, e, ff, fv, vv = _transition(h, rate, slope, rough)
    det = ff * vv - fv**2
    a, b, c = vv / det, -fv / det, ff / det  # Q⁻¹ = [[a, b], [b, c]]
    bands = np.zeros((4, 2 * n))
    # Σ (s₊ − A s)ᵀ Q⁻¹ (s₊ − A s),  A = [[1, r], [0, e]]
    bands[0, 2::2] += a
    bands[0, 3::2] += c
    bands[1, 2::2] += b
    bands[0, 0:-2:2] += a
    bands[0, 1:-2:2] += a * reach**2 + 2 * b * reach * e + c * e**2
    bands[1, 0:-2:2] += a * reach + b * e
    bands[2, 0:-2:2] -= a  # (f, f₊)
    bands[3, 0:-2:2] -= b  # (f, f′₊)
    bands[1, 1:-2:2] -= a * reach + b * e  # (f′, f₊)
    bands[2, 1:-2:2] -= b * reach + c * e  # (f′, f′₊)
    bands[0, 1] += setting.slope**-2
    return bands


def setting_posterior(
    h: Array, z: Array, m: Array | None, noise2: Array, setting: Setting
) -> SettingPosterior:
    """The states given the readings z with sampling variances ``noise2``, under one setting."""
    from scipy.linalg.lapack import dpbtrf, dpbtrs

    n = len(z)
    bands = _prior_bands(h, setting)
    reading = noise2 + setting.deviation
    bands[0, ::2] += 1 / reading
    factor, _ = dpbtrf(bands, lower=1)
    columns = z[:, None] if m is None else np.column_stack([z, m])
    right = np.zeros((2 * n, columns.shape[1]))
    right[::2] = columns / reading[:, None]
    state, _ = dpbtrs(factor, right, lower=1)
    beta = (0.0, 0.0)
    if m is not None:
        gram = columns.T @ (columns / reading[:, None]) - right.T @ state  # columnsᵀV⁻¹columns
        precision = max(gram[1, 1], 0.0) + 1 / COLUMN_SCALE**2  # below 0 it is rounding
        beta = (float(gram[0, 1] / precision), float(precision**-0.5))
    return SettingPosterior(
        factor=factor,
        state=state,
        deviation_share=setting.deviation / reading,
        deviation_sd=np.sqrt(setting.deviation * noise2 / reading),
        noise=setting.noise,
        beta=beta,
    )


def joint_draws(
    settings: list[SettingPosterior], posterior: Array, z: Array, m: Array | None, seed: int
) -> tuple[Array, float]:
    """Joint draws (S, n) of the true values, and the mean factor on the noise."""
    from scipy.linalg.lapack import dtbtrs

    rng = np.random.default_rng(seed)
    n = len(z)
    total = JOINT_DRAWS if n <= LONG_RUN else JOINT_DRAWS // 2
    # stratified: as many draws from each setting as its posterior mass, to rounding
    cumulative = np.cumsum(posterior.ravel())
    picks = np.searchsorted(cumulative, (np.arange(total) + 0.5) / total * cumulative[-1])
    out = np.empty((total, n))
    noise, start = 0.0, 0
    for pick, count in zip(*np.unique(picks, return_counts=True), strict=True):
        k, with_column = divmod(int(pick), posterior.shape[1])
        node = settings[k]
        states, _ = dtbtrs(node.factor, rng.standard_normal((2 * n, count)), uplo="L", trans="T")
        path = node.state[::2, :1] + states[::2]  # (n, count)
        explained = np.zeros((n, 1))
        if with_column and m is not None:
            beta = node.beta[0] + node.beta[1] * rng.standard_normal(count)
            path = path - node.state[::2, 1:] * beta
            explained = m[:, None] * beta
        deviation = node.deviation_share[:, None] * (z[:, None] - explained - path)
        deviation = deviation + node.deviation_sd[:, None] * rng.standard_normal((n, count))
        out[start : start + count] = (path + explained + deviation).T
        noise += node.noise * count / total
        start += count
    rng.shuffle(out)
    return out, noise
