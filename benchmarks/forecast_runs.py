"""Simulated runs of many kinds, for learning the built-in prior and for judging forecasts.

Two populations; the prior is learnt on both alike. ``MANY_KINDS`` is varied and hard; its shares
and time constants were set once, so that the errors of the *last value* and of *last value + half a
standard deviation* come near those that were published for real runs, and nothing was tuned to make
a forecast look good. ``LIKE_PUBLISHED`` was found by a random search over such settings that looked
at nothing but the published errors of what people use (:data:`PUBLISHED`), and rounded by hand; no
forecast of ours took part in it, and ``forecast.py`` prints how near its runs come. ``breaks`` and
``walk`` are the hard kinds: nobody can foretell a break.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

import qdlaws as qd


@dataclass(frozen=True)
class Population:
    """How often runs are of a kind, and how they are made. Times are shares of the run."""

    shares: Mapping[str, float]
    decay: tuple[float, float, float, float]
    """How entropy falls: as a power, exponentially, as a logarithm, on a line."""
    slow: float
    """The longest time constant of a power or a logarithm, and of an exponential the range:"""
    exponential: tuple[float, float]
    curvature: float
    """κ of a law is so many times a t₅."""
    lawful: float
    """Share of the law runs whose quality hangs on entropy; in the others both have their clock."""
    rise: tuple[float, float, float, float, float, float]
    """How quality rises: exponential, logistic, logarithm, power, line, hyperbola."""
    latest: float
    """The longest time constant of a rise."""
    noise: float
    """Its median size against a change of 1."""
    broken: float
    """Share of the runs of every kind whose trend breaks once more, at any time, and by how much:"""
    break_size: float


MANY_KINDS = Population(
    shares={
        "law": 0.44,
        "rise": 0.11,
        "flat": 0.06,
        "fall": 0.05,
        "peak": 0.03,
        "collapse": 0.03,
        "settled": 0.26,
        "walk": 0.02,
        "breaks": 0.03,
    },
    decay=(0.35, 0.15, 0.45, 0.05),
    slow=0.12,
    exponential=(0.02, 0.4),
    curvature=1.5,
    lawful=1.0,
    rise=(0.3, 0.2, 0.2, 0.1, 0.05, 0.15),
    latest=0.6,
    noise=0.09,
    broken=0.15,
    break_size=0.5,
)

LIKE_PUBLISHED = Population(
    shares={
        "law": 0.44,
        "rise": 0.40,
        "flat": 0.01,
        "fall": 0.07,
        "peak": 0.015,
        "collapse": 0.035,
        "settled": 0.01,
        "walk": 0.015,
        "breaks": 0.005,
    },
    decay=(0.40, 0.36, 0.10, 0.14),
    slow=0.02,
    exponential=(0.1, 0.5),
    curvature=1.6,
    lawful=0.2,
    rise=(0.02, 0.89, 0.005, 0.055, 0.025, 0.005),
    latest=0.35,
    noise=0.042,
    broken=0.2,
    break_size=0.11,
)

PUBLISHED = {
    "last value": {"all": (0.97, 0.35), "law": (1.18, 0.53), "others": (0.82, 0.24)},
    "last + sd/2": {"law": (0.69, 0.36)},
    "damped Holt": {"all": (1.07, 0.35)},
    "curve_fit law, told the final entropy": {"law": (1.11, 0.58)},
}
"""Median errors on 71 real runs by others, at 25 % and 50 %."""


def simulate(
    count: int,
    seed: int,
    kind: str | None = None,
    population: Population = MANY_KINDS,
) -> list[tuple[str, qd.RunLog]]:
    """``count`` runs (kind, log) with quality and entropy."""
    rng = np.random.default_rng(seed)
    names, shares = list(population.shares), np.array(list(population.shares.values()))
    kinds = [kind or str(rng.choice(names, p=shares / shares.sum())) for _ in range(count)]
    return [run(k, rng, population) for k in kinds]


def run(kind: str, rng: np.random.Generator, of: Population) -> tuple[str, qd.RunLog]:
    """One run; a broken one changes by about so much of its own size more, from some step on."""
    broken = rng.random() < of.broken
    n = int(_log_uniform(rng, 40, 800))
    t = np.arange(1, n + 1) / n
    entropy = _decay(t, rng, of) if kind != "flat" and rng.random() < 0.8 else np.ones(n)
    if kind == "law":
        entropy, signal = _law(t, rng, of)
    else:
        signal = SIGNALS[kind](t, rng, of)
    if broken:
        when = rng.uniform(0.05, 0.9)
        size = of.break_size * rng.standard_normal() * (float(np.ptp(signal)) or 0.5)
        signal = signal + size * np.maximum(t - when, 0) / (1 - when)
    scale = _log_uniform(rng, 0.02, 1) if kind == "settled" else 1.0
    span = float(np.ptp(entropy)) or 0.3
    entropy = entropy + span * (0.03 * _slow(n, 0.05 * n, rng) + 0.02 * rng.standard_normal(n))
    quality = signal + scale * _noise(n, rng, of)
    unit, zero = (
        float(np.exp(rng.normal(0, 2))),
        float(rng.normal(0, 1)),
    )  # nothing may depend on it
    step = (np.arange(n) + int(rng.integers(2))) * int(rng.choice([1, 1, 1, 5, 10]))
    log = qd.RunLog.from_arrays(
        step, quality=zero + unit * quality, entropy=np.maximum(entropy, 0), source=kind
    )
    return kind, log


def _log_uniform(rng: np.random.Generator, low: float, high: float) -> float:
    return float(np.exp(rng.uniform(np.log(low), np.log(high))))


def _slow(n: int, memory: float, rng: np.random.Generator) -> np.ndarray:
    """An Ornstein–Uhlenbeck series of unit variance."""
    from scipy.signal import lfilter

    r = np.exp(-1 / memory)
    shocks = np.sqrt(1 - r**2) * rng.standard_normal(n)
    shocks[0] /= np.sqrt(1 - r**2)
    return lfilter([1], [1, -r], shocks)


def _noise(n: int, rng: np.random.Generator, of: Population) -> np.ndarray:
    """White noise plus a slow part; sizes differ by a factor of e."""
    size, white = float(np.exp(rng.normal(np.log(of.noise), 0.9))), rng.uniform(0.3, 1)
    slow = _slow(n, n * _log_uniform(rng, 0.01, 0.12), rng)
    return size * (np.sqrt(white) * rng.standard_normal(n) + np.sqrt(1 - white) * slow)


def _decay(t: np.ndarray, rng: np.random.Generator, of: Population) -> np.ndarray:
    """Share of the entropy that is left."""
    form = rng.choice(4, p=of.decay)
    if form == 0:
        left = (1 + t / _log_uniform(rng, 0.003, of.slow)) ** -rng.uniform(0.3, 1.5)
    elif form == 1:
        left = np.exp(-t / _log_uniform(rng, *of.exponential))
    elif form == 2:
        left = 1 - np.log1p(t / _log_uniform(rng, 0.003, of.slow)) / np.log1p(1 / 0.003)
    else:
        left = 1 - t * rng.uniform(0.3, 0.9)
    floor = float(rng.choice([0, rng.uniform(0, 0.5)]))
    return floor + (1 - floor) * left


def _law(t: np.ndarray, rng: np.random.Generator, of: Population) -> tuple[np.ndarray, np.ndarray]:
    """Entropy and quality of a run that follows a law, concave, straight or convex, and rises."""
    tenth = max(len(t) // 10, 1)
    apart = of.lawful < 1 and rng.random() > of.lawful
    while True:
        entropy = _decay(t, rng, of)
        kappa = of.curvature * rng.standard_t(5)
        u = _decay(t, rng, of) if apart else entropy
        u = (u - u.min()) / np.ptp(u)
        quality = 1 - (np.expm1(kappa * u) / np.expm1(kappa) if abs(kappa) > 1e-6 else u)
        if quality[-tenth:].mean() - quality[:tenth].mean() > 0.15:
            return entropy, quality


def _rise(t: np.ndarray, rng: np.random.Generator, of: Population) -> np.ndarray:
    """From 0 to 1 with some diminishing return."""
    form = rng.choice(6, p=of.rise)
    if form == 0:
        z = 1 - np.exp(-t / _log_uniform(rng, 0.02, of.latest))
    elif form == 1:
        middle = _log_uniform(rng, 0.03, of.latest)
        z = 1 / (1 + np.exp(-(t - middle) / (middle * rng.uniform(0.2, 0.7))))
    elif form == 2:
        z = np.log1p(t / _log_uniform(rng, 0.003, 0.5))
    elif form == 3:
        z = t ** rng.uniform(0.3, 1.2)
    elif form == 4:
        z = t
    else:
        z = t / (t + _log_uniform(rng, 0.01, 0.5))
    return (z - z[0]) / np.ptp(z)


def _peak(t: np.ndarray, rng: np.random.Generator, of: Population) -> np.ndarray:
    """Rises, then falls."""
    top = rng.uniform(0.15, 0.85)
    z = np.interp(np.minimum(t / top, 1), t, _rise(t, rng, of))
    after = t > top
    if after.sum() > 2:
        z[after] -= rng.uniform(0.2, 1.3) * _rise(t[after] - top, rng, of)
    return z


def _collapse(t: np.ndarray, rng: np.random.Generator, of: Population) -> np.ndarray:
    """Rises, then falls at once and stays down."""
    when, speed = rng.uniform(0.1, 0.95), _log_uniform(rng, 0.003, 0.05)
    z = _rise(t, rng, of)
    depth = np.interp(when, t, z) + rng.uniform(-0.2, 0.5)
    return z - depth * (t > when) * -np.expm1(-np.maximum(t - when, 0) / speed)


def _settled(t: np.ndarray, rng: np.random.Generator, of: Population) -> np.ndarray:
    """All that happens happens early."""
    return rng.choice([-1, 1]) * -np.expm1(-t / _log_uniform(rng, 0.004, 0.12))


def _walk(t: np.ndarray, rng: np.random.Generator, of: Population) -> np.ndarray:
    n = len(t)
    if rng.random() < 0.6:
        return np.cumsum(rng.standard_normal(n)) / np.sqrt(n)
    return _slow(n, n * _log_uniform(rng, 0.05, 0.5), rng)


def _breaks(t: np.ndarray, rng: np.random.Generator, of: Population) -> np.ndarray:
    """Straight pieces in step or in log step, with one to three breaks of trend, some of level."""
    x = t if rng.random() < 0.5 else np.log(t * len(t)) / np.log(len(t))
    z = rng.normal(0.5, 1) * x
    for when in rng.uniform(0.05, 0.95, rng.integers(1, 4)):
        knot = np.interp(when, t, x)
        z = z + rng.normal(0, 1.2) * np.maximum(x - knot, 0)
        z = z + rng.choice([0, 0, rng.normal(0, 0.3)]) * (x >= knot)
    return z


SIGNALS = {
    "rise": _rise,
    "flat": lambda t, rng, of: np.zeros(len(t)),
    "fall": lambda t, rng, of: -_rise(t, rng, of),
    "peak": _peak,
    "collapse": _collapse,
    "settled": _settled,
    "walk": _walk,
    "breaks": _breaks,
}
