"""Verdicts and their reasons on small simulated runs of a given form."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import qdlaws as qd
from tests.helpers.simulated import ar1, collapse, frame, law, log

RUNS = 12


def verdicts(make, runs: int = RUNS) -> list[str]:
    return [qd.fit(make(seed)).rd.verdict for seed in range(runs)]


def pair(quality: np.ndarray, diversity: np.ndarray) -> qd.RunLog:
    return qd.RunLog.from_arrays(np.arange(len(quality)), quality=quality, diversity=diversity)


@pytest.mark.parametrize("x_noise", [0.0, 0.1])
@pytest.mark.parametrize(("kappa", "word"), [(3.0, "concave"), (-3.0, "convex"), (0.0, "linear")])
def test_each_form_gets_its_verdict(kappa, word, x_noise):
    words = verdicts(lambda seed: log(n=100, kappa=kappa, x_noise=x_noise, seed=seed))
    # A curved verdict on a straight run is meant to come in up to 5 % of runs: P(3 of 12) = .02.
    assert words.count(word) >= RUNS - (2 if word == "linear" else 1)


def test_reasons_for_curved_laws_carry_their_probability():
    concave = qd.fit(log(kappa=3.0)).rd
    assert "saturates" in concave.reasons[0]
    assert "P(c > 0)" in concave.reasons[0]
    convex = qd.fit(log(kappa=-3.0)).rd
    assert "accelerates" in convex.reasons[0]
    assert "P(c < 0)" in convex.reasons[0]


def test_a_linear_verdict_says_whether_the_line_is_sure_or_the_curvature_unknown():
    straight = qd.fit(log(n=200, kappa=0.0, sigma=0.02, rho=0.0)).rd
    assert straight.verdict == "linear"
    assert straight.reasons[0].startswith("nearly straight")
    vague = qd.fit(log(n=25, kappa=0.3, sigma=0.15, rho=0.0, seed=3)).rd
    assert vague.verdict == "linear"
    assert vague.reasons[0].startswith("curvature unknown: c between")


def test_a_and_b_of_a_straight_law_are_unknown():
    straight = qd.fit(log(n=200, kappa=0.0, sigma=0.02, rho=0.0)).rd
    assert not any(interval.known for interval in straight.params.values())
    assert straight.curvature.known
    assert straight.change.known
    assert straight.exchange_rate(0.6).known
    assert not straight.operating_point(1.0).known


def test_a_convex_law_has_no_operating_point():
    convex = qd.fit(log(kappa=-3.0)).rd
    assert not convex.operating_point(1.0).known


def test_columns_that_rise_together_are_no_trade_off():
    law = qd.fit(log(change=1.0)).rd
    assert law.verdict == "unsupported"
    assert "rise together" in law.reasons[0]
    assert verdicts(lambda seed: log(change=1.0, seed=seed)) == ["unsupported"] * RUNS


def test_a_flat_run_is_unsupported():
    def make(seed):
        rng = np.random.default_rng(seed)
        return pair(1 + 0.1 * ar1(rng, 80, 0.3), collapse(80))

    words = verdicts(make)
    assert words.count("unsupported") >= RUNS - 1
    reasons = qd.fit(make(0)).rd.reasons
    assert "no trade-off can be seen" in reasons[0]


def test_independent_random_walks_are_unsupported():
    """A trade-off verdict on independent series in at most 5 %; 40 runs, so at most 5."""

    def make(seed):
        rng = np.random.default_rng(seed)
        return pair(rng.standard_normal(100).cumsum(), rng.standard_normal(100).cumsum())

    words = verdicts(make, 40)
    assert sum(word != "unsupported" for word in words) <= 5


def test_random_walks_under_white_noise_are_unsupported():
    def make(seed):
        rng = np.random.default_rng(seed)
        walks = rng.standard_normal((2, 100)).cumsum(1) + 2 * rng.standard_normal((2, 100))
        return pair(*walks)

    words = verdicts(make, 40)
    assert sum(word != "unsupported" for word in words) <= 5


def test_a_run_where_nothing_moves_but_noise_is_unsupported():
    def make(seed):
        rng = np.random.default_rng(seed)
        return pair(rng.standard_normal(80), 0.5 + 0.01 * rng.standard_normal(80))

    words = verdicts(make)
    assert words.count("unsupported") >= RUNS - 1


def test_a_range_within_the_noise_is_named():
    data = frame(n=80)
    rng = np.random.default_rng(0)
    data["diversity"] = 0.5 - 0.002 * np.linspace(0, 1, 80) + 0.004 * rng.standard_normal(80)
    reasons = " ".join(qd.fit(qd.RunLog.from_frame(data)).rd.reasons)
    assert "range of diversity too small" in reasons or "does not move" in reasons


def test_slow_drifts_that_the_curve_misses_are_named():
    data = frame(n=120)
    t = np.linspace(0, 1, 120)
    data["diversity"] = 0.9 - 0.5 * t
    data["quality"] = 0.5 * t + 0.5 * np.sin(2 * np.pi * 1.5 * t)
    law = qd.fit(qd.RunLog.from_frame(data)).rd
    assert any("misses slow drifts" in reason for reason in law.reasons)


def test_a_spike_does_not_make_a_law():
    def make(seed):
        rng = np.random.default_rng(seed)
        y = 1 + 0.1 * rng.standard_normal(80)
        y[70] += 5
        return pair(y, collapse(80))

    assert verdicts(make).count("unsupported") >= RUNS - 1


def test_an_unsupported_law_has_predictions_only():
    law = qd.fit(log(change=1.0)).rd
    assert not law.supported
    for answer in (
        law.ceiling(),
        law.exchange_rate(0.6),
        law.diversity_for(0.5),
        law.operating_point(1.0),
        *law.params.values(),
    ):
        assert all(np.isnan(v) for v in answer[:3])
    band = law.predict([0.4, 0.6])
    assert np.isfinite(band.to_numpy()).all()


def test_a_constant_column_is_unsupported_with_its_value():
    data = frame(n=40).assign(diversity=0.7)
    fits = qd.fit(qd.RunLog.from_frame(data))
    assert fits.rd.verdict == fits.hd.verdict == "unsupported"
    assert fits.rd.reasons == ("diversity is constant at 0.7",)
    assert fits.rh.verdict == "concave"
    assert all(np.isnan(v) for v in fits.rd.range)


# ------------------------------------------------------------------ the line H on D


def test_entropy_that_falls_as_diversity_rises_is_named():
    data = frame(n=60)
    data["entropy"] = 3 - data["entropy"]
    line = qd.fit(qd.RunLog.from_frame(data)).hd
    assert line.verdict == "unsupported"
    assert "falls as diversity rises" in line.reasons[0]
    assert not line.params.slope.known


def test_entropy_that_does_not_follow_is_named():
    data = frame(n=60)
    data["entropy"] = np.random.default_rng(0).standard_normal(60)
    line = qd.fit(qd.RunLog.from_frame(data)).hd
    assert line.verdict == "unsupported"
    assert "does not follow" in line.reasons[0]


def test_a_bent_relation_is_not_a_line():
    data = frame(n=60)
    data["entropy"] = 2 - law(6.0).value(data["diversity"].to_numpy())
    line = qd.fit(qd.RunLog.from_frame(data)).hd
    assert line.verdict == "unsupported"
    assert "not a line" in line.reasons[0]


# ------------------------------------------------------------------ the verdict is the posterior's


def test_the_verdict_follows_from_the_probabilities():
    for seed in range(6):
        for kappa in (-1.0, 0.0, 1.0):
            law = qd.fit(log(n=40, kappa=kappa, sigma=0.1, seed=seed)).rd
            post = law.posterior
            if post.p_falls < 0.975:
                expected = "unsupported"
            elif post.p_concave >= 0.975:
                expected = "concave"
            elif post.p_concave <= 0.025:
                expected = "convex"
            else:
                expected = "linear"
            assert law.verdict == expected


def test_level_changes_intervals_but_no_verdict():
    words = {qd.fit(log(), level=level).rd.verdict for level in (0.5, 0.95, 0.99)}
    assert words == {"concave"}


def test_frames_of_pandas_extension_types_give_the_same_verdict():
    data = frame(n=60)
    typed = data.astype({"quality": "Float64", "diversity": "Float64", "step": "Int64"})
    typed.loc[3, "quality"] = pd.NA
    one = qd.fit(qd.RunLog.from_frame(typed)).rd
    two = qd.fit(qd.RunLog.from_frame(data.drop(index=3))).rd
    assert one.verdict == two.verdict
    assert one.n == two.n == 59
