"""The frontier against exact sums over a categorical reference."""

import json

import numpy as np
import pytest

from qdlaws import RunLog
from qdlaws.errors import BadData, NotEnoughData
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


def test_tilt_is_exact_on_a_whole_population():
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


def test_standard_errors_match_the_scatter_of_fresh_samples():
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


def test_estimates_are_nan_where_effective_samples_run_out():
    y = samples(400)
    f = frontier(R[y], np.log(P[y]))
    assert f.kl_end < np.log(400)
    end = f.table["quality"].last_valid_index()
    assert f.table["ess"][end] >= 20
    assert f.table.loc[end + 1 :, ["quality", "kl", "entropy", "kl_se"]].isna().all(axis=None)
    assert np.isnan(f.best_quality(np.log(400)))
    assert np.isnan(f.share(1.0, 1.1 * f.kl_end))
    assert np.isfinite(f.share(1.0, 0.9 * f.kl_end))
    supported = f.table.dropna()
    assert (np.diff(supported["quality"]) > 0).all()
    assert (np.diff(supported["kl"]) > 0).all()


def test_eta_inverts_kl_and_quality_and_share_is_relative_to_the_best():
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


def test_zero_one_rewards_end_at_the_reference_given_success():
    """Ties at the top: as η grows the tilt is the reference given success, KL = −log p."""
    r = np.r_[np.ones(300), np.zeros(700)]
    f = frontier(r)
    row = f.at(200.0)
    assert row["quality"] == pytest.approx(1)
    assert row["kl"] == pytest.approx(-np.log(0.3))
    assert f.kl_end == pytest.approx(-np.log(0.3), rel=1e-6)


def test_the_frontier_beats_best_of_n():
    f = frontier(np.random.default_rng(0).normal(size=5000))
    supported = f.best_of.dropna().iloc[1:-1]
    assert (f.best_quality(supported["kl"]) >= supported["quality"] - supported["quality_se"]).all()


def test_prompts_are_tilted_separately():
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


def test_refusals_name_the_shapes_and_counts():
    with pytest.raises(NotEnoughData, match="got 5"):
        frontier(np.arange(5.0))
    with pytest.raises(NotEnoughData, match="equal"):
        frontier(np.ones(50))
    with pytest.raises(BadData, match="logprob"):
        frontier(np.arange(50.0), np.zeros(49))
    with pytest.raises(BadData, match="shape"):
        frontier(np.zeros((2, 3, 4)))


def test_it_answers_like_every_result():
    y = samples(500)
    f = frontier(np.r_[R[y], np.nan])
    assert f.dropped == 1
    assert "500 of the reference, 1 failed" in str(f)
    assert len(repr(f)) < 200
    assert "<b>Best possible quality at every KL" in f._repr_html_()
    values = json.loads(json.dumps(f.to_dict(), allow_nan=False))
    assert values["n"] == 500
    assert values["frontier"][-1]["quality"] is None
    assert f.to_frame().equals(f.table)


def test_plot_shows_a_run_that_logged_its_kl():
    import matplotlib as mpl

    mpl.use("Agg")
    log = RunLog.from_records([{"step": 0, "quality": 0.1, "kl": 0.2}])
    ax = frontier(R[samples(500)]).plot(run=log)
    assert "run" in ax.get_legend_handles_labels()[1]
