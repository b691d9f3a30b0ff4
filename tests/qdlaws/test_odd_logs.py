"""Odd logs: every command answers or refuses in one line, and numpy gives no warning.

Diversity that jumps, stands still, takes two values or has tails without a mean; quality that is
binary, exact, a staircase or moves in the eighth digit; steps on any clock, from five rows on.
"""

from __future__ import annotations

import numpy as np
import pytest

import qdlaws as qd
from tests.helpers.simulated import ar1, collapse

SIZES = (5, 6, 9, 15, 40, 120)


def diversity(rng: np.random.Generator, t: np.ndarray) -> np.ndarray:
    n = len(t)
    kinds = (
        lambda: collapse(n),
        lambda: np.where(t < 0.5, 1.0, 0.2) + 1e-3 * rng.standard_normal(n),
        lambda: np.maximum(1 - 3 * t, 0.0),
        lambda: np.round(collapse(n) * 20) / 20,
        lambda: np.where(rng.random(n) < 0.5, 0.0, 1.0),
        lambda: np.append(5.0, 0.3 + 0.01 * rng.standard_normal(n - 1)),
        lambda: np.exp(3 * rng.standard_normal(n)),
        lambda: rng.standard_cauchy(n),
        lambda: np.cumsum(rng.standard_normal(n)),
        lambda: 0.2 + np.exp(-40 * t),
        lambda: np.sin(6 * t) + 1,
    )
    return np.asarray(kinds[rng.integers(len(kinds))]())


def quality(rng: np.random.Generator, d: np.ndarray) -> np.ndarray:
    n, z = len(d), (d - d.min()) / (np.ptp(d) or 1.0)
    kinds = (
        lambda: 1 - np.expm1(2 * z) / np.expm1(2) + 0.05 * ar1(rng, n, 0.5),
        lambda: 1 - z,
        lambda: (rng.random(n) < 0.5).astype(float),
        lambda: np.round((1 - z + 0.1 * rng.standard_normal(n)) * 16) / 16,
        lambda: rng.standard_cauchy(n),
        lambda: np.floor(np.linspace(0, 3.99, n)),
        lambda: 1 + 1e-8 * (1 - z + 0.1 * rng.standard_normal(n)),
        lambda: -np.exp(3 * z),
    )
    return np.asarray(kinds[rng.integers(len(kinds))]())


def steps(rng: np.random.Generator, n: int) -> np.ndarray:
    kinds = (
        lambda: np.arange(float(n)),
        lambda: np.cumsum(np.geomspace(1, 1000, n)),
        lambda: 1e9 + 7.0 * np.arange(n),
        lambda: np.cumsum(rng.exponential(size=n) + 1e-3),
        lambda: np.append(np.arange(n // 2), 1e6 + np.arange(n - n // 2)),
    )
    return np.asarray(kinds[rng.integers(len(kinds))]())


def odd_log(seed: int) -> qd.RunLog:
    rng = np.random.default_rng(seed)
    n = int(rng.choice(SIZES))
    d = diversity(rng, np.linspace(0, 1, n))
    entropy = 0.1 + 0.8 * d + 0.02 * rng.standard_normal(n)
    if rng.random() < 0.3:
        entropy = diversity(rng, np.linspace(0, 1, n))
    errors = {}
    if rng.random() < 0.3:
        errors["quality_se"] = 1e-3 + np.abs(0.05 * rng.standard_normal(n))
    return qd.RunLog(
        step=steps(rng, n), quality=quality(rng, d), diversity=d, entropy=entropy, **errors
    )


def compute_everything(log: qd.RunLog, tails: str, x_noise: str) -> None:
    fits = qd.fit(log, tails=tails, x_noise=x_noise)  # type: ignore[arg-type]
    for law in fits.laws():
        if law.posterior is None:
            assert law.verdict == "unsupported"
            continue
        draws = law.draws
        assert np.all(np.isfinite([draws.kappa, draws.p, draws.q]))
        assert 0 <= law.posterior.p_falls <= 1
        assert np.all(np.isfinite(law.predict(law.range)))
        assert str(law.summary())
    assert fits.to_dict()
    assert qd.forecast(log) is not None
    assert qd.advise(log).to_dict()


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("seed", range(40))
def test_an_odd_log_is_answered_or_refused_in_one_line(seed: int) -> None:
    rng = np.random.default_rng(seed)
    tails, x_noise = rng.choice(["auto", "heavy", "normal"]), rng.choice(["auto", "none"])
    refused = ""
    try:
        compute_everything(odd_log(seed), str(tails), str(x_noise))
    except qd.QdlawsError as error:
        refused = str(error)
    assert "\n" not in refused
