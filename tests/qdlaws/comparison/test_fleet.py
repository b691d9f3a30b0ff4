"""The mixed model over runs: against statsmodels, and predictions for runs to come."""

from __future__ import annotations

import numpy as np
import pytest

from qdlaws import BadData, NotEnoughData, fleet
from qdlaws.comparison.coefficients import Run
from qdlaws.comparison.fleet import mixed_model
from tests.helpers.simulated import log_at_reference as run


def test_the_mixed_model_against_statsmodels():
    """Random-effects means of a peer (Paule–Mandel), for runs that differ much and little."""
    from statsmodels.stats.meta_analysis import combine_effects

    g = np.random.default_rng(1)
    sd = g.uniform(0.05, 0.15, 40)
    for tau in (0.0, 0.3):
        y = 1 + tau * g.normal(size=40) + sd * g.normal(size=40)
        runs = [Run("", None, np.full(3, m), np.full(3, s)) for m, s in zip(y, sd, strict=True)]
        draws = mixed_model(runs, 0, None)
        peer = combine_effects(y, sd**2, method_re="iterated")
        assert draws[:, 0].mean() == pytest.approx(peer.mean_effect_re, abs=0.005)
        assert draws[:, 0].std() == pytest.approx(peer.sd_eff_w_re, rel=0.12)
        assert np.median(draws[:, 2]) == pytest.approx(np.sqrt(max(peer.tau2, 0)), abs=0.05)


def test_a_run_of_a_larger_model_is_predicted():
    g = np.random.default_rng(5)
    sizes = np.repeat([1e6, 4e6, 16e6, 64e6], 3)
    truth = 0.7 + 0.02 * np.log(sizes / 1e6)
    logs = [run(value=t + 0.01 * g.normal(), seed=i) for i, t in enumerate(truth)]
    f = fleet(logs, size=sizes)
    slope = f.effects.loc["value", "per_log_size"]
    assert slope.low < 0.02 < slope.high
    assert slope.low > 0
    flat = f.effects.loc["exchange", "per_log_size"]
    assert flat.low < 0 < flat.high
    truth_there = 0.7 + 0.02 * np.log(256)
    new = f.predict(0.7, size=256e6).iloc[0]
    assert new["low"] < truth_there < new["high"]
    assert new["high"] - new["low"] < 0.12
    mean, sd = f.prior(256e6)["value"]
    assert abs(mean - f.coefficients(256e6)["value"].mid) < 0.1 * sd
    a, b, c = (f.coefficients(1e6)[k] for k in "abc")
    assert c.low < 4 < c.high
    assert b.low < 0.7 + 0.5 / 4 < b.high
    assert a.low < 0.5 * np.exp(-4 * 0.7) / 4 < a.high
    assert "12 runs" in str(f)


def test_a_fleet_without_sizes_predicts_a_new_run():
    f = fleet([run(value=v, seed=i) for i, v in enumerate((0.78, 0.8, 0.82))])
    x = f.reference
    (band,) = f.predict(x).to_dict("records")
    assert band["low"] < 0.8 < band["high"]
    assert band["mid"] == pytest.approx(f.coefficients()["value"].mid, abs=1e-9)
    assert np.isfinite(f.prior()["value"]).all()


def test_a_fleet_without_sizes_refuses_a_size_and_too_few_runs():
    logs = [run(seed=i) for i in range(4)]
    f = fleet(logs)
    with pytest.raises(BadData, match="without model sizes"):
        f.predict(0.7, size=1e6)
    with pytest.raises(BadData, match="size needs a positive number for each of 4"):
        fleet(logs, size=[1, 2])
    with pytest.raises(NotEnoughData, match="3 runs that follow a law"):
        fleet(logs[:2])


def test_a_figure_shows_each_coefficient_by_model_size():
    import matplotlib

    matplotlib.use("Agg")
    axes = fleet([run(seed=i) for i in range(4)], size=[1, 2, 4, 8]).plot()
    assert [ax.get_title(loc="left") for ax in axes] == [
        "Quality at the common diversity",
        "The price of a unit of diversity there",
        "Curvature c",
    ]
    assert axes[0].get_xscale() == "log"


def test_a_fleet_without_sizes_is_drawn_one_run_a_line():
    import matplotlib

    matplotlib.use("Agg")
    f = fleet([run(seed=i) for i in range(3)], names=["a", "b", "c"])
    axes = f.plot()
    assert [label.get_text() for label in axes[0].get_yticklabels()] == ["a", "b", "c"]
    assert axes[0].get_lines()[0].get_xdata()[0] == f.effects.loc["value", "mean"].mid
    assert "In one more run like these, a unit of diversity" in str(f)
