"""Law-guided control: readings, floors and prices it turns by, alone and in closed loop."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from qdlaws import Goal, MissingColumn
from tests.helpers.control_logs import START, guided, log_with
from trainer.algorithms.recipes import rloo
from trainer.analysis.simulated_run import CLIFF, QED, qed
from trainer.analysis.simulated_run import simulate as run
from trainer.control import knob_columns, make_dial, run_log
from trainer.knobs import Knobs

NEAR = Knobs(kl=0.1, reward_scale=0.1 * np.exp(4.0))
SCALE, KL = {"turn": "reward_scale"}, {"turn": "kl"}


def test_fewer_than_three_readings_wait_or_tighten():
    for n in (1, 2):
        decision = guided()(log_with([0.9] * n), START)
        assert (decision.advice.action, decision.knobs) == ("wait", START)
        assert "3 readings" in " ".join(decision.advice.reasons)
        low = guided()(log_with([0.5] * n), START)
        assert low.advice.action == "tighten"
        assert low.knobs.reward_scale < 1


def test_a_missing_reading_never_loosens():
    readings = [0.80, 0.805, 0.797, 0.803, 0.80]
    assert guided()(log_with(readings), START).advice.action == "loosen"
    decision = guided()(log_with([*readings, np.nan]), START)
    assert decision.knobs == START
    assert "missing" in " ".join(decision.advice.reasons)
    low = guided()(log_with([0.6, 0.59, 0.61, 0.60, np.nan]), START)
    assert low.advice.action == "tighten"
    assert guided()(log_with([np.nan] * 3), START).advice.action == "wait"


def test_a_price_without_a_law_turns_nothing_but_a_floor_beside_it_is_steered_by():
    flat = [0.80, 0.805, 0.797, 0.803, 0.80]
    alone = guided(Goal(price=1.0))(log_with(flat), START)
    assert (alone.advice.action, alone.knobs) == ("wait", START)
    both, floor = Goal(price=1.0, min_diversity=0.65), Goal(min_diversity=0.65)
    decision = guided(both)(log_with(flat), START)
    assert decision.advice.action == "loosen"
    assert decision.knobs == guided(floor)(log_with(flat), START).knobs
    assert "until then the floor alone" in " ".join(decision.advice.reasons)
    assert guided(both)(log_with([d - 0.2 for d in flat]), START).advice.action == "tighten"


def test_a_price_is_steered_by_its_operating_point():
    d = np.linspace(0.9, 0.55, 40)
    quality = 1 - (d - 0.3) ** 2 * 2  # dR/dD = −4(D − .3): a price of 2 is met at D = .8
    wobble = 0.002 * np.sin(2.3 * np.arange(40))
    log = log_with(d + wobble, quality=quality + 0.5 * wobble)
    decision = guided(Goal(price=2.0))(log, START)
    assert decision.advice.action == "tighten"  # it is at .55, far below .8
    assert decision.advice.figures["target"] == pytest.approx(0.8, abs=0.03)


def test_a_floor_on_entropy_needs_no_other_column():
    rows = [
        {"step": 10 * k, "entropy": 0.5 + 0.003 * (-1) ** k, "entropy_se": 0.004}
        | knob_columns(START)
        for k in range(8)
    ]
    log = run_log(rows)
    assert log.columns == ("entropy",)
    assert guided(Goal(min_entropy=0.3))(log, START).advice.action == "loosen"
    assert guided(Goal(min_entropy=0.6))(log, START).advice.action == "tighten"
    with pytest.raises(MissingColumn, match="min_diversity needs a diversity column"):
        guided()(log, START)


@pytest.mark.parametrize(
    ("plant", "options", "share"),
    [
        pytest.param(QED, SCALE, 0.97, id="reward scale"),
        pytest.param(replace(QED, slows=True), KL, 0.97, id="kl"),
        pytest.param(QED, SCALE | {"gain": 0.065 / 3}, 0.95, id="gain thought a third"),
        pytest.param(QED, SCALE | {"gain": 0.065 * 3}, 0.95, id="gain thought thrice"),
        pytest.param(replace(QED, noise=0.03), SCALE, 0.85, id="noise x 3"),
        pytest.param(replace(QED, missing=0.4), SCALE, 0.95, id="40 % missing"),
        pytest.param(replace(QED, dead=20), SCALE, 0.95, id="dead time"),
        pytest.param(replace(QED, lag=80.0), SCALE, 0.94, id="slow"),
    ],
)
def test_the_floor_is_held_and_most_of_the_diversity_above_it_is_spent(plant, options, share):
    runs = [run(plant, guided(**options), NEAR, seed=seed) for seed in range(3)]
    assert all(trace.below(0.635) == 0 for trace in runs)
    assert np.mean([trace.share(plant.curves, 0.65) for trace in runs]) > share


def test_a_curve_that_drops_midway_is_caught_and_the_floor_regained():
    plant = replace(QED, later=((300, qed(-1.0)),))
    trace = run(plant, guided(), NEAR, seed=0)
    assert trace.diversity.min() < 0.64  # nobody can foresee it
    assert (trace.diversity[-12:] > 0.645).all()


def test_the_run_stays_above_a_cliff_of_the_diversity_curve():
    trace = run(CLIFF, guided(Goal(min_diversity=0.75)), START, seed=0)
    assert trace.below(0.75 - 0.02) == 0
    settled = [CLIFF.curves.diversity(u) for u in (3.0, 4.5)]
    assert settled[0] > 0.83 > 0.5 > settled[1]  # within a unit and a half of u


def test_the_gain_is_identified_from_the_turns_of_the_run():
    """The truth is .085; from a wrong prior it is most of the way there in 60 small turns."""
    figures = [
        run(replace(QED, noise=0.004), guided(gain=0.085 * wrong), NEAR, seed=1)
        .decisions[-1]
        .advice.figures
        for wrong in (1 / 4, 1.0, 3.0)
    ]
    gains = [f["gain"] for f in figures]
    assert gains[0] > 2 * 0.085 / 4
    assert gains[1] == pytest.approx(0.085, rel=0.4)
    assert gains[2] < 0.75 * 3 * 0.085


def test_the_log_ratio_stays_within_its_range():
    low = Goal(min_diversity=0.1)
    start = make_dial(rloo(), NEAR).ratio(NEAR)
    trace = run(QED, guided(low, start=NEAR), NEAR, steps=600, every=5, seed=0)
    last = trace.decisions[-1]
    assert last.advice.figures["u"] == pytest.approx(start + 5)
    assert "end of its range" in " ".join(last.advice.reasons)
