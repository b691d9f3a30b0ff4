"""Verdicts and their reasons on small simulated runs of a given form."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import qdlaws as qd
from qdlaws.laws.adequacy import explained
from qdlaws.laws.evidence import Evidence
from qdlaws.laws.verdict import WORDS, probability_text, verdict
from qdlaws.simulation import falling_path
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
    right = words.count(word) + (words.count("falling") if word == "linear" else 0)
    assert right >= RUNS - (2 if word == "linear" else 1)


def test_reasons_for_curved_laws_carry_their_probability():
    concave = qd.fit(log(kappa=3.0)).rd
    assert "saturates" in concave.reasons[0]
    assert "P(c > 0)" in concave.reasons[0]
    convex = qd.fit(log(kappa=-3.0)).rd
    assert "accelerates" in convex.reasons[0]
    assert "P(c < 0)" in convex.reasons[0]


def test_a_straight_law_is_linear_where_it_is_sure_and_falling_where_the_bend_is_unknown():
    straight = qd.fit(log(n=200, kappa=0.0, sigma=0.02, rho=0.0)).rd
    assert straight.verdict == "linear"
    assert straight.strength == "clear"
    assert straight.reasons[0].startswith("nearly straight")
    vague = qd.fit(log(n=25, kappa=0.3, sigma=0.15, rho=0.0, seed=3)).rd
    assert vague.verdict == "falling"
    assert vague.supported
    assert "bend not known: c between" in vague.reasons[0]
    assert not vague.params.c.known


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


# ------------------------------------------------------------------ verdicts from evidence

N = 40
STEP = np.arange(float(N))
U = falling_path(N, low=0.0, high=1.0)
NOISE = 0.05 * np.random.default_rng(5).standard_normal(N)


def made(y: np.ndarray, change: float = -1.0, kappa: float = 0.0, **other: Any) -> Evidence:
    """Evidence of a law of this change whose posterior is sure of it; ``other`` replaces fields."""
    draws = change + 0.05 * np.abs(change) * np.random.default_rng(0).standard_normal(500)
    law = qd.Law(0.0, 1.0, np.full(500, kappa), -draws, draws)
    fields: dict[str, Any] = {
        "x_name": "diversity",
        "y_name": "quality",
        "step": STEP,
        "x": U,
        "y": y,
        "curve": law.value(U).mean(0),
        "law": law,
        "sigma": np.full(500, 0.05),
        "slow": np.zeros(500),
        "p_falls": 0.999,
        "p_concave": 0.5,
        "p_straight": 0.25,
        "p_steplike": 0.0,
        "noise": 0.0,
        "path_error": np.zeros(N),
    }
    return Evidence(**(fields | other))


@pytest.mark.parametrize(
    ("posterior", "word"),
    [
        ({"p_concave": 0.94}, "concave"),
        ({"p_concave": 0.09}, "convex"),
        ({"p_concave": 0.92}, "falling"),
        ({"p_concave": 0.99, "p_straight": 0.6}, "falling"),
        ({"p_concave": 0.999, "p_straight": 0.6}, "concave"),
        ({"p_concave": 0.99, "p_straight": 0.95}, "linear"),
        ({"p_straight": 0.95}, "linear"),
        ({}, "falling"),
        ({"p_falls": 0.5}, "unsupported"),
    ],
)
def test_the_verdict_follows_from_the_probabilities(posterior, word):
    outcome = verdict(made(1 - U + NOISE, **posterior))
    assert outcome.word == word
    assert outcome.word in WORDS
    assert outcome.probability == posterior.get("p_falls", 0.999)


@pytest.mark.parametrize(
    ("probability", "strength", "word"),
    [(0.98, "clear", "falling"), (0.95, "likely", "falling"), (0.89, "", "unsupported")],
)
def test_a_trade_off_is_clear_from_975_and_likely_from_90(probability, strength, word):
    outcome = verdict(made(1 - U + NOISE, p_falls=probability))
    assert (outcome.strength, outcome.word) == (strength, word)
    text = " ".join(outcome.reasons)
    assert strength in text
    assert f"{probability:.2f}" in text


def test_a_likely_law_is_not_printed_with_the_probability_of_a_clear_one():
    assert probability_text(0.97466) == "0.974"
    assert [probability_text(p) for p in (0.975, 0.9996, 0.9)] == ["0.975", "1.000", "0.900"]


def test_a_clear_law_has_a_change_whose_interval_excludes_0():
    """P(it falls) of .999 beside draws of the change that hold 0 to 4 % is no more than likely."""
    draws = np.where(np.arange(500) % 25 == 0, 0.1, -1.0)
    law = qd.Law(0.0, 1.0, np.zeros(500), -draws, draws)
    outcome = verdict(made(1 - U + NOISE, law=law))
    assert outcome.strength == "likely"
    assert outcome.probability == pytest.approx(0.96)


def test_a_curve_that_goes_the_other_way_is_unsupported_whatever_its_probability():
    outcome = verdict(made(U + NOISE))
    assert outcome.word == "unsupported"
    assert "readings go the other way" in outcome.reasons[0]
    assert np.isnan(outcome.probability)


def test_a_curve_that_does_not_describe_the_run_is_unsupported():
    noise = np.random.default_rng(2).standard_normal(N)
    outcome = verdict(made(1 - 0.3 * U + noise, change=-0.3, sigma=np.ones(500)))
    assert outcome.word == "unsupported"
    assert "R² of its block means" in outcome.reasons[0]


def test_a_law_that_only_block_means_show_is_unsupported():
    n = 2000
    u = np.linspace(0, 1, n)
    noise = 1.2 * np.random.default_rng(2).standard_normal(n)
    fields = {"step": np.arange(n, dtype=float), "x": u, "path_error": np.zeros(n)}
    outcome = verdict(made(1 - u + noise, curve=1 - u, sigma=np.full(500, 1.2), **fields))
    assert outcome.word == "unsupported"
    assert "R² is 0.0" in outcome.reasons[0]


def test_a_likely_law_needs_a_better_fit_than_a_clear_one():
    noise = 0.5 * np.random.default_rng(4).standard_normal(N)
    y, other = 1 - U + noise, {"sigma": np.full(500, 0.5)}
    assert 0.1 < explained(y, 1 - U) < 0.25
    assert verdict(made(y, **other)).word == "falling"
    assert verdict(made(y, p_falls=0.95, **other)).word == "unsupported"


def test_a_law_that_overstates_the_change_is_unsupported():
    outcome = verdict(made(0.2 * (1 - U) + 0.01 * NOISE, sigma=np.ones(500)))
    assert outcome.word == "unsupported"


def test_a_law_that_rests_on_its_first_row_says_so():
    y = 0.02 * np.random.default_rng(0).standard_normal(N)
    x = 0.1 * np.random.default_rng(1).random(N)
    x[0], y[0] = 1.0, -1.0
    outcome = verdict(made(y, x=x, curve=-x, law=made(y).law))
    assert outcome.word == "unsupported"
    assert "rests on step 0" in " ".join(outcome.reasons)


def test_readings_far_outside_of_the_band_are_named():
    outcome = verdict(made(1 - U + NOISE, sigma=np.full(500, 0.005)))
    assert outcome.word == "unsupported"
    assert "of the readings lie in the 95 % band" in " ".join(outcome.reasons)


def test_the_error_of_the_path_widens_the_band_of_readings():
    evidence = made(1 - U + NOISE, sigma=np.full(500, 0.005), path_error=np.full(N, 0.05))
    assert verdict(evidence).word == "falling"


def test_a_hump_is_peaked_and_says_where():
    outcome = verdict(made(1 - (2 * U - 1) ** 2 + NOISE))
    assert outcome.word == "peaked"
    assert outcome.best.low < 0.5 < outcome.best.high
    assert "quality is best inside the range, at diversity =" in outcome.reasons[0]


@pytest.mark.parametrize(("p_concave", "word"), [(0.99, "concave"), (0.8, "falling")])
def test_a_hinge_is_called_level_whatever_its_word(p_concave, word):
    y, sigma = 1 - 2 * np.maximum(U - 0.5, 0) + 0.2 * NOISE, np.full(500, 0.3)
    outcome = verdict(made(y, p_concave=p_concave, sigma=sigma))
    assert outcome.word == word
    assert "level at low diversity" in outcome.reasons[-1]


def test_a_hinge_is_not_linear():
    y, sigma = 1 - 2 * np.maximum(U - 0.5, 0) + 0.2 * NOISE, np.full(500, 0.3)
    assert verdict(made(y, p_straight=0.95, sigma=sigma)).word == "falling"


def test_a_drift_in_step_is_no_trade_off():
    y = np.linspace(0, 1, N) + NOISE
    outcome = verdict(made(y, curve=1 - U, sigma=np.full(500, 0.3)))
    assert outcome.word == "unsupported"
    assert "a steady drift in step explains quality better" in outcome.reasons[0]


def test_a_drift_that_explains_quality_as_well_as_x_is_named_as_a_rival():
    curve = 1 - np.expm1(-3 * U) / np.expm1(-3)
    size = {"curve": curve, "kappa": -3.0, "sigma": np.full(500, 0.1)}
    outcome = verdict(made(curve + 2 * NOISE, p_concave=0.01, **size))
    assert (outcome.word, outcome.rival) == ("convex", "a steady drift in step")
    assert any("one run cannot tell which" in reason for reason in outcome.reasons)
    concave = 1 - np.expm1(2 * U) / np.expm1(2)
    assert not verdict(made(concave + NOISE, curve=concave, kappa=2.0, p_concave=0.99)).rival


def test_a_jump_in_step_is_no_trade_off():
    y = 1.0 * (STEP > 12) + NOISE
    outcome = verdict(made(y, curve=1 - U, sigma=np.full(500, 0.3)))
    assert outcome.word == "unsupported"
    assert "one jump in step explains quality better" in outcome.reasons[0]


def test_two_columns_that_probably_rise_together_are_said_to():
    assert "probably rise together" in verdict(made(U + NOISE, p_falls=0.07)).reasons[0]
    assert "and quality rise together" in verdict(made(U + NOISE, p_falls=0.01)).reasons[0]


def test_no_law_of_five_rows_stops_the_verdict():
    rows = slice(0, 40, 8)
    few = made(1 - U + NOISE)
    fields = {k: getattr(few, k)[rows] for k in ("step", "x", "y", "curve", "path_error")}
    assert verdict(few._replace(**fields)).word in WORDS


# ------------------------------------------------------------------ the verdict of a fit


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


def test_a_law_that_least_squares_contradicts_has_no_settled_shape():
    """A run of ours towards albuterol: quality jumps while diversity stands near 0."""
    path = Path(__file__).parents[3] / "studies" / "law" / "metrics" / "albuterol-grpo-0.csv"
    table = pd.read_csv(path)
    fitted = qd.fit(qd.RunLog.from_frame(table, kinds={"entropy": "token_entropy"})).rd
    assert fitted.verdict == "falling"  # not concave: the curve passes by the readings
    assert any("does not bend that way" in reason for reason in fitted.reasons)
    assert fitted.r2 > 0.7  # 0.57 with errors that wander by the step alone
    settled = pd.read_csv(path.with_name("qed-grpo-0.csv"))
    fitted = qd.fit(qd.RunLog.from_frame(settled, kinds={"entropy": "token_entropy"})).rd
    assert fitted.verdict == "concave"
    assert not any("least squares" in reason for reason in fitted.reasons)


def test_a_fall_that_is_refused_for_a_drift_is_not_called_unseen():
    step = np.arange(60.0)
    noise = 0.01 * np.random.default_rng(0).standard_normal((2, 60))
    diversity = 0.9 - 0.3 * step / 60 + 0.06 * np.sin(step / 5) + noise[0]
    refused = qd.fit(pair(0.2 + 0.5 * step / 60 + noise[1], diversity))
    assert refused.rd.verdict == "unsupported"
    assert "drift in step" in refused.rd.reasons[0]
    assert refused.rd.verdict_words == "no law: see the reasons"
    assert "the reasons stand above" in refused.summary().conclusion
