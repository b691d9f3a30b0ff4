"""The frontier against exact sums over a categorical reference."""

import itertools
import json

import numpy as np
import pytest

from qdlaws import RunLog
from qdlaws.errors import BadData, NotEnoughData
from qdlaws.kl_frontier.best_of_n import best_of_one
from qdlaws.kl_frontier.frontier import frontier

rng = np.random.default_rng(7)
P = rng.dirichlet(np.ones(60))
R = rng.normal(size=60)


def exact(eta: float) -> tuple[float, float, float]:
    w = P * np.exp(eta * R)
    w /= w.sum()
    return float(w @ R), float(w @ np.log(w / P)), float(-w @ np.log(w))


def samples(n: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).choice(60, n, p=P)


def test_every_atom_once_is_the_exact_tilt():
    """With equal reference probabilities and each outcome once, the sample is the population."""
    r = np.linspace(-1, 1, 200) ** 3
    f = frontier(r, np.full(200, -np.log(200)))
    for eta in (0.0, 0.5, 2.0):
        w = np.exp(eta * r) / np.exp(eta * r).sum()
        row = f.at(eta)
        assert row["quality"] == pytest.approx(w @ r, abs=1e-12)
        assert row["kl"] == pytest.approx(w @ np.log(w * 200), abs=1e-12)
        assert row["entropy"] == pytest.approx(-w @ np.log(w), abs=1e-12)
        np.testing.assert_allclose(f.weights(eta)[0], w)


def test_standard_errors_are_those_of_fresh_samples():
    """z of 200 fresh samples has mean 0 and spread 1 (± 3 standard errors of the spread)."""
    z = []
    for seed in range(200):
        y = samples(1500, seed)
        f = frontier(R[y], np.log(P[y]), points=4)
        row = f.at(1.5)
        truth = zip(("quality", "kl", "entropy"), exact(1.5), strict=True)
        z.append([(row[k] - v) / row[k + "_se"] for k, v in truth])
    np.testing.assert_allclose(np.mean(z, axis=0), 0, atol=0.3)
    np.testing.assert_allclose(np.std(z, axis=0), 1, atol=0.18)


def test_beyond_the_effective_samples_all_is_nan():
    y = samples(400)
    f = frontier(R[y], np.log(P[y]))
    assert f.kl_end < np.log(400)
    end = f.table["quality"].last_valid_index()
    assert f.table["ess"][end] >= 20
    assert f.table.loc[end + 1 :, ["quality", "kl", "entropy", "kl_se"]].isna().all(axis=None)
    assert np.isnan(f.best_quality(np.log(400)))
    assert np.isnan(f.share(1.0, 1.1 * f.kl_end))
    assert np.isfinite(f.share(1.0, 0.9 * f.kl_end))
    known = f.table.dropna()
    assert (np.diff(known["quality"]) > 0).all()
    assert (np.diff(known["kl"]) > 0).all()


def test_inverse_and_share():
    y = samples(3000)
    f = frontier(R[y])
    eta = f.eta(kl=0.8)
    assert f.at(eta)["kl"] == pytest.approx(0.8, abs=1e-9)
    assert f.eta(quality=f.at(eta)["quality"]) == pytest.approx(eta, rel=1e-6)
    best = f.at(eta)["quality"]
    assert f.share(best, 0.8) == pytest.approx(1)
    half = f.share([(best + f.start) / 2, f.start], [0.8, 0.8])
    np.testing.assert_allclose(half, [0.5, 0], atol=1e-9)
    assert np.isnan(f.eta(quality=R.max() + 1))
    with pytest.raises(BadData, match="one of"):
        f.eta()


def test_zero_one_rewards_have_an_end_without_running_out():
    """Ties at the top: as η grows the tilt is the reference given success, KL = −log p."""
    r = np.r_[np.ones(300), np.zeros(700)]
    f = frontier(r)
    row = f.at(200.0)
    assert row["quality"] == pytest.approx(1)
    assert row["kl"] == pytest.approx(-np.log(0.3))
    assert f.kl_end == pytest.approx(-np.log(0.3), rel=1e-6)


def test_best_of_n_is_the_mean_over_all_subsets():
    r = np.random.default_rng(3).integers(0, 9, 22) / 8
    f = frontier(r)
    assert f.best_of["quality"][0] == pytest.approx(r.mean())
    assert np.isnan(f.best_of["quality"][1])  # 22 samples hold 11 pairs only
    for n in (2, 3, 4):
        pairs = np.mean([max(c) for c in itertools.combinations(r, n)])
        assert best_of_one(np.sort(r), n)[0] == pytest.approx(pairs)


def test_best_of_n_quality_and_kl_against_exact_sums():
    order = np.argsort(R)
    cdf = np.cumsum(P[order])
    y = samples(40_000, 1)
    f = frontier(R[y])
    for n in (1, 2, 8, 64):
        row = f.best_of.set_index("n").loc[n]
        mass = np.diff(np.r_[0, cdf] ** n)
        quality, kl = mass @ R[order], mass @ np.log(mass / P[order])
        assert abs(row["quality"] - quality) < 3.5 * row["quality_se"]
        assert row["kl"] == pytest.approx(kl, abs=0.03)
        assert row["kl_bound"] == pytest.approx(np.log(n) - (n - 1) / n)
        assert row["kl"] <= row["kl_bound"] + 1e-9


def test_continuous_rewards_meet_the_formula():
    f = frontier(np.random.default_rng(0).normal(size=5000))
    known = f.best_of.dropna()
    np.testing.assert_allclose(known["kl"], known["kl_bound"], rtol=1e-9, atol=1e-12)
    assert known["n"].max() == 128


def test_the_frontier_beats_best_of_n():
    f = frontier(np.random.default_rng(0).normal(size=5000))
    known = f.best_of.dropna().iloc[1:-1]
    assert (f.best_quality(known["kl"]) >= known["quality"] - known["quality_se"]).all()


def test_prompts_are_tilted_one_by_one():
    g = np.random.default_rng(1)
    r = g.normal(size=(30, 200)) + g.normal(size=(30, 1))
    r[0, :5] = np.nan
    f = frontier(r)
    assert f.dropped == 5
    alone = [frontier(line).at(0.7) for line in r]
    row = f.at(0.7)
    assert row["quality"] == pytest.approx(np.mean([a["quality"] for a in alone]))
    assert row["kl"] == pytest.approx(np.mean([a["kl"] for a in alone]))
    spread = np.std([a["quality"] for a in alone], ddof=1)
    assert row["quality_se"] == pytest.approx(spread / np.sqrt(30))
    np.testing.assert_allclose(f.weights(0.7).sum(1), 1)
    assert f.weights(0.7)[0, 0] == 0


def test_refusals_say_what_was_found():
    with pytest.raises(NotEnoughData, match="found 5"):
        frontier(np.arange(5.0))
    with pytest.raises(NotEnoughData, match="equal"):
        frontier(np.ones(50))
    with pytest.raises(BadData, match="logprob"):
        frontier(np.arange(50.0), np.zeros(49))
    with pytest.raises(BadData, match="shape"):
        frontier(np.zeros((2, 3, 4)))


def test_outputs():
    import matplotlib

    matplotlib.use("Agg")
    y = samples(500)
    f = frontier(np.r_[R[y], np.nan])
    assert f.dropped == 1
    assert "500 reference samples, 1 failed" in f.summary()
    parsed = json.loads(json.dumps(f.to_dict(), allow_nan=False))
    assert parsed["n"] == 500
    assert parsed["frontier"][-1]["quality"] is None
    log = RunLog.from_records([{"step": 0, "quality": 0.1, "kl": 0.2}])
    ax = f.plot(run=log)
    assert "run" in ax.get_legend_handles_labels()[1]
